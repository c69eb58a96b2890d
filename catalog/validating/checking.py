"""Check a client's input against a model's input schema, and fill in the defaults.

Schemas are compiled once (jsonschema-rs); keep the Validator with the schema version that it was made of.
"""

import math
from dataclasses import dataclass
from itertools import islice
from typing import Any

import jsonschema_rs

from catalog.schemas.mapping import DEEPEST_INPUT
from catalog.validating.problems import MAX_PROBLEMS, Explainer, Problem, field_path, parts_of, shown

_INSIDE = frozenset({"items", "additionalProperties", "unevaluatedItems"})
_INSIDE_BY_NAME = frozenset({"properties", "patternProperties"})
_IN_PLACE = frozenset({"$ref", "allOf", "anyOf", "oneOf", "if", "dependentSchemas"})
_SAYS_NOTHING = frozenset({"title", "description", "default", "examples", "deprecated"})


@dataclass(frozen=True)
class Validator:
    """A compiled input schema.

    schema: the input schema with every object that names its properties closed for others.
    defaults: what an absent field stands for, by name; a default that its own field would refuse is not among them.
    unusable_defaults: the names of fields whose default contradicts the field; the provider fills those in by itself.
    """

    schema: dict[str, Any]
    compiled: jsonschema_rs.Validator
    defaults: dict[str, Any]
    unusable_defaults: tuple[str, ...]


def compile_validator(input_schema: dict[str, Any]) -> Validator:
    """Compile a self-contained JSON Schema (MappedSchema.input_schema). Raises ValueError when it is none."""
    schema = _closed(input_schema, input_schema.get("$defs", {}), is_value=True)
    try:
        compiled = jsonschema_rs.Draft202012Validator(
            schema,
            validate_formats=True,
            formats={"uri": _is_uri},
            # Whatever a schema refers to elsewhere is fetched by nobody.
            offline=True,
        )
    except jsonschema_rs.ValidationError as error:
        raise ValueError(f"no valid JSON Schema: {error.message[:200]}") from error
    defaults, unusable = _defaults(schema, compiled)
    return Validator(schema, compiled, defaults, tuple(unusable))


def validate_input(validator: Validator, value: Any) -> list[Problem]:
    """Everything that is wrong with `value`, in the order of its fields; empty when the model takes it."""
    if not isinstance(value, dict):
        hint = 'send the fields of the model as a JSON object, for example {"prompt": "…"}'
        return [Problem("", "not_an_object", f"the input is {shown(value)}, not an object", hint)]
    problems = _not_json(value)
    if any(problem.code in ("too_deep", "not_text") for problem in problems):  # the validator would raise
        return problems
    if not problems and validator.compiled.is_valid(value):
        return []
    no_json = {problem.path for problem in problems}
    explainer = Explainer(validator.schema)
    for error in islice(validator.compiled.iter_errors(value), MAX_PROBLEMS):
        problems += [problem for problem in explainer.problems(error) if problem.path not in no_json]
    unique = list(dict.fromkeys(problems))
    position = {field_path([str(name)]): number for number, name in enumerate(value)}
    unique.sort(key=lambda problem: position.get(problem.path.split(".")[0].split("[")[0], len(position)))
    return unique[:MAX_PROBLEMS]


def apply_defaults(validator: Validator, value: dict[str, Any]) -> dict[str, Any]:
    """`value` and, for absent fields of the first level, the defaults of the schema. `value` is not changed.

    A default of null stands for absence and is not filled in.
    """
    filled = {name: _copy(default) for name, default in validator.defaults.items() if name not in value}
    return {**value, **filled}


def _closed(schema: Any, defs: dict[str, Any], *, is_value: bool) -> Any:
    """`schema`, refusing unknown fields wherever an object names its properties and does not say that it takes others.

    is_value: whether the schema stands for a whole value. A part of one (in allOf, anyOf, or behind a $ref) knows only
    its own share of the properties, so it is the value that is closed ("unevaluatedProperties"), not the part.
    """
    if not isinstance(schema, dict):
        return schema
    result = {}
    for key, value in schema.items():
        if key in _INSIDE:
            result[key] = _closed(value, defs, is_value=True)
        elif key in _INSIDE_BY_NAME:
            result[key] = {name: _closed(inner, defs, is_value=True) for name, inner in value.items()}
        elif key == "prefixItems":
            result[key] = [_closed(inner, defs, is_value=True) for inner in value]
        elif key == "allOf":
            result[key] = [_closed(part, defs, is_value=False) for part in value]
        elif key in ("anyOf", "oneOf"):
            result[key] = [_opened(_closed(part, defs, is_value=False)) for part in value]
        elif key == "$defs":
            result[key] = {name: _opened(_closed(part, defs, is_value=False)) for name, part in value.items()}
        else:
            result[key] = value
    if not is_value or "unevaluatedProperties" in result or "additionalProperties" in result:
        return result
    if any(part.get("properties") for part in parts_of(schema, defs)):
        key = "unevaluatedProperties" if _IN_PLACE & set(result) else "additionalProperties"
        result[key] = False
    return result


def _opened(schema: Any) -> Any:
    """A variant that takes any object, made to say so: else what it is a variant of would refuse all its fields."""
    if not isinstance(schema, dict) or set(schema) - _SAYS_NOTHING - {"type"}:
        return schema
    kinds = schema.get("type", "object")
    return {**schema, "additionalProperties": True} if kinds == "object" or "object" in kinds else schema


def _is_uri(text: str) -> bool:
    """Something with a scheme and no blanks: providers take URLs that RFC 3986 does not (with umlauts, for example)."""
    scheme, colon, rest = text.partition(":")
    return bool(colon and rest and scheme.replace("+", "").isalnum() and not any(map(str.isspace, text[:2000])))


def _not_json(value: Any) -> list[Problem]:
    """What is no JSON, or nested too deeply; the validator would not see it, or not come back from it."""
    problems: list[Problem] = []
    waiting: list[tuple[tuple[str | int, ...], Any]] = [((), value)]
    while waiting and len(problems) < MAX_PROBLEMS:
        path, item = waiting.pop()
        if len(path) > DEEPEST_INPUT:
            words = f"nested deeper than {DEEPEST_INPUT} levels"
            return [Problem(field_path(path[:3]), "too_deep", words, "send a flatter value")]
        if isinstance(item, dict):
            waiting += [((*path, str(key)), inner) for key, inner in item.items()]
            problems += [_no_json_problem((*path, str(key)), key) for key in item if not isinstance(key, str)]
            problems += [_no_text_problem((*path, key)) for key in item if isinstance(key, str) and not _is_text(key)]
        elif isinstance(item, list):
            waiting += [((*path, number), inner) for number, inner in enumerate(item)]
        elif isinstance(item, float) and not math.isfinite(item):
            words = "is not a finite number"
            problems.append(Problem(field_path(path), "not_a_number", words, "send a number that JSON can write"))
        elif isinstance(item, str):
            problems += [] if _is_text(item) else [_no_text_problem(path)]
        elif not (item is None or isinstance(item, int | float)):
            problems.append(_no_json_problem(path, item))
    return problems


def _is_text(text: str) -> bool:
    """Whether UTF-8 can write it: JSON can spell half a character (a lone surrogate), which is none."""
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeEncodeError:
        return False


def _no_text_problem(path: tuple[str | int, ...]) -> Problem:
    words = "has half a character in it (a lone surrogate)"
    return Problem(field_path(path), "not_text", words, "send text that UTF-8 can write")


def _no_json_problem(path: tuple[str | int, ...], item: Any) -> Problem:
    words = f"is a {type(item).__name__}, which JSON does not have"
    return Problem(field_path(path), "not_json", words, "send strings, numbers, booleans, lists, objects or null")


def _defaults(schema: dict[str, Any], compiled: jsonschema_rs.Validator) -> tuple[dict[str, Any], list[str]]:
    defs = schema.get("$defs", {})
    usable: dict[str, Any] = {}
    unusable: list[str] = []
    # What a variant of a union says holds for that variant only, so no default comes from there.
    roots = parts_of(schema, defs, unions=False)
    properties = {name: inner for part in roots for name, inner in part.get("properties", {}).items()}
    for name, inner in properties.items():
        parts = parts_of(inner, defs, unions=False)
        default = next((part["default"] for part in parts if "default" in part), None)
        if default is None:
            continue
        allowed = [value for part in parts_of(inner, defs) for value in [*part.get("enum", ()), part.get("const")]]
        same = [value for value in allowed if value is not None and str(value) == str(default)]  # "129" for 129
        fitting = [value for value in [default, *same] if _takes(compiled, name, value)]
        if fitting:
            usable[name] = fitting[0]
        else:
            unusable.append(name)
    return usable, unusable


def _takes(compiled: jsonschema_rs.Validator, name: str, value: Any) -> bool:
    return not any(error.instance_path[:1] == [name] for error in compiled.iter_errors({name: value}))


def _copy(value: Any) -> Any:
    if isinstance(value, list):
        return [_copy(item) for item in value]
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return value
