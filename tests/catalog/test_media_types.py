from typing import Any

import pytest

from catalog.schemas.mapping import MappedSchema
from catalog.schemas.media_types import CAPABILITIES, extract_capabilities, extract_limits, infer_kind, media_type
from tests.recorded import JUNE, categories, mapped, requires_recorded


def field(name: str, kind: str = "string", **rest: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, "required": False, "nullable": False, **rest}


def schema(*inputs: dict[str, Any], outputs: tuple[dict[str, Any], ...] = ()) -> MappedSchema:
    return MappedSchema(list(inputs), list(outputs), {}, {}, [])


IMAGES = field("images", "array", media="image")


@pytest.mark.parametrize(
    ("category", "expected"),
    [
        ("text-to-image", "image"),
        ("Image-to-Video", "video"),
        ("text-to-speech", "audio"),
        ("speech-to-text", "text"),
        ("image-to-json", "text"),
        ("3d-to-3d", "3d"),
        ("llm", "text"),
        ("training", "other"),
    ],
)
def test_the_category_says_what_is_made_before_the_outputs_do(category: str, expected: str) -> None:
    assert media_type(category, [field("depth", "object", media="audio")]) == (expected, "category")


@pytest.mark.parametrize("category", [None, "", "vision", "workflow", "unknown", "text-to-hologram", "smells"])
def test_the_outputs_say_it_when_the_category_does_not(category: str | None) -> None:
    assert media_type(category, [field("seed", "integer"), IMAGES]) == ("image", "schema")


def test_text_that_comes_before_media_is_the_work() -> None:
    assert media_type("vision", [field("output"), field("masks", "array", media="image")]) == ("text", "schema")


def test_previews_and_bookkeeping_are_not_the_work() -> None:
    outputs = [field("prompt"), field("thumbnail", "object", media="image"), field("model_glb", "object", media="3d")]
    assert media_type(None, outputs) == ("3d", "schema")


def test_nothing_known_is_other() -> None:
    assert media_type("vision", [field("probability", "number"), field("lottie_file", media="file")]) == (
        "other",
        "none",
    )
    assert media_type(None, []) == ("other", "none")


@pytest.mark.parametrize(
    ("metadata_kind", "category", "expected"),
    [
        ("training", "text-to-image", "training"),
        ("inference", "training", "inference"),
        (None, "training", "training"),
        (None, "text-to-image", "inference"),
        ("something-new", None, "inference"),
    ],
)
def test_kind_is_what_the_metadata_says_and_then_the_category(
    metadata_kind: str | None, category: str | None, expected: str
) -> None:
    assert infer_kind(metadata_kind, category) == expected


SIZE = field("image_size", "object", fields=[field("width", "integer", maximum=2048), field("height", "integer")])


@pytest.mark.parametrize(
    ("one", "capability"),
    [
        (field("num_images", "integer", maximum=4), "multiple_outputs"),
        (field("seed", "integer"), "seed"),
        (field("negative_prompt"), "negative_prompt"),
        (field("loras", "array"), "lora"),
        (field("lora_url"), "lora"),
        (field("image_url", media="image"), "image_input"),
        (field("video_url", media="video"), "video_input"),
        (field("audio_url", media="audio"), "audio_input"),
        (field("mesh_url", media="3d"), "3d_input"),
        (field("mask_url", media="image"), "mask_input"),
        (field("image_urls", "array", media="image"), "multiple_image_inputs"),
        (field("generate_audio", "boolean"), "audio_output"),
        (SIZE, "custom_size"),
        (field("resolution", enum=["720p"]), "resolution"),
        (field("duration", enum=["5", "10"]), "duration"),
        (field("enable_safety_checker", "boolean"), "safety_checker"),
        (field("sync_mode", "boolean"), "sync_mode"),
        (field("stream", "boolean"), "streaming"),
        (field("end_image_url"), "end_frame"),
        (field("expand_prompt", "boolean"), "prompt_expansion"),
    ],
)
def test_an_input_field_shows_a_capability(one: dict[str, Any], capability: str) -> None:
    assert capability in extract_capabilities(None, schema(one))
    assert capability not in extract_capabilities(None, schema(field("prompt")))


@pytest.mark.parametrize(
    "one",
    [
        field("num_images", "integer", maximum=1),
        field("ic_lora", enum=["canny"]),
        field("lora_scale", "number"),
        field("output_lora_format", enum=["fal"]),
        field("preserve_audio", "boolean"),
        field("mask_threshold", "number"),
        field("seedling"),
        field("octree_resolution", "integer"),
    ],
)
def test_what_only_looks_like_a_capability_is_none(one: dict[str, Any]) -> None:
    assert extract_capabilities(None, schema(one)) == []


def test_capabilities_are_sorted_and_hold_the_category_and_what_comes_out() -> None:
    made = schema(
        field("width", "integer"), field("height", "integer"), outputs=(field("audio", "object", media="audio"),)
    )
    assert extract_capabilities("Text-to-Audio", made) == ["audio_output", "custom_size", "text-to-audio"]


def test_limits_come_from_bounds_and_enums() -> None:
    limits = extract_limits(
        schema(
            SIZE,
            field("num_images", "integer", maximum=4),
            field("resolution", enum=["auto", "1080p", "4k", "2K", "720p"]),
            field("duration", enum=["auto", "5s", "10s"]),
            field("prompt", max_length=2000),
        )
    )
    assert limits == {
        "max_width": 2048,
        "max_images": 4,
        "max_resolution": "4k",
        "max_duration": 10,
        "max_prompt_length": 2000,
        "supports_lora": False,
    }


def test_what_the_schema_does_not_bound_is_absent() -> None:
    assert extract_limits(schema(field("prompt"), field("duration", "integer"), field("loras", "array"))) == {
        "supports_lora": True
    }


def test_a_width_and_height_of_the_model_itself_are_limits_too() -> None:
    sides = [field("width", "integer", exclusive_maximum=1025), field("height", "integer", enum=[256, 512])]
    limits = extract_limits(schema(*sides))
    assert (limits["max_width"], limits["max_height"]) == (1024, 512)


def test_a_length_in_milliseconds_is_a_limit_in_seconds() -> None:
    assert extract_limits(schema(field("music_length_ms", "integer", maximum=600000)))["max_duration"] == 600


@pytest.mark.parametrize(
    "bounds", [{"maximum": 2**60}, {"exclusive_maximum": -(2**63)}, {"maximum": 1e300}, {"enum": ["9" * 400, "5"]}]
)
def test_a_number_that_bounds_nothing_is_no_limit(bounds: dict[str, Any]) -> None:
    limits = extract_limits(schema(field("duration", "integer", **bounds)))

    assert limits.get("max_duration") == (5 if "enum" in bounds else None)


@pytest.mark.parametrize(
    ("values", "greatest"),
    [
        (["1MP", "4MP"], "4MP"),
        (["512x992", "720x720"], "720x720"),
        (["512P", "1024P"], "1024P"),
        (["low", "high"], None),
    ],
)
def test_resolutions_are_compared_by_their_pixels(values: list[str], greatest: str | None) -> None:
    assert extract_limits(schema(field("resolution", enum=values))).get("max_resolution") == greatest


@requires_recorded
def test_every_category_of_the_recording_with_a_known_target_decides() -> None:
    sources = [media_type(categories(JUNE).get(name), made.outputs) for name, made in mapped(JUNE).items()]
    assert {source: sum(1 for _, one in sources if one == source) for source in ("category", "schema", "none")} == {
        "category": 1323,
        "schema": 75,
        "none": 16,
    }


@requires_recorded
def test_category_and_outputs_agree_for_recorded_image_and_video_models() -> None:
    """Where the category says image or video, the outputs alone say the same, but for four."""
    disagreeing = [
        name
        for name, made in mapped(JUNE).items()
        if (says := media_type(categories(JUNE).get(name), made.outputs))[1] == "category"
        and says[0] in ("image", "video")
        and media_type(None, made.outputs)[1] == "schema"
        and media_type(None, made.outputs)[0] != says[0]
    ]
    assert disagreeing == [
        "bria/video/background-removal/realtime",  # answers with WebRTC messages
        "fal-ai/moondream3-preview/segment",  # answers with an SVG path
        "fal-ai/sora-2/characters",  # answers with the id of a character
        "fal-ai/thinksound/audio",  # filed under video-to-video, makes audio
    ]


@requires_recorded
def test_the_closed_set_of_capabilities_is_used() -> None:
    """All but the few that fal offers elsewhere than in its recorded inputs are seen on some recorded model."""
    seen = {word for name, made in mapped(JUNE).items() for word in extract_capabilities(None, made)}
    assert seen <= set(CAPABILITIES)
    assert set(CAPABILITIES) - seen <= {"streaming"}


@requires_recorded
def test_recorded_limits_are_those_of_their_schemas() -> None:
    kling = extract_limits(mapped(JUNE)["fal-ai/kling-video/o3/4k/image-to-video"])
    assert kling["max_duration"] == 15
    flux = extract_limits(mapped(JUNE)["fal-ai/flux/dev"])
    assert (flux["max_images"], flux["max_width"], flux["supports_lora"]) == (4, 14142, False)
    assert extract_limits(mapped(JUNE)["fal-ai/flux-lora"])["supports_lora"] is True
