"""Clients and their API keys in Django admin."""

from genfeed.clients.admin import clients, keys

__all__ = ["clients", "keys"]
