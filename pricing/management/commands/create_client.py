"""`manage.py create_client NAME`: a client, its first API key, and money to begin with."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from genfeed.clients.keys import UnknownScopeError, check_scopes, create_key
from genfeed.clients.models import SCOPES, Client
from genfeed.journal.audit import SYSTEM, Actor, Change, record
from pricing.ledger.accounts import MoneyRefusedError, check_amount, set_terms, top_up
from pricing.models import Account
from pricing.money import NotMoney, parse_usd

# What whoever builds on the API needs; not what manages it.
DEFAULT_SCOPES = ("models:read", "estimates", "jobs:write", "jobs:read", "usage:read")
_ACTOR = Actor(name="manage.py create_client")


class Command(BaseCommand):
    help = (
        "Makes a client and an API key for it, and prints the key, which can't be shown again. A client of that name "
        "that exists already gets one more key. With --balance it gets money as well."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="The client's name.")
        parser.add_argument(
            "--scopes",
            default=",".join(DEFAULT_SCOPES),
            help=f"What the key may do, separated by commas: {', '.join(SCOPES)}. Default: %(default)s.",
        )
        parser.add_argument(
            "--test", action="store_true", help="Make a test key (gf_test_…), which never spends money."
        )
        parser.add_argument("--balance", metavar="USD", help="Top the balance up by this amount, e.g. 25.50.")
        parser.add_argument(
            "--funding", choices=Account.Funding.values, help="prepaid (the default) pays first; postpaid may owe."
        )
        parser.add_argument(
            "--credit-line", metavar="USD", help="How far a postpaid client may owe, e.g. 100. Makes it postpaid."
        )
        parser.add_argument("--json", action="store_true", help="Print one line of JSON: client and api_key.")

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["name"].strip()
        if not name or len(name) > 200:
            raise CommandError("The name must have 1 to 200 characters.")
        try:
            named = (scope.strip() for scope in options["scopes"].split(","))
            scopes = check_scopes((scope for scope in named if scope), is_test=options["test"])
        except UnknownScopeError as error:
            raise CommandError(str(error)) from error
        if not scopes:
            raise CommandError(f"A key without any scope may do nothing. Scopes are: {', '.join(SCOPES)}.")
        balance, terms = _amount(options["balance"], "--balance"), _terms(options)
        with transaction.atomic():
            client = Client.customers.filter(name__iexact=name).first()
            if client is None:
                client = Client.objects.create(name=name)
                record("client.added", [Change(client)], actor=SYSTEM)
            _, text = create_key(client, actor=SYSTEM, scopes=scopes, is_test=options["test"])
        self._give(client, balance, terms)
        if options["json"]:
            self.stdout.write(json.dumps({"client": client.name, "api_key": text}))
            return
        self.stdout.write(f"Client {client.name}, scopes {', '.join(scopes)}. The key, shown this once:\n{text}")

    def _give(self, client: Client, balance: int | None, terms: dict[str, Any]) -> None:
        try:
            if terms:
                set_terms(client.pk, actor=_ACTOR, reason="made on the command line", **terms)
            if balance:
                top_up(client.pk, balance, actor=_ACTOR, reason="made on the command line")
        except MoneyRefusedError as error:
            raise CommandError(f"The client and its key are made; its money is not: {error}") from error


def _terms(options: dict[str, Any]) -> dict[str, Any]:
    line, funding = _amount(options["credit_line"], "--credit-line"), options["funding"]
    if line and funding == Account.Funding.PREPAID:
        raise CommandError("A prepaid client has no credit line; leave --funding out, or make it postpaid.")
    if line is not None:
        return {"funding": funding or Account.Funding.POSTPAID, "credit_line": line}
    return {"funding": funding} if funding else {}


def _amount(text: str | None, option: str) -> int | None:
    """Nano-USD of 0 or more; refused before anything is made."""
    if text is None:
        return None
    try:
        amount = parse_usd(text, what=option)
        check_amount(amount)
    except (NotMoney, MoneyRefusedError) as error:
        raise CommandError(str(error)) from error
    if amount < 0:
        raise CommandError(f"{option} can't be negative.")
    return amount
