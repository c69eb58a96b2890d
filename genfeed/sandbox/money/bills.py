"""The bills of the account: one for every request that cost something."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal

from genfeed.sandbox.effects import Correction

KEPT = 50_000
NANO = Decimal(1_000_000_000)


@dataclass(slots=True)
class Bill:
    """What one request cost. `at` is when it ended, `visible_at` when the bill can be read (Unix seconds)."""

    request_id: str
    endpoint_id: str
    at: float
    units: Decimal
    unit: str
    unit_price: Decimal
    discount_percent: Decimal
    visible_at: float
    correction: Correction | None = None
    account: str = ""

    def units_at(self, now: float) -> Decimal:
        """The units, as corrected by `now`."""
        if self.correction is not None and now >= self.at + self.correction["after"]:
            return self.units * Decimal(str(self.correction["times"]))
        return self.units

    def subtotal(self, now: float) -> Decimal:
        """The cost in USD before discounts."""
        return self.units_at(now) * self.unit_price

    def total(self, now: float) -> Decimal:
        """The cost in USD after discounts, in whole nano-USD."""
        exact = self.subtotal(now) * (100 - self.discount_percent) / 100 * NANO
        return exact.quantize(Decimal(1), ROUND_HALF_UP) / NANO


@dataclass(slots=True)
class Bills:
    """The latest bills, oldest first."""

    bills: deque[Bill] = field(default_factory=lambda: deque(maxlen=KEPT))

    def add(self, bill: Bill) -> None:
        """Write a bill down."""
        self.bills.append(bill)

    def visible(self, now: float) -> Iterator[Bill]:
        """The bills that can be read by `now`."""
        return (bill for bill in self.bills if bill.visible_at <= now)
