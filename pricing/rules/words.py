"""A price rule in sentences, for people who do not read JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pricing.rules.check import Rule
from pricing.rules.interpreter import UNIT_PRICE, UNKNOWN

_COMPARED = {"above": "above", "at_least": "at least", "at_most": "at most", "below": "below"}
_ROUNDED = {"up": "rounded up", "nearest": "rounded to the nearest", "down": "rounded down"}


def rule_sentences(rule: Rule) -> list[str]:
    """What the rule charges, one sentence a charge, tier and multiplier."""
    return [*_sentences(rule)] if rule else []


def _sentences(rule: Rule) -> Iterator[str]:
    for charge in rule.get("charges", []):
        yield from _charge(charge)
    for multiplier in rule.get("multipliers", []):
        factor = multiplier["factor"]
        if factor == UNKNOWN:
            said = "dearer, but nobody says how much: no estimate"
        else:
            said = f"times {factor if isinstance(factor, str) else quantity_words(factor)}"
        yield f"{_capital(multiplier['name'])}: {said}{_when(multiplier)}."
    if "minimum" in rule:
        yield f"At least {rule['minimum']} USD a request."


def _charge(charge: dict[str, Any]) -> Iterator[str]:
    per = f" per {quantity_words(charge['per'])}" if "per" in charge else " a request"
    times = "".join(f", times {quantity_words(item)}" for item in charge.get("times", []))
    once = ", whatever the multipliers" if charge.get("once") else ""
    name, price = _capital(charge["name"]), charge["price"]
    if not isinstance(price, list):
        yield f"{name}: {_price(price)}{per}{times}{_when(charge)}{once}."
        return
    for tier in price:
        yield f"{name}: {_price(tier['price'])}{per}{times}{_when(tier) or ' otherwise'}{_when(charge)}{once}."


def _price(price: str) -> str:
    return "the row's unit price" if price == UNIT_PRICE else f"{price} USD"


def quantity_words(quantity: dict[str, Any]) -> str:
    """A quantity as a person would say it."""
    name = quantity["of"].replace("_", " ")
    if "field" in quantity:
        name = f"{name if quantity['of'] != 'field' else 'the number in'} {quantity['field']}"
    said = [name]
    if "fps" in quantity:
        said.append(f"counted at {quantity['fps']} frames per second")
    if quantity.get("binary"):
        said.append("of 1024 × 1024 pixels")
    if "minimum" in quantity:
        said.append(f"at least {quantity['minimum']}")
    if "round" in quantity:
        said.append(
            f"{_ROUNDED[quantity['round']]}" + (f" to multiples of {quantity['to']}" if "to" in quantity else "")
        )
    if "over" in quantity:
        said.append(f"only the part over {quantity['over']}")
    if "divide_by" in quantity:
        said.append(f"in lots of {quantity['divide_by']}")
    if "table" in quantity:
        said.append("by this table: " + ", ".join(f"{key} → {value}" for key, value in quantity["table"].items()))
    return ", ".join(said)


def _when(part: dict[str, Any]) -> str:
    conditions = [_condition(item) for item in part.get("when", [])]
    return f" if {' and '.join(conditions)}" if conditions else ""


def _condition(item: dict[str, Any]) -> str:
    if "field" in item:
        subject = str(item["field"])
    elif "fields" in item:
        subject = f"any of {', '.join(item['fields'])}"
    else:
        subject = quantity_words(item["quantity"])
    tests = []
    if "is" in item:
        tests.append(f"is {' or '.join(str(value) for value in item['is'])}")
    if "is_not" in item:
        tests.append(f"is not {' or '.join(str(value) for value in item['is_not'])}")
    if "given" in item:
        tests.append("is given" if item["given"] else "is not given")
    tests += [f"is {words} {item[name]}" for name, words in _COMPARED.items() if name in item]
    return f"{subject} {' and '.join(tests)}"


def _capital(name: str) -> str:
    return name[:1].upper() + name[1:]
