"""Amounts of money: whole nano-USD inside, Decimal at the edges. This module converts and rounds; nothing else does."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation, localcontext

NANO_PER_USD = 1_000_000_000
_LARGEST_NANO = 2**63 - 1
_PRECISION = 60
# Written out, "1e-999999999" would be a billion characters: no number that anybody means is longer than this.
LONGEST_NUMBER = 100
MOST_PLACES = 40
# Decimal itself takes digits of every script, and underscores.
_PLAIN = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?|[+-]?(nan|inf(inity)?)", re.ASCII | re.IGNORECASE)


class NotMoney(ValueError):
    """A value that can't be read as an amount, a price or a rate; the message says why, for a person."""


def parse_decimal(value: object, *, what: str = "value") -> Decimal:
    """Read an int, Decimal or numeric string exactly, a float by its repr.

    Refuses bool, NaN, infinities, and numbers with more than 40 places before or after the point.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise NotMoney(f"{what} is no number: {_shown(value)}")
    text = _text(value)
    if len(text) > LONGEST_NUMBER:
        raise NotMoney(f"{what} is too long for a number: {text[:20]}…")
    try:
        number = Decimal(text) if _PLAIN.fullmatch(text) else None
    except InvalidOperation:
        number = None
    if number is None:
        raise NotMoney(f"{what} is no number: {_shown(value)}")
    if not number.is_finite():
        raise NotMoney(f"{what} must be finite, not {_shown(value)}")
    if number == 0:
        return Decimal(0)
    if abs(number.adjusted()) > MOST_PLACES:
        raise NotMoney(f"{what} has more than {MOST_PLACES} places before or after the point: {_shown(value)}")
    return number


def _text(value: float | str | Decimal) -> str:
    # Python refuses to write integers of thousands of digits.
    return "9" * (LONGEST_NUMBER + 1) if isinstance(value, int) and value.bit_length() > 1000 else str(value).strip()


def _shown(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= LONGEST_NUMBER else f"{shown[:LONGEST_NUMBER]}…"


def parse_price(value: object, *, what: str = "price") -> Decimal:
    """Read a unit price or an amount that can't be negative."""
    number = parse_decimal(value, what=what)
    if number < 0:
        raise NotMoney(f"{what} can't be negative: {_shown(value)}")
    return number


def format_decimal(value: Decimal) -> str:
    """The canonical string: no exponent, no trailing zeros, never `-0`; equal values have equal strings."""
    if not value.is_finite():
        raise NotMoney(f"a price must be finite, not {value}")
    text = f"{value:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def to_nano(usd: Decimal) -> int:
    """USD as whole nano-USD, half away from zero at the nano (for amounts ≥ 0 that is half up)."""
    if not usd.is_finite():
        raise NotMoney(f"an amount must be finite, not {usd}")
    with localcontext() as context:
        context.prec = _PRECISION
        nano = int((usd * NANO_PER_USD).quantize(Decimal(1), rounding=ROUND_HALF_UP))
    if abs(nano) > _LARGEST_NANO:
        raise NotMoney(f"an amount of {usd:f} USD does not fit into 64 bits of nano-USD")
    return nano


def to_usd(nano: int) -> Decimal:
    """Whole nano-USD as exact USD."""
    with localcontext() as context:
        context.prec = _PRECISION
        return Decimal(nano) / NANO_PER_USD


def format_usd(nano: int) -> str:
    """Whole nano-USD as the decimal string that JSON shows, e.g. 42500000 → "0.0425"."""
    return format_decimal(to_usd(nano))


def show_usd(nano: int) -> str:
    """Whole nano-USD for people: `1,234.56`; amounts below a dollar with four places. No amount to reckon with."""
    places = 2 if abs(nano) >= NANO_PER_USD else 4
    with localcontext() as context:
        context.prec = _PRECISION
        rounded = (Decimal(nano) / NANO_PER_USD).quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)
    return f"{rounded:,.{places}f}" if rounded else "0"


def parse_usd(value: object, *, what: str = "amount") -> int:
    """Read an amount in USD as whole nano-USD."""
    return to_nano(parse_decimal(value, what=what))
