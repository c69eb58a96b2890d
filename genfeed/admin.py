"""Pages of the admin that stand above all apps."""

from genfeed.cloud import admin  # noqa: F401
