"""Video tokens: height × width × 24 frames per second × seconds ÷ 1024."""

from __future__ import annotations

from decimal import Decimal

from pricing.counting.amounts import Amount, known, missing, multiply, scale
from pricing.counting.durations import duration_field, frames_field, output_frames, output_seconds
from pricing.counting.image_sizes import RESOLUTION_FIELDS, lines_and_pixels, output_size
from pricing.counting.requests import Request

TOKEN_FPS = Decimal(24)
_PIXELS_PER_TOKEN = Decimal(1024)


def video_tokens(request: Request) -> Amount:
    """Tokens of the generated video, by its resolution's 16:9 area (other ratios keep the area) and its length."""
    area = _area(request)
    frame = frames_field(request)
    if frame and request.value(frame) is not None:
        length = scale(output_frames(request), 1 / TOKEN_FPS, "")
    else:
        length = output_seconds(request)
    if duration_field(request) is None and frame is None:
        return missing("output tokens", basis="the number of tokens is not known before the request has run")
    return scale(
        multiply(area, length, f"{area.basis}, {length.basis}, 24 frames per second, ÷ 1024"),
        TOKEN_FPS / _PIXELS_PER_TOKEN,
        "",
    )


def _area(request: Request) -> Amount:
    for name in RESOLUTION_FIELDS:
        if request.has(name):
            found = lines_and_pixels(request.value(name))
            if found:
                return known(found[1], f"{name} {request.value(name)}")
            return missing(name)
    size = output_size(request)
    return known(size.pixels, size.basis) if size.pixels is not None else missing(*size.missing, basis=size.basis)
