"""Whether a price rule is well formed, by its published JSON Schema, and whether it speaks of fields the model has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import orjson

SCHEMA_PATH = Path(__file__).resolve().parents[2] / "docs" / "price-rule.schema.json"
_MAX_BYTES = 200_000
_MAX_PROBLEMS = 10

_PRICE = 'a price is a number of 0 or more as a text, such as "0.05", or "unit_price", or a list of tiers'

Rule = dict[str, Any]


class BadRule(ValueError):
    """A malformed price rule; `problems` says what and where, for a person."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@cache
def _validator() -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(orjson.loads(SCHEMA_PATH.read_bytes()))


def check_rule(rule: object) -> Rule:
    """Return the rule when it is well formed; raises BadRule otherwise. Refuses NaN, infinities and oversized rules."""
    try:
        written = orjson.dumps(rule)
    except (TypeError, ValueError, RecursionError) as error:
        raise BadRule([f"a rule is JSON data: {error}"]) from None
    if len(written) > _MAX_BYTES:
        raise BadRule([f"a rule has at most {_MAX_BYTES} bytes, not {len(written)}"])
    if rb"\u0000" in written:
        raise BadRule(["a rule holds no null characters"])
    # jsonschema-rs takes Python floats; orjson writes NaN as null, so what is checked is what would be stored.
    problems = [_words(error) for _, error in zip(range(_MAX_PROBLEMS), _validator().iter_errors(rule), strict=False)]
    if problems:
        raise BadRule(problems)
    if not isinstance(rule, dict):
        raise BadRule(["a rule is an object"])
    return rule


def unknown_fields(rule: Rule, names: Iterable[str]) -> list[str]:
    """Fields that the rule speaks of and the model does not have; such a rule can't be right for this model."""
    known = set(names)
    return sorted({name for name in _fields(rule) if name not in known})


def _fields(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("field"), str):
            yield value["field"]
        if isinstance(value.get("fields"), list):
            yield from value["fields"]
        for inner in value.values():
            yield from _fields(inner)
    if isinstance(value, list):
        for inner in value:
            yield from _fields(inner)


def _words(error: jsonschema_rs.ValidationError) -> str:
    place = "/".join(str(part) for part in error.instance_path)
    if error.instance_path and error.instance_path[-1] == "price":
        return f"{place}: {_PRICE}"
    return f"{place or 'rule'}: {error.message}"
