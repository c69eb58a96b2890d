"""Files of clients that claim to be enormous: the client's mistake, or taken at their word, and never a crash."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client as HttpClient

from genfeed.front.connections import HANDED_OVER
from tests.factories import publish_now
from tests.media import bombs
from tests.pricing.estimates.sold import IMAGE_URL, IMAGES_OUT, make_sold

pytestmark = pytest.mark.django_db

MODEL = "fal-ai/upscale"
LARGEST = 2**31 - 1
CLAIMS = {
    "a PNG of 100,000 × 100,000": bombs.png(100_000, 100_000),
    "a PNG beyond 31 bits": bombs.png(2**32 - 1, 2**32 - 1),
    "an AVIF as large as any": bombs.avif(LARGEST, LARGEST),
    "an AVIF whose parts multiply": bombs.avif(640, 480, inside=bombs.endless_extents(50)),
    "a WebP of many frames": bombs.webp(16_000_000, 16_000_000, frames=1_000),
    "sides of four thousand digits": b"P5 " + b"9" * 4_000 + b" " + b"9" * 4_000 + b"\n255\n",
    "half a PNG": bombs.png(9, 9)[:18],
    "what comes before an SVG": b"<?xml>" * 600,
}  # fmt: skip


@pytest.fixture
def http(make_key: Callable[..., str]) -> HttpClient:
    scale: dict[str, Any] = {"name": "scale", "type": "number", "required": False, "nullable": False, "default": 4}
    make_sold(MODEL, "100", "megapixels", inputs=[IMAGE_URL, scale], outputs=IMAGES_OUT)
    publish_now()
    return HttpClient(headers={"Authorization": f"Bearer {make_key('admin')}"}, raise_request_exception=False)


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_file_in_an_estimate_or_a_job_may_claim_what_it_likes(http: HttpClient, claim: str) -> None:
    uri = f"data:image/png;base64,{base64.b64encode(CLAIMS[claim]).decode()}"
    body = orjson.dumps({"model": MODEL, "input": {"image_url": uri}})

    for path in ("/api/v1/estimates", "/api/v1/jobs"):
        answer = http.post(path, body, content_type="application/json", **{HANDED_OVER: None})  # type: ignore[arg-type]
        assert answer.status_code < 500, (path, answer.content)


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_file_that_is_uploaded_may_claim_what_it_likes(http: HttpClient, claim: str) -> None:
    answer = http.post("/api/v1/uploads", {"file": SimpleUploadedFile("a.png", CLAIMS[claim])})

    assert answer.status_code in (201, 400, 415), answer.content
    sides = [side for side in (answer.json().get("width"), answer.json().get("height")) if side is not None]
    assert all(0 < side <= LARGEST for side in sides)


@pytest.mark.parametrize("told", [{"input_images_mp": "1e30"}, {"input_width": "1e20", "input_height": "1e20"}])
def test_facts_that_are_told_may_claim_what_they_like(http: HttpClient, told: dict[str, str]) -> None:
    body = orjson.dumps({"model": MODEL, "input": {"image_url": "https://example.com/a.png"}, "media": told})

    for path in ("/api/v1/estimates", "/api/v1/jobs"):
        answer = http.post(path, body, content_type="application/json", **{HANDED_OVER: None})  # type: ignore[arg-type]
        assert 400 <= answer.status_code < 500 or path == "/api/v1/estimates", (path, answer.content)
        assert answer.status_code < 500, (path, answer.content)
