"""Turn a provider's OpenAPI document into the mapped schema that the rest of the project speaks.

One mapper for every document: nothing here knows a model. Shape of fal's documents ("Queue OpenAPI for <endpoint>",
OpenAPI 3.0.4): `POST /<endpoint>`, whose request body is the input; `GET /<endpoint>/requests/{request_id}`, whose
200 is the output; status and cancel.
"""

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import orjson

from catalog.schemas.fields import Field, fields_of
from catalog.schemas.refs import resolve, self_contained
from catalog.schemas.repetition import TooManyLooksError, bounded

# Levels of lists and objects that any input may have.
DEEPEST_INPUT = 64
# The largest recorded document has a tenth of it.
MOST_BYTES = 4_000_000


class SchemaNotUnderstood(Exception):
    """The document is no usable OpenAPI document; `reason` says why, in words for a person."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class MappedSchema:
    """What a model takes and gives.

    inputs, outputs: one JSON-serialisable dict per property (see catalog.schemas.fields.Field).
    input_schema, output_schema: self-contained JSON Schemas (draft 2020-12), local references as "#/$defs/<Name>".
    flags: what was odd about the document, e.g. "dangling_ref:TrackPoint", "no_output_schema".
    """

    inputs: list[Field]
    outputs: list[Field]
    input_schema: dict[str, Any]
    output_schema: dict[str, Any]
    flags: list[str] = field(default_factory=list)


def map_openapi(document: Any, endpoint_id: str) -> MappedSchema:
    """Map `document`, the OpenAPI document of `endpoint_id`. Any JSON value may come in; it is not changed.

    Raises SchemaNotUnderstood, and nothing else, when no input schema can be read from it.
    """
    document = _plain_copy(document)
    post_path, post = _submit_operation(document, endpoint_id)
    body = _json_schema(resolve(document, post.get("requestBody")))
    if body is None:
        raise SchemaNotUnderstood(f"POST {post_path} has no JSON request body")
    result = _json_schema(_result_response(document, post_path))

    try:
        return _map(document, body, {} if result is None else result)
    except (RecursionError, orjson.JSONEncodeError) as error:
        raise SchemaNotUnderstood("the schemas are nested too deeply") from error


def _map(document: dict[str, Any], body: Any, result: Any) -> MappedSchema:
    input_schema, input_flags = self_contained(document, body)
    try:
        input_schema, was_cut = bounded(input_schema, levels=DEEPEST_INPUT)
    except TooManyLooksError:
        raise SchemaNotUnderstood(
            "its schemas refer to each other in so many ways that no input could be checked"
        ) from None
    output_schema, output_flags = self_contained(document, result)
    inputs, inputs_whole = fields_of(input_schema)
    outputs, outputs_whole = fields_of(output_schema)
    flags = input_flags | output_flags
    if not inputs:
        flags.add("no_input_fields")
    if not outputs:
        flags.add("no_output_schema")
    if was_cut or not (inputs_whole and outputs_whole):
        flags.add("fields_cut")
    orjson.dumps([inputs, outputs, input_schema, output_schema])  # raises when it is too deep to be stored
    return MappedSchema(inputs, outputs, input_schema, output_schema, sorted(flags))


def fingerprint(mapped: MappedSchema) -> str:
    """sha256 (hex) of what `mapped` accepts and gives; the order of keys and of `required` makes no difference."""
    both = [canonical(mapped.input_schema), canonical(mapped.output_schema)]
    return sha256(orjson.dumps(both, option=orjson.OPT_SORT_KEYS)).hexdigest()


def canonical(value: Any) -> Any:
    """A schema with every `required` in one order; two that are equal then mean the same."""
    if isinstance(value, list):
        return [canonical(item) for item in value]
    if not isinstance(value, dict):
        return value
    plain = {key: canonical(item) for key, item in value.items()}
    required = plain.get("required")
    if isinstance(required, list) and all(isinstance(name, str) for name in required):
        plain["required"] = sorted(required)
    return plain


def _plain_copy(document: Any) -> dict[str, Any]:
    """A copy of plain JSON: NaN becomes null, and what is deeper than 254 levels is refused, so that recursion ends."""
    try:
        written = orjson.dumps(document)
        if len(written) > MOST_BYTES:
            raise SchemaNotUnderstood(f"the document is larger than {MOST_BYTES:,} bytes")
        copy = orjson.loads(written)
    except (orjson.JSONEncodeError, orjson.JSONDecodeError, RecursionError) as error:
        raise SchemaNotUnderstood(f"the document is not plain JSON: {error}") from error
    if not isinstance(copy, dict):
        raise SchemaNotUnderstood("the document is not a JSON object")
    if "paths" not in copy and "error" in copy:
        raise SchemaNotUnderstood(f"the provider gave an error instead of a schema: {_error_words(copy['error'])}")
    return copy


def _error_words(error: Any) -> str:
    words = error.get("message") or error.get("code") if isinstance(error, dict) else error
    return str(words)[:200]


def _submit_operation(document: dict[str, Any], endpoint_id: str) -> tuple[str, dict[str, Any]]:
    """The POST at the endpoint's own path; where that is missing (an app served at its root), the only POST."""
    operations = _operations(document, "post")
    if not operations:
        raise SchemaNotUnderstood("the document has no paths with a POST operation")
    own_path = f"/{endpoint_id.strip('/')}"
    if own_path in operations:
        return own_path, operations[own_path]
    if len(operations) == 1:
        return next(iter(operations.items()))
    raise SchemaNotUnderstood(f"the document has no POST {own_path}, and more than one other POST")


def _result_response(document: dict[str, Any], post_path: str) -> Any:
    """The 200 of `GET …/requests/{request_id}`. The POST's own 200 is the queue's answer, not the model's."""
    operations = {path: get for path, get in _operations(document, "get").items() if _is_result_path(path)}
    own_path = next((path for path in operations if path.startswith(f"{post_path.rstrip('/')}/requests/")), None)
    if own_path is None and len(operations) != 1:
        return None
    responses = operations[own_path or next(iter(operations))].get("responses")
    return resolve(document, responses.get("200")) if isinstance(responses, dict) else None


def _is_result_path(path: str) -> bool:
    *_, parent, last = ["", *path.rstrip("/").split("/")]
    return parent == "requests" and last.startswith("{")


def _operations(document: dict[str, Any], method: str) -> dict[str, dict[str, Any]]:
    paths = document.get("paths")
    if not isinstance(paths, dict):
        return {}
    return {
        path: item[method]
        for path, item in paths.items()
        if isinstance(item, dict) and isinstance(item.get(method), dict)
    }


def _json_schema(holder: Any) -> Any:
    """The schema of the JSON content of a request body or response; None when there is none."""
    content = holder.get("content") if isinstance(holder, dict) else None
    if not isinstance(content, dict):
        return None
    for media_type, value in content.items():
        if media_type.split(";")[0].strip().endswith("json") and isinstance(value, dict):
            schema = value.get("schema")
            return schema if isinstance(schema, dict | bool) else None
    return None
