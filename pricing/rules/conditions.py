"""Conditions of price rules: true, false, or open with the names of what would settle them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pricing.counting.amounts import Amount
from pricing.counting.requests import Request, as_number, is_given

Condition = dict[str, Any]
Measure = Callable[[dict[str, Any], Request], Amount]

# Values that leave the choice to the model: what it chose is known only afterwards.
_LEFT_OPEN = ("auto", "automatic", "match_input", "default")
_BOUNDS: dict[str, Callable[[Decimal, Decimal], bool]] = {
    "above": lambda value, bound: value > bound,
    "at_least": lambda value, bound: value >= bound,
    "at_most": lambda value, bound: value <= bound,
    "below": lambda value, bound: value < bound,
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """`holds` is None while open; then `missing` names what would settle it."""

    holds: bool | None
    missing: tuple[str, ...] = ()


def all_hold(conditions: list[Condition], request: Request, measure: Measure, *, unset_is_no: bool) -> Verdict:
    """Whether all conditions hold. One that fails settles it; `unset_is_no`: an option that is not set is not used."""
    open_names: list[str] = []
    for condition in conditions:
        verdict = _holds(condition, request, measure, unset_is_no)
        if verdict.holds is False:
            return verdict
        open_names += verdict.missing
    return Verdict(None, tuple(dict.fromkeys(open_names))) if open_names else Verdict(True)


def same(left: Any, right: Any) -> bool:
    """Whether a value of a request is what a rule names: case and numeric notation do not matter, "5" is 5 is 5.0."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    first, second = as_number(left), as_number(right)
    if first is not None and second is not None:
        return first == second
    return str(left).strip().lower() == str(right).strip().lower()


def is_open(value: Any) -> bool:
    """Whether a value leaves the choice to the model."""
    return isinstance(value, str) and value.strip().lower() in _LEFT_OPEN


def _holds(condition: Condition, request: Request, measure: Measure, unset_is_no: bool) -> Verdict:
    if "quantity" in condition:
        return _amount_holds(condition, measure(condition["quantity"], request))
    if "fields" in condition:
        used = any(is_given(request.value(name)) for name in condition["fields"])
        return Verdict(used is condition.get("given", True))
    name = condition["field"]
    value = request.value(name)
    if "given" in condition and is_given(value) is not condition["given"]:
        return Verdict(False)
    for test, wanted in (("is", True), ("is_not", False)):
        if test not in condition:
            continue
        if any(same(value, choice) for choice in condition[test]):
            if not wanted:
                return Verdict(False)
        elif is_open(value) or (value is None and not unset_is_no):
            return Verdict(None, (name,))
        elif wanted:
            return Verdict(False)
    return _number_holds(condition, name, value, unset_is_no)


def _number_holds(condition: Condition, name: str, value: Any, unset_is_no: bool) -> Verdict:
    bounds = [bound for bound in _BOUNDS if bound in condition]
    if not bounds:
        return Verdict(True)
    number = as_number(value)
    if number is None:
        return Verdict(False) if value is None and unset_is_no else Verdict(None, (name,))
    return Verdict(all(_BOUNDS[bound](number, Decimal(condition[bound])) for bound in bounds))


def _amount_holds(condition: Condition, amount: Amount) -> Verdict:
    if "is" in condition or "is_not" in condition:
        if amount.low is None or not amount.known:
            return Verdict(None, amount.missing)
        choices = condition["is"] if "is" in condition else condition["is_not"]
        return Verdict(any(same(amount.low, choice) for choice in choices) is ("is" in condition))
    outcomes: set[bool] = set()
    for end in (amount.low, amount.high):
        if end is None:
            return Verdict(None, amount.missing)
        outcomes.add(all(_BOUNDS[bound](end, Decimal(condition[bound])) for bound in _BOUNDS if bound in condition))
    return Verdict(outcomes.pop()) if len(outcomes) == 1 else Verdict(None, amount.missing)
