"""Writing down what a provider's bill says: each line once, whoever reads it how often, and revised lines as such."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from datetime import UTC
from decimal import Decimal
from itertools import batched

from django.db import transaction
from django.db.models import Exists, OuterRef

from catalog.providers.base import BillingEvent as BilledLine
from pricing.models import Bill, BillingEvent, ReconciliationRun
from pricing.money import format_decimal, to_nano
from pricing.reconciling.runs import hold_on

_AT_ONCE = 400


def store(run: ReconciliationRun, lines: Iterable[BilledLine]) -> int:
    """Writes a page's lines in one transaction and opens the bills of new ones; returns how many were new."""
    rows = {row.identity: row for row in (_row(run, line) for line in lines)}
    fresh = 0
    with transaction.atomic():
        hold_on(run)
        for some in batched(rows.values(), _AT_ONCE):
            stored = BillingEvent.objects.filter(
                provider_id=run.provider_id, identity__in=[row.identity for row in some]
            )
            known = set(stored.values_list("identity", flat=True))
            stored.update(last_run=run)
            new = [row for row in some if row.identity not in known]
            BillingEvent.objects.bulk_create(new)
            _open_bills(run, new)
            fresh += len(new)
    return fresh


def supersede(run: ReconciliationRun) -> int:
    """Once a reading is whole: what it shows counts, and what it shows otherwise counts no more; how many changed.

    A line of the period that was not shown now, while another of the same request and moment was, has been revised.
    One that is merely absent stays: a bill that was there does not become nothing by being late in a list.
    """
    with transaction.atomic():
        hold_on(run)
        lines = BillingEvent.objects.filter(provider_id=run.provider_id)
        shown = lines.filter(last_run=run)
        twin = shown.filter(request_id=OuterRef("request_id"), at=OuterRef("at"))
        period = lines.filter(at__gte=run.read_from, at__lt=run.read_until, superseded=False).exclude(last_run=run)
        gone = list(period.filter(Exists(twin)))
        back = list(shown.filter(superseded=True))
        for rows, is_gone in ((gone, True), (back, False)):
            for some in batched(rows, _AT_ONCE):
                lines.filter(pk__in=[row.pk for row in some]).update(superseded=is_gone)
                _open_bills(run, some)
    return len(gone) + len(back)


def _open_bills(run: ReconciliationRun, rows: Iterable[BillingEvent]) -> None:
    bills = {
        row.request_id: Bill(
            provider_id=run.provider_id, request_id=row.request_id, endpoint_id=row.endpoint_id, at=row.at
        )
        for row in rows
    }
    Bill.objects.bulk_create(bills.values(), ignore_conflicts=True)
    Bill.objects.filter(provider_id=run.provider_id, request_id__in=list(bills)).update(is_open=True)


def _row(run: ReconciliationRun, line: BilledLine) -> BillingEvent:
    row = BillingEvent(
        provider_id=run.provider_id,
        request_id=line.request_id,
        endpoint_id=line.endpoint_id,
        at=line.at.astimezone(UTC),
        units=_text(line.units),
        unit=line.unit,
        unit_price=_text(line.unit_price),
        percent_discount=_text(line.percent_discount),
        subtotal=to_nano(line.subtotal),
        discount=to_nano(line.discount),
        total=to_nano(line.total),
        raw=line.raw,
        first_run=run,
        last_run=run,
    )
    said = [
        row.request_id, row.endpoint_id, row.at.isoformat(), row.units, row.unit, row.unit_price, row.percent_discount,
        row.subtotal, row.discount, row.total,
    ]  # fmt: skip
    row.identity = hashlib.sha256(json.dumps(said).encode()).hexdigest()
    return row


def _text(number: Decimal | None) -> str:
    return "" if number is None else format_decimal(number)
