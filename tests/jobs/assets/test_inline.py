"""Data URIs in inputs."""

import base64
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from genfeed.clients.errors import ApiError
from genfeed.sandbox.media.making import Wish, make
from jobs.assets.models import Asset
from jobs.models import Job, Status
from tests.jobs.assets.conftest import key_of
from tests.jobs.assets.test_references import EDIT, UPSCALE, edit_of, sent
from tests.jobs.conftest import Run
from tests.jobs.doubles import make_caller, make_job
from tests.pricing.estimates.sold import IMAGE_URL, IMAGES_OUT, PROMPT, VIDEO_OUT, VIDEO_URL, make_sold
from tests.sandbox_server import RunningSandbox

pytestmark = [pytest.mark.django_db, pytest.mark.once]

PICTURE = make(Wish(kind="png", seed="a", width=64, height=64))


@pytest.fixture(autouse=True)
def models(sandbox: RunningSandbox) -> None:
    make_caller()
    make_sold(EDIT, "0.03", "images", inputs=[PROMPT, IMAGE_URL], outputs=IMAGES_OUT)
    make_sold(UPSCALE, "0.01", "seconds", inputs=[VIDEO_URL], outputs=VIDEO_OUT)


def data_uri(content: bytes, told: str = "image/png") -> str:
    return f"data:{told};base64,{base64.b64encode(content).decode()}"


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_data_uri_reaches_the_provider_as_an_address(run: Run, sandbox: RunningSandbox) -> None:
    job = run(**edit_of(data_uri(PICTURE)))

    assert job.status == Status.SUCCEEDED
    address = sent(sandbox)["image_url"]
    assert address.startswith(sandbox.cdn_url)
    assert httpx.get(address).content == PICTURE


def test_no_row_holds_the_file(sandbox: RunningSandbox) -> None:
    job = make_job(make_caller(), **edit_of(data_uri(PICTURE)))

    asset = Asset.objects.get()
    assert job.input["image_url"] == f"asset:{asset.pk}"
    assert (asset.state, asset.origin, asset.width) == ("stored", "upload", 64)


def test_a_scanner_sees_them_before_a_job_is_accepted(sandbox: RunningSandbox, settings: Any) -> None:
    settings.ASSET_SCANNER = "tests.jobs.assets.test_uploads.suspicious"

    with pytest.raises(ApiError) as refused:
        make_job(make_caller(), **edit_of(data_uri(PICTURE)))

    assert refused.value.code == "content_refused"
    assert (Asset.objects.count(), Job.objects.count()) == (0, 0)


def test_a_request_that_is_refused_leaves_no_file(media: Path, sandbox: RunningSandbox) -> None:
    poor = make_caller(0, name="Poor")

    with pytest.raises(ApiError) as refused:
        make_job(poor, **edit_of(data_uri(PICTURE)))

    assert refused.value.code == "insufficient_funds"
    assert (Asset.objects.count(), files_below(media)) == (0, [])


@pytest.mark.parametrize("text", ["data:image/png;base64,???", "data:image/png;base64,AAA"])
def test_what_is_no_base64_is_named(text: str) -> None:
    with pytest.raises(ApiError) as refused:
        make_job(make_caller(), **edit_of(text))

    assert refused.value.code == "invalid_input"
    assert "image_url" in refused.value.message + str(refused.value.details)


def test_what_no_upload_may_be_is_refused() -> None:
    with pytest.raises(ApiError) as refused:
        make_job(make_caller(), **edit_of(data_uri(b"<html><script>alert(1)</script>")))

    assert (refused.value.code, Job.objects.count()) == ("unsupported_media", 0)


def test_a_prompt_that_begins_with_data_stays_a_prompt(run: Run, sandbox: RunningSandbox) -> None:
    run(model=EDIT, input={"prompt": "data: a chart, base64, of numbers", "image_url": "https://example.com/a.png"})

    assert sent(sandbox)["prompt"] == "data: a chart, base64, of numbers"


def test_an_estimate_knows_a_film_in_a_data_uri_and_keeps_nothing() -> None:
    film = make(Wish(kind="mp4", seed="a", width=320, height=240, seconds=3))
    body = {"model": UPSCALE, "input": {"video_url": data_uri(film, "video/mp4")}}

    estimate = key_of("Acme", "estimates").post("/api/v1/estimates", orjson.dumps(body), "application/json").json()

    assert (estimate["units"], Asset.objects.count()) == ("3", 0)


def test_a_body_beyond_the_cap_is_told_to_upload(settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100_000
    body = orjson.dumps(edit_of(data_uri(bytes(100_000))))

    answer = key_of().post("/api/v1/jobs", body, "application/json")

    assert (answer.status_code, answer.json()["code"]) == (413, "payload_too_large")
    assert "/api/v1/uploads" in answer.json()["hint"]
