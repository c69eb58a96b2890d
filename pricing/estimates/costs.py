"""What a request will cost us, how sure that is, and why: rule before row, then history, then a bound, never a 0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Literal

from pricing.counting.requests import Field, Request, make_request
from pricing.counting.units import normalise_unit
from pricing.estimates.gpu_prices import second_price
from pricing.estimates.silence import is_doubtful, rests_on_row, unsaid_choices
from pricing.money import format_decimal
from pricing.rules.check import Rule
from pricing.rules.interpreter import RuleResult, evaluate_request
from pricing.rules.rows import row_rule

Confidence = Literal["exact", "derived", "historical", "bounded", "unknown"]
CONFIDENCES: tuple[Confidence, ...] = ("exact", "derived", "historical", "bounded", "unknown")
DEFAULT_DEADLINE_SECONDS = Decimal(600)
COMPUTE_SECONDS = "compute seconds"
# Where a text speaks of this unit, the first one is dearer than the others; a flat row is silent about that.
FIRST_DEARER = "processed megapixels"
_SAME = Decimal("0.01")
# What is missing where a person has to read a text first.
PRICE_TEXT = "price text"
WAITS = "price text not fully understood, waits for review"
# What four of five of the provider's texts say of a choice that is not the default, against the flat row.
_LEAST_SHARE = Decimal("0.5")
_MOST_TIMES = Decimal(4)


@dataclass(frozen=True, slots=True)
class History:
    """What jobs like this one have cost, in USD: the median and the range, with words for the basis."""

    cost: Decimal
    low: Decimal | None
    high: Decimal | None
    basis: str


@dataclass(frozen=True, slots=True)
class Estimate:
    """An estimate in USD. `cost` is None when the confidence is `unknown`; `low` and `high` bound it when not exact.

    `units` × `unit_price` explains the cost where one charge makes it; `missing` names fields and media facts that
    would settle it. `reasons` is the basis without any amount of money, for those who may not see the cost.
    """

    cost: Decimal | None
    low: Decimal | None
    high: Decimal | None
    units: Decimal | None
    unit: str
    unit_price: Decimal | None
    confidence: Confidence
    basis: str
    missing: tuple[str, ...] = ()
    reasons: str = ""


def estimate_cost(
    *,
    unit: str | None,
    unit_price: Decimal | None,
    rule: Rule | None,
    inputs: Sequence[Field],
    input: Mapping[str, Any],
    media: Mapping[str, Any] | None = None,
    machine_type: str | None = None,
    history: History | None = None,
    proposed: Rule | None = None,
    deadline_seconds: Decimal = DEFAULT_DEADLINE_SECONDS,
) -> Estimate:
    """Estimate one request. `rule` is the active price rule, `proposed` one that waits for review.

    An active rule outranks the row; a proposed one that disagrees with the row only bounds. A row of 0 is unknown.
    Raises NotMoney for media facts that are unknown or no numbers.
    """
    request = make_request(inputs, input, media)
    price = unit_price if unit_price is not None and unit_price > 0 else None
    if rule is not None:
        answer = _settled(evaluate_request(rule, request, unit_price=price), "price rule")
        if rests_on_row(rule):
            answer = _beside_silence(answer, rule, request)
    else:
        answer = _by_row(unit, unit_price, price, request)
        if proposed is not None:
            answer = _beside_proposal(answer, evaluate_request(proposed, request, unit_price=price))
    if answer.confidence not in ("unknown", "bounded"):
        return answer
    if history is not None and history.cost > 0:
        return replace(
            answer,
            cost=history.cost,
            low=history.low,
            high=history.high,
            confidence="historical",
            basis=history.basis,
            reasons=history.basis,
        )
    if answer.confidence == "unknown" and rule is None and normalise_unit(unit or "") == COMPUTE_SECONDS:
        return _bounded(answer, second_price(machine_type, price), machine_type, deadline_seconds)
    return answer


def _settled(result: RuleResult, source: str) -> Estimate:
    return Estimate(
        cost=result.cost,
        low=result.low,
        high=result.high,
        units=result.units,
        unit=result.unit,
        unit_price=result.price,
        confidence=result.confidence,
        basis=f"{source}: {result.basis}",
        missing=result.missing,
        reasons=f"{source}: {result.reasons}",
    )


def _by_row(unit: str | None, stated: Decimal | None, price: Decimal | None, request: Request) -> Estimate:
    if unit is None or price is None:
        why = "the provider names no price" if stated is None else "a price of 0 is unknown until a person confirms it"
        return _unknown(unit or "", why, ("price",))
    rule = row_rule(unit, request.fields)
    if rule is None:
        why = f"a unit of {normalise_unit(unit)!r} can't be derived from a request"
        return replace(_unknown(unit, why, (f"number of {normalise_unit(unit) or 'units'}",)), unit_price=price)
    answer = replace(
        _settled(evaluate_request(rule, request, unit_price=price), "price row"), unit=normalise_unit(unit)
    )
    if normalise_unit(unit) == FIRST_DEARER and answer.cost is not None and answer.cost > price:
        return replace(
            _with_words(answer, "the row does not say whether megapixels after the first are cheaper"),
            low=price,
            confidence="bounded",
        )
    return _beside_silence(answer, rule, request)


def _beside_silence(answer: Estimate, rule: Rule, request: Request) -> Estimate:
    """A row, where the model has choices that change prices elsewhere and no text says what they do here.

    Where the row may be another choice's price, it is only an order of magnitude; what is switched off makes nothing
    dearer.
    """
    unsaid = unsaid_choices(request.fields, rule)
    if answer.cost is None or answer.confidence not in ("exact", "derived") or not unsaid:
        return answer
    doubtful = [name for name in unsaid if is_doubtful(request, name)]
    words = f"no text says whether {' and '.join(doubtful or unsaid)} changes the price"
    if not doubtful:
        return replace(_with_words(answer, words), confidence="derived")
    return replace(
        _with_words(answer, words),
        low=answer.cost * _LEAST_SHARE,
        high=answer.cost * (1 if all(request.value(name) is False for name in doubtful) else _MOST_TIMES),
        confidence="bounded",
        missing=(f"price of {' and '.join(doubtful)}",),
    )


def _with_words(answer: Estimate, words: str) -> Estimate:
    return replace(answer, basis=f"{answer.basis}; {words}", reasons=f"{answer.reasons}; {words}")


def _unknown(unit: str, why: str, names: tuple[str, ...]) -> Estimate:
    return Estimate(None, None, None, None, normalise_unit(unit), None, "unknown", why, names, why)


def _beside_proposal(row: Estimate, result: RuleResult) -> Estimate:
    """A proposed rule that agrees with the row changes nothing; one that does not makes the answer a range."""
    if result.cost is None:
        return _unsettled(row, result)
    if row.cost is not None and abs(row.cost - result.cost) <= _SAME * result.cost:
        return row
    ends = [cost for cost in (row.cost, result.cost) if cost is not None]
    words = f"{WAITS}: {result.basis}"
    if row.cost is not None:
        words += f"; the row alone says {format_decimal(row.cost.normalize())} USD"
    return Estimate(
        cost=result.cost,
        low=min(ends),
        high=max(ends),
        units=result.units,
        unit=result.unit,
        unit_price=result.price,
        confidence="bounded",
        basis=words,
        missing=result.missing,
        reasons=f"{WAITS}: {result.reasons}",
    )


def _unsettled(row: Estimate, result: RuleResult) -> Estimate:
    """Beside a proposed rule without a price for the request: the text says something else, and nobody knows what."""
    if row.cost is None:
        return replace(row, confidence="unknown", missing=row.missing or result.missing)
    return replace(
        row,
        cost=None,
        low=None,
        high=None,
        units=None,
        confidence="unknown",
        basis=f"{WAITS}: {result.basis}; the row alone says {format_decimal(row.cost.normalize())} USD",
        missing=result.missing or (PRICE_TEXT,),
        reasons=f"{WAITS}: {result.reasons}",
    )


def _bounded(answer: Estimate, price: Decimal | None, machine_type: str | None, deadline: Decimal) -> Estimate:
    if price is None:
        return answer
    high = price * deadline
    where = f" on {machine_type}" if machine_type else ""
    return replace(
        answer,
        cost=high,
        low=None,
        high=high,
        units=deadline,
        unit=COMPUTE_SECONDS,
        unit_price=price,
        confidence="bounded",
        basis=f"at most {deadline} compute seconds{where} at {format_decimal(price)} USD; usually far less",
        missing=(),
        reasons=f"at most {deadline} compute seconds{where}; usually far less",
    )
