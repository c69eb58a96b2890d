"""The catalog's pages in Django admin; importing them registers them."""

from catalog.admin import models, own_keys, providers  # noqa: F401
