from collections import Counter
from functools import cache
from typing import Any

from catalog.schemas.fields import Field
from catalog.validating.checking import Validator, apply_defaults, compile_validator, validate_input
from tests.recorded import JUNE, mapped, requires_recorded


@cache
def validators() -> dict[str, Validator]:
    """The validator of every recorded model, by endpoint."""
    return {endpoint_id: compile_validator(schema.input_schema) for endpoint_id, schema in mapped(JUNE).items()}


def a_value_for(field: Field) -> Any:
    """What a careful client would send: the first example, the default, a choice, else a value of the type."""
    for value in [*field.get("examples", ()), field.get("default")]:
        if value is not None:
            return value
    if field.get("enum") or field.get("presets"):
        return [*field.get("enum", ()), *field.get("presets", ())][0]
    if field["type"] == "object":
        return {inner["name"]: a_value_for(inner) for inner in field.get("fields", ()) if inner["required"]}
    if field["type"] == "array":
        return [a_value_for(field["items"])] * max(field.get("min_items", 1), 1)
    low = field.get("minimum", field.get("exclusive_minimum", 0) + 1)
    return {"string": "a" * max(field.get("min_length", 1), 1), "boolean": True, "any": "a"}.get(field["type"], low)


# Six recorded documents give an example, at a required field, that their own schema refuses. No default does.
CONTRADICTING_THEMSELVES = {
    "argil/avatars/audio-to-video": ["audio_url type"],
    "cassetteai/video-sound-effects-generator": ["video_url type"],
    "fal-ai/glm-image/image-to-image": ["image_urls type"],
    "fal-ai/ltx-video-13b-distilled/extend": [
        "video.conditioning_type unknown_field",
        "video.preprocess unknown_field",
    ],
    "fal-ai/ltxv-13b-098-distilled/extend": ["video.conditioning_type unknown_field", "video.preprocess unknown_field"],
    "fal-ai/x-ailab/nsfw": ["image_urls type"],
}


@requires_recorded
def test_required_fields_with_their_own_examples_are_right_for_every_recorded_model() -> None:
    wrong: dict[str, list[str]] = {}
    for endpoint_id, schema in mapped(JUNE).items():
        value = {field["name"]: a_value_for(field) for field in schema.inputs if field["required"]}
        found = validate_input(validators()[endpoint_id], value)
        if found:
            wrong[endpoint_id] = sorted(f"{problem.path} {problem.code}" for problem in found)
    assert wrong == CONTRADICTING_THEMSELVES


@requires_recorded
def test_an_unknown_field_is_refused_by_name_for_every_recorded_model_with_fields() -> None:
    refused = Counter(
        any(
            (problem.path, problem.code) == ("zz_unknown", "unknown_field")
            for problem in validate_input(validator, {"zz_unknown": 1})
        )
        for validator in validators().values()
    )
    # Not refused: four documents without an input schema, and two that say "additionalProperties": true.
    assert refused == {True: 1408, False: 6}


@requires_recorded
def test_recorded_defaults_are_all_usable() -> None:
    unusable = {
        endpoint_id: validator.unusable_defaults
        for endpoint_id, validator in validators().items()
        if validator.unusable_defaults
    }
    assert unusable == {}


@requires_recorded
def test_defaults_never_make_a_recorded_input_wrong() -> None:
    for endpoint_id, schema in mapped(JUNE).items():
        validator = validators()[endpoint_id]
        value = {field["name"]: a_value_for(field) for field in schema.inputs if field["required"]}
        found = validate_input(validator, apply_defaults(validator, value))
        assert sorted(f"{problem.path} {problem.code}" for problem in found) == CONTRADICTING_THEMSELVES.get(
            endpoint_id, []
        )


@requires_recorded
def test_recorded_defaults_that_are_spelled_otherwise_are_mended() -> None:
    mended = {
        (endpoint_id, field["name"])
        for endpoint_id, schema in mapped(JUNE).items()
        for field in schema.inputs
        if field.get("default") is not None
        and validators()[endpoint_id].defaults.get(field["name"]) != field["default"]
    }
    assert mended == {
        ("fal-ai/fast-lightning-sdxl", "num_inference_steps"),
        ("fal-ai/hunyuan-video", "num_frames"),
        ("fal-ai/hunyuan-video-image-to-video", "num_frames"),
        ("fal-ai/hunyuan-video-lora", "num_frames"),
        ("fal-ai/hunyuan-video-lora/video-to-video", "num_frames"),
        ("fal-ai/hunyuan-video/video-to-video", "num_frames"),
    }
