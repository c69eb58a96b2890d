"""Charts as geometry that an SVG template draws, without any script or style in it; a table beside has the values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from pricing.money import NANO_PER_USD, format_decimal, show_usd

WIDTH, HEIGHT = 900, 260
LEFT, RIGHT, TOP, BOTTOM = 80, 10, 14, 30
_TICKS = 4
_ROW, _LABELS, _VALUES = 24, 300, 100
_LONGEST_LABEL = 44


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle; `look` is a class of the style sheet, `words` what it says when it is pointed at."""

    x: float
    y: float
    width: float
    height: float
    look: str
    words: str


@dataclass(frozen=True, slots=True)
class Words:
    x: float
    y: float
    text: str
    anchor: str = "middle"


@dataclass(frozen=True, slots=True)
class Chart:
    """What the template draws: boxes over lines across the plot, and words."""

    title: str
    description: str
    width: int
    height: int
    boxes: list[Box]
    lines: list[tuple[float, float, float, float]]
    words: list[Words]


def course(title: str, steps: Sequence[tuple[str, int, int]]) -> Chart:
    """Revenue of each step as a column whose lower part is the cost; a cost above it stands out as a loss.

    `steps` are (name, revenue, cost) in nano-USD.
    """
    top = _nice(max((max(revenue, cost) for _, revenue, cost in steps), default=0))
    high = HEIGHT - TOP - BOTTOM
    slot = (WIDTH - LEFT - RIGHT) / max(len(steps), 1)

    def box(number: int, low: int, up: int, look: str, words: str) -> Box:
        width = max(slot - min(4.0, slot / 4), 0.5)
        return Box(
            round(LEFT + number * slot + (slot - width) / 2, 1),
            round(TOP + high * (1 - up / top), 1),
            round(width, 1),
            round(high * max(up - low, 0) / top, 1),
            look,
            words,
        )

    boxes = []
    for number, (name, revenue, cost) in enumerate(steps):
        revenue, cost = max(revenue, 0), max(cost, 0)
        words = f"{name}: revenue {show_usd(revenue)}, cost {show_usd(cost)} USD"
        kept = min(revenue, cost)
        boxes += [box(number, 0, kept, "cost", words)] if kept else []
        if revenue > cost:
            boxes.append(box(number, cost, revenue, "margin", words))
        elif cost > revenue:
            boxes.append(box(number, revenue, cost, "loss", words))
    lines, marks = _scale(top)
    every = max(1, -(-len(steps) // 8))
    names = [
        Words(round(LEFT + (number + 0.5) * slot, 1), HEIGHT - BOTTOM + 20, name)
        for number, (name, _, _) in enumerate(steps)
        if number % every == 0
    ]
    whole = show_usd(sum(revenue for _, revenue, _ in steps))
    described = f"{len(steps)} columns, {whole} USD of revenue in all. The table below has every value."
    return Chart(title, described, WIDTH, HEIGHT, boxes, lines, marks + names)


def columns(title: str, steps: Sequence[tuple[str, int, str]]) -> Chart:
    """Counts as columns; `steps` are (name, count, look)."""
    top = max((count for _, count, _ in steps), default=0) or 1
    high = HEIGHT - TOP - BOTTOM
    slot = (WIDTH - LEFT - RIGHT) / max(len(steps), 1)
    boxes, words = [], []
    for number, (name, count, look) in enumerate(steps):
        height = high * count / top
        x, y = LEFT + number * slot, TOP + high - height
        boxes.append(Box(round(x + 3, 1), round(y, 1), round(slot - 6, 1), round(height, 1), look, f"{name}: {count}"))
        words.append(Words(round(x + slot / 2, 1), HEIGHT - BOTTOM + 20, name))
        words.append(Words(round(x + slot / 2, 1), round(max(y - 3, 11), 1), f"{count:,}"))
    base = [(float(LEFT), float(HEIGHT - BOTTOM), float(WIDTH - RIGHT), float(HEIGHT - BOTTOM))]
    return Chart(title, "The table below has every value.", WIDTH, HEIGHT, boxes, base, words)


def bars(title: str, rows: Sequence[tuple[str, int]]) -> Chart:
    """Amounts in nano-USD as bars beside their names; those below 0 stand out."""
    longest = max((abs(amount) for _, amount in rows), default=0) or 1
    room = WIDTH - _LABELS - _VALUES
    boxes, words = [], []
    for number, (name, amount) in enumerate(rows):
        y = number * _ROW
        width = room * abs(amount) / longest
        look = "loss" if amount < 0 else "margin"
        boxes.append(Box(_LABELS, y + 4, round(max(width, 1), 1), _ROW - 8, look, f"{name}: {show_usd(amount)} USD"))
        words.append(Words(_LABELS - 8, y + 16, _cut(name), "end"))
        words.append(Words(round(_LABELS + width + 6, 1), y + 16, show_usd(amount), "start"))
    height = max(len(rows), 1) * _ROW
    return Chart(title, "The table below has every value.", WIDTH, height, boxes, [], words)


def _scale(top: int) -> tuple[list[tuple[float, float, float, float]], list[Words]]:
    lines, words = [], []
    for number in range(_TICKS + 1):
        y = round(TOP + (HEIGHT - TOP - BOTTOM) * (1 - number / _TICKS), 1)
        lines.append((float(LEFT), y, float(WIDTH - RIGHT), y))
        amount = Decimal(top) * number / _TICKS / NANO_PER_USD
        words.append(Words(LEFT - 8, y + 4, format_decimal(amount), "end"))
    return lines, words


def _nice(largest: int) -> int:
    """The least of 1, 2, 4 or 8 times a power of ten that holds an amount, so that its quarters are round too."""
    power = 10 ** max(len(str(max(largest, 1))) - 1, 1)
    return next(power * factor for factor in (1, 2, 4, 8, 10) if power * factor >= largest)


def _cut(name: str) -> str:
    return name if len(name) <= _LONGEST_LABEL else f"…{name[-_LONGEST_LABEL + 1 :]}"
