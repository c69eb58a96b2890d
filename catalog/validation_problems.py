"""Say in words what is wrong with an input: where, what, and what to do about it. Never echoes long values."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import jsonschema_rs

LONGEST_ECHO = 80  # characters of a client's value that are repeated to it
MOST_CHOICES = 30  # allowed values that are listed

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
    """

    path: str
    code: str
    message: str
    hint: str


def explain(schema: dict[str, Any], error: jsonschema_rs.ValidationError) -> list[Problem]:
    """The problems that one error of the validator stands for. `schema`: the whole schema it was compiled from."""
    name = error.kind.name
    path = list(error.instance_path)
    if name in ("additionalProperties", "unevaluatedProperties"):
        return _unknown_fields(schema, error, path)
    if name == "required":
        return [_missing(schema, error, path)]
    if name in ("enum", "const"):
        return [_not_among(error, path)]
    if name == "type":
        return [_wrong_type(schema, error, path)]
    if name in ("anyOf", "oneOf"):
        return _no_variant(schema, error, path)
    if name not in _SIMPLE:
        words = f"{shown(error.instance)} breaks the rule {name!r} of the model"
        return [Problem(field_path(path), "invalid", words, "see the schema of the model")]
    code, words, hint = _SIMPLE[name]
    said = error.kind.as_dict()
    limit = shown(next(iter(said.values()), None)).strip('"')
    return [
        Problem(
            field_path(path),
            code,
            words.format(value=shown(error.instance), limit=limit),
            hint.format(value="", limit=limit),
        )
    ]


def parts_of(schema: Any, defs: dict[str, Any], *, unions: bool = True) -> list[dict[str, Any]]:
    """`schema` and all that holds of the same value: what it refers to and, with `unions`, what may hold. Each once."""
    found: dict[int, dict[str, Any]] = {}
    waiting = [schema]
    while waiting:
        part = waiting.pop(0)
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


def _known_fields(schema: dict[str, Any], error: jsonschema_rs.ValidationError) -> list[str]:
    """The fields that the object, in which the error is, may have."""
    defs = schema.get("$defs", {})
    parts = parts_of(_at(schema, error.schema_path[:-1]), defs)
    return sorted({name for part in parts for name in part.get("properties", {})})


def _unknown_fields(
    schema: dict[str, Any], error: jsonschema_rs.ValidationError, path: list[str | int]
) -> list[Problem]:
    known = _known_fields(schema, error)
    problems = []
    for name in error.kind.as_dict()["unexpected"]:
        if name in known:  # it has a problem of its own, which is why the validator did not count it as seen
            continue
        nearest = _nearest(name, known)
        if nearest is not None:
            hint = f"did you mean {shown(nearest)}?"
        else:
            hint = f"leave it out; known fields: {_choices(known)}" if known else "leave it out"
        problems.append(Problem(field_path([*path, name]), "unknown_field", f"unknown field {shown(name)}", hint))
    return problems


def _missing(schema: dict[str, Any], error: jsonschema_rs.ValidationError, path: list[str | int]) -> Problem:
    name = error.kind.as_dict()["property"]
    defs = schema.get("$defs", {})
    properties = [part.get("properties", {}).get(name) for part in parts_of(_at(schema, error.schema_path[:-1]), defs)]
    wanted = next((inner for inner in properties if isinstance(inner, dict)), {})
    return Problem(field_path([*path, name]), "missing", "this field is required", f"send {_wanted(wanted, defs)}")


def _not_among(error: jsonschema_rs.ValidationError, path: list[str | int]) -> Problem:
    said = error.kind.as_dict()
    allowed = said["options"] if "options" in said else [said["expected_value"]]
    nearest = _nearest(error.instance, allowed)
    hint = f"did you mean {shown(nearest)}? " if nearest is not None else ""
    return Problem(
        field_path(path), "enum", f"{shown(error.instance)} is not allowed", f"{hint}allowed: {_choices(allowed)}"
    )


def _wrong_type(schema: dict[str, Any], error: jsonschema_rs.ValidationError, path: list[str | int]) -> Problem:
    wanted = error.kind.as_dict()["types"]
    words = " or ".join(_ARTICLED.get(kind, kind) for kind in wanted)
    hint = f"send {words}"
    if wanted == ["object"]:
        hint = f"send {_wanted(_at(schema, error.schema_path[:-1]), schema.get('$defs', {}))}"
    if isinstance(error.instance, str) and {"integer", "number", "boolean"} & set(wanted):
        hint += ", without quotes"
    return Problem(field_path(path), "type", f"{shown(error.instance)} is not {words}", hint)


def _no_variant(schema: dict[str, Any], error: jsonschema_rs.ValidationError, path: list[str | int]) -> list[Problem]:
    """Nothing in a union fits: speak of the variant that was meant, by its type; where there is none, name them all."""
    defs = schema.get("$defs", {})
    variants = _at(schema, error.schema_path)
    failures = error.kind.as_dict()["context"]
    if any(not errors for errors in failures):
        words = f"{shown(error.instance)} fits more than one of the allowed forms"
        return [Problem(field_path(path), "ambiguous", words, "send " + _alternatives(variants, defs))]
    meant = [
        number
        for number, errors in enumerate(failures)
        if not any(one.kind.name == "type" and list(one.instance_path) == path for one in errors)
    ]
    if not meant:
        words = f"{shown(error.instance)} fits none of the allowed forms"
        hint = f"send {_alternatives(variants, defs)}"
        if isinstance(error.instance, str) and {"integer", "number", "boolean"} & set(_kinds(variants, defs)):
            hint += ", without quotes"
        return [Problem(field_path(path), "type", words, hint)]
    best = min(meant, key=lambda number: (_is_another(failures[number], path), len(failures[number]), number))
    problems = [problem for one in failures[best] for problem in explain(schema, one)]
    others = [variant for number, variant in enumerate(variants) if number != best]
    if len(problems) == 1 and problems[0].path == field_path(path) and others:
        (one,) = problems
        return [Problem(one.path, one.code, one.message, f"{one.hint}; or send {_alternatives(others, defs)}")]
    return problems


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
