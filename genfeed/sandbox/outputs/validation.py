"""Checking an input as fal's runners do: all problems at once, in their words and types."""

from typing import Any

from genfeed.sandbox.outputs.contract import Contract, Schema

Problem = dict[str, Any]
Place = list[str | int]
DOCS = "https://docs.fal.ai/errors/#"
DEEPEST = 12
TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}
TYPE_WORDS = {
    "string": ("string_type", "Input should be a valid string"),
    "integer": ("int_type", "Input should be a valid integer"),
    "number": ("float_type", "Input should be a valid number"),
    "boolean": ("bool_type", "Input should be a valid boolean"),
    "array": ("list_type", "Input should be a valid list"),
    "object": ("dict_type", "Input should be a valid dictionary"),
}


def problems_of(contract: Contract, given: dict[str, Any]) -> list[Problem]:
    """What is wrong with an input, as the `detail` of a 422. Fields the schema does not know are ignored."""
    if contract.inputs is None:
        return []
    return _check(contract, contract.inputs, given, ["body"], 0)


def problem(place: Place, kind: str, message: str, value: Any, **context: Any) -> Problem:
    """One problem in fal's shape."""
    found: Problem = {"loc": place, "msg": message, "type": kind, "url": DOCS + kind, "input": value}
    return found | {"ctx": context} if context else found


def _check(contract: Contract, schema: Schema, value: Any, place: Place, depth: int) -> list[Problem]:
    schema = contract.resolve(schema)
    if depth > DEEPEST:
        return []
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        return _check_choices(contract, choices, value, place, depth)
    if "const" in schema and value != schema["const"]:
        return [problem(place, "literal_error", f"Input should be {schema['const']!r}", value)]
    if "enum" in schema:
        return [] if value in schema["enum"] else [_not_listed(place, schema["enum"], value)]
    kind = schema.get("type")
    if kind in TYPES and not _is(kind, value):
        return [problem(place, *TYPE_WORDS[kind], value)]
    if isinstance(value, dict):
        return _check_object(contract, schema, value, place, depth)
    if isinstance(value, list):
        return _check_list(contract, schema, value, place, depth)
    if isinstance(value, str):
        return _check_length(schema, value, place)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _check_bounds(schema, value, place)
    return []


def _is(kind: str, value: Any) -> bool:
    if kind == "boolean":
        return isinstance(value, bool)
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, TYPES[kind]) and not isinstance(value, bool)


def _not_listed(place: Place, choices: list[Any], value: Any) -> Problem:
    shown = [repr(one) for one in choices]
    expected = shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} or {shown[-1]}"
    return problem(place, "literal_error", f"Input should be {expected}", value, expected=expected)


def _check_choices(contract: Contract, choices: list[Schema], value: Any, place: Place, depth: int) -> list[Problem]:
    first: list[Problem] = []
    for choice in choices:
        if contract.resolve(choice).get("type") == "null":
            if value is None:
                return []
            continue
        found = _check(contract, choice, value, place, depth + 1)
        if not found:
            return []
        first = first or found
    return first


def _check_object(contract: Contract, schema: Schema, value: dict[str, Any], place: Place, depth: int) -> list[Problem]:
    found = [
        problem([*place, name], "missing", "Field required", value)
        for name in schema.get("required", ())
        if name not in value
    ]
    for name, inner in (schema.get("properties") or {}).items():
        if name in value:
            found += _check(contract, inner, value[name], [*place, name], depth + 1)
    return found


def _check_list(contract: Contract, schema: Schema, value: list[Any], place: Place, depth: int) -> list[Problem]:
    least, most = schema.get("minItems"), schema.get("maxItems")
    if least is not None and len(value) < least:
        message = f"List should have at least {least} items"
        return [problem(place, "sequence_too_short", message, value, min_length=least)]
    if most is not None and len(value) > most:
        return [problem(place, "sequence_too_long", f"List should have at most {most} items", value, max_length=most)]
    inner = schema.get("items") or {}
    return [one for at, item in enumerate(value) for one in _check(contract, inner, item, [*place, at], depth + 1)]


def _check_length(schema: Schema, value: str, place: Place) -> list[Problem]:
    least, most = schema.get("minLength"), schema.get("maxLength")
    if least is not None and len(value) < least:
        message = f"String should have at least {least} characters"
        return [problem(place, "string_too_short", message, value, min_length=least)]
    if most is not None and len(value) > most:
        message = f"String should have at most {most} characters"
        return [problem(place, "string_too_long", message, value, max_length=most)]
    return []


def _check_bounds(schema: Schema, value: float, place: Place) -> list[Problem]:
    """OpenAPI 3.0 writes an open bound as a flag beside it, 3.1 as a bound of its own; documents have both."""
    found = []
    least, most = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    above, least = (least, None) if above is True else (None if above is False else above, least)
    below, most = (most, None) if below is True else (None if below is False else below, most)
    step = schema.get("multipleOf")
    if least is not None and value < least:
        message = f"Input should be greater than or equal to {least}"
        found.append(problem(place, "greater_than_equal", message, value, ge=least))
    if above is not None and value <= above:
        found.append(problem(place, "greater_than", f"Input should be greater than {above}", value, gt=above))
    if most is not None and value > most:
        message = f"Input should be less than or equal to {most}"
        found.append(problem(place, "less_than_equal", message, value, le=most))
    if below is not None and value >= below:
        found.append(problem(place, "less_than", f"Input should be less than {below}", value, lt=below))
    if step and abs(value / step - round(value / step)) > 1e-9:
        message = f"Input should be a multiple of {step}"
        found.append(problem(place, "multiple_of", message, value, multiple_of=step))
    return found
