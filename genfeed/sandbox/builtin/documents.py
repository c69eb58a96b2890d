"""Building a model's OpenAPI 3.0 document as fal's Platform API gives it with expand=openapi-3.0."""

import re
from collections.abc import Iterable
from typing import Any

from genfeed.sandbox.builtin.notation import REF, Field, Schema
from genfeed.sandbox.builtin.tables import Component, Sheet, Tables
from genfeed.sandbox.builtin.wording import describe_field, prompt_examples

QUEUE_STATES = ["IN_QUEUE", "IN_PROGRESS", "COMPLETED"]
STATUS_TEXTS = {
    "status": "Where the request stands.",
    "request_id": "The number of the request.",
    "response_url": "Where the result can be fetched.",
    "status_url": "Where the state can be asked for.",
    "cancel_url": "Where the request can be stopped.",
    "logs": "What the model has written so far.",
    "metrics": "Times that were measured.",
    "queue_position": "How many requests are ahead.",
}
QUEUE_STATUS: Schema = {
    "type": "object",
    "properties": {
        "status": {"type": "string", "description": STATUS_TEXTS["status"], "enum": QUEUE_STATES},
        **{
            name: {"type": "string", "description": STATUS_TEXTS[name]}
            for name in ("request_id", "response_url", "status_url", "cancel_url")
        },
        **{
            name: {"type": "object", "description": STATUS_TEXTS[name], "additionalProperties": True}
            for name in ("logs", "metrics")
        },
        "queue_position": {"type": "integer", "description": STATUS_TEXTS["queue_position"]},
    },
    "required": ["status", "request_id"],
}
SUCCESS: Schema = {
    "type": "object",
    "properties": {"success": {"type": "boolean", "description": "Whether the request could be stopped."}},
}
LOGS_SCHEMA = {"type": "number", "description": "1 to get the log lines too, 0 to leave them away."}
REQUEST_ID = {"name": "request_id", "in": "path", "required": True, "schema": {"type": "string"}}
LOGS = {"name": "logs", "in": "query", "required": False, "schema": LOGS_SCHEMA}


def build_document(sheet: Sheet, tables: Tables, *, about: str) -> dict[str, Any]:
    """The whole document of a model. Its sheet must have inputs."""
    base = type_name(sheet.endpoint_id)
    inputs, outputs = sheet.inputs or (), sheet.outputs
    words = tables.words
    schemas: dict[str, Schema] = {
        "QueueStatus": QUEUE_STATUS,
        f"{base}Input": _object(f"{base}Input", inputs, words, seed=sheet.endpoint_id),
        f"{base}Output": _object(f"{base}Output", outputs, words),
    }
    _add_components(schemas, [*inputs, *outputs], tables)
    return {
        "openapi": "3.0.4",
        "info": {
            "title": f"Queue OpenAPI for {sheet.endpoint_id}",
            "version": "1.0.0",
            "description": f"What {sheet.endpoint_id} takes and gives, called through the queue.",
            "x-fal-metadata": {
                "endpointId": sheet.endpoint_id,
                "category": sheet.category,
                "playgroundUrl": f"https://fal.ai/models/{sheet.endpoint_id}",
                "documentationUrl": f"https://fal.ai/models/{sheet.endpoint_id}/api",
                "about": about,
            },
        },
        "components": {
            "securitySchemes": {"apiKeyAuth": {"type": "apiKey", "in": "header", "name": "Authorization"}},
            "schemas": schemas,
        },
        "paths": _paths(sheet.endpoint_id, base),
        "servers": [{"url": "https://queue.fal.run"}],
        "security": [{"apiKeyAuth": []}],
    }


def type_name(endpoint_id: str) -> str:
    """A name for a model's schemas: `fal-ai/flux/dev` gives FluxDev."""
    path = endpoint_id.split("/", 1)[-1]
    return "".join(word[:1].upper() + word[1:] for word in re.split(r"[^A-Za-z0-9]+", path))


def _paths(endpoint_id: str, base: str) -> dict[str, Any]:
    requests = f"/{endpoint_id}/requests/{{request_id}}"
    body = {"required": True, "content": {"application/json": {"schema": {"$ref": f"{REF}{base}Input"}}}}
    status = {"$ref": f"{REF}QueueStatus"}
    return {
        f"{requests}/status": {
            "get": {"parameters": [REQUEST_ID, LOGS], "responses": _answers("The state of the request.", status)}
        },
        f"{requests}/cancel": {
            "put": {"parameters": [REQUEST_ID], "responses": _answers("The request is being stopped.", SUCCESS)}
        },
        f"/{endpoint_id}": {"post": {"requestBody": body, "responses": _answers("The request is taken.", status)}},
        requests: {
            "get": {
                "parameters": [REQUEST_ID],
                "responses": _answers("What the model made.", {"$ref": f"{REF}{base}Output"}),
            }
        },
    }


def _answers(description: str, schema: Schema) -> dict[str, Any]:
    return {"200": {"description": description, "content": {"application/json": {"schema": schema}}}}


def _object(title: str, fields: Iterable[Field], words: dict[str, str], *, seed: str | None = None) -> Schema:
    fields = list(fields)
    schema: Schema = {
        "type": "object",
        "title": title,
        "x-fal-order-properties": [field.name for field in fields],
        "properties": {field.name: _property(field, words, seed=seed) for field in fields},
    }
    if required := [field.name for field in fields if field.required]:
        schema["required"] = required
    return schema


def _property(field: Field, words: dict[str, str], *, seed: str | None) -> Schema:
    schema = _without_marks(field.schema)
    schema["title"] = field.name.replace("_", " ").title()
    schema["description"] = words.get(field.name) or describe_field(field)
    if field.has_default:
        schema["default"] = field.default
    if seed is not None and (examples := prompt_examples(field.name, seed)):
        schema["examples"] = examples
    return schema


def _without_marks(schema: Schema) -> Schema:
    """A copy in which a reference to a missing component is an ordinary reference."""
    copy = dict(schema)
    if "$ref" in copy:
        copy["$ref"] = copy["$ref"].removesuffix("~")
    if "items" in copy:
        copy["items"] = _without_marks(copy["items"])
    if "anyOf" in copy:
        copy["anyOf"] = [_without_marks(one) for one in copy["anyOf"]]
    if isinstance(copy.get("additionalProperties"), dict):
        copy["additionalProperties"] = _without_marks(copy["additionalProperties"])
    return copy


def _add_components(schemas: dict[str, Schema], fields: Iterable[Field], tables: Tables) -> None:
    """Add every component that the fields reach, also through other components."""
    waiting = [name for field in fields for name in _references(field.schema)]
    while waiting:
        name = waiting.pop()
        if name in schemas or name.endswith("~"):
            continue
        component: Component = tables.components[name]
        if component.alias is not None:
            schemas[name] = _without_marks(component.alias) | {"title": name}
            waiting += _references(component.alias)
            continue
        schemas[name] = _object(name, component.fields, tables.words)
        waiting += [other for field in component.fields for other in _references(field.schema)]


def _references(schema: Schema) -> list[str]:
    found = [schema["$ref"].removeprefix(REF)] if "$ref" in schema else []
    inner = [schema.get("items"), schema.get("additionalProperties"), *schema.get("anyOf", [])]
    return found + [name for one in inner if isinstance(one, dict) for name in _references(one)]
