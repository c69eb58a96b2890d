"""Writing the usage record of an ended job: once, in the transaction that settles or releases its hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.utils import timezone

from pricing import sql
from pricing.models import UsageOfTest, UsageRecord
from pricing.money import format_decimal

Outcome = UsageRecord.Outcome
CostSource = UsageRecord.CostSource


class BadUsageError(ValueError):
    """A record that contradicts itself: a mistake in the code, never in a request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a job used. Amounts in nano-USD; `charge` is what the ledger charged, `cost` what the provider is owed.

    `units` is exact; `features` come from `pricing.estimates.history.features_of`; `terms` holds what a corrected bill
    needs to make the charge again; `seconds` run from submission to result.
    """

    job: str
    client_id: int | None
    key_id: int | None
    model_id: int
    outcome: str
    cost: int
    charge: int
    cost_source: str
    unit: str = ""
    units: Decimal | None = None
    quoted_cost: int | None = None
    quoted_price: int | None = None
    terms: Mapping[str, Any] = field(default_factory=dict)
    features: Mapping[str, Any] = field(default_factory=dict)
    error_code: str = ""
    request_id: str = ""
    seconds: float | None = None
    is_cached: bool = False


def record_usage(usage: Usage, *, now: datetime | None = None) -> UsageRecord:
    """Writes the record in the caller's transaction; `now` is the moment of the settlement.

    Raises IntegrityError for a job that has one already, which undoes that transaction, and BadUsageError for a record
    that contradicts itself.
    """
    if not transaction.get_connection().in_atomic_block:
        raise transaction.TransactionManagementError("A usage record belongs in the transaction of the settlement.")
    record = usage_record(usage, now=now)
    sql.insert(record)
    return record


def usage_record(usage: Usage, *, now: datetime | None = None) -> UsageRecord:
    """The record, for whoever writes it with other rows of the settlement. Raises BadUsageError as `record_usage`."""
    _check(usage)
    return UsageRecord(
        job=usage.job,
        client_id=usage.client_id,
        key_id=usage.key_id,
        model_id=usage.model_id,
        outcome=usage.outcome,
        cost=usage.cost,
        charge=usage.charge,
        cost_source=usage.cost_source,
        unit=usage.unit[:60],
        units="" if usage.units is None else format_decimal(usage.units)[:40],
        quoted_cost=usage.quoted_cost,
        quoted_price=usage.quoted_price,
        terms=dict(usage.terms),
        features=dict(usage.features),
        error_code=usage.error_code[:40],
        request_id=usage.request_id[:80],
        seconds=usage.seconds,
        is_cached=usage.is_cached,
        created_at=now or timezone.now(),
    )


def usage_of_test(usage: Usage, *, now: datetime) -> UsageOfTest:
    """What a test job used, apart from all that is charged, for whoever writes it. Raises BadUsageError."""
    _check(usage)
    names = ("job", "client_id", "key_id", "model_id", "outcome", "cost", "charge")
    return UsageOfTest(**{name: getattr(usage, name) for name in names}, created_at=now)


def _check(usage: Usage) -> None:
    if not usage.job:
        raise BadUsageError("a usage record names its job")
    if usage.outcome not in Outcome.values or usage.cost_source not in CostSource.values:
        raise BadUsageError(f"no such outcome or source of the cost: {usage.outcome}, {usage.cost_source}")
    for name in ("cost", "charge"):
        amount = getattr(usage, name)
        if isinstance(amount, bool) or not isinstance(amount, int) or amount < 0:
            raise BadUsageError(f"{name} is whole nano-USD of 0 or more, not {amount!r}")
    if usage.cost and (usage.cost_source == CostSource.NONE or usage.is_cached):
        raise BadUsageError("nothing was billed, and there is a cost")
    if usage.outcome == Outcome.SUCCEEDED and usage.error_code:
        raise BadUsageError("a job that succeeded has no error")
