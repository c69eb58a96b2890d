import copy
import json
import random
from contextlib import suppress
from typing import Any

import jsonschema_rs
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.mapping import MappedSchema, SchemaNotUnderstood, fingerprint, map_openapi
from tests.recorded import JUNE, documents, mapped, requires_recorded

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


def accepts(mapped_schema: MappedSchema, value: Any) -> bool:
    return jsonschema_rs.Draft202012Validator(mapped_schema.input_schema).is_valid(value)


def test_the_output_is_the_result_of_the_request_and_not_the_answer_of_the_queue() -> None:
    assert [field["name"] for field in map_properties({}).outputs] == ["images"]


def test_fields_come_in_the_order_that_the_provider_asks_for() -> None:
    order = {"x-fal-order-properties": ["c", "a", "unknown", "b"]}
    fields = map_properties({"a": {}, "b": {}, "c": {}, "z": {}, "d": {}}, required=["z"], **order).inputs
    assert [field["name"] for field in fields] == ["c", "a", "b", "z", "d"]


def test_without_an_order_required_fields_come_first_and_then_the_alphabet_counts() -> None:
    fields = map_properties({"b": {}, "a": {}, "z": {}}, required=["z"]).inputs
    assert [field["name"] for field in fields] == ["z", "a", "b"]


def test_a_field_carries_its_bounds_default_and_words() -> None:
    field = only_field(
        {
            **{"type": "integer", "minimum": 1, "maximum": 50, "multipleOf": 1, "default": 28},
            **{"title": "Steps", "description": "How many steps.", "examples": [30]},
        }
    )
    assert field == {
        **{"name": "value", "type": "integer", "required": False, "nullable": False},
        **{"minimum": 1, "maximum": 50, "multiple_of": 1, "default": 28},
        **{"title": "Steps", "description": "How many steps.", "examples": [30]},
    }


def test_a_default_of_null_is_a_default_and_no_default_is_none() -> None:
    assert only_field({"type": "string", "default": None})["default"] is None
    assert "default" not in only_field({"type": "string"})


def test_any_of_with_null_is_a_nullable_field_of_the_other_type() -> None:
    field = only_field({"anyOf": [{"type": "integer", "minimum": 0}, {"type": "null"}], "title": "Seed"})
    assert (field["type"], field["nullable"], field["minimum"], field["title"]) == ("integer", True, 0, "Seed")


def test_the_nullable_word_of_openapi_becomes_a_null_type() -> None:
    made = map_properties({"value": {"type": "string", "enum": ["a"], "nullable": True}})
    assert made.inputs[0]["nullable"] is True
    assert made.inputs[0]["enum"] == ["a"]
    assert accepts(made, {"value": None})
    assert not accepts(made, {"value": "b"})


def test_nullable_beside_a_reference_allows_null_and_the_referred() -> None:
    made = map_properties(
        {"value": {"$ref": "#/components/schemas/Box", "nullable": True}}, schemas={"Box": {"type": "integer"}}
    )
    assert accepts(made, {"value": None})
    assert accepts(made, {"value": 1})
    assert not accepts(made, {"value": "1"})


def test_a_boolean_exclusive_minimum_makes_the_minimum_exclusive() -> None:
    made = map_properties({"value": {"type": "number", "minimum": 0, "exclusiveMinimum": True}})
    assert made.inputs[0]["exclusive_minimum"] == 0
    assert "minimum" not in made.inputs[0]
    assert not accepts(made, {"value": 0})


def test_enum_or_object_gives_presets_and_fields() -> None:
    size = {"type": "object", "properties": {"width": {"type": "integer"}, "height": {"type": "integer"}}}
    field = only_field(
        {
            "anyOf": [{"$ref": "#/components/schemas/Size"}, {"type": "string", "enum": ["square", "wide"]}],
            "default": "wide",
        },
        schemas={"Size": size},
    )
    assert field["type"] == "object"
    assert field["presets"] == ["square", "wide"]
    assert [inner["name"] for inner in field["fields"]] == ["height", "width"]
    assert field["default"] == "wide"


def test_free_text_beside_an_enum_is_a_string_with_presets() -> None:
    field = only_field({"anyOf": [{"enum": ["16:9"], "type": "string"}, {"type": "string"}]})
    assert (field["type"], field["presets"], "enum" in field) == ("string", ["16:9"], False)


def test_a_union_of_number_and_integer_is_a_number_and_keeps_pythonic_bounds() -> None:
    made = map_properties({"value": {"anyOf": [{"type": "number"}, {"type": "integer"}], "ge": 3, "le": 5}})
    assert (made.inputs[0]["type"], made.inputs[0]["minimum"], made.inputs[0]["maximum"]) == ("number", 3, 5)
    assert not accepts(made, {"value": 6})


def test_a_union_of_objects_shows_all_their_fields_and_requires_what_all_require() -> None:
    one = {"type": "object", "properties": {"kind": {"const": "one"}, "a": {}}, "required": ["kind", "a"]}
    two = {"type": "object", "properties": {"kind": {"const": "two"}, "b": {}}, "required": ["kind"]}
    field = only_field({"oneOf": [one, two], "discriminator": {"propertyName": "kind"}})
    assert {inner["name"]: inner["required"] for inner in field["fields"]} == {"kind": True, "a": False, "b": False}


def test_all_of_adds_properties_and_words_up() -> None:
    base = {"type": "object", "properties": {"x": {"type": "number"}}, "required": ["x"]}
    field = only_field(
        {"allOf": [{"$ref": "#/components/schemas/Base"}], "description": "Where."}, schemas={"Base": base}
    )
    assert field["type"] == "object"
    assert field["description"] == "Where."
    assert field["fields"][0]["required"] is True


def test_const_is_an_enum_of_one() -> None:
    assert only_field({"type": "string", "const": "129"})["enum"] == ["129"]


def test_a_list_has_the_field_of_its_elements() -> None:
    field = only_field({"type": "array", "items": {"type": "string", "maxLength": 9}, "minItems": 1, "maxItems": 3})
    assert (field["type"], field["min_items"], field["max_items"]) == ("array", 1, 3)
    assert (field["items"]["type"], field["items"]["max_length"]) == ("string", 9)


def test_prefix_items_make_a_list() -> None:
    made = map_properties({"value": {"prefixItems": [{"type": "integer"}], "type": "array"}})
    assert made.inputs[0]["type"] == "array"
    assert not accepts(made, {"value": ["red"]})


def test_the_tuple_form_of_items_is_read_as_prefix_items() -> None:
    made = map_properties({"value": {"items": [{"type": "integer"}, {"type": "string"}], "type": "array"}})
    assert accepts(made, {"value": [1, "a"]})
    assert not accepts(made, {"value": ["a"]})


def test_an_object_that_takes_anything_is_open() -> None:
    assert only_field({"type": "object", "additionalProperties": True})["open"] is True
    assert only_field({"type": "object"})["open"] is True
    assert "open" not in only_field({"type": "object", "properties": {"a": {}}})


def test_boolean_schemas_are_kept() -> None:
    made = map_properties({"anything": True, "nothing": False})
    assert [field["type"] for field in made.inputs] == ["any", "any"]
    assert accepts(made, {"anything": [1]})
    assert not accepts(made, {"nothing": 1})


def test_a_reference_to_nothing_accepts_anything_and_is_flagged() -> None:
    made = map_properties({"track": {"$ref": "#/components/schemas/TrackPoint", "description": "A path."}})
    assert made.flags == ["dangling_ref:TrackPoint"]
    assert made.inputs[0]["type"] == "any"
    assert made.inputs[0]["description"] == "A path."
    assert accepts(made, {"track": [{"x": 1}]})


def test_an_input_that_is_wholly_missing_is_flagged_and_accepts_anything() -> None:
    document = openapi({})
    del document["components"]["schemas"]["Input"]
    made = map_openapi(document, ENDPOINT)
    assert made.flags == ["dangling_ref:Input", "no_input_fields"]
    assert accepts(made, {"messages": []})


def test_a_missing_result_is_flagged() -> None:
    document = openapi({"a": {}})
    del document["paths"][f"/{ENDPOINT}/requests/{{request_id}}"]
    assert map_openapi(document, ENDPOINT).flags == ["no_output_schema"]


def test_references_lead_into_the_schema_itself() -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#/components/schemas/Node"}, "n": {"type": "integer"}}}
    made = map_properties({"value": {"$ref": "#/components/schemas/Node"}}, schemas={"Node": node})
    assert made.input_schema["properties"]["value"] == {"$ref": "#/$defs/Node"}
    assert list(made.input_schema["$defs"]) == ["Node"]
    assert accepts(made, {"value": {"next": {"n": 1}}})
    assert not accepts(made, {"value": {"next": {"n": "1"}}})


def test_a_schema_inside_itself_is_shown_once() -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#/components/schemas/Node"}}}
    field = only_field({"$ref": "#/components/schemas/Node"}, schemas={"Node": node})
    assert "fields" not in field["fields"][0]


def test_references_that_only_refer_to_each_other_end() -> None:
    circle = {"A": {"$ref": "#/components/schemas/B"}, "B": {"$ref": "#/components/schemas/A"}}
    made = map_properties({"value": {"$ref": "#/components/schemas/A"}}, schemas=circle)
    assert made.inputs[0]["type"] == "any"


def test_two_schemas_of_one_name_are_kept_apart() -> None:
    document = openapi({"a": {"$ref": "#/components/schemas/Box"}, "b": {"$ref": "#/components/other/Box"}})
    document["components"]["schemas"]["Box"] = {"type": "string"}
    document["components"]["other"] = {"Box": {"type": "integer"}}
    assert [field["type"] for field in map_openapi(document, ENDPOINT).inputs] == ["string", "integer"]


def test_a_property_may_be_called_like_a_keyword() -> None:
    made = map_properties({"properties": {"type": "string"}, "$ref": {"type": "integer"}, "enum": {"type": "array"}})
    assert {field["name"]: field["type"] for field in made.inputs} == {
        "$ref": "integer",
        "enum": "array",
        "properties": "string",
    }


def test_what_no_validator_would_accept_is_left_out_and_flagged() -> None:
    made = map_properties(
        {
            "a": {"type": "file", "required": True, "minLength": "3"},
            "b": {"type": "string", "pattern": "(", "enum": []},
            "c": {"anyOf": [], "type": "integer", "maximum": None},
        }
    )
    assert made.flags == [
        f"ignored:{key}" for key in ("anyOf", "enum", "maximum", "minLength", "pattern", "required", "type")
    ]
    assert [field["type"] for field in made.inputs] == ["any", "string", "integer"]


def test_the_document_is_not_changed() -> None:
    document = openapi({"a": {"type": "string", "nullable": True}, "b": {"$ref": "#/components/schemas/Output"}})
    before = copy.deepcopy(document)
    map_openapi(document, ENDPOINT)
    assert document == before


@pytest.mark.parametrize(
    ("schema", "media"),
    [
        ({"type": "string", "examples": ["https://example.com/a/b.MP4?x=1"]}, "video"),
        ({"type": "string", "description": "URL of the image to turn into a video."}, "image"),
        ({"type": "string", "_fal_ui_field": "audio"}, "audio"),
        ({"type": "string", "ui": {"field": "image_mask"}}, "image"),
        ({"type": "string", "description": "What to draw."}, None),
        ({"type": "string", "examples": ["a house", "https://example.com/a.png"]}, None),
        ({"type": "string", "examples": ["https://example.com/page"]}, "file"),
        ({"type": "string", "enum": ["https://example.com/a.png"]}, None),
        ({"type": "array", "items": {"type": "string"}, "examples": [["https://example.com/a.wav"]]}, "audio"),
        ({"type": "integer", "description": "URL of the image"}, None),
    ],
)
def test_media_kind_follows_from_hints_examples_and_descriptions(schema: dict[str, Any], media: str | None) -> None:
    assert only_field(schema).get("media") == media


@pytest.mark.parametrize(
    ("name", "media"),
    [
        ("image_url", "image"),
        ("reference_video_urls", "video"),
        ("image_to_video_url", "video"),
        ("mesh_url", "3d"),
        ("image_archive_url", "file"),
        ("webhook_url", None),
        ("lora_url", None),
        ("curl", None),
    ],
)
def test_media_kind_follows_from_the_name(name: str, media: str | None) -> None:
    (field,) = map_properties({name: {"type": "string"}}).inputs
    assert field.get("media") == media


def test_an_archive_of_images_is_a_file() -> None:
    (field,) = map_properties({"images_url": {"type": "string", "description": "URL to a zip with images"}}).inputs
    assert field["media"] == "file"


def test_a_file_object_is_media_by_the_name_of_its_field() -> None:
    plain_file = {
        "type": "object",
        "properties": {"url": {"type": "string"}, "content_type": {"type": "string", "examples": ["image/png"]}},
    }
    made = map_properties(
        {"video": {"$ref": "#/components/schemas/File"}, "images": {"items": {"$ref": "#/components/schemas/File"}}},
        schemas={"File": plain_file},
    )
    assert {field["name"]: field["media"] for field in made.inputs} == {"images": "image", "video": "video"}
    assert "media" not in made.inputs[1]["fields"][0]


def test_what_a_file_may_be_is_read_from_the_vendors_keys() -> None:
    field = only_field(
        {"type": "string", "_fal_ui_field": "video", "x-fal": {"max_file_size": 100, "max_duration": 60, "timeout": 3}}
    )
    assert field["media_limits"] == {"max_file_size": 100, "max_duration": 60}


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


# Schemas of all kinds, right and wrong; `$ref`s go to themselves, to each other, and nowhere.
REFERENCES = st.sampled_from(["A", "B", "Input", "Output", "Nowhere"]).map(
    lambda name: {"$ref": f"#/components/schemas/{name}"}
)
SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=True) | st.text(max_size=9)
JUNK = st.recursive(SCALARS, lambda deeper: st.lists(deeper, max_size=3) | st.dictionaries(st.text(max_size=5), deeper))
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
                ("properties", "patternProperties", "dependentSchemas"), st.dictionaries(names, below) | JUNK
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
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


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


@requires_recorded
def test_recorded_fields_carry_the_media_that_their_makers_meant() -> None:
    meant = {
        ("fal-ai/kling-video/o3/pro/image-to-video", "outputs", "video"): "video",
        ("fal-ai/flux/dev", "outputs", "images"): "image",
        ("fal-ai/uso", "inputs", "input_image_urls"): "image",
        ("fal-ai/photomaker", "inputs", "image_archive_url"): "file",
        ("fal-ai/wan-vace-14b/pose", "inputs", "video_url"): "video",
        ("fal-ai/omnipart", "outputs", "model_mesh"): "3d",
        ("fal-ai/sync-lipsync/v3", "inputs", "audio_url"): "audio",
        ("fal-ai/amt-interpolation", "inputs", "video_url"): "video",
        ("fal-ai/flux/dev", "inputs", "prompt"): None,
    }
    for (endpoint_id, side, name), media in meant.items():
        fields = {field["name"]: field for field in getattr(mapped(JUNE)[endpoint_id], side)}
        assert fields[name].get("media") == media, (endpoint_id, name)
