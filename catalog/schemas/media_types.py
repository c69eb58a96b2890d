"""What a model makes, what it can do and where its limits are, read from its category and its mapped schema."""

import re
from collections.abc import Callable, Iterable
from typing import Any

from catalog.schemas.fields import Field
from catalog.schemas.mapping import MappedSchema
from catalog.schemas.refs import MOST_EXACT

MEDIA_TYPES = ("image", "video", "audio", "text", "3d", "other")

# The part of a category after "-to-", and the whole categories that say what comes out. Categories are an open set:
# what is not here (of the known ones "vision", "json", "workflow", "unknown") leaves it to the output schema. A trainer
# makes weights, whatever preview it renders.
_TYPE_OF_WORD = {
    **{"image": "image", "video": "video", "audio": "audio", "speech": "audio", "music": "audio", "3d": "3d"},
    **{"text": "text", "json": "text", "llm": "text", "training": "other"},
}
_NOT_THE_WORK = re.compile(  # outputs beside the thing that was asked for
    r"thumbnail|preview|visuali|^viz_|^debug|^input_|_zip$|^prompt$|_prompt$|^description$|^seed$|^timings$|^usage$|_id$"
)


def media_type(category: str | None, outputs: list[Field]) -> tuple[str, str]:
    """(type, source): one of MEDIA_TYPES, and what said so: "category", "schema" (the outputs) or "none".

    The provider's category goes first, then the first output that is media or text.
    """
    word = _plain(category)
    target = word.rpartition("-to-")[2] if "-to-" in word else word if word in ("llm", "training") else ""
    if target in _TYPE_OF_WORD:
        return _TYPE_OF_WORD[target], "category"
    for output in outputs:
        if _NOT_THE_WORK.search(output["name"]):
            continue
        if output.get("media") in MEDIA_TYPES:
            return output["media"], "schema"
        if output["type"] == "string" and "media" not in output:
            return "text", "schema"
    return "other", "none"


def infer_kind(metadata_kind: str | None, category: str | None) -> str:
    """ "inference" or "training": what the provider's metadata says, else training by category, else inference."""
    if metadata_kind in ("inference", "training"):
        return metadata_kind
    return "training" if _plain(category) == "training" else "inference"


def _plain(category: str | None) -> str:
    return (category or "").strip().lower()


def _named(pattern: str, *kinds: str) -> Callable[[Field], bool]:
    """A rule for one input field: its name matches, and its type is one of `kinds` (any, when none is given)."""
    matches = re.compile(pattern).search
    return lambda field: bool(matches(field["name"])) and (not kinds or field["type"] in kinds)


def _carries(kind: str) -> Callable[[Field], bool]:
    return lambda field: field.get("media") == kind


def _is_count_of_results(field: Field) -> bool:
    if not re.search(r"^(num|number_of|max)_(images|videos|samples|results|outputs|generations)$", field["name"]):
        return False
    highest = _highest(field)
    return field["type"] in ("integer", "number", "string") and (highest is None or highest > 1)


def _is_size(field: Field) -> bool:
    return not {"width", "height"} - {inner["name"] for inner in field.get("fields", ())}


def _takes_lora(field: Field) -> bool:
    """Weights that the client brings, not a choice of built-in ones or a strength."""
    if not re.search(r"(^|_)loras?($|_(url|urls|path|weights)$)", field["name"]) or "enum" in field:
        return False
    return field["type"] in ("array", "object", "string")


# The closed set of capabilities beside the category itself: a model has one when one of its input fields fits the rule.
CAPABILITIES: dict[str, Callable[[Field], bool]] = {
    "3d_input": _carries("3d"),
    "aspect_ratio": _named(r"(^|_)aspect_ratio$"),
    "audio_input": _carries("audio"),
    "audio_output": _named(r"^(generate|enable)_audio(_switch)?$|^audio$", "boolean"),
    "camera_control": _named(r"^camera_"),
    "controlnet": _named(r"controlnet|^control_loras?$|^easycontrols$"),
    "custom_size": _is_size,
    "duration": _named(
        r"^(video_|audio_|music_)?duration(_seconds|_in_seconds)?$|^(seconds|seconds_total|music_length_ms)$"
    ),
    "end_frame": _named(r"^(end|tail|last|last_frame|last_image)(_frame|_image)?(_image)?_url$"),
    "frame_rate": _named(r"^(fps|frame_rate|frames_per_second|target_fps|output_fps)$"),
    "guidance": _named(r"^(guidance_scale|cfg_scale|guidance)$"),
    "image_input": _carries("image"),
    "lora": _takes_lora,
    "mask_input": lambda field: "mask" in field["name"] and field.get("media") in ("image", "video"),
    "multiple_image_inputs": lambda field: field.get("media") == "image" and field["type"] == "array",
    "multiple_outputs": _is_count_of_results,
    "negative_prompt": _named(r"^negative_prompt$"),
    "num_frames": _named(r"^(num_frames|number_of_frames|video_length)$"),
    "output_format": _named(r"^(output_format|image_format|video_output_type|format)$"),
    "prompt_expansion": _named(
        r"^(enable_prompt_expansion|expand_prompt|enhance_prompt|prompt_optimizer|magic_prompt)$"
    ),
    "resolution": _named(r"^(target_|output_)?resolution$"),
    "safety_checker": _named(r"^(enable_)?(input_|output_)?safety_(checker|tolerance)$"),
    "seed": _named(r"^seed$"),
    "steps": _named(r"^(num_inference_steps|num_steps|steps|steps_num)$"),
    "streaming": _named(r"^stream(ing)?$", "boolean"),
    "style": _named(r"^(style|styles|style_id|style_type|style_preset|style_name)$"),
    "sync_mode": _named(r"^sync_mode$"),
    "upscale_factor": _named(r"^(upscale_factor|scale_factor|upscaling_factor|upscale)$"),
    "video_input": _carries("video"),
    "voice": _named(r"^voice(_id|_name|_setting)?$|^speakers?$"),
    "web_search": _named(r"web_search$", "boolean"),
}


def extract_capabilities(category: str | None, mapped: MappedSchema) -> list[str]:
    """Sorted words: the category itself (an open set) and those of CAPABILITIES that the inputs show."""
    found = {word for word, fits in CAPABILITIES.items() if any(map(fits, mapped.inputs))}
    if _is_size({"fields": mapped.inputs}):
        found.add("custom_size")
    if any(output.get("media") == "audio" for output in mapped.outputs):
        found.add("audio_output")
    return sorted({*found, _plain(category)} - {""})


def extract_limits(mapped: MappedSchema) -> dict[str, Any]:
    """What the bounds and enums of the inputs allow at most; a key is absent when they do not say.

    max_width, max_height (pixels), max_resolution (as the provider writes it: "1080p"), max_duration (seconds of what
    is made), max_images (per request), max_prompt_length (characters), supports_lora (always there).
    """
    fields = {field["name"]: field for field in mapped.inputs}
    sizes = [field["fields"] for field in [{"fields": mapped.inputs}, *mapped.inputs] if _is_size(field)]
    sides = {side: [field for size in sizes for field in size if field["name"] == side] for side in ("width", "height")}
    durations = [_duration_limit(field) for field in mapped.inputs if CAPABILITIES["duration"](field)]
    prompt = fields.get("prompt") or fields.get("text") or {}
    limits = {
        "max_width": _greatest(map(_highest, sides["width"])),
        "max_height": _greatest(map(_highest, sides["height"])),
        "max_resolution": _greatest_resolution(
            value for field in mapped.inputs if CAPABILITIES["resolution"](field) for value in field.get("enum", ())
        ),
        "max_duration": _greatest(durations),
        "max_images": _greatest(
            _highest(field) for name, field in fields.items() if name in ("num_images", "max_images")
        ),
        "max_prompt_length": prompt.get("max_length"),
    }
    known = {name: value for name, value in limits.items() if value is not None}
    return {**known, "supports_lora": any(map(_takes_lora, mapped.inputs))}


def _highest(field: Field) -> float | None:
    """The greatest number that the field takes, by its enum (numbers may be written "5" or "8s") or its maximum.

    None for one that is so great that it bounds nothing.
    """
    if "enum" in field:
        return _greatest(number for value in field["enum"] if _bounds(number := _number(value)))
    highest = field.get("maximum")
    below: float | None = field.get("exclusive_maximum")
    if highest is None and below is not None:
        highest = below - 1 if field["type"] == "integer" else below
    return highest if _bounds(highest) else None


def _bounds(number: float | None) -> bool:
    return number is not None and abs(number) <= MOST_EXACT


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|sec|seconds)?\s*", value) if isinstance(value, str) else None
    if match is None:
        return None
    number = float(match[1])
    return int(number) if number.is_integer() else number


def _duration_limit(field: Field) -> float | None:
    highest = _highest(field)
    if highest is None or not field["name"].endswith("_ms"):
        return highest
    return highest // 1000 if highest % 1000 == 0 else highest / 1000


def _greatest(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _greatest_resolution(values: Iterable[Any]) -> str | None:
    measured = [(lines, value) for value in values if isinstance(value, str) and (lines := _lines(value)) is not None]
    return max(measured, key=lambda pair: pair[0])[1] if measured else None


def _lines(resolution: str) -> float | None:
    """A measure to compare resolutions by, about the height of a 16:9 frame: "720p", "4K", "1024x1024", "1MP"."""
    text = resolution.strip().lower()
    if match := re.fullmatch(r"(?:true_)?(\d+)p", text):
        return float(match[1])
    if match := re.fullmatch(r"(\d+(?:\.\d+)?)k", text):
        return float(match[1]) * 540
    if match := re.fullmatch(r"(\d+)\s*[x*]\s*(\d+)", text):
        return (float(match[1]) * float(match[2]) * 9 / 16) ** 0.5
    if match := re.fullmatch(r"(\d+(?:\.\d+)?)\s*mp", text):
        return (float(match[1]) * 1e6 * 9 / 16) ** 0.5
    return None
