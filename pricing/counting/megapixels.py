"""Megapixels in and out. A megapixel is 10⁶ pixels unless a price text counts 1024 × 1024 as one."""

from __future__ import annotations

from dataclasses import replace
from decimal import ROUND_CEILING, Decimal

from pricing.counting.amounts import Amount, add, known, missing, multiply
from pricing.counting.counts import outputs
from pricing.counting.durations import FPS_FIELDS, FRAME_FIELDS, output_frames
from pricing.counting.image_sizes import output_size
from pricing.counting.requests import Request, as_number, count_media, takes_media

CONTEXT_FIELD = "num_context_frames"
DECIMAL_MEGAPIXEL = Decimal(1_000_000)
BINARY_MEGAPIXEL = Decimal(1024 * 1024)


def output_megapixels(request: Request, *, binary: bool = False) -> Amount:
    """Megapixels of one output image (or one frame)."""
    size = output_size(request)
    if size.pixels is None:
        return missing(*size.missing, basis=size.basis)
    unit = BINARY_MEGAPIXEL if binary else DECIMAL_MEGAPIXEL
    return known(size.pixels / unit, size.basis, assumed=size.assumed)


def video_megapixels(request: Request) -> Amount:
    """Width × height × frames of the generated video in decimal megapixels.

    A range where frames of the input serve as context: who counts those says so, and uses the next quantity.
    """
    alone = multiply(output_megapixels(request), output_frames(request), _words(request))
    context = as_number(request.value(CONTEXT_FIELD)) if request.has(CONTEXT_FIELD) else None
    if not context or alone.high is None:
        return alone
    return replace(alone, high=context_video_megapixels(request).high, missing=(f"whether {CONTEXT_FIELD} are billed",))


def context_video_megapixels(request: Request) -> Amount:
    """As `video_megapixels`, with the frames of the input that serve as context counted too."""
    context = as_number(request.value(CONTEXT_FIELD))
    if context is None:
        return missing(CONTEXT_FIELD)
    frames = add(output_frames(request), known(context, f"{CONTEXT_FIELD} {context}"))
    return multiply(output_megapixels(request), frames, f"{_words(request)} and {context} of context")


def makes_video(request: Request) -> bool:
    """Whether the size of what comes out is counted over frames: frame fields, or a video that goes in."""
    return any(request.has(name) for name in (*FRAME_FIELDS, *FPS_FIELDS)) or takes_media(request, "video")


def input_megapixels(request: Request, *, binary: bool = False) -> Amount:
    """Megapixels of all input images together; 0 where the request brings none."""
    if not count_media(request, "image"):
        return known(0, "no input image")
    unit = BINARY_MEGAPIXEL if binary else DECIMAL_MEGAPIXEL
    area = request.media.get("input_images_mp")
    if area is not None:
        return known(area * DECIMAL_MEGAPIXEL / unit, f"input images of {area} megapixels as told")
    width, height = request.media.get("input_width"), request.media.get("input_height")
    if width and height and count_media(request, "image") == 1:
        return known(width * height / unit, f"input image {width}×{height}")
    return missing("input_images_mp")


def processed_megapixels(request: Request) -> Amount:
    """Whole megapixels in and out: each output, and the input images, rounded up to 1024 × 1024 pixels."""
    going_in = _whole(input_megapixels(request, binary=True))
    coming_out = multiply(_whole(output_megapixels(request, binary=True)), outputs(request), "")
    if going_in.low is None or coming_out.low is None:
        return missing(*dict.fromkeys(going_in.missing + coming_out.missing))
    total = going_in.low + coming_out.low
    return known(total, f"{coming_out.low:f} megapixels out and {going_in.low:f} in", assumed=True)


def _whole(amount: Amount) -> Amount:
    if amount.low is None:
        return amount
    return known(amount.low.to_integral_value(ROUND_CEILING), amount.basis, assumed=amount.assumed)


def _words(request: Request) -> str:
    return f"{output_size(request).basis}, {output_frames(request).basis}"
