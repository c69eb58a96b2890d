"""Jobs of the past in bulk, with the ledger rows of their end, for tests of reports and for measurements."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import Any

from catalog.models import AIModel
from genfeed.clients.models import Client
from pricing.ledger.accounts import account_of
from pricing.models import Account, LedgerTransaction, UsageRecord
from pricing.usage.recording import CostSource
from tests.pricing.ledger.books import CENT

_numbers = itertools.count(1)
NOON = datetime(2026, 11, 10, 12, tzinfo=UTC)


def ended(model: AIModel, client: Client | None = None, at: datetime = NOON, **more: Any) -> UsageRecord:
    """A job as its end writes it: 4 cents charged, 1 cent of cost. More: `loss`, and columns of the record."""
    loss = more.pop("loss", 0)
    values: dict[str, Any] = {
        "job": f"job_past_{next(_numbers)}", "cost": CENT, "charge": 4 * CENT, "outcome": "succeeded",
        "cost_source": CostSource.BILLABLE_UNITS, "quoted_cost": CENT, "quoted_price": 4 * CENT, "created_at": at,
    }  # fmt: skip
    values |= more
    record = UsageRecord.objects.create(model=model, client=client, **values)
    if client is not None:
        kind = "settle" if record.outcome == "succeeded" else "release"
        LedgerTransaction.objects.create(
            account=account(client), at=at, kind=kind, job=record.job, spent=record.charge, held=-record.charge,
            cost=record.cost, loss=loss,
        )  # fmt: skip
    return record


def later(record: UsageRecord, kind: str, at: datetime, *, spent: int = 0, cost: int = 0, loss: int = 0) -> None:
    """What the ledger says of a job after its end."""
    assert record.client is not None
    LedgerTransaction.objects.create(
        account=account(record.client), at=at, kind=kind, job=record.job, reference=f"r{next(_numbers)}", spent=spent,
        available=-spent, cost=cost, loss=loss,
    )  # fmt: skip


def account(client: Client) -> Account:
    return account_of(client.pk)
