"""A line of the table."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Row:
    """`passed` is None where a figure has no bar and stands for comparison only. `values` are its numbers, by name."""

    what: str
    measured: str
    bar: str = ""
    passed: bool | None = None
    values: Mapping[str, float] = field(default_factory=dict)


def below(what: str, value: float, bar: float, unit: str, note: str = "") -> Row:
    """A figure that must stay under its bar."""
    return Row(what, f"{number(value)} {unit}{note}", f"< {bar:g} {unit}", value < bar, {unit: value})


def above(what: str, value: float, bar: float, unit: str, note: str = "") -> Row:
    """A figure that must reach its bar."""
    return Row(what, f"{number(value)} {unit}{note}", f">= {bar:g} {unit}", value >= bar, {unit: value})


def ratio(what: str, ours: float, theirs: float, bar: float, unit: str, note: str = "") -> Row:
    """Our figure against another of the same run, so many times as large at least."""
    found = ours / theirs if theirs else 0.0
    text = f"{number(found)} × ({number(ours)} against {number(theirs)} {unit}){note}"
    return Row(what, text, f">= {bar:g} ×", found >= bar, {"ratio": found, "ours": ours, "theirs": theirs})


def growing(what: str, by_size: Mapping[int, float], unit: str, most: float = 0.0, note: str = "") -> Row:
    """One figure at several sizes; the last may be `most` times the one before it (0: whatever it is)."""
    *_, before, last = by_size.values()
    found = last / before if before else 1.0
    text = " / ".join(number(value) for value in by_size.values())
    bar = f"last <= {most:g} × the one before" if most else ""
    values = {f"{size}": value for size, value in by_size.items()} | {"ratio": found}
    return Row(what, f"{text} {unit}, last {found:.2f} ×{note}", bar, found <= most if most else None, values)


def judged_if(is_full: bool, row: Row) -> Row:
    """The figure, held against its bar only where it was measured at the full size that the bar is of."""
    return row if is_full else replace(row, bar="", passed=None)


def number(value: float) -> str:
    """A figure with as many digits as can be meant."""
    return f"{value:,.{0 if value >= 100 else 1 if value >= 10 else 2}f}"
