"""Amounts of money: whole nano-USD inside, Decimal at the edges. This module converts and rounds; nothing else does."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal, InvalidOperation, localcontext

NANO_PER_USD = 1_000_000_000
_LARGEST_NANO = 2**63 - 1
_PRECISION = 60


class NotMoney(ValueError):
    """A value that can't be read as an amount, a price or a rate; the message says why, for a person."""


def parse_decimal(value: object, *, what: str = "value") -> Decimal:
    """Read an int, Decimal or numeric string exactly, a float by its repr. Refuses bool, NaN and infinities."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise NotMoney(f"{what} is no number: {value!r}")
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        raise NotMoney(f"{what} is no number: {value!r}") from None
    if not number.is_finite():
        raise NotMoney(f"{what} must be finite, not {value!r}")
    return number


def parse_price(value: object, *, what: str = "price") -> Decimal:
    """Read a unit price or an amount that can't be negative."""
    number = parse_decimal(value, what=what)
    if number < 0:
        raise NotMoney(f"{what} can't be negative: {value!r}")
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


def parse_usd(value: object, *, what: str = "amount") -> int:
    """Read an amount in USD as whole nano-USD."""
    return to_nano(parse_decimal(value, what=what))
