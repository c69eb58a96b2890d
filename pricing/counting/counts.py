"""How many outputs, steps, characters and files a request is about."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from pricing.counting.amounts import Amount, known, missing
from pricing.counting.requests import Request, as_number, count_media, is_given, takes_media

OUTPUT_FIELDS = (
    "num_images",
    "number_of_images",
    "num_outputs",
    "num_results",
    "num_videos",
    "num_samples",
    "num_generations",
    "num_variations",
    "images_count",
    "num_songs",
    "n",
)
STEP_FIELDS = ("steps", "number_of_steps", "num_steps", "training_steps", "max_train_steps", "max_steps")
# Fields whose text is what gets spoken; `prompt` comes last, since beside a text field it only steers the voice.
TEXT_FIELDS = (
    "text",
    "gen_text",
    "script",
    "input_text",
    "text_input",
    "target_text",
    "lyrics",
    "prompt",
    "inputs",
    "scene",
)


def outputs(request: Request) -> Amount:
    """How many outputs are asked for: `num_images` or a relative of it, 1 where the model has no such field."""
    series = request.value("max_images") if request.has("max_images") else None
    if as_number(series) is not None and as_number(series) != 1:
        return missing("output images", basis=f"up to {series} images each, as the model decides")
    for name in OUTPUT_FIELDS:
        if not request.has(name):
            continue
        count = as_number(request.value(name))
        if count is not None and count > 0:
            return known(count, f"{name} {count}")
        if not request.fields[name].get("enum"):
            return known(1, f"{name} not set, one output", assumed=True)
        return missing(name)
    if not request.fields:
        return _outputs_unseen(request)
    return known(1, "one output")


def _outputs_unseen(request: Request) -> Amount:
    """Outputs of a model whose schema is not known: what the request says, else one."""
    told = ((name, as_number(request.given.get(name))) for name in OUTPUT_FIELDS)
    name, count = next(((name, count) for name, count in told if count), ("", Decimal(1)))
    return known(count, f"{name} {count}" if name else "one output, the schema is not known", assumed=True)


def steps(request: Request) -> Amount:
    """Training or sampling steps; unknown where the field is neither given nor has a default."""
    for name in STEP_FIELDS:
        if request.has(name):
            count = as_number(request.value(name))
            return known(count, f"{name} {count}") if count is not None else missing(name)
    return missing("steps")


def characters(request: Request) -> Amount:
    """Characters of the text that is spoken, of all parts where it comes in parts."""
    for name in TEXT_FIELDS:
        if not request.has(name):
            continue
        value = request.value(name)
        if not is_given(value) and not request.fields[name].get("required"):
            continue
        if name == "prompt" and takes_media(request, "image"):
            return missing("output characters", basis="a question about an image is not the text that is counted")
        count = _length(value)
        return known(count, f"{name} has {count} characters") if count is not None else missing(name)
    return missing(next((name for name in TEXT_FIELDS if request.has(name)), "text"))


def text_length(request: Request, name: str) -> Amount:
    """Characters of one named field; 0 where it is not given."""
    count = _length(request.value(name))
    return known(count or 0, f"{name} has {count or 0} characters")


def _length(value: Any) -> int | None:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, list) and value:
        parts = [part.get("text") if isinstance(part, dict) else part for part in value]
        texts = [part for part in parts if isinstance(part, str)]
        return sum(len(text) for text in texts) if len(texts) == len(parts) else None
    return None


def input_images(request: Request) -> Amount:
    """How many input images the request brings."""
    return known(count_media(request, "image"), f"{count_media(request, 'image')} input images")


def items(request: Request, name: str) -> Amount:
    """How many elements a list field has."""
    value = request.value(name)
    count = len(value) if isinstance(value, list) else int(is_given(value))
    return known(Decimal(count), f"{count} in {name}")
