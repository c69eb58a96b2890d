"""Tables as CSV, safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from pricing.money import NotMoney, parse_decimal

# The wide ones are the same to a spreadsheet that is set to Chinese or Japanese.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def as_csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """The table as RFC 4180 has it; None is an empty cell. Numbers stay numbers, also those below 0."""
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\r\n")
    writer.writerow(header)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return table.getvalue()


def safe_cell(text: str) -> str:
    """The text, with an apostrophe before what a spreadsheet would take for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _cell(value: Any) -> str:
    text = "" if value is None else str(value)
    return text if _is_number(text) else safe_cell(text)


def _is_number(text: str) -> bool:
    try:
        parse_decimal(text)
    except NotMoney:
        return False
    return not text.startswith("+") and text == text.strip()
