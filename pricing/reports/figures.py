"""What sums say: margin, success, latency, accuracy. Amounts in nano-USD, shares as exact decimals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from math import ceil

from pricing.margins.terms import true_margin
from pricing.models.reports import BOUNDS, BUCKETS, SUMS
from pricing.money import format_usd, show_usd

_SHORTEST = 0.05


@dataclass(frozen=True, slots=True)
class Figures:
    """The sums of some rollups by column (those that were not asked for count as 0), and what follows from them."""

    sums: Mapping[str, int]

    def __getattr__(self, name: str) -> int:
        if name in SUMS:
            return self.sums.get(name, 0)
        raise AttributeError(name)

    @property
    def margin(self) -> int:
        return self.revenue - self.cost

    @property
    def margin_rate(self) -> Decimal | None:
        """The share of the revenue that stays; None without revenue."""
        return true_margin(self.cost, self.revenue)

    @property
    def success_rate(self) -> Decimal | None:
        """Succeeded of succeeded and failed: who cancels says nothing about the model."""
        return share(self.succeeded, self.succeeded + self.failed)

    @property
    def cache_rate(self) -> Decimal | None:
        return share(self.cached, self.jobs)

    @property
    def seconds(self) -> float | None:
        """The mean duration, from submission to result."""
        return self.milliseconds / self.timed / 1000 if self.timed else None

    @property
    def p50(self) -> float | None:
        return self.quantile(0.5)

    @property
    def p95(self) -> float | None:
        return self.quantile(0.95)

    def quantile(self, part: float) -> float | None:
        """Seconds that this part of the jobs took at most, from the histogram: within a bucket, by proportion."""
        if not self.timed:
            return None
        wanted = ceil(part * self.timed)
        below = 0
        for number, name in enumerate(BUCKETS):
            inside = self.sums.get(name, 0)
            if below + inside >= wanted:
                if number == len(BOUNDS):
                    return BOUNDS[-1]
                low = BOUNDS[number - 1] if number else _SHORTEST
                return float(low * (BOUNDS[number] / low) ** ((wanted - below) / inside))
            below += inside
        return BOUNDS[-1]

    @property
    def deviation(self) -> Decimal | None:
        """How far estimates were off, on average: the sum of the deviations as a share of what was billed."""
        return share(self.quoted_off, self.quoted_bill)

    @property
    def bias(self) -> Decimal | None:
        """Billed above the estimates, as a share of what was billed; below 0: estimates were too high."""
        return share(self.quoted_bill - self.quoted_cost, self.quoted_bill)

    def usd(self, name: str) -> str:
        """An amount as exact decimal text, for CSV and JSON."""
        return format_usd(getattr(self, name))

    def shown(self, name: str) -> str:
        """An amount as people read it."""
        return show_usd(getattr(self, name))


def total(many: Iterable[Figures], columns: Iterable[str] = SUMS) -> Figures:
    """Several together, in these columns."""
    sums = dict.fromkeys(columns, 0)
    for one in many:
        for name, value in one.sums.items():
            sums[name] += value
    return Figures(sums)


def share(part: int, whole: int) -> Decimal | None:
    """A part of a whole; None of nothing."""
    return Decimal(part) / Decimal(whole) if whole else None


def percent(rate: Decimal | None, places: int = 1) -> str:
    """A share as percent for people; empty where there is none."""
    return "" if rate is None else f"{rate * 100:.{places}f}"


def change(now: int, before: int) -> Decimal | None:
    """By which share of its old value a number has changed; None from 0 or below."""
    return Decimal(now - before) / Decimal(before) if before > 0 else None
