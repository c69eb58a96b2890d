"""How often a validator may look at one value: alternatives that refer to alternatives multiply, and a few lines of a
schema can ask for more looks than there are atoms.

Every way through a schema is one look: what holds of the same value is added up, and so again at every level of the
value, which has no more of them than any input may have.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

# Each takes a validator about a microsecond, and what it has to say of one that fails some memory.
MOST_LOOKS = 10_000
# A circle is worth some of them: ways around that cross multiply as well.
_CIRCLE = 1_000
# What counting itself may take.
_MOST_STEPS = 500_000

_SAME_VALUE = ("allOf", "anyOf", "oneOf")
_SAME_VALUE_ONE = ("not", "if", "then", "else")
_INSIDE = ("items", "additionalProperties", "unevaluatedItems", "unevaluatedProperties", "contains", "propertyNames")
_INSIDE_BY_NAME = ("properties", "patternProperties")
_WORDS = ("title", "description", "default", "examples")


class TooManyLooksError(ValueError):
    """A schema that no input could be checked against."""


def bounded(schema: dict[str, Any], *, levels: int) -> tuple[dict[str, Any], bool]:
    """A self-contained schema without what would take too many looks at a value of so many levels, and whether there
    was any. Of a property that would, its words stay, and any value is good: the provider checks it.

    Raises TooManyLooksError where no property alone is to blame, RecursionError where references are chained for long.
    """
    found = _count(schema, levels)
    if max(found.values(), default=1) <= MOST_LOOKS:
        return schema, False
    properties = schema.get("properties")
    kept = {
        name: {key: part[key] for key in _WORDS if key in part} if found.get(id(part), 1) > MOST_LOOKS else part
        for name, part in (properties.items() if isinstance(properties, dict) else ())
    }
    loosened = {**schema, "properties": kept}
    if max(_count(loosened, levels).values(), default=1) > MOST_LOOKS:
        raise TooManyLooksError
    return loosened, True


def _count(schema: dict[str, Any], levels: int) -> dict[int, float]:
    """The looks at a value of so many levels, for each part of the schema by its identity; at most MOST_LOOKS + 1."""
    defs = schema.get("$defs", {})
    parts = _all_parts(schema, defs)
    below: dict[int, float] = {}
    for done in range(levels + 1):
        if done * len(parts) > _MOST_STEPS:
            raise TooManyLooksError
        here: dict[int, float] = {}
        for part in parts:
            _looks(part, defs, here, below)
        if here == below:
            break
        below = here
    return below


def _all_parts(schema: Any, defs: dict[str, Any]) -> list[dict[str, Any]]:
    found: dict[int, dict[str, Any]] = {}
    waiting = [schema]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict) and id(part) not in found:
            found[id(part)] = part
            waiting += _of_same_value(part, defs)
            waiting += _inside(part)
    return list(found.values())


def _looks(schema: Any, defs: dict[str, Any], here: dict[int, float], below: dict[int, float]) -> float:
    """The looks at a value of one level more than `below`. `here`: what is known of this level, and is added to."""
    if not isinstance(schema, dict):
        return 1
    key = id(schema)
    if key not in here:
        # Where it comes back to itself with the same value, a validator has to notice that.
        here[key] = _CIRCLE
        same = sum(_looks(part, defs, here, below) for part in _of_same_value(schema, defs))
        # Each element of a value has a part of its own, so that these do not add up.
        all_looks = 1 + same + max((below.get(id(part), 0) for part in _inside(schema)), default=0)
        here[key] = min(all_looks, MOST_LOOKS + 1)
    return here[key]


def _of_same_value(schema: dict[str, Any], defs: dict[str, Any]) -> Iterator[Any]:
    reference = schema.get("$ref")
    if isinstance(reference, str):
        yield defs.get(reference.removeprefix("#/$defs/"))
    for key in _SAME_VALUE:
        parts = schema.get(key)
        yield from parts if isinstance(parts, list) else ()
    yield from (schema[key] for key in _SAME_VALUE_ONE if key in schema)
    dependent = schema.get("dependentSchemas")
    yield from dependent.values() if isinstance(dependent, dict) else ()


def _inside(schema: dict[str, Any]) -> Iterator[Any]:
    yield from (schema[key] for key in _INSIDE if key in schema)
    prefix = schema.get("prefixItems")
    yield from prefix if isinstance(prefix, list) else ()
    for key in _INSIDE_BY_NAME:
        named = schema.get(key)
        yield from named.values() if isinstance(named, dict) else ()
