"""What OpenAI's clients ask for and is not had: refused by name before anything is accepted or kept."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client as HttpClient

from catalog.providers import queue
from catalog.providers.base import KeyCheck
from genfeed.clients.keys import create_key
from genfeed.clients.models import Client
from genfeed.front.connections import HANDED_OVER
from genfeed.journal.audit import SYSTEM
from jobs.assets.models import Asset
from jobs.assets.retention import remove_file
from jobs.models import Job
from jobs.protocols.openai.images import Shown, images_body
from pricing.reports import refusals
from tests.jobs.assets.conftest import media  # noqa: F401
from tests.media.files import png
from tests.protocols.test_openai_api import (  # noqa: F401
    EDIT,
    IMAGE,
    VIDEO,
    error,
    generate,
    make_video,
    openai,
    post,
)

pytestmark = [pytest.mark.django_db, pytest.mark.once]

FOX, MASK = "https://example.com/fox.png", "https://example.com/mask.png"
OWN_KEY = "alice:alice-secret-of-the-provider-4711"


def edit(client: HttpClient, **params: Any) -> Any:
    return ended(post(client, "/v1/images/edits", {"model": EDIT, "prompt": "a hat", "image": FOX} | params))


def ended(answer: Any) -> Any:
    """The answer, of which nobody waits for the images."""
    if stream := answer.wsgi_request.environ.get(HANDED_OVER):
        stream.close()
    return answer


# --- nothing is passed over in silence ---


@pytest.mark.parametrize("param", ["image", "mask", "input_reference"])
def test_a_file_where_images_are_made_of_words_alone_is_refused(openai: HttpClient, param: str) -> None:  # noqa: F811
    answer = generate(openai, **{param: FOX})

    assert error(answer) == (400, "invalid_request", param)
    assert "Send it to" in answer.json()["error"]["hint"]
    assert not Job.objects.exists()


def test_a_form_with_a_file_where_none_is_taken_is_refused(openai: HttpClient) -> None:  # noqa: F811
    parts = {"model": IMAGE, "prompt": "a fox", "image": SimpleUploadedFile("fox.png", png(3, 2))}
    answer = openai.post("/v1/images/generations", parts, **{HANDED_OVER: None})  # type: ignore[arg-type]

    assert error(answer) == (400, "invalid_request", "image")
    assert not Asset.objects.exists()


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({"image": [FOX, 7]}, "image"),
        ({"image": [FOX, {"url": FOX}]}, "image"),
        ({"image": ""}, "image"),
        ({"image": [FOX, FOX]}, "image"),
        ({"mask": 7}, "mask"),
        ({"mask": [MASK, MASK]}, "mask"),
        ({"input_reference": FOX}, "input_reference"),
    ],
)
def test_files_of_an_edit_that_are_none_are_refused(openai: HttpClient, params: Any, param: str) -> None:  # noqa: F811
    assert error(edit(openai, **params)) == (400, "invalid_request", param)
    assert not Job.objects.exists()


def test_images_and_masks_of_an_edit_may_be_named_in_json(openai: HttpClient) -> None:  # noqa: F811
    assert edit(openai, image=[{"image_url": FOX}], mask={"image_url": MASK}).status_code == 200

    assert Job.objects.get().input == {"prompt": "a hat", "image_url": FOX, "mask_url": MASK}


@pytest.mark.parametrize("param", ["response_format", "image", "mask"])
def test_what_videos_do_not_have_is_refused(openai: HttpClient, param: str) -> None:  # noqa: F811
    assert error(make_video(openai, **{param: "x"})) == (400, "invalid_request", param)
    assert not Job.objects.exists()


@pytest.mark.parametrize("given", [7, [7], {"image_url": 7}, ""])
def test_a_picture_to_begin_with_that_is_none_is_refused(openai: HttpClient, given: Any) -> None:  # noqa: F811
    asked = {"model": VIDEO, "prompt": "a fox", "seconds": "10", "input_reference": given}

    assert error(post(openai, "/v1/videos", asked)) == (400, "invalid_request", "input_reference")


@pytest.mark.parametrize("param", ["user", "safety_identifier"])
def test_a_name_that_is_too_long_is_refused_by_its_parameter(openai: HttpClient, param: str) -> None:  # noqa: F811
    assert error(generate(openai, **{param: "x" * 501})) == (400, "invalid_request", param)


# --- bodies ---


@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary="])
def test_a_form_that_is_none_is_a_400(openai: HttpClient, content_type: str) -> None:  # noqa: F811
    answer = openai.post("/v1/images/edits", b"x", content_type=content_type, **{HANDED_OVER: None})

    assert error(answer) == (400, "invalid_request", None)


def test_what_is_nested_too_deeply_is_a_400(openai: HttpClient) -> None:  # noqa: F811
    body = b'{"model": "%s", "prompt": %s1%s}' % (IMAGE.encode(), b"[" * 500, b"]" * 500)
    answer = openai.post("/v1/images/generations", body, content_type="application/json", **{HANDED_OVER: None})

    assert error(answer) == (400, "invalid_request", None)


# --- money, keys and files ---


@pytest.mark.usefixtures("media")
@pytest.mark.parametrize(
    ("client", "params", "masks", "status"),
    [("Poor", {}, 0, 429), ("Acme", {"seed": "x"}, 0, 400), ("Acme", {}, 2, 400)],
)
def test_a_form_that_is_refused_leaves_no_files(
    openai: HttpClient,  # noqa: F811
    make_key: Callable[..., str],
    client: str,
    params: dict[str, str],
    masks: int,
    status: int,
) -> None:
    caller = HttpClient(headers={"Authorization": f"Bearer {make_key('jobs:write', client=client)}"})
    files = [SimpleUploadedFile(f"{n}.png", png(3, 2)) for n in range(masks + 1)]
    parts = {"model": EDIT, "prompt": "a hat", "image": files[0], "mask": files[1:]} | params

    answer = caller.post("/v1/images/edits", parts, **{HANDED_OVER: None})  # type: ignore[arg-type]

    assert error(answer)[0] == status
    assert not Asset.objects.exists()


def test_a_provider_key_of_the_callers_own_runs_the_job(
    openai: HttpClient,  # noqa: F811
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refused = generate(openai, headers={"X-Provider-Key": OWN_KEY})
    settings.GENFEED_MODE = "core"
    monkeypatch.setattr(queue, "check_key", lambda provider, key: KeyCheck("valid", ""))
    accepted = generate(openai, headers={"X-Provider-Key": OWN_KEY})

    assert (refused.status_code >= 400, b"4711" in refused.content) == (True, False)
    assert accepted.status_code == 200
    assert [job.key_hint for job in Job.objects.all()] == ["4711"]


@pytest.mark.parametrize(("is_test", "counted"), [(False, 1), (True, 0)])
def test_who_is_refused_by_a_limit_is_counted_but_not_in_test_mode(
    openai: HttpClient,  # noqa: F811
    settings: Any,
    is_test: bool,
    counted: int,
) -> None:
    settings.TEST_SANDBOX_URL = "http://127.0.0.1:1"
    client = Client.objects.get(name="Acme")
    Client.objects.update(jobs_per_minute=0)
    key = create_key(client, actor=SYSTEM, scopes=["jobs:write"], is_test=is_test)[1]

    answer = generate(HttpClient(headers={"Authorization": f"Bearer {key}"}))

    assert (answer.status_code, len(refusals._counts)) == (429, counted)


@pytest.mark.usefixtures("media")
def test_images_whose_time_has_passed_are_told_as_deleted(openai: HttpClient) -> None:  # noqa: F811
    generate(openai)
    job = Job.objects.get()
    job.status, job.output = "succeeded", {"images": [{"url": FOX}]}
    asset = Asset.objects.create(
        id="ast_1",
        client=job.client,
        job=job,
        origin="output",
        kind="image",
        name="fox.png",
        places=[["images", 0, "url"]],
    )
    remove_file(asset, problem="its time has passed")
    asset.refresh_from_db()

    with pytest.raises(Exception, match="deleted") as caught:
        images_body(job, [asset], Shown(by_url=True, inline=True), None)

    assert caught.value.status == 404  # type: ignore[attr-defined]
    assert orjson.dumps(caught.value.hint)  # type: ignore[attr-defined]
