from contextlib import suppress
from typing import Any

import jsonschema_rs
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.schemas.mapping import SchemaNotUnderstood, fingerprint, map_openapi
from tests.catalog.openapi_documents import ENDPOINT, JUNK, REFERENCES, SCHEMAS, THOROUGHLY, map_properties, openapi


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (None, "the document is not a JSON object"),
        ([], "the document is not a JSON object"),
        ({}, "the document has no paths with a POST operation"),
        ({"paths": {"/acme/painter": {"get": {}}}}, "the document has no paths with a POST operation"),
        ({"paths": {"/acme/painter": {"post": {}}}}, "POST /acme/painter has no JSON request body"),
        ({"paths": {"/a": {"post": {}}, "/b": {"post": {}}}}, "no POST /acme/painter"),
        ({"error": {"code": "expansion_failed", "message": "Failed to fetch OpenAPI schema"}}, "Failed to fetch"),
        ({1: 2}, "not plain JSON"),
    ],
)
def test_a_document_that_cannot_be_used_is_refused_in_words(document: Any, reason: str) -> None:
    with pytest.raises(SchemaNotUnderstood) as refused:
        map_openapi(document, ENDPOINT)
    assert reason in refused.value.reason


def test_a_document_nested_without_end_is_refused() -> None:
    deep: Any = {}
    for _ in range(5000):
        deep = {"not": deep}
    with pytest.raises(SchemaNotUnderstood):
        map_properties({"a": deep})


def test_a_document_nested_as_deep_as_can_be_read_is_mapped_or_refused() -> None:
    for depth in (50, 100, 120, 200):
        deep: Any = {"type": "string"}
        for _ in range(depth):
            deep = {"allOf": [deep], "nullable": True}
        with suppress(SchemaNotUnderstood):
            jsonschema_rs.Draft202012Validator(map_properties({"a": deep}).input_schema)


def test_references_that_multiply_are_cut_and_all_properties_stay() -> None:
    def tree(level: int) -> dict[str, Any]:
        below = {"$ref": f"#/components/schemas/L{level + 1}"}
        return {"type": "object", "properties": {f"p{number}": below for number in range(10)}}

    def doubling(level: int) -> dict[str, Any]:
        below = {"$ref": f"#/components/schemas/U{level + 1}"}
        return {"anyOf": [below, {"allOf": [below]}]}

    schemas = {f"L{level}": tree(level) for level in range(12)} | {f"U{level}": doubling(level) for level in range(60)}
    made = map_properties(
        {name: {"$ref": f"#/components/schemas/{name[0]}0"} for name in ("L", "U", "L2", "U2")} | {"plain": {}},
        schemas=schemas,
    )
    assert {field["name"] for field in made.inputs} == {"L", "U", "L2", "U2", "plain"}
    assert "fields_cut" in made.flags


@THOROUGHLY
@given(
    st.dictionaries(st.sampled_from(["a", "b", "image_url"]), SCHEMAS | REFERENCES, min_size=1) | JUNK,
    st.fixed_dictionaries({"A": SCHEMAS}, optional={"B": SCHEMAS, "Output": SCHEMAS | JUNK, "Input": SCHEMAS | JUNK}),
)
def test_whatever_the_schemas_are_the_result_is_valid_json_schema(properties: Any, schemas: dict[str, Any]) -> None:
    try:
        made = map_openapi(openapi(properties, schemas=schemas), ENDPOINT)
    except SchemaNotUnderstood:
        return
    for field in [*made.inputs, *made.outputs]:
        assert {"name", "type", "required", "nullable"} <= set(field)
    assert jsonschema_rs.meta.is_valid(made.input_schema)
    jsonschema_rs.Draft202012Validator(made.input_schema)
    jsonschema_rs.Draft202012Validator(made.output_schema)
    orjson.dumps([made.inputs, made.outputs, made.flags])
    fingerprint(made)


@THOROUGHLY
@given(JUNK | st.dictionaries(st.sampled_from(["paths", "components", "error", "openapi"]), JUNK))
def test_junk_is_refused_in_words(document: Any) -> None:
    with pytest.raises(SchemaNotUnderstood):
        map_openapi(document, ENDPOINT)


@THOROUGHLY
@given(st.data())
def test_any_part_of_a_document_may_be_junk(data: st.DataObject) -> None:
    document: Any = openapi({"a": {"type": "string"}})
    part, key = document, data.draw(st.sampled_from(sorted(document)))
    while isinstance(part[key], dict) and part[key] and data.draw(st.booleans()):
        part, key = part[key], data.draw(st.sampled_from(sorted(part[key])))
    part[key] = data.draw(JUNK)
    with suppress(SchemaNotUnderstood):
        map_openapi(document, ENDPOINT)
