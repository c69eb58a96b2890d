import json
from typing import Any

import pytest

from catalog.changes.comparing import change_class, diff_schemas, readable_diff
from catalog.changes.fields import cost_role
from catalog.schemas.mapping import map_openapi
from tests.catalog.openapi_documents import openapi

Changes = list[dict[str, Any]]


def diff(old: dict[str, Any], new: dict[str, Any], *, required: tuple[list[str], list[str]] = ([], [])) -> Changes:
    """The changes between two sets of input properties."""
    before, after = (
        map_openapi(openapi(properties, required=names), "acme/painter")
        for properties, names in zip((old, new), required, strict=True)
    )
    return diff_schemas(before, after)


def one(old: Any, new: Any, name: str = "value") -> tuple[str, bool]:
    """Kind and breaking of the only change between two versions of one input field."""
    (change,) = diff({name: old}, {name: new})
    assert change["path"] == name
    return change["kind"], change["breaking"]


def output_diff(old: dict[str, Any], new: dict[str, Any]) -> list[tuple[str, str, bool]]:
    documents = [openapi({}, schemas={"Output": {"type": "object", "properties": it}}) for it in (old, new)]
    changes = diff_schemas(*(map_openapi(document, "acme/painter") for document in documents))
    assert all(change["side"] == "output" for change in changes)
    return [(change["path"], change["kind"], change["breaking"]) for change in changes]


TEXT = {"type": "string"}
WHOLE = {"type": "integer"}


def test_a_new_optional_field_is_compatible_and_a_new_required_one_is_not() -> None:
    assert [(c["kind"], c["breaking"]) for c in diff({}, {"a": TEXT})] == [("field_added", False)]
    (change,) = diff({}, {"a": TEXT}, required=([], ["a"]))
    assert (change["kind"], change["breaking"], change["words"]) == (
        "field_added",
        True,
        "Input a: new, required string.",
    )


def test_a_removed_field_breaks() -> None:
    (change,) = diff({"a": TEXT, "b": TEXT}, {"b": TEXT})
    assert (change["path"], change["kind"], change["breaking"]) == ("a", "field_removed", True)


def test_a_field_that_becomes_required_breaks_and_one_that_is_no_longer_does_not() -> None:
    fields = {"a": TEXT}
    assert [(c["kind"], c["breaking"]) for c in diff(fields, fields, required=([], ["a"]))] == [
        ("required_added", True)
    ]
    assert [(c["kind"], c["breaking"]) for c in diff(fields, fields, required=(["a"], []))] == [
        ("required_dropped", False)
    ]


def test_a_renamed_field_is_one_change_that_breaks() -> None:
    words = "The strength of the effect on the image, from 0 to 1."
    (change,) = diff(
        {"effect_strength": {"type": "number", "description": words}},
        {"strength": {"type": "number", "description": words}},
    )
    assert (change["kind"], change["breaking"], change["old"], change["new"]) == (
        "field_renamed",
        True,
        "effect_strength",
        "strength",
    )
    assert change["words"] == "Input effect_strength: now called strength."


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"fps": {"type": "integer", "description": "Frames."}}, {"fps_rate": {"type": "string"}}),
        (
            {"guidance_scale": {"type": "number", "description": "How close to stick to the prompt."}},
            {"resolution": {"type": "number", "description": "The number of pixels of the output."}},
        ),
        ({"speed": {"type": "number"}}, {"style": {"type": "number"}}),
        (
            {"num_frames": {"type": "integer", "description": "The number of frames to generate."}},
            {"num_images": {"type": "integer", "description": "The number of images to generate."}},
        ),
        (
            {"style": {"enum": ["a", "b"], "description": "The style of the image."}},
            {"styles": {"enum": ["c", "d"], "description": "The style of the image."}},
        ),
    ],
)
def test_fields_that_are_not_alike_are_not_a_rename(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert sorted(change["kind"] for change in diff(old, new)) == ["field_added", "field_removed"]


def test_what_else_changed_about_a_renamed_field_is_told_too() -> None:
    words = "The number of images to make for this prompt."
    changes = diff(
        {"num_image": {"type": "integer", "description": words, "maximum": 8}},
        {"num_images": {"type": "integer", "description": words, "maximum": 4}},
    )
    assert [(c["path"], c["kind"]) for c in changes] == [
        ("num_image", "field_renamed"),
        ("num_images", "bound_tightened"),
    ]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (TEXT, WHOLE, ("type_changed", True)),
        (WHOLE, {"type": "number"}, ("type_changed", False)),
        ({"type": "number"}, WHOLE, ("type_changed", True)),
        (TEXT, {}, ("type_changed", False)),
        ({}, TEXT, ("type_changed", True)),
        (TEXT, {"anyOf": [TEXT, {"type": "null"}]}, ("null_allowed", False)),
        ({"anyOf": [TEXT, {"type": "null"}]}, TEXT, ("null_refused", True)),
        (TEXT, {"type": "string", "enum": ["a"]}, ("enum_narrowed", True)),
        ({"type": "string", "enum": ["a"]}, TEXT, ("enum_widened", False)),
        ({"enum": ["a", "b"]}, {"enum": ["b"]}, ("enum_narrowed", True)),
        ({"enum": ["a"]}, {"enum": ["b", "a"]}, ("enum_widened", False)),
        ({**WHOLE, "maximum": 8}, {**WHOLE, "maximum": 4}, ("bound_tightened", True)),
        ({**WHOLE, "maximum": 4}, {**WHOLE, "maximum": 8}, ("bound_loosened", False)),
        (WHOLE, {**WHOLE, "maximum": 8}, ("bound_tightened", True)),
        ({**WHOLE, "minimum": 1}, {**WHOLE, "minimum": 2}, ("bound_tightened", True)),
        ({**WHOLE, "minimum": 1}, {**WHOLE, "exclusiveMinimum": 1}, ("bound_tightened", True)),
        ({**WHOLE, "exclusiveMaximum": 9}, {**WHOLE, "maximum": 9}, ("bound_loosened", False)),
        ({**TEXT, "maxLength": 9}, TEXT, ("bound_loosened", False)),
        ({**TEXT, "minLength": 1}, {**TEXT, "minLength": 2}, ("bound_tightened", True)),
        (TEXT, {**TEXT, "pattern": "^a"}, ("bound_tightened", True)),
        ({**WHOLE, "multipleOf": 8}, WHOLE, ("bound_loosened", False)),
        (TEXT, {**TEXT, "description": "Words."}, ("description_changed", False)),
        (TEXT, {**TEXT, "deprecated": True}, ("deprecated", False)),
        ({**WHOLE, "default": 1}, {**WHOLE, "default": 2}, ("default_changed", False)),
        ({"type": "object", "properties": {"a": {}}}, {"type": "object"}, ("object_opened", False)),
        ({"type": "object"}, {"type": "object", "properties": {"a": {}}}, ("object_closed", True)),
    ],
)
def test_a_change_of_an_input_has_its_kind_and_class(old: Any, new: Any, expected: tuple[str, bool]) -> None:
    assert one(old, new) == expected


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (TEXT, {**TEXT, "minLength": 0}),
        ({**WHOLE, "default": None}, WHOLE),
        ({**WHOLE, "default": 1}, {**WHOLE, "default": 1.0}),
        ({**TEXT, "description": "Two  words"}, {**TEXT, "description": " Two words\n"}),
    ],
)
def test_what_means_the_same_is_no_change_of_a_field(old: Any, new: Any) -> None:
    assert not [change for change in diff({"value": old}, {"value": new}) if change["path"]]


def test_a_default_of_one_is_not_a_default_of_true() -> None:
    assert one({"default": 1}, {"default": True}) == ("default_changed", False)


@pytest.mark.parametrize(
    "path",
    [
        *(
            "num_images",
            "image_size",
            "image_size.width",
            "resolution",
            "target_resolution",
            "aspect_ratio",
            "duration",
        ),
        *("num_frames", "fps", "frames_per_second", "num_inference_steps", "quality", "mode", "rendering_speed"),
        *("generate_audio", "megapixels", "upscale_factor", "acceleration", "number_of_steps", "music_length_ms"),
        *("videos[].max_num_frames", "model"),
    ],
)
def test_a_changed_default_breaks_where_it_changes_the_cost(path: str) -> None:
    assert cost_role(path) is not None


@pytest.mark.parametrize(
    "path",
    [
        *("prompt", "seed", "guidance_scale", "loras[].scale", "voice_setting.speed", "output_format", "strength"),
        *("sync_mode", "tile_width", "preserve_aspect_ratio", "video_write_mode", "font_size"),
    ],
)
def test_a_changed_default_of_another_field_does_not_break(path: str) -> None:
    assert cost_role(path) is None


def test_a_changed_default_of_a_cost_field_is_told_with_both_values() -> None:
    (change,) = diff({"num_images": {**WHOLE, "default": 1}}, {"num_images": {**WHOLE, "default": 4}})
    assert change["breaking"]
    assert change["words"] == "Input num_images: the default went from 1 to 4, which changes the cost."


def test_a_changed_default_of_a_required_field_costs_nobody_anything() -> None:
    old, new = {"duration": {**WHOLE, "default": 5}}, {"duration": {**WHOLE, "default": 10}}
    (change,) = diff(old, new, required=(["duration"], ["duration"]))
    assert not change["breaking"]


def test_presets_beside_an_object_are_an_enum_and_beside_free_text_suggestions() -> None:
    size = {"type": "object", "properties": {"width": WHOLE}}
    wide, both = {"type": "string", "enum": ["wide"]}, {"type": "string", "enum": ["wide", "tall"]}
    assert one({"anyOf": [size, both]}, {"anyOf": [size, wide]}) == ("enum_narrowed", True)
    assert one({"anyOf": [TEXT, both]}, {"anyOf": [TEXT, wide]}) == ("presets_changed", False)


def test_changes_in_objects_and_lists_have_their_path() -> None:
    def loras(scale: dict[str, Any]) -> dict[str, Any]:
        lora = {"type": "object", "properties": {"scale": scale}}
        return {"loras": {"type": "array", "items": lora}, "image_size": {"type": "object", "properties": {"w": scale}}}

    changes = diff(loras({"type": "number", "maximum": 4}), loras({"type": "number", "maximum": 2}))
    assert [change["path"] for change in changes] == ["image_size.w", "loras[].scale"]


def test_limits_of_files_are_bounds() -> None:
    def picture(size: int) -> dict[str, Any]:
        return {**TEXT, "_fal_ui_field": "image", "x-fal": {"max_file_size": size, "min_width": 10}}

    (change,) = diff({"image_url": picture(20)}, {"image_url": picture(10)})
    assert (change["kind"], change["breaking"], change["new"]) == ("bound_tightened", True, {"max_file_size": 10})


IMAGES = {"type": "array", "items": {"type": "object", "properties": {"url": TEXT, "width": WHOLE}}}


def test_a_removed_or_retyped_output_breaks_and_a_new_one_does_not() -> None:
    assert output_diff({"images": IMAGES, "seed": WHOLE}, {"images": IMAGES}) == [("seed", "output_removed", True)]
    assert output_diff({"seed": WHOLE}, {"seed": TEXT}) == [("seed", "type_changed", True)]
    assert output_diff({"seed": {"type": "number"}}, {"seed": WHOLE}) == [("seed", "type_changed", False)]
    assert output_diff({"images": IMAGES}, {"images": IMAGES, "seed": WHOLE}) == [("seed", "output_added", False)]


def test_an_output_that_is_promised_less_firmly_is_told_and_does_not_break() -> None:
    maybe = {"anyOf": [WHOLE, {"type": "null"}]}
    assert output_diff({"seed": WHOLE}, {"seed": maybe}) == [("seed", "null_allowed", False)]
    assert output_diff({"state": {"enum": ["a", "b"]}}, {"state": {"enum": ["a"]}}) == [
        ("state", "enum_narrowed", False)
    ]


def test_what_a_removed_output_held_inside_is_told_by_its_path() -> None:
    less = {"type": "array", "items": {"type": "object", "properties": {"url": TEXT}}}
    assert output_diff({"images": IMAGES}, {"images": less}) == [("images[].width", "output_removed", True)]


def test_bytes_that_no_json_answer_ever_carried_may_go() -> None:
    with_bytes = {"type": "object", "properties": {"url": TEXT, "file_data": {**TEXT, "format": "binary"}}}
    without = {"type": "object", "properties": {"url": TEXT}}
    assert output_diff({"video": with_bytes}, {"video": without}) == [("video.file_data", "output_removed", False)]


def test_equal_schemas_have_no_changes_and_are_compatible() -> None:
    assert diff({"a": TEXT}, {"a": TEXT}) == []
    assert change_class([]) == "compatible"


def test_one_breaking_change_makes_the_version_breaking() -> None:
    assert change_class(diff({"a": TEXT}, {"a": TEXT, "b": TEXT})) == "compatible"
    assert change_class(diff({"a": TEXT, "c": {}}, {"a": TEXT, "b": TEXT})) == "breaking"


def test_the_order_of_required_is_no_change() -> None:
    fields = {"a": TEXT, "b": TEXT}
    assert diff(fields, fields, required=(["a", "b"], ["b", "a"])) == []


def test_only_words_for_people_changed() -> None:
    (change,) = diff({"a": {**TEXT, "title": "A"}}, {"a": {**TEXT, "title": "B"}})
    assert (change["path"], change["kind"], change["breaking"]) == ("", "wording_changed", False)


def test_the_same_fields_may_be_written_in_another_way() -> None:
    (change,) = diff({"a": {"enum": ["x"], **TEXT}}, {"a": {"const": "x", **TEXT}})
    assert (change["path"], change["kind"], change["breaking"]) == ("", "schema_changed", False)


def test_a_readable_diff_names_the_breaking_changes_first_and_gathers_equal_ones() -> None:
    maybe = {"anyOf": [TEXT, {"type": "null"}]}
    changes = diff(
        {"a": TEXT, "b": TEXT, "n": {**WHOLE, "maximum": 9}}, {"a": maybe, "b": maybe, "n": {**WHOLE, "maximum": 3}}
    )
    assert readable_diff(changes) == [
        "Breaking: Input n: the maximum went from 9 to 3.",
        "Inputs a, b: may be null now.",
    ]


def test_changes_survive_being_stored_as_json() -> None:
    changes = diff({"a": TEXT, "size": {"enum": ["x"]}}, {"b": WHOLE, "size": {"enum": ["y"]}})
    stored = json.loads(json.dumps(changes))
    assert stored == changes
    assert readable_diff(stored) == readable_diff(changes)


def test_stored_parts_can_be_compared_as_dicts() -> None:
    old, new = (map_openapi(openapi({"a": it}), "acme/painter") for it in (TEXT, WHOLE))
    assert diff_schemas(vars(old), vars(new)) == diff_schemas(old, new)
