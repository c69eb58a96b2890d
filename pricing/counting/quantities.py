"""The vocabulary of quantities that rules and units count in, each found through the model's own schema."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from pricing.counting import counts, durations, megapixels, video_tokens
from pricing.counting.amounts import Amount, known, missing
from pricing.counting.image_sizes import RESOLUTION_FIELDS, lines_and_pixels, output_size
from pricing.counting.requests import Request, as_number


def _requests(_request: Request) -> Amount:
    return known(1, "one request")


def _output_lines(request: Request) -> Amount:
    """The shorter side of the output in pixels, which resolution words name."""
    for name in RESOLUTION_FIELDS:
        found = lines_and_pixels(request.value(name)) if request.has(name) else None
        if found and request.value("upscale_mode") != "factor":
            return known(found[0], f"{name} {request.value(name)}")
    size = output_size(request)
    if size.width and size.height:
        return known(min(size.width, size.height), size.basis)
    return missing(*(size.missing or ("input_width", "input_height")), basis=size.basis)


def _fact(name: str) -> Callable[[Request], Amount]:
    def read(request: Request) -> Amount:
        return known(request.media[name], f"{name} as told") if name in request.media else missing(name)

    return read


def _output_fps(request: Request) -> Amount:
    for name in ("target_fps", *durations.FPS_FIELDS):
        if request.has(name):
            value = request.value(name)
            rate = as_number(str(value).lower().removesuffix("fps")) if value is not None else None
            if rate:
                return known(rate, f"{name} {value}")
    return _fact("input_fps")(request)


QUANTITIES: dict[str, Callable[[Request], Amount]] = {
    "requests": _requests,
    "outputs": counts.outputs,
    "steps": counts.steps,
    "characters": counts.characters,
    "input_images": counts.input_images,
    "seconds": durations.output_seconds,
    "input_seconds": durations.input_seconds,
    "input_video_seconds": durations.input_video_seconds,
    "input_audio_seconds": durations.input_audio_seconds,
    "frames": durations.output_frames,
    "input_frames": durations.input_frames,
    "fps": _output_fps,
    "lines": _output_lines,
    "megapixels": megapixels.output_megapixels,
    "input_megapixels": megapixels.input_megapixels,
    "processed_megapixels": megapixels.processed_megapixels,
    "video_megapixels": megapixels.video_megapixels,
    "context_video_megapixels": megapixels.context_video_megapixels,
    "video_tokens": video_tokens.video_tokens,
    "reference_images": _fact("reference_images"),
    "layers": _fact("max_layers_per_image"),
}
# These need the name of a field beside them.
FIELD_QUANTITIES = ("field", "length", "text_length")


def measure(
    name: str,
    request: Request,
    *,
    field: str = "",
    fps: Decimal | None = None,
    binary: bool = False,
    named: bool = False,
) -> Amount:
    """Find a quantity in a request. `field` for field quantities, `fps` for seconds, `binary` for megapixels of 1024²,
    `named` where the size of the input must not stand for that of the output.

    Raises KeyError for a name outside the vocabulary; rules are checked before they come here.
    """
    if name == "field":
        value = request.value(field)
        number = as_number(value)
        return known(number, f"{field} {value}") if number is not None else missing(field)
    if name == "length":
        return counts.items(request, field)
    if name == "text_length":
        return counts.text_length(request, field)
    if name == "seconds" and fps is not None:
        return durations.output_seconds(request, fps=fps)
    if name == "megapixels" and (binary or named):
        sized = Request(request.fields, request.given) if named else request
        return megapixels.output_megapixels(sized, binary=binary)
    if name == "fps" and named:
        rate = _output_fps(request)
        return rate if rate.low is not None else known(0, "no frame rate told", assumed=True)
    if name == "input_megapixels" and binary:
        return megapixels.input_megapixels(request, binary=True)
    return QUANTITIES[name](request)
