"""Jobs that ended, with everything that their end writes, for tests of usage, statements and pages."""

from datetime import datetime
from typing import Any

from django.db import transaction

from catalog.models import AIModel
from genfeed.clients.models import Client
from pricing.ledger.settling import release, settle
from pricing.models import LedgerTransaction
from pricing.usage.recording import Usage, record_usage
from tests.pricing.ledger.books import CENT, a_model, hold


def use(client: Client, job: str, charge: int = 4 * CENT, *, at: datetime | None = None, **more: Any) -> None:
    """A job of 4 cents, from hold to usage record; `at`: when it ended. More: model, outcome, cost, fields of Usage."""
    model: AIModel = more.pop("model", None) or a_model()
    cost = more.pop("cost", CENT)
    key_id = more.pop("key_id", None)
    outcome = more.pop("outcome", "succeeded")
    hold(client, job, max(charge, 1), model=model, key_id=key_id)
    with transaction.atomic():
        if outcome == "succeeded":
            settle(job, charge=charge, cost=cost)
        else:
            charge = 0
            release(job, cost=cost)
        record_usage(
            Usage(
                job=job, client_id=client.pk, key_id=key_id, model_id=model.pk, outcome=outcome, cost=cost,
                charge=charge, cost_source="billing_event" if cost else "none", **more,
            ),
            now=at,
        )  # fmt: skip
    if at is not None:
        back_date(at, job=job)


def back_date(at: datetime, **which: Any) -> None:
    """Moves ledger rows to another time, past what forbids it: no test can wait for a month to end."""
    for row in LedgerTransaction.objects.filter(**which):
        LedgerTransaction._base_manager.filter(pk=row.pk).update(at=at)
