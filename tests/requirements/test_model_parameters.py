"""The parameters that the requirements name for single models: all from the recorded schemas, none from code."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client as HttpClient

from catalog.models import AIModel, SchemaVersion
from catalog.validating.checking import Problem, compile_validator, validate_input

pytestmark = pytest.mark.once

FieldOf = Callable[[str, str], dict[str, Any]]

FLUX = "fal-ai/flux/dev"
RECRAFT = "fal-ai/recraft/v3/text-to-image"
IDEOGRAM = "fal-ai/ideogram/v3"
HIDREAM = "fal-ai/hidream-i1-full"
SD35 = "fal-ai/stable-diffusion-v35-large"
KLING = "fal-ai/kling-video/v1.6/standard/text-to-video"
SIZES = ["square_hd", "square", "portrait_4_3", "portrait_16_9", "landscape_4_3", "landscape_16_9"]


def problems(endpoint_id: str, **value: Any) -> list[Problem]:
    version = SchemaVersion.objects.get(model__endpoint_id=endpoint_id)
    return validate_input(compile_validator(version.unpacked["input_schema"]), value)


@pytest.mark.parametrize(
    ("model", "field", "expected"),
    [
        (FLUX, "num_inference_steps", {"type": "integer", "minimum": 1, "maximum": 50, "default": 28}),
        (FLUX, "guidance_scale", {"type": "number", "minimum": 1, "maximum": 20, "default": 3.5}),
        (FLUX, "num_images", {"type": "integer", "minimum": 1, "maximum": 4, "default": 1}),
        (FLUX, "seed", {"type": "integer", "nullable": True, "required": False}),
        (FLUX, "enable_safety_checker", {"type": "boolean", "default": True}),
        ("fal-ai/flux-lora", "loras", {"type": "array", "required": False}),
        ("fal-ai/flux-lora", "loras.path", {"type": "string", "required": True}),
        ("fal-ai/flux-lora", "loras.scale", {"type": "number", "minimum": 0, "maximum": 4, "default": 1}),
        (RECRAFT, "style", {"type": "string", "default": "realistic_image"}),
        (RECRAFT, "colors", {"type": "array", "default": []}),
        (RECRAFT, "colors.r", {"type": "integer", "minimum": 0, "maximum": 255}),
        (IDEOGRAM, "style", {"type": "string", "enum": ["AUTO", "GENERAL", "REALISTIC", "DESIGN"]}),
        (IDEOGRAM, "expand_prompt", {"type": "boolean", "default": True}),
        (IDEOGRAM, "rendering_speed", {"enum": ["TURBO", "BALANCED", "QUALITY"], "default": "BALANCED"}),
        (HIDREAM, "num_inference_steps", {"minimum": 1, "maximum": 50, "default": 50}),
        (HIDREAM, "output_format", {"enum": ["jpeg", "png"], "default": "jpeg"}),
        (SD35, "guidance_scale", {"minimum": 0, "maximum": 20, "default": 3.5}),
        (SD35, "controlnet.conditioning_scale", {"type": "number"}),
        (KLING, "duration", {"type": "string", "enum": ["5", "10"], "default": "5"}),
        (KLING, "aspect_ratio", {"enum": ["16:9", "9:16", "1:1"], "default": "16:9"}),
        (KLING, "cfg_scale", {"type": "number", "minimum": 0, "maximum": 1, "default": 0.5}),
        (KLING, "negative_prompt", {"type": "string", "max_length": 2500}),
    ],
)
def test_a_parameter_is_shown_as_the_models_own_schema_has_it(
    field_of: FieldOf, model: str, field: str, expected: dict[str, Any]
) -> None:
    found = field_of(model, field)
    assert {name: found.get(name) for name in expected} == expected


def test_the_substyles_of_recraft_stand_beside_their_styles(field_of: FieldOf) -> None:
    styles = field_of(RECRAFT, "style")["enum"]
    assert "vector_illustration" in styles
    assert "vector_illustration/line_art" in styles


def test_standard_and_master_of_kling_are_two_models_with_the_same_parameters(few: None, api: HttpClient) -> None:
    """The requirement's `mode` is part of the id at fal."""
    standard = api.get(f"/api/v1/models/{KLING}").json()["inputs"]
    master = api.get("/api/v1/models/fal-ai/kling-video/v2/master/text-to-video").json()["inputs"]
    assert [field["name"] for field in standard] == [field["name"] for field in master]


@pytest.mark.parametrize("model", [FLUX, RECRAFT, IDEOGRAM, HIDREAM, SD35])
def test_the_named_sizes_are_those_of_the_models_own_schema(field_of: FieldOf, model: str) -> None:
    assert field_of(model, "image_size")["presets"] == SIZES


def test_a_model_without_named_sizes_has_its_ratios(field_of: FieldOf) -> None:
    ratios = field_of("fal-ai/ideogram/v2", "aspect_ratio")["enum"]
    assert {"1:1", "16:9", "9:16", "4:3", "3:4"} <= set(ratios)


def test_an_image_size_may_be_a_name(few: None) -> None:
    assert problems(FLUX, prompt="a cat", image_size="landscape_16_9") == []


def test_an_image_size_may_be_width_and_height(few: None) -> None:
    assert problems(FLUX, prompt="a cat", image_size={"width": 1280, "height": 720}) == []


@pytest.mark.parametrize("wrong", ["portrait_9_16", "landscape", {"width": "wide"}, {"width": 0, "height": 0}, 1024])
def test_an_image_size_that_is_neither_is_refused(few: None, wrong: Any) -> None:
    found = problems(FLUX, prompt="a cat", image_size=wrong)
    assert found
    assert all(problem.path.startswith("image_size") for problem in found)


def test_a_size_name_that_fal_never_had_leads_to_the_nearest_that_it_has(few: None) -> None:
    (problem,) = problems(FLUX, prompt="a cat", image_size="portrait_9_16")
    assert "portrait_16_9" in problem.hint


def outputs(api: HttpClient, model: str) -> dict[str, dict[str, Any]]:
    return {field["name"]: field for field in api.get(f"/api/v1/models/{model}").json()["outputs"]}


def test_a_list_of_images_shows_address_size_and_type_of_each_and_what_else_comes(few: None, api: HttpClient) -> None:
    found = outputs(api, FLUX)
    assert {"images", "seed", "has_nsfw_concepts"} <= set(found)
    images = found["images"]
    assert (images["type"], images["media"]) == ("array", "image")
    assert {"url", "width", "height", "content_type"} <= {field["name"] for field in images["items"]["fields"]}


@pytest.mark.parametrize(("model", "name", "media"), [("fal-ai/esrgan", "image", "image"), (KLING, "video", "video")])
def test_a_single_file_shows_address_type_and_size(
    few: None, api: HttpClient, model: str, name: str, media: str
) -> None:
    found = outputs(api, model)[name]
    assert found["media"] == media
    assert {"url", "content_type", "file_size"} <= {field["name"] for field in found["fields"]}


@pytest.mark.parametrize(
    ("model", "limit", "value"),
    [
        (FLUX, "max_images", 4),
        (FLUX, "supports_lora", False),
        ("fal-ai/flux-lora", "supports_lora", True),
        (KLING, "max_duration", 10),
        (KLING, "max_prompt_length", 2500),
    ],
)
def test_the_limits_of_a_model_follow_from_its_schema(
    few: None, api: HttpClient, model: str, limit: str, value: Any
) -> None:
    assert api.get(f"/api/v1/models/{model}").json()["limits"][limit] == value


def test_a_changed_bound_at_the_provider_is_the_new_limit_without_a_change_of_code(
    few: None, few_offered: Any, sync: Any, api: HttpClient
) -> None:
    fal = few_offered()
    reference = fal.model(KLING)["openapi"]["paths"][f"/{KLING}"]["post"]["requestBody"]["content"]
    name = reference["application/json"]["schema"]["$ref"].rpartition("/")[2]
    duration = {"properties": {"duration": {"enum": ["5", "10", "15"]}}}
    fal.patch_model(KLING, touch=True, openapi_patch={"components": {"schemas": {name: duration}}})
    sync()
    assert AIModel.objects.get(endpoint_id=KLING).limits["max_duration"] == 15
    assert api.get(f"/api/v1/models/{KLING}").json()["limits"]["max_duration"] == 15
