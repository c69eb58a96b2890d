"""`manage.py erase_client NAME`: erase what a client sent and got."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from genfeed.clients.models import Client
from genfeed.journal.audit import Actor
from jobs.assets.retention import OpenJobsError, erase_client


class Command(BaseCommand):
    help = (
        "Erases what a client sent and got: files, inputs, outputs, notes, and what providers answered. Its keys are "
        "revoked, and it is switched off. What was charged stays on record, without contents. It can't be undone."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="The client's name.")
        parser.add_argument("--yes", action="store_true", help="Do it; without this, only say what would be erased.")

    def handle(self, *args: Any, **options: Any) -> None:
        client = Client.customers.filter(name__iexact=options["name"]).first()
        if client is None:
            raise CommandError(f"There is no client {options['name']!r}.")
        if not options["yes"]:
            self.stdout.write(
                f"{client.name}: {client.jobs.count()} jobs and {client.assets.count()} files would be erased. "
                "Run again with --yes to do it."
            )
            return
        try:
            done = erase_client(client, actor=Actor(name="erase_client"))
        except OpenJobsError as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"{client.name}: {done['jobs']} jobs and {done['files']} files were erased.")
        if done["at_provider"]:
            self.stdout.write(
                f"The worker will have the provider delete {done['at_provider']} requests, if FAL_ADMIN_KEY or the key "
                "that runs jobs has the scope ADMIN there; else the provider deletes them by itself in time."
            )
        if done["left"]:
            raise CommandError(f"{done['left']} files could not be deleted from the storage. Run it again.")
