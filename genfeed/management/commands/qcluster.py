"""`manage.py qcluster`: Django Q's own, whose processes share what their tasks need."""

from importlib import import_module
from typing import Any

from django_q.management.commands import qcluster

from genfeed.journal import links

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
        links.get_ready()
        super().handle(*args, **options)
