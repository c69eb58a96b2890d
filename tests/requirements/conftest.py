"""A few recorded models, discovered as a provider offers them, so that a test sees what a client sees."""

import gzip
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.test import Client as HttpClient

from catalog import published
from tests import kept_rows
from tests.recorded import JUNE, rows
from tests.sandbox_server import RunningSandbox, recorded_catalog

RECORDED = (
    "fal-ai/flux/dev", "fal-ai/flux-lora", "fal-ai/recraft/v3/text-to-image", "fal-ai/ideogram/v2",
    "fal-ai/ideogram/v3", "fal-ai/hidream-i1-full", "fal-ai/stable-diffusion-v35-large",
    "fal-ai/kling-video/v1.6/standard/text-to-video", "fal-ai/kling-video/v2/master/text-to-video", "fal-ai/esrgan",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _without_prices(settings: Any) -> None:
    """These tests are about the catalog: in core mode a model needs no price to be offered."""
    settings.GENFEED_MODE = "core"


@cache
def _recorded() -> bytes:
    return gzip.compress(b"\n".join(orjson.dumps(row) for row in rows(JUNE) if row["endpoint_id"] in RECORDED))


@pytest.fixture
def few_offered(fal: RunningSandbox, tmp_path: Path) -> Callable[[], RunningSandbox]:
    """Makes the sandbox offer the recorded models of RECORDED; skipped where the recordings are missing."""
    recorded_catalog("2026-06")
    file = tmp_path / "few.jsonl.gz"

    def offer() -> RunningSandbox:
        file.write_bytes(_recorded())
        fal.load_catalog(file)
        return fal

    return offer


@pytest.fixture
def few(few_offered: Callable[[], RunningSandbox], sync: Callable[..., Any]) -> None:
    """The recorded models of RECORDED, discovered: really once, their rows kept from then on."""

    def discover() -> None:
        few_offered()
        assert sync().listed == len(RECORDED)

    kept_rows.once(("few",), discover)
    published.forget()


@pytest.fixture
def field_of(few: None, api: HttpClient) -> Callable[[str, str], dict[str, Any]]:
    """An input field ("loras") or a field within one ("loras.scale") of a model, as the API shows it."""

    def find(endpoint_id: str, path: str) -> dict[str, Any]:
        fields = api.get(f"/api/v1/models/{endpoint_id}").json()["inputs"]
        found: dict[str, Any] = {}
        for name in path.split("."):
            found = next(field for field in fields if field["name"] == name)
            fields = found.get("fields") or found.get("items", {}).get("fields", [])
        return found

    return find
