"""The catalog's pages in Django admin; importing them registers them."""

from catalog.admin import models, providers  # noqa: F401
