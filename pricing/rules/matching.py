"""Conditions that no request can meet: a rule with one looks right, never applies, and would quietly cost money."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from pricing.counting.requests import Field, as_number
from pricing.rules.check import Rule
from pricing.rules.conditions import Condition, same

_SHOWN = 10


def never_met(rule: Rule, inputs: Iterable[Field]) -> list[str]:
    """The conditions of a rule that no value of their field meets, each in words; fields are those of the model."""
    fields = {item["name"]: item for item in inputs}
    found = [words for condition in _conditions(rule) if (words := _why_never(condition, fields))]
    return list(dict.fromkeys(found))


def _conditions(value: object) -> Iterator[Condition]:
    if isinstance(value, dict):
        yield from value.get("when", [])
        for inner in value.values():
            yield from _conditions(inner)
    if isinstance(value, list):
        for inner in value:
            yield from _conditions(inner)


def _why_never(condition: Condition, fields: Mapping[str, Field]) -> str:
    item = fields.get(condition.get("field", ""))
    if item is None:
        return ""
    name, wanted = item["name"], condition.get("is")
    choices = _choices(item)
    if wanted is not None and choices and not any(same(choice, one) for choice in choices for one in wanted):
        return f"{name} is never {_listed(wanted)}; it can be {_listed(choices)}"
    return _beyond_bounds(condition, item)


def _choices(item: Field) -> list[Any]:
    """All values that a field can have, where its schema counts them up."""
    found = [*item.get("enum", ())] or ([True, False] if item.get("type") == "boolean" else [])
    return [*found, None] if found and item.get("nullable") else found


def _beyond_bounds(condition: Condition, item: Field) -> str:
    least, most = (as_number(item.get(name)) for name in ("minimum", "maximum"))
    name = item["name"]
    for bound in ("above", "at_least"):
        if bound in condition and most is not None:
            asked = Decimal(condition[bound])
            if asked > most or (bound == "above" and asked == most):
                return f"{name} is never {bound.replace('_', ' ')} {condition[bound]}; {most} is its maximum"
    for bound in ("below", "at_most"):
        if bound in condition and least is not None:
            asked = Decimal(condition[bound])
            if asked < least or (bound == "below" and asked == least):
                return f"{name} is never {bound.replace('_', ' ')} {condition[bound]}; {least} is its minimum"
    return ""


def _listed(values: list[Any]) -> str:
    shown = ", ".join(repr(value) for value in values[:_SHOWN])
    return f"{shown} …" if len(values) > _SHOWN else shown
