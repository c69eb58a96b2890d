"""Bringing the books to a bill: found by the provider's request id, judged, and booked as a correction.

What a bill does follows from all its lines together, not from the order in which they came.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import batched
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from catalog.models import Provider
from pricing.ledger.accounts import MoneyRefusedError
from pricing.ledger.afterwards import correct
from pricing.ledger.losses import tell_loss
from pricing.models import Bill, BillingEvent, Hold, LedgerTransaction, StrayRequest, UsageRecord
from pricing.money import format_usd
from pricing.reconciling import telling
from pricing.settling.charging import Billed, charge_of, judge_bill
from pricing.settling.frozen import Frozen, read_frozen
from pricing.settling.verdict import OK, Verdict, judge

logger = logging.getLogger(__name__)

State = Bill.State
ORPHAN_AFTER = timedelta(days=1)
# No job is open for longer than a day: a bill that has found none for a week is of somebody else.
WAITS = timedelta(days=7)
_AT_ONCE = 300
_MILLION = 1_000_000
_WRITTEN = [
    "usage", "model", "booked_cost", "reason", "words", "deviation_ppm", "lines", "subtotal", "total", "at",
    "endpoint_id", "state", "is_open", "updated_at",
]  # fmt: skip


def match_open(provider: Provider, *, now: datetime | None = None, beat: Callable[[], None] | None = None) -> Counter:
    """Matches every open bill; counts by state. `beat` proves in between that we may go on.

    Bills that say what was settled (nearly all) are closed some hundred at a time; each other one is brought to the
    books in a transaction of its own.
    """
    now = now or timezone.now()
    counts: Counter[str] = Counter()
    waiting = Bill.objects.filter(provider=provider, is_open=True).order_by("at", "pk")
    for some in batched(list(waiting.values_list("pk", "request_id")), _AT_ONCE):
        request_ids = [request_id for _, request_id in some]
        used = UsageRecord.objects.filter(request_id__in=request_ids, model__provider=provider, is_cached=False)
        usages = {usage.request_id: usage for usage in used.order_by("-pk")}
        with transaction.atomic():
            if beat:
                beat()
            done = _close_as_settled(provider, usages, now)
        counts[State.MATCHED] += len(done)
        for key, request_id in some:
            if key in done:
                continue
            try:
                state = match(key, usages.get(request_id), now=now)
            except (MoneyRefusedError, IntegrityError):
                # It stays open for the next run; what is wrong with one bill must not hold up all others.
                logger.exception("the bill of %s can't be booked", request_id)
                state = "failed"
            if state:
                counts[state] += 1
    return +counts


def _close_as_settled(provider: Provider, usages: dict[str, UsageRecord], now: datetime) -> set[int]:
    """Closes the bills of these jobs that say exactly what was settled, and were never booked otherwise; their keys."""
    lines: defaultdict[str, list[BillingEvent]] = defaultdict(list)
    for line in BillingEvent.objects.filter(provider=provider, request_id__in=list(usages), superseded=False):
        lines[line.request_id].append(line)
    bills = Bill.objects.select_for_update().filter(
        provider=provider, request_id__in=list(usages), is_open=True, rounds=0
    )
    closed = []
    for bill in bills.exclude(state__in=Bill.DECIDED).order_by("pk"):
        usage, said = usages[bill.request_id], lines[bill.request_id]
        _sum_up(bill, said)
        verdict, charge = _assess(bill, usage, said)
        if not verdict.is_quarantine and _is_as_settled(bill, usage, charge):
            bill.state, bill.is_open, bill.updated_at = State.MATCHED, False, now
            closed.append(bill)
    _write(closed)
    return {bill.pk for bill in closed}


def _write(bills: list[Bill]) -> None:
    """Writes the closed bills; by hand, since Django's own bulk update takes ten times as long to put into words."""
    fields: list[Any] = [Bill._meta.get_field(name) for name in _WRITTEN]
    columns = ", ".join(f"{connection.ops.quote_name(field.column)} = %s" for field in fields)
    rows = [
        [*(field.get_db_prep_save(getattr(bill, field.attname), connection) for field in fields), bill.pk]
        for bill in bills
    ]
    with connection.cursor() as cursor:
        cursor.executemany(f"UPDATE {Bill._meta.db_table} SET {columns} WHERE id = %s", rows)  # noqa: S608 - our names


def match(key: int, usage: UsageRecord | None, *, now: datetime) -> str:
    """Brings one open bill to the books, in a transaction; its state after that, "" where it was not open any more."""
    with transaction.atomic():
        bill = Bill.objects.select_for_update().get(pk=key)
        if not bill.is_open:
            return ""
        before = (bill.subtotal, bill.total)
        lines = lines_of(bill)
        _sum_up(bill, lines)
        bill.updated_at = now
        if usage is None and (stray := _stray(bill)):
            bill.usage = stray if not Bill.objects.filter(usage=stray).exclude(pk=bill.pk).exists() else None
            bill.model_id, bill.is_open, bill.state = stray.model_id, False, State.CORRECTED
            # The job was given up and paid back: whatever its terms, nobody is charged for what nobody got.
            why = f"{bill.request_id} ran after its job was given up"
            correct_to(bill, stray, charge=0, cost=bill.total, why=why)
        elif usage is None:
            _wait(bill, now)
        elif bill.state in Bill.DECIDED and before == (bill.subtotal, bill.total):
            bill.is_open = False
        else:
            _book(bill, usage, lines)
        bill.save()
        if usage and bill.state in (State.MATCHED, State.CORRECTED):
            telling.bill_counts(usage.job)
        return bill.state


def terms_of(usage: UsageRecord) -> Frozen | None:
    """The terms frozen with a job; None where they were not kept, and then no bill changes its charge."""
    try:
        return read_frozen(usage.terms)
    except (KeyError, TypeError, ValueError):
        return None


def lines_of(bill: Bill) -> list[BillingEvent]:
    """The lines that count."""
    return list(BillingEvent.objects.filter(provider_id=bill.provider_id, request_id=bill.request_id, superseded=False))


def charge_for(bill: Bill, usage: UsageRecord, lines: list[BillingEvent]) -> int:
    """The charge in nano-USD that follows from the bill, by the job's own terms; as settled where none were kept.

    It may pass the hold, which the ledger then keeps to.
    """
    frozen = terms_of(usage)
    if frozen is None:
        return usage.charge
    return charge_of(
        frozen,
        outcome=usage.outcome,
        quoted_cost=usage.quoted_cost,
        quoted_price=usage.quoted_price,
        billed=_billed(bill, lines, frozen),
    )


def correct_to(bill: Bill, usage: UsageRecord, *, charge: int, cost: int, why: str) -> LedgerTransaction | None:
    """Books the difference to what stands now; None where there is none, or the job never held money."""
    bill.rounds += 1
    reference = f"bill:{bill.request_id}:{bill.rounds}"
    try:
        booked = correct(usage.job, charge=charge, cost=cost, reference=reference, reason=why)
    except Hold.DoesNotExist:
        return None
    if booked and booked.loss > 0:
        tell_loss(usage.job, "the bill came out above what was held", booked.loss)
    return booked


def _stray(bill: Bill) -> UsageRecord | None:
    """The job that a request was sent for which turned up too late; None where it is of no job of ours."""
    stray = StrayRequest.objects.filter(provider_id=bill.provider_id, request_id=bill.request_id).first()
    return UsageRecord.objects.filter(job=stray.job).first() if stray else None


def _sum_up(bill: Bill, lines: list[BillingEvent]) -> None:
    bill.lines = len(lines)
    bill.subtotal = sum(line.subtotal for line in lines)
    bill.total = sum(line.total for line in lines)
    if lines:
        bill.at, bill.endpoint_id = min((line.at, line.endpoint_id) for line in lines)


def _wait(bill: Bill, now: datetime) -> None:
    bill.state = State.ORPHAN if bill.at < now - ORPHAN_AFTER else State.UNMATCHED
    bill.is_open = bill.at > now - WAITS


def _assess(bill: Bill, usage: UsageRecord, lines: list[BillingEvent]) -> tuple[Verdict, int]:
    """Whether the bill can be right, and the charge that follows; writes on the bill what job it is of."""
    bill.usage, bill.model_id, bill.booked_cost = usage, usage.model_id, usage.cost
    bill.reason = bill.words = ""
    frozen = terms_of(usage)
    bill.deviation_ppm = _deviation(bill, usage, frozen)
    if frozen is None:
        return OK, usage.charge
    billed = _billed(bill, lines, frozen)
    verdict = judge_bill(frozen, outcome=usage.outcome, quoted_cost=usage.quoted_cost, billed=billed)
    return verdict, charge_for(bill, usage, lines)


def _is_as_settled(bill: Bill, usage: UsageRecord, charge: int) -> bool:
    frozen = terms_of(usage)
    return (bill.total, min(charge, frozen.hold) if frozen else charge) == (usage.cost, usage.charge)


def _book(bill: Bill, usage: UsageRecord, lines: list[BillingEvent]) -> None:
    verdict, charge = _assess(bill, usage, lines)
    bill.is_open = False
    if verdict.is_quarantine:
        bill.state, bill.reason, bill.words = State.QUARANTINED, verdict.reason, verdict.words[:500]
        # What an earlier reading of it may have changed is taken back: the settlement stands until a decision.
        correct_to(bill, usage, charge=usage.charge, cost=usage.cost, why=f"quarantined: {verdict.words}")
        telling.tell_anomaly(bill, usage)
        return
    why = f"the provider billed {format_usd(bill.total)} USD for {bill.request_id}"
    correct_to(bill, usage, charge=charge, cost=bill.total, why=why)
    bill.state = State.MATCHED if _is_as_settled(bill, usage, charge) else State.CORRECTED


def _billed(bill: Bill, lines: list[BillingEvent], frozen: Frozen | None) -> Billed:
    prices, names = {line.unit_price for line in lines}, {line.unit for line in lines}
    units = None
    if len(prices) == 1 and len(names) == 1 and all(line.units for line in lines):
        units = sum((Decimal(line.units) for line in lines), Decimal(0))
    unit = names.pop() if len(names) == 1 else ""
    if frozen is not None:
        # Among several units one that nobody quoted is enough.
        strange = (line.unit for line in lines if judge(None, frozen.units, 0, line.unit).is_quarantine)
        unit = next(strange, unit)
    price = prices.pop() if len(prices) == 1 else ""
    return Billed(bill.subtotal, units, unit, Decimal(price) if price else None)


def _deviation(bill: Bill, usage: UsageRecord, frozen: Frozen | None) -> int | None:
    """(estimate − bill) / bill in millionths, before discounts; None where the estimate promised nothing."""
    if usage.quoted_cost is None or frozen is None or frozen.is_bound or bill.subtotal <= 0:
        return None
    if usage.outcome != UsageRecord.Outcome.SUCCEEDED:
        return None
    difference = usage.quoted_cost - bill.subtotal
    rounded = (2 * difference * _MILLION + bill.subtotal) // (2 * bill.subtotal)
    return max(-(2**62), min(rounded, 2**62))
