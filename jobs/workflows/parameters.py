"""Parameters of a template: `{"$param": "name"}` anywhere in the input or media of a step stands for a value."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import orjson
from django.conf import settings

from genfeed.clients.errors import ApiError

_NOTHING = object()
_PARTS = ("input", "media")
# Of a name that may be anything; those of parameters are no longer.
_LONGEST = 64

TYPES: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}

Declared = Mapping[str, Mapping[str, Any]]


def check_declared(declared: Declared, steps: Sequence[Mapping[str, Any]]) -> None:
    """Raises ApiError for a default or a choice of another type, and for a parameter that steps name undeclared."""
    for name, one in declared.items():
        values = [*(one.get("enum") or []), *([one["default"]] if one.get("default") is not None else [])]
        for value in values:
            if problem := _problem(value, {**one, "enum": None}):
                raise _refused(f"parameters.{name}: {value!r} {problem}.")
        if one.get("default") is not None and one.get("enum") and one["default"] not in one["enum"]:
            raise _refused(f"parameters.{name}: the default {one['default']!r} is none of its choices.")
    for step in steps:
        for place, name in _named(step):
            if name not in declared:
                raise _unknown(
                    f"{place} names the parameter {name[:_LONGEST]!r}, which is not declared.", name, declared
                )


def filled(
    steps: Sequence[Mapping[str, Any]], declared: Declared, given: Mapping[str, Any]
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The steps with values in the places of parameters, and all values by name, defaults among them.

    An optional parameter that has no value leaves its place out. Raises ApiError for values that are unknown, missing,
    of another type, or too large together.
    """
    for name in given:
        if name not in declared:
            raise _unknown(f"params.{name[:_LONGEST]}: the template has no such parameter.", name, declared)
    values: dict[str, Any] = {}
    missing = []
    for name, one in declared.items():
        value = given.get(name, one.get("default"))
        if value is None:
            missing += [name] if one.get("required") else []
            continue
        if problem := _problem(value, one):
            raise _refused(f"params.{name}: {problem}.")
        values[name] = value
    if missing:
        raise _refused(f"Parameters without a value: {', '.join(missing)}.", 'Send them as "params": {"name": value}.')
    _refuse_too_large(steps, values)
    made = [{name: _put(value, values) if name in _PARTS else value for name, value in step.items()} for step in steps]
    return made, values


def _refuse_too_large(steps: Sequence[Mapping[str, Any]], values: Mapping[str, Any]) -> None:
    """Filled in, steps are no larger than what could be sent: a value that stands in very many places multiplies."""
    sizes = {name: len(orjson.dumps(value)) for name, value in values.items()}
    size = sum(sizes.get(name, 0) for step in steps for _, name in _named(step))
    most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    if size > most:
        raise ApiError(
            "payload_too_large",
            f"With its parameters filled in the workflow would hold {size:,} bytes of them, and {most:,} are the most.",
            "Upload files at /api/v1/uploads and name them by their ids, or send shorter values.",
        )


def as_shown(step: Mapping[str, Any], declared: Declared) -> dict[str, Any]:
    """The step with what its parameters show to all who may read them, a default or a choice, in their places."""
    shown = {
        name: one["default"] if one.get("default") is not None else (one.get("enum") or [None])[0]
        for name, one in declared.items()
    }
    known = {name: value for name, value in shown.items() if value is not None}
    return {name: _put(value, known) if name in _PARTS else value for name, value in step.items()}


def refuse_parameters(steps: Sequence[Mapping[str, Any]]) -> None:
    """Raises ApiError for a parameter outside of a template."""
    for step in steps:
        for place, name in _named(step):
            raise _refused(
                f"{place} names the parameter {name[:_LONGEST]!r}, and this workflow is no template.",
                "Put the value there, or save the steps at /api/v1/workflow-templates and run them by template.",
            )


def _named(step: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for part in _PARTS:
        yield from _walk(step.get(part), f"steps.{step['name']}.{part}")


def _walk(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        if "$param" in value:
            yield place, value["$param"] if len(value) == 1 and isinstance(value["$param"], str) else str(value)[:60]
            return
        for name, inner in value.items():
            yield from _walk(inner, f"{place}.{name}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _walk(inner, f"{place}.{number}")


def _put(value: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(value, dict):
        if "$param" in value:
            return values.get(value["$param"], _NOTHING)
        inner = {name: _put(one, values) for name, one in value.items()}
        return {name: one for name, one in inner.items() if one is not _NOTHING}
    if isinstance(value, list):
        return [one for one in (_put(inner, values) for inner in value) if one is not _NOTHING]
    return value


def _problem(value: Any, one: Mapping[str, Any]) -> str:
    if not TYPES[one["type"]](value):
        return f"is no {one['type']}"
    if one.get("enum") and value not in one["enum"]:
        return f"is none of {', '.join(map(repr, one['enum']))}"
    return ""


def _refused(words: str, hint: str = "Correct it, and send it again.") -> ApiError:
    return ApiError("invalid_request", words, hint)


def _unknown(words: str, name: Any, declared: Declared) -> ApiError:
    near = get_close_matches(str(name)[:_LONGEST], declared, n=1)
    known = f"Its parameters are: {', '.join(declared)}." if declared else "Declare it in parameters."
    return _refused(words, f"Did you mean {near[0]!r}?" if near else known)
