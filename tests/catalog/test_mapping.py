import copy
from typing import Any

import jsonschema_rs

from catalog.schemas.mapping import MappedSchema, map_openapi
from tests.catalog.openapi_documents import ENDPOINT, map_properties, only_field, openapi


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


def test_a_count_that_is_written_as_a_float_is_one_where_it_can_be_kept() -> None:
    field = only_field({"type": "string", "minLength": 2.0, "maxLength": 1e30})

    # What bounds nothing is left out; nothing else of the model is lost.
    assert (field["min_length"], "max_length" in field) == (2, False)
