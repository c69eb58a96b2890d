"""Amounts and names as pages show them."""

from django import template

from pricing.money import format_usd

register = template.Library()


@register.filter
def usd(nano: int | None) -> str:
    """Whole nano-USD as exact USD; nothing for None."""
    return "" if nano is None else format_usd(nano)


@register.filter
def words(name: str) -> str:
    """`opening_balance` as `Opening balance`."""
    return name.replace("_", " ").capitalize()
