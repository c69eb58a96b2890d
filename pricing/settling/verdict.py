"""Can this bill be right? One answer for settlement and reconciliation; pure, and the same for all models."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from pricing.counting.units import normalise_unit
from pricing.money import format_usd

TIMES = 10


@dataclass(frozen=True, slots=True)
class Verdict:
    """`reason` is "" where the bill can be right, else `too_high`, `too_low` or `other_unit`; `words` say why."""

    reason: str = ""
    words: str = ""

    @property
    def is_quarantine(self) -> bool:
        """Whether a person has to look before the bill counts; until then the client pays the quote."""
        return bool(self.reason)


OK = Verdict()


def judge(
    quoted_cost: int | None,
    quoted_units: Collection[str],
    billed_cost: int,
    billed_unit: str = "",
    *,
    may_be_less: bool = False,
) -> Verdict:
    """Judges what a provider billed for one request against its quote; costs in nano-USD before discounts.

    `quoted_units` are the units that the bill may be in, as the provider writes them; a bill that names no unit is not
    judged by it. `may_be_less`: a small bill says nothing, because the quote was only an upper bound or the job did
    not succeed. Without a quoted cost (None) there is nothing to compare with.
    """
    unit, known = _alike(billed_unit), {_alike(one) for one in quoted_units} - {""}
    if unit and known and unit not in known:
        words = f"billed in {billed_unit.strip()}, quoted in {' or '.join(sorted(set(quoted_units) - {''}))}"
        return Verdict("other_unit", words)
    if quoted_cost is None:
        return OK
    compared = f"billed {format_usd(billed_cost)} USD, quoted {format_usd(quoted_cost)} USD"
    if billed_cost > TIMES * quoted_cost:
        return Verdict("too_high", f"more than {TIMES} times the quote: {compared}")
    if not may_be_less and TIMES * billed_cost < quoted_cost:
        return Verdict("too_low", f"less than a {TIMES}th of the quote: {compared}")
    return OK


def _alike(unit: str) -> str:
    """Units that differ in number alone are one: fal's document says `image` where its price list says `images`."""
    return normalise_unit(unit).removesuffix("s")
