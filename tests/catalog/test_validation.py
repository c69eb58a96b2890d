import copy
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.schemas.mapping import map_openapi
from catalog.validating.checking import Validator, apply_defaults, compile_validator, validate_input
from catalog.validating.problems import MAX_PROBLEMS, MOST_GUESSES, Problem
from tests.catalog.openapi_documents import JUNK, SCHEMAS, openapi

SIZE = {
    "type": "object",
    "properties": {"width": {"type": "integer", "maximum": 14142}, "height": {"type": "integer"}},
    "x-fal-order-properties": ["width", "height"],
}
PRESETS = {"type": "string", "enum": ["square", "square_hd", "landscape_4_3"]}
PAINTER = {
    "type": "object",
    "required": ["prompt"],
    "properties": {
        "prompt": {"type": "string", "minLength": 2, "maxLength": 20},
        "image_size": {"anyOf": [{"$ref": "#/$defs/Size"}, PRESETS], "default": "landscape_4_3"},
        "num_images": {"type": "integer", "minimum": 1, "maximum": 4, "default": 1},
        "seed": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None},
        "guidance": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 10, "multipleOf": 0.5},
        "loras": {
            "type": "array",
            "items": {"$ref": "#/$defs/Lora"},
            "maxItems": 2,
            "uniqueItems": True,
            "default": [],
        },
        "duration": {"enum": ["4s", "6s", "8s"]},
        "color": {"type": "string", "pattern": "^#[0-9a-f]+$"},
        "image_url": {"type": "string", "format": "uri"},
        "options": {"type": "object", "additionalProperties": True},
        "tags": {"type": "array", "minItems": 1},
    },
    "$defs": {
        "Size": SIZE,
        "Lora": {"type": "object", "required": ["path"], "properties": {"path": {"type": "string"}, "scale": {}}},
    },
}


@pytest.fixture(scope="module")
def painter() -> Validator:
    return compile_validator(PAINTER)


def problems_of(schema: dict[str, Any], value: Any) -> list[Problem]:
    return validate_input(compile_validator(schema), value)


def test_a_right_input_has_no_problems(painter: Validator) -> None:
    value = {"prompt": "a fox", "image_size": {"width": 512, "height": 512}, "seed": None, "loras": [{"path": "x"}]}
    assert validate_input(painter, value) == []


def test_every_problem_is_named_with_its_path(painter: Validator) -> None:
    value = {
        "promt": "a fox",
        "image_size": {"width": 99999, "hight": 512},
        "num_images": 9,
        "loras": [{"path": "a", "scal": 1}, {"path": 3}],
    }
    assert [(problem.path, problem.code) for problem in validate_input(painter, value)] == [
        ("promt", "unknown_field"),
        ("image_size.width", "too_large"),
        ("image_size.hight", "unknown_field"),
        ("num_images", "too_large"),
        ("loras[0].scal", "unknown_field"),
        ("loras[1].path", "type"),
        ("prompt", "missing"),
    ]


@pytest.mark.parametrize(
    ("field", "value", "code", "hint"),
    [
        ("prompt", "a", "too_short", "send at least 2 characters"),
        ("prompt", "a" * 21, "too_long", "shorten it to 20 characters"),
        ("prompt", 5, "type", "send a string"),
        ("num_images", 0, "too_small", "send 1 or more"),
        ("num_images", 5, "too_large", "send 4 or less"),
        ("num_images", "2", "type", "send a whole number, without quotes"),
        ("num_images", True, "type", "send a whole number"),
        ("seed", "7", "type", "send a whole number, or null, without quotes"),
        ("guidance", 0, "too_small", "send more than 0"),
        ("guidance", 10, "too_large", "send less than 10"),
        ("guidance", 1.2, "multiple_of", "send a multiple of 0.5"),
        ("color", "red", "pattern", "send text that matches ^#[0-9a-f]+$"),
        ("image_url", "not a url", "format", "send a valid uri"),
        ("tags", [], "too_few", "send at least 1"),
        ("options", [], "type", "send an object"),
        ("loras", [5], "type", "send an object with path, scale"),
    ],
)
def test_a_problem_says_what_to_do(painter: Validator, field: str, value: Any, code: str, hint: str) -> None:
    (problem,) = validate_input(painter, {"prompt": "a fox", field: value})
    assert (problem.path.removesuffix("[0]"), problem.code, problem.hint) == (field, code, hint)


def test_a_list_may_be_too_long_and_repeat_itself(painter: Validator) -> None:
    found = validate_input(painter, {"prompt": "a fox", "loras": [{"path": "a"}] * 3})
    assert [(problem.path, problem.code) for problem in found] == [("loras", "too_many"), ("loras", "duplicates")]


def test_unknown_fields_are_refused_by_name_with_the_nearest_known_one(painter: Validator) -> None:
    (problem,) = validate_input(painter, {"prompt": "a fox", "num_image": 2})
    assert problem == Problem("num_image", "unknown_field", 'unknown field "num_image"', 'did you mean "num_images"?')


def test_an_unknown_field_like_no_other_gets_the_list_of_known_ones(painter: Validator) -> None:
    (problem,) = validate_input(painter, {"prompt": "a fox", "xyzzy": 2})
    assert problem.hint.startswith('leave it out; known fields: "color", "duration", ')


def test_an_open_object_takes_any_field(painter: Validator) -> None:
    assert validate_input(painter, {"prompt": "a fox", "options": {"anything": {"at": "all"}}}) == []


def test_a_wrong_choice_names_the_nearest_and_all_that_are_allowed(painter: Validator) -> None:
    (problem,) = validate_input(painter, {"prompt": "a fox", "duration": "7s"})
    assert problem.code == "enum"
    assert problem.message == '"7s" is not allowed'
    assert problem.hint == 'did you mean "6s"? allowed: "4s", "6s", "8s"'


def test_a_wrong_preset_is_explained_with_the_object_as_the_other_way(painter: Validator) -> None:
    (problem,) = validate_input(painter, {"prompt": "a fox", "image_size": "squar"})
    assert (problem.path, problem.code) == ("image_size", "enum")
    assert problem.hint == (
        'did you mean "square"? allowed: "square", "square_hd", "landscape_4_3"; or send an object with width, height'
    )


def test_a_value_of_no_variants_type_is_told_all_variants(painter: Validator) -> None:
    (problem,) = validate_input(painter, {"prompt": "a fox", "image_size": 512})
    assert (problem.path, problem.code) == ("image_size", "type")
    assert problem.hint == 'send an object with width, height, or one of "square", "square_hd", "landscape_4_3"'


def test_the_variant_with_the_fewest_problems_is_the_one_that_was_meant() -> None:
    text = {"type": "object", "properties": {"kind": {"const": "text"}, "text": {"type": "string"}}}
    image = {"type": "object", "properties": {"kind": {"const": "image"}, "url": {"type": "string"}}}
    schema = {"properties": {"part": {"anyOf": [text, image]}}}
    (problem,) = problems_of(schema, {"part": {"kind": "image", "url": 5}})
    assert (problem.path, problem.code) == ("part.url", "type")


def test_a_value_that_fits_two_of_exactly_one_is_ambiguous() -> None:
    (problem,) = problems_of({"properties": {"n": {"oneOf": [{"type": "integer"}, {"type": "number"}]}}}, {"n": 1})
    assert (problem.path, problem.code, problem.hint) == ("n", "ambiguous", "send a whole number, or a number")


@pytest.mark.parametrize("value", [None, [], "prompt", 5, True])
def test_an_input_that_is_no_object_is_refused(painter: Validator, value: Any) -> None:
    (problem,) = validate_input(painter, value)
    assert (problem.path, problem.code) == ("", "not_an_object")


def test_a_schema_that_accepts_anything_still_wants_an_object() -> None:
    assert [problem.code for problem in problems_of({}, [])] == ["not_an_object"]
    assert problems_of({}, {"messages": []}) == []


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_json_does_not_have_are_refused_beside_all_else(painter: Validator, number: float) -> None:
    found = validate_input(painter, {"guidance": number, "options": {"deep": [number]}})
    assert [(problem.path, problem.code) for problem in found] == [
        ("guidance", "not_a_number"),
        ("options.deep[0]", "not_a_number"),
        ("prompt", "missing"),
    ]


@pytest.mark.parametrize("thing", [b"bytes", (1, 2), {1}, object()])
def test_what_is_no_json_is_refused(painter: Validator, thing: Any) -> None:
    (problem,) = validate_input(painter, {"prompt": "a fox", "options": {"x": thing}})
    assert (problem.path, problem.code) == ("options.x", "not_json")


def test_a_key_that_is_no_text_is_refused(painter: Validator) -> None:
    (problem,) = validate_input(painter, {"prompt": "a fox", "options": {5: 1}})
    assert (problem.path, problem.code) == ("options.5", "not_json")


def test_half_a_character_is_refused(painter: Validator) -> None:
    for value in ({"prompt": "a \ud800 fox"}, {"prompt": "a fox", "options": {"\ud800": 1}}):
        (problem,) = validate_input(painter, value)
        assert problem.code == "not_text"
        assert f"{problem}".isprintable()


def test_an_input_nested_without_end_is_refused(painter: Validator) -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    assert [problem.code for problem in validate_input(painter, {"prompt": "a fox", "options": deep})] == ["too_deep"]


@pytest.mark.parametrize("field", ["num_images", "seed", "image_size", "duration", "options", "loras", "prompt"])
def test_long_values_are_not_echoed(painter: Validator, field: str) -> None:
    long = "y" * 5000
    for value in (long, [long], {long: long}, 10**4000, [{"path": long, "scale": long, long: 1}]):
        for problem in validate_input(painter, {"prompt": "a fox", field: value}):
            assert "y" * 81 not in problem.path + problem.message + problem.hint
            assert len(problem.message) < 300


def test_data_uris_are_never_echoed(painter: Validator) -> None:
    uri = "data:image/png;base64,AAAA"
    for value in ({"seed": uri}, {uri: 1}, {"duration": uri}, {"image_size": {uri: uri}}):
        for problem in validate_input(painter, {"prompt": "a fox", **value}):
            assert "AAAA" not in problem.path + problem.message + problem.hint


def test_a_data_uri_is_a_uri_and_so_is_a_url_with_umlauts(painter: Validator) -> None:
    for url in ("data:image/png;base64,AAAA", "https://example.com/fläche.png"):
        assert validate_input(painter, {"prompt": "a fox", "image_url": url}) == []


def test_one_mistake_made_many_times_is_named_so_often_and_no_oftener(painter: Validator) -> None:
    schema = {"properties": {"numbers": {"type": "array", "items": {"type": "integer"}}}}
    assert len(problems_of(schema, {"numbers": ["x"] * 100_000})) == MAX_PROBLEMS


def test_guessing_what_was_meant_ends(painter: Validator) -> None:
    found = validate_input(painter, {"prompt": "a fox", **{f"num_image{number}": 1 for number in range(5000)}})
    assert len(found) == MAX_PROBLEMS
    assert sum(problem.hint.startswith("did you mean") for problem in found) == MOST_GUESSES


def test_properties_of_all_parts_are_known_to_the_whole() -> None:
    schema = {
        "allOf": [{"$ref": "#/$defs/Base"}, {"properties": {"b": {}}}],
        "properties": {"c": {}},
        "$defs": {"Base": {"type": "object", "properties": {"a": {}}}},
    }
    assert problems_of(schema, {"a": 1, "b": 1, "c": 1}) == []
    assert [problem.path for problem in problems_of(schema, {"a": 1, "d": 1})] == ["d"]


def test_a_variant_that_takes_any_object_leaves_it_open() -> None:
    closed = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    for anything in ({"type": "object"}, {}, {"type": "object", "additionalProperties": True}):
        schema = {"properties": {"value": {"anyOf": [closed, anything]}}}
        assert problems_of(schema, {"value": {"whatever": 1}}) == []


def test_a_field_with_a_problem_of_its_own_is_not_called_unknown() -> None:
    schema = {"properties": {"a": {"type": "integer"}}, "allOf": [{"properties": {"b": {"type": "integer"}}}]}
    assert [(problem.path, problem.code) for problem in problems_of(schema, {"a": "x", "b": "y"})] == [
        ("a", "type"),
        ("b", "type"),
    ]


def test_a_schema_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="no valid JSON Schema"):
        compile_validator({"type": "file"})


def test_defaults_are_filled_in_for_absent_fields_only(painter: Validator) -> None:
    value = {"prompt": "a fox", "num_images": 3}
    before = copy.deepcopy(value)
    assert apply_defaults(painter, value) == {**value, "image_size": "landscape_4_3", "loras": []}
    assert value == before


def test_what_is_filled_in_is_not_shared(painter: Validator) -> None:
    apply_defaults(painter, {})["loras"].append({"path": "x"})
    assert apply_defaults(painter, {})["loras"] == []


def test_a_default_in_another_spelling_than_its_choices_is_mended() -> None:
    frames = {"type": "string", "enum": ["129", "85"], "default": 129}
    validator = compile_validator({"properties": {"frames": frames}})
    assert apply_defaults(validator, {}) == {"frames": "129"}


def test_a_default_that_its_own_field_refuses_is_left_to_the_provider() -> None:
    validator = compile_validator({"properties": {"n": {"type": "integer", "maximum": 4, "default": 5}}})
    assert apply_defaults(validator, {}) == {}
    assert validator.unusable_defaults == ("n",)


def test_a_default_of_one_variant_is_not_everyones() -> None:
    variants = [{"properties": {"text": {"default": "hello"}}}, {"properties": {"url": {"type": "string"}}}]
    assert apply_defaults(compile_validator({"oneOf": variants}), {"url": "x"}) == {"url": "x"}


def test_a_default_behind_a_reference_is_found() -> None:
    validator = compile_validator(
        {"properties": {"size": {"$ref": "#/$defs/S"}}, "$defs": {"S": {"type": "string", "default": "square"}}}
    )
    assert apply_defaults(validator, {}) == {"size": "square"}


VALUES = st.dictionaries(st.sampled_from(["a", "b", "image_url", "c"]), JUNK)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.dictionaries(st.sampled_from(["a", "b", "image_url"]), SCHEMAS, min_size=1), SCHEMAS, VALUES)
def test_whatever_is_sent_to_whatever_schema_the_answer_is_problems(
    properties: dict[str, Any], other: Any, value: dict[str, Any]
) -> None:
    schema = map_openapi(openapi(properties, schemas={"A": other}), "acme/painter").input_schema
    validator = compile_validator(schema)
    found = validate_input(validator, value)
    if not jsonschema_rs.Draft202012Validator(schema).is_valid(value):
        assert found
    for problem in found:
        assert problem.message
        assert problem.hint
    apply_defaults(validator, value)
