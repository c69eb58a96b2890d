"""`manage.py create_client NAME`: a client and its first API key."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from genfeed.clients.keys import UnknownScopeError, check_scopes, create_key
from genfeed.clients.models import SCOPES, Client
from genfeed.journal.audit import SYSTEM, Change, record


class Command(BaseCommand):
    help = (
        "Makes a client and an API key for it, and prints the key, which can't be shown again. A client of that name "
        "that exists already gets one more key."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="The client's name.")
        parser.add_argument(
            "--scopes",
            default="models:read,estimates",
            help=f"What the key may do, separated by commas: {', '.join(SCOPES)}.",
        )
        parser.add_argument(
            "--test", action="store_true", help="Make a test key (gf_test_…), which never spends money."
        )
        parser.add_argument("--json", action="store_true", help="Print one line of JSON: client and api_key.")

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["name"].strip()
        if not name or len(name) > 200:
            raise CommandError("The name must have 1 to 200 characters.")
        try:
            scopes = check_scopes(scope.strip() for scope in options["scopes"].split(",") if scope.strip())
        except UnknownScopeError as error:
            raise CommandError(str(error)) from error
        if not scopes:
            raise CommandError(f"A key without any scope may do nothing. Scopes are: {', '.join(SCOPES)}.")
        with transaction.atomic():
            client = Client.objects.filter(name__iexact=name).first()
            if client is None:
                client = Client.objects.create(name=name)
                record("client.added", [Change(client)], actor=SYSTEM)
            _, text = create_key(client, actor=SYSTEM, scopes=scopes, is_test=options["test"])
        if options["json"]:
            self.stdout.write(json.dumps({"client": client.name, "api_key": text}))
            return
        self.stdout.write(f"Client {client.name}, scopes {', '.join(scopes)}. The key, shown this once:\n{text}")
