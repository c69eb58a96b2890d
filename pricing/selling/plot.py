"""A plot of prices over time as geometry: what an SVG template draws, without any script or style in it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from pricing.money import format_decimal
from pricing.selling.history import Period

WIDTH, HEIGHT = 760, 240
LEFT, RIGHT, TOP, BOTTOM = 90, 20, 16, 30
_TICKS = 4


@dataclass(frozen=True)
class Tick:
    """A line of the grid: its place along the axis, and what stands beside it."""

    at: float
    words: str


@dataclass(frozen=True)
class Plot:
    """Steps as SVG paths; `unit` is what all drawn prices are for. Empty where no price was ever known."""

    unit: str = ""
    price_path: str = ""
    cost_path: str = ""
    x_ticks: list[Tick] = field(default_factory=list)
    y_ticks: list[Tick] = field(default_factory=list)
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    bottom: int = HEIGHT - BOTTOM


@dataclass(frozen=True)
class _Step:
    begin: datetime
    end: datetime
    price: Decimal
    cost: Decimal | None


def plot(periods: Sequence[Period], *, now: datetime) -> Plot:
    """The plot of a model's price periods (newest first), of those in the unit of the newest known price.

    Prices of other units can't share an axis; the table beside the plot has them.
    """
    unit = next((period.price["unit"] for period in periods if period.price["amount"] is not None), None)
    steps = [
        _Step(
            period.starts_at,
            period.ends_at or now,
            Decimal(period.price["amount"]),
            Decimal(period.unit_cost) if period.unit_cost else None,
        )
        for period in reversed(periods)
        if period.price["amount"] is not None and period.price["unit"] == unit
    ]
    if not steps:
        return Plot()
    begin, end = steps[0].begin, max(now, steps[-1].end)
    span = max(end - begin, timedelta(seconds=1))
    top = _nice(max(max(step.price, step.cost or Decimal(0)) for step in steps))

    def x(moment: datetime) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * ((moment - begin) / span), 1)

    def y(amount: Decimal) -> float:
        return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * float(amount / top), 1)

    prices = [(x(step.begin), x(step.end), y(step.price)) for step in steps]
    costs = [(x(step.begin), x(step.end), y(step.cost)) for step in steps if step.cost is not None]
    moments = [begin + span * number / _TICKS for number in range(_TICKS + 1)]
    amounts = [top * number / _TICKS for number in range(_TICKS + 1)]
    words = "%Y-%m-%d" if span > timedelta(days=2) else "%m-%d %H:%M"
    return Plot(
        unit=unit or "(no unit)",
        price_path=_path(prices),
        cost_path=_path(costs),
        x_ticks=[Tick(x(moment), moment.strftime(words)) for moment in moments],
        y_ticks=[Tick(y(amount), format_decimal(amount.normalize())) for amount in amounts],
    )


def _path(steps: Sequence[tuple[float, float, float]]) -> str:
    """Steps as one path, with a gap where nothing was known in between."""
    parts: list[str] = []
    last: float | None = None
    for begin, end, level in steps:
        parts.append(f"{'L' if last == begin else 'M'}{begin} {level}H{end}")
        last = end
    return "".join(parts)


def _nice(largest: Decimal) -> Decimal:
    """The least of 1, 2, 4 or 8 times a power of ten that holds an amount, so that its quarters are round too."""
    if largest <= 0:
        return Decimal(1)
    power = Decimal(10) ** largest.adjusted()
    return next(power * factor for factor in (1, 2, 4, 8, 10) if power * factor >= largest)
