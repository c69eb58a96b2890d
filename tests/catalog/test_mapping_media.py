from typing import Any

import pytest

from tests.catalog.openapi_documents import map_properties, only_field
from tests.recorded import JUNE, mapped, requires_recorded


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
