"""A quantity found in a request: its value, or the range it lies in, or the names of what is missing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Amount:
    """`low` and `high` bound the quantity (equal when it is known, None when open); `basis` says where it is from.

    `missing` names the fields or media facts that would settle it; `assumed` marks a reading that no text states.
    """

    low: Decimal | None
    high: Decimal | None
    basis: str
    missing: tuple[str, ...] = ()
    assumed: bool = False

    @property
    def known(self) -> bool:
        """Whether there is one value."""
        return self.low is not None and self.low == self.high


def known(value: Decimal | int, basis: str, *, assumed: bool = False) -> Amount:
    """A quantity with one value."""
    number = Decimal(value)
    return Amount(number, number, basis, (), assumed)


def missing(*names: str, basis: str = "") -> Amount:
    """A quantity that needs the named fields or facts first."""
    return Amount(None, None, basis or f"{' and '.join(names)} not known", tuple(names))


def between(choices: list[Decimal], *names: str, basis: str) -> Amount:
    """A quantity known only to be one of some choices; settled when they are all the same."""
    if not choices:
        return missing(*names, basis=basis)
    if min(choices) == max(choices):
        return known(choices[0], basis)
    return Amount(min(choices), max(choices), basis, tuple(names))


def scale(amount: Amount, factor: Decimal, words: str) -> Amount:
    """A quantity times a known positive factor."""
    return replace(
        amount,
        low=None if amount.low is None else amount.low * factor,
        high=None if amount.high is None else amount.high * factor,
        basis=f"{amount.basis} {words}".strip(),
    )


def add(first: Amount, second: Amount) -> Amount:
    """The sum of two quantities, bounded as far as both are."""
    low = None if first.low is None or second.low is None else first.low + second.low
    high = None if first.high is None or second.high is None else first.high + second.high
    names = tuple(dict.fromkeys(first.missing + second.missing))
    return Amount(low, high, "", names, first.assumed or second.assumed)


def multiply(first: Amount, second: Amount, words: str) -> Amount:
    """The product of two non-negative quantities, bounded as far as both are."""
    low = None if first.low is None or second.low is None else first.low * second.low
    high = None if first.high is None or second.high is None else first.high * second.high
    names = tuple(dict.fromkeys(first.missing + second.missing))
    return Amount(low, high, words, names, first.assumed or second.assumed)
