"""`manage.py qcluster`: Django Q's own, whose processes share what their tasks need."""

from importlib import import_module
from typing import Any

from django.urls import get_resolver
from django_q.management.commands import qcluster

_NEEDED = (
    "catalog.tasks",
    "genfeed.clients.tasks",
    "genfeed.cloud.tasks",
    "genfeed.journal.tasks",
    "genfeed.sync",
    "jobs.tasks",
    "jobs.webhooks.tasks",
    "pricing.tasks",
)


class Command(qcluster.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        for module in _NEEDED:
            # Loaded here, once: each process that starts later has it by being forked, in memory that all share.
            import_module(module)
        # Alerts lead to pages, by their addresses.
        _ = get_resolver().url_patterns
        super().handle(*args, **options)
