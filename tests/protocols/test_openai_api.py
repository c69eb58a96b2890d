"""OpenAI's addresses under /v1, call by call, and money as with every other job."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client as HttpClient
from django.test import override_settings

from catalog.models import AIModel
from genfeed.clients.keys import create_key
from genfeed.clients.models import Client
from genfeed.front.connections import HANDED_OVER
from genfeed.journal.audit import SYSTEM
from jobs.assets.models import Asset
from jobs.models import Job
from pricing.ledger.accounts import top_up
from pricing.models import Account
from pricing.reports import refusals
from tests.factories import publish_now
from tests.jobs.doubles import USD
from tests.media.files import png
from tests.pricing.estimates.sold import (
    DURATION,
    IMAGE_URL,
    IMAGES_OUT,
    NUM_IMAGES,
    PROMPT,
    VIDEO_OUT,
    field,
    make_sold,
)

pytestmark = pytest.mark.django_db

IMAGE, EDIT, VIDEO = "fal-ai/flux/dev", "acme/inpaint", "acme/video"
SIZE = field("image_size", enum=["auto", "1024x1024"], default="auto")
RATIO = field("aspect_ratio", enum=["16:9", "9:16"])
LINES = field("resolution", enum=["720p", "1080p"])


@pytest.fixture
def openai(make_key: Callable[..., str]) -> HttpClient:
    """A client with 10 USD, and a model of each kind."""
    make_sold(IMAGE, inputs=[PROMPT, NUM_IMAGES, SIZE, field("seed", "integer")], outputs=IMAGES_OUT)
    make_sold(EDIT, inputs=[PROMPT, IMAGE_URL, field("mask_url", media="image")], outputs=IMAGES_OUT)
    first = field("image_url", media="image")
    video = [PROMPT, first, DURATION, RATIO, LINES]
    make_sold(VIDEO, "0.01", "seconds", inputs=video, outputs=VIDEO_OUT, category="text-to-video", media_type="video")
    text = make_key("jobs:write", "jobs:read", "models:read")
    top_up(Client.objects.get(name="Acme").pk, 10 * USD, actor=SYSTEM, reason="paid")
    return HttpClient(headers={"Authorization": f"Bearer {text}"})


def post(client: HttpClient, path: str, body: Any, *, waits: bool = True, **headers: str) -> Any:
    """Posts JSON, as the front does that can hold an answer."""
    extra: dict[str, Any] = {HANDED_OVER: None} if waits else {}
    return client.post(path, orjson.dumps(body), content_type="application/json", headers=headers, **extra)


def generate(client: HttpClient, *, headers: dict[str, str] | None = None, waits: bool = True, **params: Any) -> Any:
    answer = post(
        client, "/v1/images/generations", {"model": IMAGE, "prompt": "a fox"} | params, waits=waits, **headers or {}
    )
    if answer.wsgi_request.environ.get(HANDED_OVER):
        answer.wsgi_request.environ[HANDED_OVER].close()
    return answer


def error(answer: Any) -> tuple[int, str, str | None]:
    told = answer.json()["error"]
    assert set(told) == {"message", "type", "param", "code", "hint", "requestId"}
    return answer.status_code, told["code"], told["param"]


# --- models ---


@pytest.mark.once
def test_the_models_of_images_and_videos_are_listed(openai: HttpClient) -> None:
    make_sold("acme/voice", category="text-to-speech", media_type="audio")

    told = openai.get("/v1/models").json()

    assert told["object"] == "list"
    assert [one["id"] for one in told["data"]] == [EDIT, VIDEO, IMAGE]
    assert set(told["data"][0]) == {"id", "object", "created", "owned_by"}


@pytest.mark.once
def test_a_model_is_found_by_its_id(openai: HttpClient) -> None:
    assert openai.get(f"/v1/models/{IMAGE}").json()["owned_by"] == "fal"
    assert error(openai.get("/v1/models/acme/none")) == (404, "model_not_found", "model")


@pytest.mark.once
@pytest.mark.parametrize(("is_test", "counted"), [(False, 1), (True, 0)])
def test_who_is_refused_a_model_is_counted_but_not_in_test_mode(
    openai: HttpClient, is_test: bool, counted: int
) -> None:
    AIModel.objects.filter(endpoint_id=IMAGE).update(enabled=False, switch="off")
    publish_now()
    key = create_key(Client.objects.get(name="Acme"), actor=SYSTEM, scopes=["models:read"], is_test=is_test)[1]

    answer = HttpClient(headers={"Authorization": f"Bearer {key}"}).get(f"/v1/models/{IMAGE}")

    assert error(answer)[1] == "model_disabled"
    assert len(refusals._counts) == counted


# --- errors ---


@pytest.mark.once
@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"prompt": None}, (400, "invalid_input", "prompt")),
        ({"n": 99}, (400, "invalid_input", "n")),
        ({"size": "1x2"}, (400, "invalid_request", "size")),
        ({"style": "vivid"}, (400, "invalid_request", "style")),
        ({"stream": True}, (400, "invalid_request", "stream")),
        ({"response_format": "png"}, (400, "invalid_request", "response_format")),
        ({"model": None}, (400, "invalid_request", "model")),
        ({"model": 7}, (400, "invalid_request", "model")),
        ({"model": "acme/none"}, (404, "model_not_found", "model")),
        ({"model": VIDEO}, (400, "invalid_request", "model")),
        ({"prompt": "a \x00"}, (400, "invalid_request", None)),
    ],
)
def test_a_refusal_names_the_parameter_and_accepts_nothing(
    openai: HttpClient, params: dict[str, Any], told: tuple[int, str, str | None]
) -> None:
    answer = generate(openai, **params)

    assert error(answer) == told
    assert answer.headers["x-should-retry"] == "false"
    assert not Job.objects.exists()


@pytest.mark.once
def test_an_unknown_key_and_a_missing_scope_are_told(openai: HttpClient, make_key: Callable[..., str]) -> None:
    stranger = HttpClient(headers={"Authorization": "Bearer gf_wrong"})
    reader = HttpClient(headers={"Authorization": f"Bearer {make_key('models:read')}"})

    assert error(generate(stranger)) == (401, "invalid_api_key", None)
    assert error(generate(reader)) == (403, "insufficient_permissions", None)


@pytest.mark.once
def test_an_empty_balance_is_a_quota_that_nobody_asks_for_again(make_key: Callable[..., str]) -> None:
    make_sold(IMAGE, outputs=IMAGES_OUT)
    poor = HttpClient(headers={"Authorization": f"Bearer {make_key('jobs:write')}"})

    answer = generate(poor)

    assert error(answer) == (429, "insufficient_quota", None)
    assert answer.headers["x-should-retry"] == "false"


@pytest.mark.once
def test_a_limit_may_be_met_again_later(openai: HttpClient) -> None:
    Client.objects.update(jobs_per_minute=1)

    generate(openai)
    answer = generate(openai)

    assert error(answer) == (429, "rate_limit_exceeded", None)
    assert (answer.headers["x-should-retry"], int(answer.headers["Retry-After"]) > 0) == ("true", True)


@pytest.mark.once
@pytest.mark.parametrize(
    ("method", "path", "status"), [("get", "/v1/images/generations", 405), ("get", "/v1/chat", 404)]
)
def test_other_calls_are_answered_in_the_same_form(openai: HttpClient, method: str, path: str, status: int) -> None:
    assert error(getattr(openai, method)(path))[0] == status


@pytest.mark.once
def test_what_is_no_json_is_refused(openai: HttpClient) -> None:
    answer = openai.post("/v1/images/generations", b"{", content_type="application/json", **{HANDED_OVER: None})

    assert error(answer) == (400, "invalid_request", None)


@pytest.mark.once
def test_without_an_event_loop_nothing_is_accepted(openai: HttpClient) -> None:
    assert error(generate(openai, waits=False)) == (503, "not_configured", None)
    assert not Job.objects.exists()


# --- images ---


def test_a_request_for_images_is_a_job_with_its_hold(openai: HttpClient) -> None:
    answer = generate(openai, n=2, size="1024x1024", quality="standard", user="u1", seed=3)

    job = Job.objects.get()
    assert answer.headers["X-GenFeed-Job"] == job.pk
    assert job.input == {"prompt": "a fox", "num_images": 2, "image_size": "1024x1024", "seed": 3}
    assert job.metadata == {"user": "u1"}
    assert Account.objects.get().held == job.hold_amount > 0


def test_the_same_key_is_one_job_and_another_request_is_refused(openai: HttpClient) -> None:
    same = {"Idempotency-Key": "one"}

    first = generate(openai, headers=same).headers["X-GenFeed-Job"]
    again = generate(openai, headers=same).headers["X-GenFeed-Job"]
    other = generate(openai, headers=same, prompt="a hen")

    assert first == again == Job.objects.get().pk
    assert error(other) == (400, "idempotency_key_reused", None)


def edit(client: HttpClient, **headers: str) -> Any:
    """A form as the SDK sends it; each has a boundary of its own."""
    parts = {
        "model": EDIT, "prompt": "a hat",
        "image": SimpleUploadedFile("fox.png", png(64, 48)),
        "mask": SimpleUploadedFile("mask.png", png(64, 48)),
    }  # fmt: skip
    extra: dict[str, Any] = {HANDED_OVER: None}
    answer = client.post("/v1/images/edits", parts, headers=headers, **extra)
    if answer.wsgi_request.environ.get(HANDED_OVER):
        answer.wsgi_request.environ[HANDED_OVER].close()
    return answer


def test_an_edit_keeps_its_files_as_uploads_of_the_client(openai: HttpClient) -> None:
    assert edit(openai).status_code == 200

    job, files = Job.objects.get(), {asset.name: asset for asset in Asset.objects.all()}
    named = {"image_url": files["fox.png"], "mask_url": files["mask.png"]}
    assert job.input == {"prompt": "a hat"} | {name: f"asset:{asset.pk}" for name, asset in named.items()}
    assert {(asset.origin, asset.width) for asset in named.values()} == {("upload", 64)}


def test_a_form_that_is_sent_again_with_its_key_is_one_job_and_one_set_of_files(openai: HttpClient) -> None:
    first, again = (edit(openai, **{"Idempotency-Key": "one"}) for _ in range(2))

    assert first.headers["X-GenFeed-Job"] == again.headers["X-GenFeed-Job"] == Job.objects.get().pk
    assert Asset.objects.count() == 2


@pytest.mark.once
def test_an_edit_without_an_image_is_refused(openai: HttpClient) -> None:
    answer = post(openai, "/v1/images/edits", {"model": EDIT, "prompt": "a hat"})

    assert error(answer) == (400, "invalid_request", "image")


# --- videos ---


def make_video(client: HttpClient, **params: Any) -> Any:
    asked = {"model": VIDEO, "prompt": "a fox", "seconds": "10", "size": "1280x720"} | params
    return client.post("/v1/videos", asked)


@pytest.mark.once
def test_a_video_is_a_job_that_is_asked_after(openai: HttpClient) -> None:
    made = make_video(openai).json()

    job = Job.objects.get()
    assert job.input == {"prompt": "a fox", "duration": "10", "aspect_ratio": "16:9", "resolution": "720p"}
    expected = {"id": job.pk, "object": "video", "status": "queued", "model": VIDEO, "progress": 0, "seconds": "10"}
    assert expected.items() <= made.items()
    assert made["prompt"] == "a fox"
    assert openai.get(f"/v1/videos/{job.pk}").json() == made


@pytest.mark.once
def test_a_picture_to_begin_with_may_be_an_address(openai: HttpClient) -> None:
    make_video(openai, **{"input_reference[image_url]": "https://example.com/fox.png"})

    assert Job.objects.get().input["image_url"] == "https://example.com/fox.png"


@pytest.mark.once
def test_a_length_that_the_model_does_not_make_is_refused(openai: HttpClient) -> None:
    assert error(make_video(openai, seconds="8")) == (400, "invalid_request", "seconds")


def test_videos_are_listed_page_by_page_and_images_are_not(openai: HttpClient) -> None:
    generate(openai)
    ids = [make_video(openai).json()["id"] for _ in range(3)]

    first = openai.get("/v1/videos?limit=2").json()
    rest = openai.get(f"/v1/videos?limit=2&after={first['last_id']}").json()
    upwards = openai.get("/v1/videos?order=asc").json()

    assert [one["id"] for one in first["data"] + rest["data"]] == ids[::-1]
    assert (first["has_more"], rest["has_more"]) == (True, False)
    assert [one["id"] for one in upwards["data"]] == ids
    assert error(openai.get("/v1/videos?limit=0")) == (400, "invalid_request", "limit")


@pytest.mark.once
def test_other_clients_videos_are_unknown(openai: HttpClient, make_key: Callable[..., str]) -> None:
    video = make_video(openai).json()["id"]
    other = HttpClient(headers={"Authorization": f"Bearer {make_key('jobs:write', 'jobs:read', client='Other')}"})

    assert error(other.get(f"/v1/videos/{video}"))[:2] == (404, "not_found")
    assert error(other.delete(f"/v1/videos/{video}"))[:2] == (404, "not_found")
    assert other.get("/v1/videos").json()["data"] == []


@pytest.mark.once
def test_a_video_that_is_deleted_before_it_is_made_is_canceled(openai: HttpClient) -> None:
    video = make_video(openai).json()["id"]

    told = openai.delete(f"/v1/videos/{video}").json()

    assert told == {"id": video, "object": "video.deleted", "deleted": True}
    assert Job.objects.get().status == "canceled"
    assert Account.objects.get().held == 0
    assert openai.get(f"/v1/videos/{video}").json()["status"] == "failed"
    assert error(openai.get(f"/v1/videos/{video}/content"))[:2] == (404, "not_found")


@pytest.mark.once
def test_a_video_without_a_file_yet_is_a_conflict(openai: HttpClient) -> None:
    video = make_video(openai).json()["id"]

    assert error(openai.get(f"/v1/videos/{video}/content"))[:2] == (409, "conflict")
    assert error(openai.get(f"/v1/videos/{video}/content?variant=thumbnail")) == (400, "invalid_request", "variant")


@pytest.mark.once
@override_settings(DATA_UPLOAD_MAX_MEMORY_SIZE=100)
def test_a_body_that_is_too_large_is_told_in_the_same_form(openai: HttpClient) -> None:
    assert error(generate(openai, prompt="fox " * 100))[:2] == (413, "payload_too_large")
