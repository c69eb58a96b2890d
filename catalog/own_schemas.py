"""Schemas of models that a person adds by hand: fetched from an address, pasted, or narrowed from another model's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from django.conf import settings

from catalog.validating.checking import compile_validator, validate_input
from genfeed.net.addresses import GuardError
from genfeed.net.guarded import GuardedClient

MOST_BYTES = 1_000_000
_SECONDS = 15.0
_PLACE = "x-schemas"
# orjson writes 254 levels; the document that is made of a schema, and what is read of it add some.
_DEEPEST = 100


class SchemaRefusedError(ValueError):
    """A schema that can't be had or used; the message says why and what to do."""


def fetch(url: str) -> bytes:
    """What stands at a public address, at most MOST_BYTES and within 15 s; redirects are not followed.

    Raises SchemaRefusedError.
    """
    try:
        with GuardedClient(seconds=_SECONDS, allow=settings.SSRF_ALLOW) as client:
            answer = client.get(url, max_bytes=MOST_BYTES)
    except GuardError as error:
        raise SchemaRefusedError(f"The schema could not be fetched: {error}.") from None
    if 300 <= answer.status < 400:
        raise SchemaRefusedError("The address leads elsewhere, and redirects are not followed. Name the last address.")
    if answer.status != 200:
        raise SchemaRefusedError(f"The address answered {answer.status} instead of a schema.")
    if not answer.is_whole:
        raise SchemaRefusedError(f"What stands at the address is larger than {MOST_BYTES:,} bytes.")
    return answer.body


def read_document(text: bytes | str, endpoint_id: str) -> dict[str, Any]:
    """The OpenAPI document in a text: one as it is, or made of a JSON Schema of the input.

    Or of `{"input": schema, "output": schema}`. Raises SchemaRefusedError.
    """
    content = text.encode() if isinstance(text, str) else text
    if len(content) > MOST_BYTES:
        raise SchemaRefusedError(f"The schema is larger than {MOST_BYTES:,} bytes.")
    try:
        given = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise SchemaRefusedError(f"This is no JSON: {error}.") from None
    if not isinstance(given, dict):
        raise SchemaRefusedError("A schema is a JSON object: an OpenAPI document, or a JSON Schema of the input.")
    _check_nodes(given)
    if "paths" in given or "openapi" in given:
        return given
    if isinstance(given.get("properties"), dict):
        return document_of(endpoint_id, given, {})
    if isinstance(given.get("input"), dict):
        output = given.get("output")
        return document_of(endpoint_id, given["input"], output if isinstance(output, dict) else {})
    raise SchemaRefusedError(
        "This is neither an OpenAPI document (with paths), nor a JSON Schema of the input (with properties), nor an "
        'object {"input": schema, "output": schema}.'
    )


def _check_nodes(given: dict[str, Any]) -> None:
    """Raises SchemaRefusedError for null characters, and for nesting that nothing below could write."""
    level: list[Any] = [given]
    for _ in range(_DEEPEST):
        texts = [one for one in level if isinstance(one, str)]
        texts += [key for one in level if isinstance(one, dict) for key in one]
        if any("\0" in text for text in texts):
            raise SchemaRefusedError("The schema holds null characters, which no database takes.")
        level = [inner for one in level if isinstance(one, dict | list) for inner in _inside(one)]
        if not level:
            return
    raise SchemaRefusedError(f"The schema is nested more than {_DEEPEST} levels deep. Name parts of it with $ref.")


def _inside(value: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


def document_of(endpoint_id: str, input_schema: Mapping[str, Any], output_schema: Mapping[str, Any]) -> dict[str, Any]:
    """An OpenAPI document in the form that the mapper reads, of two JSON Schemas that are whole by themselves."""
    path = f"/{endpoint_id}"
    result = {"responses": {"200": {"content": _content("output")}}} if output_schema else {"responses": {}}
    return {
        "openapi": "3.0.4",
        "info": {"title": endpoint_id, "version": "1"},
        "paths": {
            path: {"post": {"requestBody": {"content": _content("input")}, "responses": {}}},
            f"{path}/requests/{{request_id}}": {"get": result},
        },
        _PLACE: {"input": _moved(input_schema, "input"), "output": _moved(output_schema, "output")},
    }


def with_fixed(input_schema: Mapping[str, Any], fixed: Mapping[str, Any]) -> dict[str, Any]:
    """An input schema in which some fields have one value, which stands where a request says nothing of them.

    So prices follow from what is really sent, and a request that says otherwise is refused. Raises SchemaRefusedError
    for fields that the schema does not have and values that it does not take.
    """
    properties: dict[str, Any] = input_schema.get("properties", {})
    unknown = sorted(name for name in fixed if name not in properties)
    if unknown:
        raise SchemaRefusedError(
            f"Fixed inputs: there is no field {', '.join(unknown)}; there are {', '.join(sorted(properties))}."
        )
    alone = {
        "type": "object",
        "properties": {name: properties[name] for name in fixed},
        **({"$defs": input_schema["$defs"]} if "$defs" in input_schema else {}),
    }
    if problems := validate_input(compile_validator(alone), dict(fixed)):
        said = "; ".join(f"{one.path}: {one.message}, {one.hint}" for one in problems)
        raise SchemaRefusedError(f"Fixed inputs: {said}.")
    narrowed = {
        name: {**said, "const": fixed[name], "default": fixed[name]} if name in fixed else said
        for name, said in properties.items()
    }
    required = [name for name in input_schema.get("required", []) if name not in fixed]
    return {**input_schema, "properties": narrowed, "required": required}


def without_fixed(content: Mapping[str, Any], fixed: Mapping[str, Any]) -> dict[str, Any]:
    """The fields and schemas of a version as clients see them: what is fixed is not theirs to know."""
    schema = dict(content.get("input_schema", {}))
    if fixed and isinstance(schema.get("properties"), dict):
        schema["properties"] = {name: said for name, said in schema["properties"].items() if name not in fixed}
    return {
        "inputs": [item for item in content.get("inputs", []) if item["name"] not in fixed],
        "outputs": content.get("outputs", []),
        "input_schema": schema,
        "output_schema": content.get("output_schema", {}),
    }


def _content(name: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/{_PLACE}/{name}"}}}


def _moved(value: Any, name: str) -> Any:
    """A schema whose references to its own root lead to where it stands in the document."""
    if isinstance(value, list):
        return [_moved(item, name) for item in value]
    if not isinstance(value, Mapping):
        return value
    return {
        key: f"#/{_PLACE}/{name}/{inner[2:]}"
        if key == "$ref" and isinstance(inner, str) and inner.startswith("#/")
        else _moved(inner, name)
        for key, inner in value.items()
    }
