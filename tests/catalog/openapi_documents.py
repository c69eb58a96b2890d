"""OpenAPI documents for tests: one in the provider's shape, and hypothesis strategies for any that there may be."""

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from catalog.schemas.mapping import MappedSchema, map_openapi

ENDPOINT = "acme/painter"


def openapi(properties: Any, *, schemas: dict[str, Any] | None = None, **root: Any) -> dict[str, Any]:
    """A queue document in the provider's shape, whose input has `properties`."""
    json_body = {"application/json": {"schema": {"$ref": "#/components/schemas/Input"}}}
    result = {"application/json": {"schema": {"$ref": "#/components/schemas/Output"}}}
    queued = {"application/json": {"schema": {"$ref": "#/components/schemas/QueueStatus"}}}
    return {
        "openapi": "3.0.4",
        "paths": {
            f"/{ENDPOINT}": {
                "post": {"requestBody": {"content": json_body}, "responses": {"200": {"content": queued}}}
            },
            f"/{ENDPOINT}/requests/{{request_id}}": {"get": {"responses": {"200": {"content": result}}}},
            f"/{ENDPOINT}/requests/{{request_id}}/status": {"get": {"responses": {"200": {"content": queued}}}},
        },
        "components": {
            "schemas": {
                "Input": {"type": "object", "properties": properties, **root},
                "Output": {"type": "object", "properties": {"images": {"type": "array", "items": {}}}},
                "QueueStatus": {"type": "object", "properties": {"request_id": {"type": "string"}}},
                **(schemas or {}),
            }
        },
    }


def map_properties(properties: Any, **rest: Any) -> MappedSchema:
    return map_openapi(openapi(properties, **rest), ENDPOINT)


def only_field(schema: Any, **rest: Any) -> dict[str, Any]:
    (field,) = map_properties({"value": schema}, **rest).inputs
    return field


# Schemas of all kinds, right and wrong; `$ref`s go to themselves, to each other, and nowhere.
REFERENCES = st.sampled_from(["A", "B", "Input", "Output", "Nowhere"]).map(
    lambda name: {"$ref": f"#/components/schemas/{name}"}
)
SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=True) | st.text(max_size=9)
# Eight scalars in one place show as much as a hundred, which take far longer to be drawn than to be mapped.
JUNK = st.recursive(
    SCALARS,
    lambda deeper: st.lists(deeper, max_size=3) | st.dictionaries(st.text(max_size=5), deeper, max_size=3),
    max_leaves=8,
)
VALUED = st.sampled_from(
    [
        *(
            "type",
            "enum",
            "const",
            "required",
            "minimum",
            "exclusiveMinimum",
            "maxLength",
            "minItems",
            "pattern",
            "format",
        ),
        *(
            "multipleOf",
            "default",
            "examples",
            "title",
            "description",
            "nullable",
            "ge",
            "x-fal",
            "ui",
            "x-name",
            "$id",
        ),
        *("x-fal-order-properties", "$anchor", "$schema", "$comment", "dependentRequired", "uniqueItems", "example"),
    ]
)
GOOD_VALUES = st.sampled_from(
    [
        "string",
        "object",
        "array",
        "integer",
        ["string", "null"],
        ["a", "b"],
        True,
        0,
        3,
        2.5,
        "a",
        [None],
        {"field": "image"},
    ]
)


def schemas_of(deeper: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    names = st.sampled_from(["a", "b", "url", "content_type", "image_url", "$ref", "properties"])
    below = deeper | REFERENCES | JUNK
    parts = st.fixed_dictionaries(
        {},
        optional={
            **dict.fromkeys(
                ("properties", "patternProperties", "dependentSchemas"),
                st.dictionaries(names, below, max_size=4) | JUNK,
            ),
            **dict.fromkeys(("anyOf", "oneOf", "allOf", "prefixItems"), st.lists(below, max_size=3) | JUNK),
            **dict.fromkeys(
                ("items", "additionalProperties", "not", "if", "then"), below | st.lists(below, max_size=2)
            ),
            "$ref": JUNK | st.just("#/components/schemas/A"),
        },
    )
    values = st.dictionaries(VALUED, GOOD_VALUES | JUNK, max_size=4)
    return st.builds(lambda one, other: {**one, **other}, parts, values)


SCHEMAS = st.recursive(REFERENCES | st.booleans() | st.dictionaries(VALUED, GOOD_VALUES), schemas_of, max_leaves=12)
THOROUGHLY = settings(
    max_examples=75, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
