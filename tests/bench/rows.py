"""A line of the table."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Row:
    """`passed` is None where a figure has no bar and stands for comparison only."""

    what: str
    measured: str
    bar: str = ""
    passed: bool | None = None


def below(what: str, value: float, bar: float, unit: str, note: str = "") -> Row:
    """A figure that must stay under its bar."""
    return Row(what, f"{value:,.{_digits(value)}f} {unit}{note}", f"< {bar:g} {unit}", value < bar)


def above(what: str, value: float, bar: float, unit: str, note: str = "") -> Row:
    """A figure that must reach its bar."""
    return Row(what, f"{value:,.{_digits(value)}f} {unit}{note}", f">= {bar:g} {unit}", value >= bar)


def judged_if(is_full: bool, row: Row) -> Row:
    """The figure, held against its bar only where it was measured at the full size that the bar is of."""
    return row if is_full else replace(row, bar="", passed=None)


def _digits(value: float) -> int:
    return 0 if value >= 100 else 1 if value >= 10 else 2
