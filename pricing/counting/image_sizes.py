"""Width and height of what a request makes, from size fields, presets, or aspect ratio with a resolution word."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pricing.counting.requests import Request, as_number, is_given, offers_media, takes_media

# The presets of fal's ImageSize and the larger ones that newer models add.
PRESETS: dict[str, tuple[int, int]] = {
    "square_hd": (1024, 1024),
    "square": (512, 512),
    "square_uhd": (2048, 2048),
    "portrait_4_3": (768, 1024),
    "portrait_16_9": (576, 1024),
    "portrait_3_2": (1024, 1536),
    "landscape_4_3": (1024, 768),
    "landscape_16_9": (1024, 576),
    "landscape_3_2": (1536, 1024),
}
SIZE_FIELDS = ("image_size", "video_size", "output_size", "size", "canvas_size", "shot_size")
RESOLUTION_FIELDS = ("resolution", "target_resolution", "output_resolution", "video_resolution")
FACTOR_FIELDS = ("upscale_factor", "scale_factor", "upscaling_factor", "desired_increase", "upscale", "scale")

_PAIR = re.compile(r"^\s*(\d{2,5})\s*[x×*:]\s*(\d{2,5})\s*$", re.I)
_LINES = re.compile(r"^\s*(?:true_)?(\d{3,4})\s*p?\s*$", re.I)
_KILO = re.compile(r"^\s*(\d(?:\.\d)?)\s*k\s*$", re.I)
_RATIO = re.compile(r"^\s*(\d{1,2})\s*:\s*(\d{1,2})\s*$")
_GROWS = re.compile(r"^(expand|zoom_out|outpaint|extend)_")
_OBJECT_DEFAULT = 512


@dataclass(frozen=True, slots=True)
class Size:
    """Pixels of one output, or the names of what is missing. Sides are 0 where only the area is known."""

    pixels: Decimal | None
    width: int
    height: int
    basis: str
    missing: tuple[str, ...] = ()
    assumed: bool = False


def output_size(request: Request) -> Size:
    """The size of one output of the request; explicit size first, then the input's size where the model keeps that."""
    for name in SIZE_FIELDS:
        if request.has(name):
            found = _read_size(request, name)
            if found:
                return found
    if request.has("width") and request.has("height"):
        width, height = as_number(request.value("width")), as_number(request.value("height"))
        if width and height:
            return _sized(int(width), int(height), f"{width}×{height}")
    named = _by_resolution_words(request)
    if named:
        return named
    return _like_input(request)


def lines_and_pixels(word: Any) -> tuple[int, Decimal] | None:
    """Lines and 16:9 area of a video resolution word: "720p" → (720, 921600); "4k" → (2160, …); None if it is none."""
    if isinstance(word, bool):
        return None
    text = str(word)
    match = _LINES.match(text)
    if match:
        lines = int(match[1])
    elif text.strip().lower() in ("2k", "4k", "8k"):
        lines = {"2": 1440, "4": 2160, "8": 4320}[text.strip()[0]]
    else:
        return None
    return lines, Decimal(lines) * lines * 16 / 9


def _read_size(request: Request, name: str) -> Size | None:
    value = request.value(name)
    if isinstance(value, dict):
        width, height = (
            as_number(value.get(side)) or _side_default(request, name, side) for side in ("width", "height")
        )
        return _sized(int(width), int(height), f"{name} {width}×{height}")
    if isinstance(value, list) and len(value) == 2 and all(as_number(side) for side in value):
        return _sized(int(value[0]), int(value[1]), f"{name} {value[0]}×{value[1]}")
    if isinstance(value, str):
        preset = PRESETS.get(value.strip().lower())
        if preset:
            return _sized(*preset, f"{name} {value} = {preset[0]}×{preset[1]}")
        pair = _PAIR.match(value)
        if pair:
            return _sized(int(pair[1]), int(pair[2]), f"{name} {value}")
    if value is None or (isinstance(value, str) and value.strip().lower() in ("auto", "match_input")):
        fallback = _like_input(request)
        return Size(fallback.pixels, fallback.width, fallback.height, fallback.basis, (name, *fallback.missing))
    return Size(None, 0, 0, f"{name} {value!r} has no size in pixels that is known", (name,))


def _side_default(request: Request, name: str, side: str) -> Decimal:
    for inner in request.fields[name].get("fields", []):
        if inner["name"] == side:
            return as_number(inner.get("default")) or Decimal(_OBJECT_DEFAULT)
    return Decimal(_OBJECT_DEFAULT)


def _by_resolution_words(request: Request) -> Size | None:
    if request.value("upscale_mode") == "factor":
        return None
    for name in RESOLUTION_FIELDS:
        value = request.value(name) if request.has(name) else None
        if not isinstance(value, str | int) or isinstance(value, bool):
            continue
        pair = _PAIR.match(str(value))
        if pair:
            return _sized(int(pair[1]), int(pair[2]), f"{name} {value}")
        if _takes_time(request):
            found = lines_and_pixels(value)
            if found:
                return _video_frame(request, name, value, *found)
        kilo = _KILO.match(str(value))
        if kilo:
            side = Decimal(kilo[1]) * 1024
            return Size(side * side, 0, 0, f"{name} {value} as {side:f}² pixels", (), True)
    return None


def _video_frame(request: Request, name: str, value: Any, lines: int, pixels: Decimal) -> Size:
    ratio = _RATIO.match(str(request.value("aspect_ratio") or ""))
    if ratio and (int(ratio[1]), int(ratio[2])) == (16, 9):
        return Size(pixels, 0, lines, f"{name} {value} at 16:9")
    return Size(pixels, 0, lines, f"{name} {value}, the area of its 16:9 frame", (), True)


def _takes_time(request: Request) -> bool:
    return any(name in request.fields for name in ("duration", "num_frames", "frames_per_second", "fps", "video_url"))


def _like_input(request: Request) -> Size:
    changed = _changes_shape(request)
    if changed:
        return Size(None, 0, 0, f"{changed} makes the output another size than the input", ("output size",))
    if not any(offers_media(request.fields, kind) for kind in ("image", "video")):
        return Size(None, 0, 0, "the schema names no output size", ("output size",))
    factor, words = upscale_factor(request)
    width, height = request.media.get("input_width"), request.media.get("input_height")
    if width and height:
        basis = f"input {width}×{height}{words}"
        return _sized(int(width * factor), int(height * factor), basis)
    area = request.media.get("input_images_mp")
    if area is not None and takes_media(request, "image"):
        return Size(area * 1_000_000 * factor * factor, 0, 0, f"input of {area} megapixels{words}", (), True)
    if takes_media(request, "image") and not takes_media(request, "video"):
        return Size(None, 0, 0, "the output follows the input image, whose size is not known", ("input_images_mp",))
    if takes_media(request, "video"):
        return Size(
            None, 0, 0, "the output follows the input video, whose size is not known", ("input_width", "input_height")
        )
    return Size(None, 0, 0, "the schema names no output size", ("output size",))


def _changes_shape(request: Request) -> str | None:
    """The field by which an image comes out in another shape or larger than it went in, but not how large."""
    if not takes_media(request, "image"):
        return None
    if _RATIO.match(str(request.value("aspect_ratio") or "")):
        return "aspect_ratio"
    grown = [name for name in request.fields if _GROWS.match(name) and is_given(request.value(name))]
    return next((name for name in grown if as_number(request.value(name)) != 0), None)


def upscale_factor(request: Request) -> tuple[Decimal, str]:
    """The factor by which each side grows, 1 where the model has none."""
    for name in FACTOR_FIELDS:
        if not request.has(name) or not is_given(request.value(name)):
            continue
        factor = as_number(request.value(name))
        if factor and factor > 0:
            return factor, f", {name} {factor}"
    return Decimal(1), ""


def _sized(width: int, height: int, basis: str) -> Size:
    return Size(Decimal(width) * height, width, height, basis)
