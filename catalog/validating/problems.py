"""Say in words what is wrong with an input: where, what, and what to do about it. Never echoes long values."""

import json
import re
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any

import jsonschema_rs

LONGEST_ECHO = 80  # characters of a client's value that are repeated to it
MOST_CHOICES = 30  # allowed values that are listed
MAX_PROBLEMS = 200  # named at once: a list of 100,000 wrong elements is one mistake
# Finding the nearest known name costs some microseconds for each of them, which an input could multiply to minutes.
MOST_GUESSES = 40
MOST_COMPARED = 500

# Validation keyword → (code, words, hint). {limit}: what the schema says, {value}: what was sent.
_SIMPLE = {
    "minimum": ("too_small", "{value} is less than {limit}", "send {limit} or more"),
    "exclusiveMinimum": ("too_small", "{value} is not more than {limit}", "send more than {limit}"),
    "maximum": ("too_large", "{value} is more than {limit}", "send {limit} or less"),
    "exclusiveMaximum": ("too_large", "{value} is not less than {limit}", "send less than {limit}"),
    "multipleOf": ("multiple_of", "{value} is not a multiple of {limit}", "send a multiple of {limit}"),
    "minLength": ("too_short", "the text is shorter than {limit} characters", "send at least {limit} characters"),
    "maxLength": ("too_long", "the text is longer than {limit} characters", "shorten it to {limit} characters"),
    "minItems": ("too_few", "the list has fewer than {limit} elements", "send at least {limit}"),
    "maxItems": ("too_many", "the list has more than {limit} elements", "send at most {limit}"),
    "minProperties": ("too_few", "the object has fewer than {limit} fields", "send at least {limit}"),
    "maxProperties": ("too_many", "the object has more than {limit} fields", "send at most {limit}"),
    "uniqueItems": ("duplicates", "the list has the same element twice", "send each element once"),
    "pattern": ("pattern", "{value} does not match the pattern {limit}", "send text that matches {limit}"),
    "format": ("format", "{value} is not a valid {limit}", "send a valid {limit}"),
    "falseSchema": ("not_allowed", "the model does not take a value here", "leave it out"),
    "not": ("not_allowed", "{value} is not allowed here", "send another value"),
}
_ARTICLED = {
    **{"string": "a string", "number": "a number", "integer": "a whole number", "boolean": "true or false"},
    **{"array": "a list", "object": "an object", "null": "null"},
}


@dataclass(frozen=True)
class Problem:
    """One thing wrong with an input.

    path: where, as "image_size.width" or "loras[0].path"; "" for the input as a whole.
    code: a word for programs: unknown_field, missing, type, enum, too_small, too_large, too_short, too_long, too_few,
    too_many, multiple_of, pattern, format, duplicates, not_allowed, ambiguous, not_an_object, not_a_number, not_json,
    not_text, too_deep, invalid.
    message, hint: for people; the hint says what to do.
    place: of an unknown field, its way from the top, name by name.
    """

    path: str
    code: str
    message: str
    hint: str
    place: tuple[str | int, ...] = field(default=(), compare=False)


class Explainer:
    """Says in problems what one input does wrong. `schema`: the whole schema that the validator was compiled from."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self.schema = schema
        self.defs = schema.get("$defs", {})
        self.guesses_left = MOST_GUESSES

    def problems(self, error: jsonschema_rs.ValidationError) -> list[Problem]:
        """The problems that one error of the validator stands for."""
        name = error.kind.name
        path = list(error.instance_path)
        if name in ("additionalProperties", "unevaluatedProperties"):
            return self._unknown_fields(error, path)
        if name == "required":
            return [self._missing(error, path)]
        if name in ("enum", "const"):
            return [self._not_among(error, path)]
        if name == "type":
            return [self._wrong_type(error, path)]
        if name in ("anyOf", "oneOf"):
            return self._no_variant(error, path)
        return [_simple_problem(error, path)]

    def _unknown_fields(self, error: jsonschema_rs.ValidationError, path: list[str | int]) -> list[Problem]:
        known = sorted({name for part in self._around(error) for name in part.get("properties", {})})
        # What is known has a problem of its own, which is why the validator did not count it as seen.
        unknown = [name for name in error.kind.as_dict()["unexpected"] if name not in known]
        problems = []
        for name in unknown[:MAX_PROBLEMS]:
            nearest = self._nearest(name, known)
            hint = f"leave it out; known fields: {_choices(known)}" if known else "leave it out"
            if nearest is not None:
                hint = f"did you mean {shown(nearest)}?"
            place = (*path, name)
            words = f"unknown field {shown(name)}"
            problems.append(Problem(field_path(place), "unknown_field", words, hint, place))
        return problems

    def _missing(self, error: jsonschema_rs.ValidationError, path: list[str | int]) -> Problem:
        name = error.kind.as_dict()["property"]
        properties = [part.get("properties", {}).get(name) for part in self._around(error)]
        wanted = next((inner for inner in properties if isinstance(inner, dict)), {})
        hint = f"send {_wanted(wanted, self.defs)}"
        return Problem(field_path([*path, name]), "missing", "this field is required", hint)

    def _not_among(self, error: jsonschema_rs.ValidationError, path: list[str | int]) -> Problem:
        said = error.kind.as_dict()
        allowed = said["options"] if "options" in said else [said["expected_value"]]
        nearest = self._nearest(error.instance, allowed)
        guess = f"did you mean {shown(nearest)}? " if nearest is not None else ""
        words = f"{shown(error.instance)} is not allowed"
        return Problem(field_path(path), "enum", words, f"{guess}allowed: {_choices(allowed)}")

    def _wrong_type(self, error: jsonschema_rs.ValidationError, path: list[str | int]) -> Problem:
        kinds = error.kind.as_dict()["types"]
        words = " or ".join(_ARTICLED.get(kind, kind) for kind in kinds)
        wanted = _wanted(_at(self.schema, error.schema_path[:-1]), self.defs) if kinds == ["object"] else words
        hint = f"send {wanted}{_without_quotes(error.instance, kinds)}"
        return Problem(field_path(path), "type", f"{shown(error.instance)} is not {words}", hint)

    def _no_variant(self, error: jsonschema_rs.ValidationError, path: list[str | int]) -> list[Problem]:
        """Nothing in a union fits: speak of the variant that was meant, by its type; else name them all."""
        variants = _at(self.schema, error.schema_path)
        failures = error.kind.as_dict()["context"]
        if any(not errors for errors in failures):
            words = f"{shown(error.instance)} fits more than one of the allowed forms"
            return [Problem(field_path(path), "ambiguous", words, f"send {_alternatives(variants, self.defs)}")]
        meant = [
            number
            for number, errors in enumerate(failures)
            if not any(one.kind.name == "type" and list(one.instance_path) == path for one in errors)
        ]
        if not meant:
            words = f"{shown(error.instance)} fits none of the allowed forms"
            quotes = _without_quotes(error.instance, _kinds(variants, self.defs))
            return [Problem(field_path(path), "type", words, f"send {_alternatives(variants, self.defs)}{quotes}")]
        best = min(meant, key=lambda number: (_is_another(failures[number], path), len(failures[number]), number))
        problems = [problem for one in failures[best][:MAX_PROBLEMS] for problem in self.problems(one)]
        others = [variant for number, variant in enumerate(variants) if number != best]
        if len(problems) == 1 and problems[0].path == field_path(path) and others:
            hint = f"{problems[0].hint}; or send {_alternatives(others, self.defs)}"
            return [replace(problems[0], hint=hint)]
        return problems

    def _around(self, error: jsonschema_rs.ValidationError) -> list[dict[str, Any]]:
        """The parts of the schema of the object that the error is in."""
        return parts_of(_at(self.schema, error.schema_path[:-1]), self.defs)

    def _nearest(self, value: Any, known: Sequence[Any]) -> Any:
        """The known value that is closest; None when none is, or when there was enough guessing for one input."""
        self.guesses_left -= 1
        return _nearest(value, known[:MOST_COMPARED]) if self.guesses_left >= 0 else None


def _simple_problem(error: jsonschema_rs.ValidationError, path: list[str | int]) -> Problem:
    name = error.kind.name
    if name not in _SIMPLE:
        words = f"{shown(error.instance)} breaks the rule {name!r} of the model"
        return Problem(field_path(path), "invalid", words, "see the schema of the model")
    code, words, hint = _SIMPLE[name]
    limit = shown(next(iter(error.kind.as_dict().values()), None)).strip('"')
    words = words.format(value=shown(error.instance), limit=limit)
    return Problem(field_path(path), code, words, hint.format(limit=limit))


def _without_quotes(value: Any, wanted: Iterable[str]) -> str:
    is_quoted = isinstance(value, str) and {"integer", "number", "boolean"} & set(wanted)
    return ", without quotes" if is_quoted else ""


def parts_of(schema: Any, defs: dict[str, Any], *, unions: bool = True) -> list[dict[str, Any]]:
    """`schema` and all that holds of the same value: what it refers to and, with `unions`, what may hold. Each once."""
    found: dict[int, dict[str, Any]] = {}
    waiting = deque([schema])
    while waiting:
        part = waiting.popleft()
        if not isinstance(part, dict) or id(part) in found:
            continue
        found[id(part)] = part
        reference = part.get("$ref")
        if isinstance(reference, str):
            waiting.append(defs.get(reference.removeprefix("#/$defs/")))
        waiting += part.get("allOf", ())
        if not unions:
            continue
        waiting += [*part.get("anyOf", ()), *part.get("oneOf", ())]
        waiting += [part.get(key) for key in ("if", "then", "else")]
        waiting += part.get("dependentSchemas", {}).values()
    return list(found.values())


def field_path(path: Iterable[str | int]) -> str:
    """["loras", 0, "path"] as "loras[0].path"."""
    words = ""
    for part in path:
        if isinstance(part, int):
            words += f"[{part}]"
        else:
            words += f".{_cut(part)}" if words else _cut(part)
    return words


def shown(value: Any) -> str:
    """A value for a message: short ones as JSON, long ones cut, lists and objects by size, data URIs not at all."""
    if isinstance(value, str) and value[:5].lower() == "data:":
        return "a data URI"
    if isinstance(value, list):
        return f"a list of {len(value)}" if value else "an empty list"
    if isinstance(value, dict):
        return f"an object of {len(value)} fields" if value else "an empty object"
    if isinstance(value, str):
        return f'"{_cut(value)}"'
    try:
        return _cut(json.dumps(value))
    except (TypeError, ValueError):  # no JSON, or an integer with thousands of digits
        return f"a {type(value).__name__}"


def _cut(text: str) -> str:
    if text[:5].lower() == "data:":
        return "data:…"
    text = text[: LONGEST_ECHO + 1].encode(errors="replace").decode()
    return text if len(text) <= LONGEST_ECHO else f"{text[: LONGEST_ECHO - 1]}…"


def _at(schema: Any, path: Sequence[str | int]) -> Any:
    for part in path:
        schema = schema[part]
    return schema


def _is_another(errors: list[jsonschema_rs.ValidationError], path: list[str | int]) -> bool:
    """Whether a field of the object says that it is of another variant: {"kind": "image"} where "text" is wanted."""
    return any(one.kind.name in ("const", "enum") and len(one.instance_path) > len(path) for one in errors)


def _alternatives(variants: list[Any], defs: dict[str, Any]) -> str:
    return ", or ".join(dict.fromkeys(_wanted(variant, defs) for variant in variants))


def _wanted(schema: Any, defs: dict[str, Any]) -> str:
    """What a schema asks for, in a few words: "an object with width, height"."""
    parts = parts_of(schema, defs)
    values = [value for part in parts for value in part.get("enum", [part["const"]] if "const" in part else ())]
    if values:
        return f"one of {_choices(values)}"
    names = [name for part in parts for name in _shown_names(part)]
    words = [_ARTICLED.get(kind, kind) for kind in _kinds([schema], defs)]
    if names and (not words or "an object" in words):
        words = [word for word in words if word != "an object"]
        words.insert(0, f"an object with {', '.join(list(dict.fromkeys(names))[:10])}")
    return " or ".join(words) or "a value"


def _kinds(schemas: list[Any], defs: dict[str, Any]) -> list[str]:
    """The types that the schemas name, each once."""
    kinds: list[str] = []
    for part in [part for schema in schemas for part in parts_of(schema, defs)]:
        said = part.get("type", ())
        kinds += [said] if isinstance(said, str) else said
    return list(dict.fromkeys(kinds))


def _shown_names(schema: dict[str, Any]) -> list[str]:
    names = schema.get("properties", {})
    order = schema.get("x-fal-order-properties")
    first = [name for name in order if isinstance(name, str) and name in names] if isinstance(order, list) else []
    return [*first, *(name for name in names if name not in first)]


def _nearest(value: Any, known: Sequence[Any]) -> Any:
    """The known value that is closest as a number ("7s" to "8s") or looks most alike; None when none does."""
    number = _number(value)
    numbers = [] if number is None else [(one, other) for one in known if (other := _number(one)) is not None]
    if number is not None and numbers:
        return min(numbers, key=lambda pair: abs(pair[1] - number))[0]
    texts = {str(one).lower(): one for one in known if one is not None}
    close = get_close_matches(value[:200].lower(), texts, n=1, cutoff=0.6) if isinstance(value, str) else []
    return texts[close[0]] if close else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, int | float):
        return float(value) if abs(value) < 1e15 else None
    match = re.fullmatch(r"\s*(-?\d{1,15}(?:\.\d{1,15})?)\s*[a-z]{0,3}\s*", value[:50].lower())
    return float(match[1]) if match else None


def _choices(values: Sequence[Any]) -> str:
    listed = ", ".join(shown(value) for value in values[:MOST_CHOICES])
    return listed if len(values) <= MOST_CHOICES else f"{listed} and {len(values) - MOST_CHOICES} more"
