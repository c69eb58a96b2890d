"""Jobs that were settled, and bills of fal for them, for tests of the reconciliation."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.utils import timezone

from catalog.models import AIModel
from catalog.providers.base import AccountBalance, BillingEvent, BillingPage
from pricing.ledger.afterwards import charged_for, cost_of
from pricing.ledger.settling import release, settle
from pricing.margins.terms import Terms
from pricing.models import UsageRecord
from pricing.money import to_usd
from pricing.settling.frozen import Frozen
from pricing.usage.recording import Usage, record_usage
from tests.pricing.ledger.books import CENT, USD, a_model, hold

# The price is twice the cost, one unit costs a cent.
TERMS = Frozen(
    billing="metered", hold=USD, margin=Terms("markup", Decimal(1)), units=("images",), unit_prices=(Decimal("0.01"),)
)


def settled(client: Any, job: str = "job_1", *, cents: int = 10, **more: Any) -> UsageRecord:
    """A job of `cents` units at a cent that was quoted, settled and recorded; its request id is `req_` and the job's.

    `more`: terms (a Frozen), outcome, quoted_cost, model, now, released, cost, charge, request_id, is_cached.
    """
    terms: Frozen | None = more.pop("terms", TERMS)
    model: AIModel = more.pop("model", None) or a_model()
    hold(client, job, amount=terms.hold if terms else USD, model=model)
    cost, charge = more.pop("cost", cents * CENT), more.pop("charge", 2 * cents * CENT)
    with transaction.atomic():
        if more.pop("released", False):
            release(job)
            cost = charge = 0
        else:
            ended = settle(job, charge=charge, cost=cost)
            charge = ended.charge if ended else 0
        used = Usage(
            job=job,
            client_id=client.pk,
            key_id=None,
            model_id=model.pk,
            outcome=more.pop("outcome", "succeeded"),
            cost=cost,
            charge=charge,
            cost_source="billable_units" if cost else "none",
            unit="images",
            units=Decimal(cents),
            quoted_cost=more.pop("quoted_cost", cents * CENT),
            quoted_price=more.pop("quoted_price", 2 * cents * CENT),
            terms=terms.as_json() if terms else {},
            request_id=more.pop("request_id", f"req_{job}"),
            is_cached=more.pop("is_cached", False),
        )
        return record_usage(used, **more)


def line(job: str = "job_1", units: int | str = 10, **more: Any) -> BillingEvent:
    """A line of fal's bill of so many units at a cent. `discount` in percent; `at` a time, else five minutes ago."""
    count = Decimal(units)
    price = Decimal(more.pop("unit_price", "0.01"))
    percent = Decimal(more.pop("discount", 0))
    subtotal = count * price
    made = BillingEvent(
        request_id=f"req_{job}",
        endpoint_id="fal-ai/flux/dev",
        at=timezone.now() - timedelta(minutes=5),
        units=count,
        unit="images",
        unit_price=price,
        percent_discount=percent or None,
        subtotal=subtotal,
        discount=subtotal * percent / 100,
        total=subtotal * (100 - percent) / 100,
        raw={"request_id": f"req_{job}"},
    )
    return replace(made, **more)


class Bills:
    """fal as far as its bills go: `lines` is what it shows now, `page_size` lines a page.

    `breaks_after`: so many pages come, then this error. Counts the calls, and keeps the periods that were asked for.
    """

    def __init__(self) -> None:
        self.lines: list[BillingEvent] = []
        self.page_size = 100
        self.breaks_after: tuple[int, Exception] | None = None
        self.problems: list[str] = []
        self.credit: AccountBalance | Exception = AccountBalance("my-team", Decimal(100), "USD")
        self.asked: list[tuple[datetime, datetime]] = []

    def can_read_bills(self) -> bool:
        return True

    def close(self) -> None:
        pass

    def billing_events(self, start: datetime, end: datetime) -> Iterator[BillingPage]:
        self.asked.append((start, end))
        shown = [one for one in self.lines if start <= one.at < end]
        pages = [shown[n : n + self.page_size] for n in range(0, len(shown), self.page_size)] or [[]]
        for number, page in enumerate(pages):
            if self.breaks_after and number == self.breaks_after[0]:
                raise self.breaks_after[1]
            yield BillingPage(page, self.problems if number == 0 else [])

    def account_balance(self) -> AccountBalance:
        if isinstance(self.credit, Exception):
            raise self.credit
        return self.credit


def booked(job: str = "job_1") -> tuple[Decimal, Decimal]:
    """What the ledger says now of a job, in cents: its cost, and its charge after refunds."""
    return to_usd(cost_of(job)) * 100, to_usd(charged_for(job)) * 100
