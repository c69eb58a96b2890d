"""`manage.py check_ledger`: prove that every balance is the sum of its ledger."""

import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from pricing.ledger.checking import check_ledger
from pricing.models import Account, Hold, LedgerTransaction


class Command(BaseCommand):
    help = (
        "Proves the ledger: every transaction sums to zero (M1), every balance is the sum of its ledger (M2), every "
        "hold ended at most once (M3), and the open holds are the jobs whose outcome is not known (M7). Says what is "
        "wrong, and ends with an error then. It changes nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="Print one line of JSON: counts and mismatches.")

    def handle(self, *args: Any, **options: Any) -> None:
        found = check_ledger()
        counts = {
            "accounts": Account.objects.count(),
            "transactions": LedgerTransaction.objects.count(),
            "open_holds": Hold.objects.filter(closed_at=None).count(),
        }
        if options["json"]:
            self.stdout.write(json.dumps({**counts, "mismatches": [asdict(one) for one in found]}))
        else:
            for one in found:
                self.stdout.write(f"{one.invariant} {one.subject}: {one.words}")
        if found:
            raise CommandError(f"{len(found)} mismatches. Switch the clients concerned off before anything is charged.")
        if not options["json"]:
            self.stdout.write(
                f"The ledger is proven: {counts['accounts']} accounts, {counts['transactions']} transactions, "
                f"{counts['open_holds']} open holds."
            )
