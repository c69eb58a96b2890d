"""Unknown fields are taken out wherever they stand, and nothing else is."""

from typing import Any

from catalog.validating.checking import compile_validator
from catalog.validating.tolerance import without_unknown

SIZE = {"type": "object", "properties": {"width": {"type": "integer"}, "height": {"type": "integer"}}}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "prompt": {"type": "string"},
        "image_size": {"anyOf": [SIZE, {"enum": ["square"]}]},
        "loras": {"type": "array", "items": {"type": "object", "properties": {"path": {"type": "string"}}}},
        "open": {"type": "object", "additionalProperties": True},
    },
    "required": ["prompt"],
}


def kept(value: Any) -> tuple[Any, list[str]]:
    return without_unknown(compile_validator(SCHEMA), value)


def test_what_the_model_knows_stays_as_it_is() -> None:
    value = {"prompt": "a fox", "image_size": {"width": 64, "height": 64}, "open": {"any": 1}}
    assert kept(value) == (value, [])


def test_unknown_fields_are_taken_out_at_every_depth_and_named() -> None:
    value = {
        "prompt": "a fox",
        "negative": "cats",
        "image_size": {"width": 64, "depth": 2},
        "loras": [{"path": "a"}, {"path": "b", "scale": 1}],
    }
    before = repr(value)
    assert kept(value) == (
        {"prompt": "a fox", "image_size": {"width": 64}, "loras": [{"path": "a"}, {"path": "b"}]},
        ["negative", "image_size.depth", "loras[1].scale"],
    )
    assert repr(value) == before


def test_what_is_wrong_otherwise_is_left_for_the_check() -> None:
    assert kept({"prompt": 7, "x": 1}) == ({"prompt": 7}, ["x"])
    assert kept([1]) == ([1], [])
