"""Each kind of change of an OpenAPI document is a break, or none."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from genfeed.api_breaks import find_breaks

_TREE = "#/components/schemas/Tree"
DOCUMENT: dict[str, Any] = {
    "paths": {
        "/jobs": {
            "get": {
                "operationId": "list_jobs",
                "security": [{"key": []}],
                "parameters": [
                    {"in": "query", "name": "status", "schema": {"type": "string", "enum": ["queued", "failed"]}},
                    {"in": "query", "name": "limit", "schema": {"type": "integer", "maximum": 100, "default": 20}},
                ],
                "responses": {
                    "200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Job"}}}},
                    "404": {"content": {"application/json": {"schema": {"type": "object"}}}},
                },
            },
            "post": {
                "requestBody": {
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Body"}}},
                },
                "responses": {"201": {}},
            },
        },
        "/models": {"get": {"responses": {"200": {}}}},
    },
    "components": {
        "schemas": {
            "Body": {
                "type": "object",
                "required": ["model"],
                "properties": {
                    "model": {"type": "string"},
                    "price": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
                    "priority": {"type": "string", "enum": ["normal", "low"]},
                    "steps": {"type": "array", "items": {"type": "integer"}},
                    "notes": {"type": "object", "additionalProperties": {"type": "string", "maxLength": 50}},
                    "free": {"type": "object"},
                },
            },
            "Job": {
                "type": "object",
                "required": ["id", "at"],
                "properties": {
                    "id": {"type": "string"},
                    "at": {"type": "string", "format": "date-time"},
                    "status": {"type": "string", "enum": ["queued", "failed"]},
                    "charge": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                    "assets": {"type": "array", "items": {"type": "object", "properties": {"url": {"type": "string"}}}},
                    "tree": {"$ref": _TREE},
                },
            },
            "Tree": {
                "type": "object",
                "properties": {"leaf": {"type": "string"}, "next": {"anyOf": [{"$ref": _TREE}, {"type": "null"}]}},
            },
        }
    },
}
type Change = Callable[[dict[str, Any]], Any]


def operation(document: dict[str, Any], method: str) -> dict[str, Any]:
    return dict.__getitem__(document["paths"]["/jobs"], method)


def schema(document: dict[str, Any], name: str) -> dict[str, Any]:
    return dict.__getitem__(document["components"]["schemas"], name)


def field(document: dict[str, Any], name: str, of: str = "Body") -> dict[str, Any]:
    return dict.__getitem__(schema(document, of)["properties"], name)


def changed(change: Change) -> list[str]:
    document = copy.deepcopy(DOCUMENT)
    change(document)
    assert document != DOCUMENT
    return find_breaks(DOCUMENT, document)


BREAKS: dict[str, Change] = {
    "/models: the path was removed": lambda d: d["paths"].pop("/models"),
    "POST /jobs: the method was removed": lambda d: d["paths"]["/jobs"].pop("post"),
    "GET /jobs: the answer 200 was removed": lambda d: operation(d, "get")["responses"].pop("200"),
    "GET /jobs 200: application/json was removed": lambda d: operation(d, "get")["responses"]["200"].pop("content"),
    "GET /jobs: the operation was list_jobs and is get_jobs":
        lambda d: operation(d, "get").update(operationId="get_jobs"),
    "GET /jobs: who calls as 'key' is refused now": lambda d: operation(d, "get").update(security=[{"session": []}]),
    "POST /jobs: who calls as nobody is refused now": lambda d: operation(d, "post").update(security=[{"key": []}]),
    # Parameters.
    "GET /jobs query limit: the parameter was removed": lambda d: operation(d, "get")["parameters"].pop(),
    "GET /jobs query limit: the parameter is required now":
        lambda d: operation(d, "get")["parameters"][1].update(required=True),
    "GET /jobs query page: a required parameter was added":
        lambda d: operation(d, "get")["parameters"].append({"in": "query", "name": "page", "required": True}),
    "GET /jobs query limit: the type was integer and is string":
        lambda d: operation(d, "get")["parameters"][1]["schema"].update(type="string"),
    "GET /jobs query limit: maximum was 100 and is 50":
        lambda d: operation(d, "get")["parameters"][1]["schema"].update(maximum=50),
    "GET /jobs query limit: minimum was none and is 1":
        lambda d: operation(d, "get")["parameters"][1]["schema"].update(minimum=1),
    "GET /jobs query status: 'failed' are not taken any more":
        lambda d: operation(d, "get")["parameters"][0]["schema"].update(enum=["queued", "canceled"]),
    "GET /jobs query limit: the default was 20 and is 50":
        lambda d: operation(d, "get")["parameters"][1]["schema"].update(default=50),
    "GET /jobs query limit: the default was 20 and is 'none'":
        lambda d: operation(d, "get")["parameters"][1]["schema"].pop("default"),
    "GET /jobs query limit: multipleOf was none and is 10":
        lambda d: operation(d, "get")["parameters"][1]["schema"].update(multipleOf=10),
    # Requests.
    "POST /jobs body .model: pattern was none and is ^[a-z]+$": lambda d: field(d, "model").update(pattern="^[a-z]+$"),
    "POST /jobs body .steps: uniqueItems was none and is True": lambda d: field(d, "steps").update(uniqueItems=True),
    "POST /jobs body: the body was removed": lambda d: operation(d, "post").pop("requestBody"),
    "POST /jobs body: a body is required now": lambda d: operation(d, "post")["requestBody"].update(required=True),
    "POST /jobs body: application/json was removed":
        lambda d: operation(d, "post")["requestBody"].update(content={"text/csv": {}}),
    "POST /jobs body .price: the field was removed": lambda d: schema(d, "Body")["properties"].pop("price"),
    "POST /jobs body .price: the field is required now": lambda d: schema(d, "Body")["required"].append("price"),
    "POST /jobs body .seed: a required field was added": lambda d: (
        schema(d, "Body")["properties"].update(seed={"type": "integer"}), schema(d, "Body")["required"].append("seed"),
    ),
    "POST /jobs body .priority: 'low' are not taken any more":
        lambda d: field(d, "priority").update(enum=["normal", "high"]),
    "POST /jobs body .model: only 'a', 'b' are taken now": lambda d: field(d, "model").update(enum=["a", "b"]),
    "POST /jobs body .price: the type was string or null and is string": lambda d: field(d, "price")["anyOf"].pop(),
    "POST /jobs body .model: the type was string and is string (uuid)":
        lambda d: field(d, "model").update(format="uuid"),
    "POST /jobs body .steps []: the type was integer and is string":
        lambda d: field(d, "steps").update(items={"type": "string"}),
    "POST /jobs body .notes .*: maxLength was 50 and is 9":
        lambda d: field(d, "notes")["additionalProperties"].update(maxLength=9),
    "POST /jobs body .free: other fields are not taken any more":
        lambda d: field(d, "free").update(additionalProperties=False),
    "POST /jobs body .price: the default was None and is '1'": lambda d: field(d, "price").update(default="1"),
    # Answers.
    "GET /jobs 200 .id: the property was removed": lambda d: schema(d, "Job")["properties"].pop("id"),
    "GET /jobs 200 .id: the property may be missing now": lambda d: schema(d, "Job")["required"].remove("id"),
    "GET /jobs 200 .id: the type was string and is integer": lambda d: field(d, "id", "Job").update(type="integer"),
    "GET /jobs 200 .id: the type was string and is string or null":
        lambda d: field(d, "id", "Job").update(type=["string", "null"]),
    "GET /jobs 200 .at: the type was string (date-time) and is string": lambda d: field(d, "at", "Job").pop("format"),
    "GET /jobs 200 .assets [] .url: the property was removed":
        lambda d: field(d, "assets", "Job")["items"]["properties"].pop("url"),
    "GET /jobs 200 .tree .leaf: the type was string and is number":
        lambda d: field(d, "leaf", "Tree").update(type="number"),
}  # fmt: skip


@pytest.mark.parametrize("told", BREAKS)
def test_a_break_is_told_with_its_place(told: str) -> None:
    assert told in changed(BREAKS[told])


HARMLESS: dict[str, Change] = {
    "a path": lambda d: d["paths"].update({"/new": {"get": {}}}),
    "a method": lambda d: d["paths"]["/models"].update(post={}),
    "a parameter": lambda d: operation(d, "get")["parameters"].append({"in": "query", "name": "page"}),
    "another way to say who calls": lambda d: operation(d, "get")["security"].append({"session": []}),
    "nobody need say who calls": lambda d: operation(d, "get").pop("security"),
    "a default where there was none": lambda d: field(d, "priority").update(default="normal"),
    "a field of a request": lambda d: schema(d, "Body")["properties"].update(seed={"type": "integer"}),
    "a value of a request": lambda d: field(d, "priority")["enum"].append("high"),
    "a type of a request": lambda d: field(d, "model").update(type=["string", "integer"]),
    "numbers where integers were sent": lambda d: field(d, "steps").update(items={"type": "number"}),
    "a field that is no more required": lambda d: schema(d, "Body")["required"].clear(),
    "a wider bound": lambda d: operation(d, "get")["parameters"][1]["schema"].update(maximum=200),
    "a property of an answer": lambda d: schema(d, "Job")["properties"].update(cost={"type": "string"}),
    "a value of an answer": lambda d: field(d, "status", "Job")["enum"].append("canceled"),
    "an answer that is never null any more": lambda d: field(d, "charge", "Job")["anyOf"].pop(),
    "an error": lambda d: operation(d, "get")["responses"].update({"429": {}}),
    "an error that comes no more": lambda d: operation(d, "get")["responses"].pop("404"),
    "words": lambda d: field(d, "model").update(description="Which one."),
}


@pytest.mark.parametrize("added", HARMLESS)
def test_an_addition_breaks_nobody(added: str) -> None:
    assert changed(HARMLESS[added]) == []


def test_the_same_document_breaks_nobody() -> None:
    assert find_breaks(DOCUMENT, copy.deepcopy(DOCUMENT)) == []


def test_a_schema_by_another_name_is_the_same() -> None:
    def rename(document: dict[str, Any]) -> None:
        schemas = document["components"]["schemas"]
        schemas["JobShape"] = schemas.pop("Job")
        operation(document, "get")["responses"]["200"]["content"]["application/json"]["schema"] = {
            "$ref": "#/components/schemas/JobShape"
        }

    assert changed(rename) == []
