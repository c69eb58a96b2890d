"""Amounts and names as pages show them."""

from decimal import Decimal

from django import template

from pricing.money import format_usd, show_usd
from pricing.reports.figures import change, percent

register = template.Library()


@register.filter
def usd(nano: int | None) -> str:
    """Whole nano-USD as exact USD; nothing for None."""
    return "" if nano is None else format_usd(nano)


@register.filter
def words(name: str) -> str:
    """`opening_balance` as `Opening balance`."""
    return name.replace("_", " ").capitalize()


@register.filter
def about(nano: int | None) -> str:
    """Whole nano-USD as people read it, rounded; nothing for None."""
    return "" if nano is None else show_usd(nano)


@register.filter(name="percent")
def as_percent(rate: Decimal | None) -> str:
    """A share as percent with one decimal; a dash for None."""
    return "–" if rate is None else f"{percent(rate)} %"


@register.filter
def against(now: int, before: int) -> str:
    """How a number has changed from what it was: `+12.5 %`; nothing where that can't be said."""
    rate = change(now, before)
    return "" if rate is None else f"{'+' if rate >= 0 else ''}{percent(rate)} %"
