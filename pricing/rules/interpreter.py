"""The interpreter of price rules: one rule, one request, one cost, with its reasons in words.

A rule is data (docs/price-rule.schema.json, docs/price-rules.md). Evaluation is total: whatever the request holds, the
answer is a cost, or a range, or the names of what is missing; never an exception for a rule that was checked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from typing import Any, Literal

from pricing.counting.amounts import Amount, add, known, missing, multiply
from pricing.counting.quantities import measure as find
from pricing.counting.requests import Field, Request, make_request
from pricing.money import format_decimal
from pricing.rules.check import Rule
from pricing.rules.conditions import Condition, all_hold

_ROUNDING = {"up": ROUND_CEILING, "nearest": ROUND_HALF_UP, "down": ROUND_FLOOR}
UNIT_PRICE = "unit_price"
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class RuleResult:
    """What a rule says about a request; amounts in USD. `cost` is None unless one amount is certain.

    `low` and `high` bound the cost as far as it is bounded. `units` counts `unit` of the first charge that falls due,
    at `price` each. `basis` says it all in words; `reasons` is the same without any amount of money.
    """

    cost: Decimal | None
    low: Decimal | None
    high: Decimal | None
    units: Decimal | None
    unit: str
    price: Decimal | None
    basis: str
    missing: tuple[str, ...]
    confidence: Literal["exact", "derived", "unknown"]
    reasons: str = ""


@dataclass(frozen=True, slots=True)
class _Due:
    """One charge that falls due: its money, the count and the price behind it, the words for the basis, and those
    without money."""

    money: Amount
    count: Amount
    price: Amount
    charge: dict[str, Any]
    words: str
    reasons: str


def evaluate(
    rule: Rule,
    input: Mapping[str, Any],
    inputs: Sequence[Field],
    media: Mapping[str, Any] | None = None,
    *,
    unit_price: Decimal | None = None,
) -> RuleResult:
    """Evaluate a checked rule on a request: its input, the model's mapped fields, media facts by name."""
    return evaluate_request(rule, make_request(inputs, input, media), unit_price=unit_price)


def evaluate_request(rule: Rule, request: Request, *, unit_price: Decimal | None = None) -> RuleResult:
    """As `evaluate`, for a request that is read already."""
    due = [item for charge in rule["charges"] if (item := _charge(charge, request, unit_price))]
    factor, factor_words = _factor(rule, request)
    total = known(0, "")
    for item in due:
        part = item.money if item.charge.get("once") else multiply(item.money, factor, "")
        total = add(total, part)
    if "minimum" in rule:
        total = _at_least(total, Decimal(rule["minimum"]))
    return _result(total, due, factor_words)


def _result(total: Amount, due: list[_Due], factor_words: list[str]) -> RuleResult:
    words = [item.words for item in due if item.words] + factor_words
    reasons = [item.reasons for item in due if item.reasons] + factor_words
    main = next((item for item in due if item.money.low != 0), due[0] if due else None)
    settled = total.known
    # A cost of nothing is never an answer: it is a rule that does not cover the request.
    if settled and (total.low is None or total.low <= 0):
        silent = "the rule names no price for this request"
        settled, words, reasons = False, [*words, silent], [*reasons, silent]
        total = replace(total, low=None, high=None)
    return RuleResult(
        cost=total.low if settled else None,
        low=total.low,
        high=total.high,
        units=main.count.low if main and main.count.known else None,
        unit=main.charge["name"] if main else "",
        price=main.price.low if main and main.price.known else None,
        basis="; ".join(words),
        missing=() if settled else total.missing,
        confidence=("derived" if total.assumed else "exact") if settled else "unknown",
        reasons="; ".join(reasons),
    )


def _charge(charge: dict[str, Any], request: Request, unit_price: Decimal | None) -> _Due | None:
    verdict = all_hold(charge.get("when", []), request, quantity, unset_is_no=True)
    if verdict.holds is False:
        return None
    price, tier = _price(charge["price"], request, unit_price)
    if price.low == 0 and price.known:
        return None
    count = quantity(charge["per"], request) if "per" in charge else known(1, "")
    for factor in charge.get("times", []):
        by = quantity(factor, request)
        count = multiply(count, by, " × ".join(part for part in (count.basis, by.basis) if part))
    money = multiply(price, count, "")
    words = f"{charge['name']}: {_number(price)} USD{tier}"
    reasons = f"{charge['name']}{tier}"
    if "per" in charge or "times" in charge:
        words += f" × {_number(count)} ({count.basis})"
        reasons += f": {_number(count)} ({count.basis})"
    if verdict.holds is None:
        money = Amount(Decimal(0), money.high, "", (*money.missing, *verdict.missing), money.assumed)
    return _Due(money, count, price, charge, words, reasons)


def _price(tiers: Any, request: Request, unit_price: Decimal | None) -> tuple[Amount, str]:
    if isinstance(tiers, str):
        return _one_price(tiers, unit_price), ""
    candidates: list[Amount] = []
    names: list[str] = []
    for tier in tiers:
        verdict = all_hold(tier.get("when", []), request, quantity, unset_is_no=False)
        if verdict.holds is False:
            continue
        price = _one_price(tier["price"], unit_price)
        candidates.append(price)
        names += verdict.missing
        if verdict.holds:
            words = _tier_words(tier.get("when", []), request)
            if len(candidates) == 1:
                return price, words
            break
    if not candidates:
        return missing(basis=f"no price for {_tested(tiers, request)}"), f" (no price for {_tested(tiers, request)})"
    lows = [price.low for price in candidates if price.low is not None]
    highs = [price.high for price in candidates if price.high is not None]
    if len(lows) < len(candidates) or len(highs) < len(candidates):
        return missing(*names), ""
    return Amount(min(lows), max(highs), "", tuple(dict.fromkeys(names))), ""


def _one_price(price: str, unit_price: Decimal | None) -> Amount:
    if price != UNIT_PRICE:
        return known(Decimal(price), "")
    return known(unit_price, "") if unit_price is not None else missing("unit price")


def _factor(rule: Rule, request: Request) -> tuple[Amount, list[str]]:
    total, words = known(1, ""), []
    for multiplier in rule.get("multipliers", []):
        verdict = all_hold(multiplier.get("when", []), request, quantity, unset_is_no=True)
        if verdict.holds is False:
            continue
        raw = multiplier["factor"]
        factor = _one_factor(raw, multiplier, request)
        if verdict.holds is None:
            low = None if factor.low is None else min(Decimal(1), factor.low)
            high = None if factor.high is None else max(Decimal(1), factor.high)
            factor = Amount(low, high, "", (*factor.missing, *verdict.missing), factor.assumed)
        if not (factor.known and factor.low == 1):
            words.append(f"× {_number(factor)} ({multiplier['name']})")
        total = multiply(total, factor, "")
    return total, words


def _one_factor(raw: Any, multiplier: dict[str, Any], request: Request) -> Amount:
    if raw == UNKNOWN:
        names = [condition["field"] for condition in multiplier.get("when", []) if "field" in condition]
        return Amount(Decimal(1), None, "", tuple(names) or (multiplier["name"],))
    return known(Decimal(raw), "") if isinstance(raw, str) else quantity(raw, request)


def quantity(spec: dict[str, Any], request: Request) -> Amount:
    """A quantity of a rule: found in the request, then minimum, rounding, the part over, division, in this order."""
    amount = find(
        spec["of"],
        request,
        field=spec.get("field", ""),
        fps=Decimal(spec["fps"]) if "fps" in spec else None,
        binary=spec.get("binary", False),
        named=spec.get("named", False),
    )
    if amount.low is not None and amount.low < 0:
        return missing(spec.get("field", spec["of"]), basis=f"a negative number of {spec['of']}")
    if "table" in spec:
        return _looked_up(spec["table"], amount)
    return replace(amount, low=_shape(spec, amount.low), high=_shape(spec, amount.high), basis=_said(spec, amount))


def _looked_up(table: dict[str, str], amount: Amount) -> Amount:
    if amount.low is None or not amount.known:
        return amount
    found = table.get(format_decimal(amount.low))
    return known(Decimal(found), amount.basis) if found else missing(basis=f"no value for {amount.low}")


def _shape(spec: dict[str, Any], value: Decimal | None) -> Decimal | None:
    if value is None:
        return None
    if "minimum" in spec:
        value = max(value, Decimal(spec["minimum"]))
    if "round" in spec:
        block = Decimal(spec.get("to", "1"))
        value = (value / block).to_integral_value(_ROUNDING[spec["round"]]) * block
    if "over" in spec:
        value = max(value - Decimal(spec["over"]), Decimal(0))
    return value / Decimal(spec["divide_by"]) if "divide_by" in spec else value


def _said(spec: dict[str, Any], amount: Amount) -> str:
    said = [amount.basis]
    if "minimum" in spec:
        said.append(f"at least {spec['minimum']}")
    if "round" in spec:
        said.append(f"rounded {spec['round']}" + (f" to a multiple of {spec['to']}" if "to" in spec else ""))
    if "over" in spec:
        said.append(f"the part over {spec['over']}")
    if "divide_by" in spec:
        said.append(f"in blocks of {spec['divide_by']}")
    return ", ".join(part for part in said if part)


def _at_least(amount: Amount, least: Decimal) -> Amount:
    return replace(
        amount,
        low=None if amount.low is None else max(amount.low, least),
        high=None if amount.high is None else max(amount.high, least),
    )


def _number(amount: Amount) -> str:
    if amount.low is None:
        return "?"
    if amount.known:
        return _short(amount.low)
    return (
        f"{_short(amount.low)} to {_short(amount.high)}" if amount.high is not None else f"{_short(amount.low)} or more"
    )


def _short(value: Decimal) -> str:
    """For words only: at most ten significant digits."""
    return format_decimal(+value if len(value.as_tuple().digits) <= 10 else Decimal(f"{value:.10g}"))


def _tier_words(conditions: list[Condition], request: Request) -> str:
    said = [f"{item['field']} {request.value(item['field'])}" for item in conditions if "field" in item]
    said += [f"{item['quantity']['of']}" for item in conditions if "quantity" in item]
    return f" ({', '.join(said)})" if said else ""


def _tested(tiers: list[dict[str, Any]], request: Request) -> str:
    names = {item["field"]: None for tier in tiers for item in tier.get("when", []) if "field" in item}
    return ", ".join(f"{name} {request.value(name)!r}" for name in names) or "this request"
