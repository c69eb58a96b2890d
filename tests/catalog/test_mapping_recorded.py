import json
import random
from typing import Any

import jsonschema_rs
import pytest

from catalog.schemas.mapping import fingerprint, map_openapi
from tests.catalog.openapi_documents import ENDPOINT, map_properties, openapi
from tests.recorded import JUNE, documents, mapped, requires_recorded


def shuffled(value: Any, chance: random.Random) -> Any:
    """The same document, with keys, and names in `required`, in another order."""
    if isinstance(value, list):
        return [shuffled(item, chance) for item in value]
    if not isinstance(value, dict):
        return value
    items = [(key, shuffled(item, chance)) for key, item in value.items()]
    chance.shuffle(items)
    result = dict(items)
    if isinstance(result.get("required"), list):
        chance.shuffle(result["required"])
    return result


def test_the_fingerprint_does_not_depend_on_any_order() -> None:
    document = openapi(
        {"a": {"type": "string", "title": "A"}, "b": {"$ref": "#/components/schemas/Output"}}, required=["a", "b"]
    )
    other = shuffled(document, random.Random(5))
    assert json.dumps(other) != json.dumps(document)
    assert fingerprint(map_openapi(other, ENDPOINT)) == fingerprint(map_openapi(document, ENDPOINT))


@pytest.mark.parametrize(
    "properties",
    [
        {"a": {"type": "string", "maxLength": 3}},
        {"a": {"type": "string"}, "b": {}},
        {"a": {"type": "string", "enum": ["y", "x"]}},
    ],
)
def test_the_fingerprint_changes_with_the_schema(properties: dict[str, Any]) -> None:
    before = map_properties({"a": {"type": "string", "enum": ["x", "y"]}})
    assert fingerprint(map_properties(properties)) != fingerprint(before)


@requires_recorded
def test_every_recorded_document_is_mapped_and_compiles() -> None:
    made = mapped(JUNE)
    assert len(made) == 1414
    for schema in made.values():
        jsonschema_rs.Draft202012Validator(schema.input_schema)
        jsonschema_rs.Draft202012Validator(schema.output_schema)


@requires_recorded
def test_every_recorded_input_property_is_a_field_once_and_in_order() -> None:
    for endpoint_id, document in documents(JUNE).items():
        body = document["paths"][f"/{endpoint_id}"]["post"]["requestBody"]["content"]["application/json"]["schema"]
        schema = document["components"]["schemas"].get(body["$ref"].rsplit("/", 1)[-1], {})
        names = [field["name"] for field in mapped(JUNE)[endpoint_id].inputs]
        assert sorted(names) == sorted(schema.get("properties", {}))
        order = schema.get("x-fal-order-properties", [])
        assert names[: len(order)] == order


@requires_recorded
def test_the_recorded_oddities_are_flagged_and_nothing_else_is() -> None:
    dangling = {flag for schema in mapped(JUNE).values() for flag in schema.flags if flag.startswith("dangling_ref:")}
    assert dangling == {
        *("dangling_ref:ImageFile", "dangling_ref:MapImageFile", "dangling_ref:TrackPoint"),
        *("dangling_ref:TrajectoryPoint", "dangling_ref:RouterOpenaiV1ChatCompletionsInput"),
        *("dangling_ref:RouterOpenaiV1EmbeddingsInput", "dangling_ref:RouterOpenaiV1ResponsesInput"),
        "dangling_ref:Isaac01OpenaiV1ChatCompletionsInput",
    }
    kinds = [flag.split(":")[0] for schema in mapped(JUNE).values() for flag in schema.flags]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        "dangling_ref": 8,
        "no_input_fields": 4,
        "no_output_schema": 21,
    }
