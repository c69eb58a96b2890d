"""The proxy for pages: a token of minutes, our own models alone, and never a way to anywhere else."""

from datetime import timedelta
from typing import Any

import orjson
import pytest
from django.test import Client as HttpClient
from django.utils import timezone

from genfeed.clients import browser_tokens
from genfeed.clients.keys import revoke_key
from genfeed.clients.models import ApiKey
from genfeed.journal.audit import SYSTEM
from jobs.assets.models import Asset
from jobs.clean_up import clean_up
from jobs.models import BrowserTokenLimit, Job
from pricing.models import Hold
from tests.jobs.assets.conftest import media  # noqa: F401
from tests.jobs.doubles import PRICE
from tests.media.files import png
from tests.pricing.estimates.sold import IMAGES_OUT, make_sold
from tests.protocols.conftest import MODEL, post, speaking

pytestmark = pytest.mark.django_db

PAGE = "https://app.example.com"
PROXY = "/fal/proxy"


def token_of(client: HttpClient, **more: Any) -> dict[str, Any]:
    answer = post(client, "/api/v1/browser-tokens", {"origin": PAGE, **more})
    assert answer.status_code == 201, answer.content
    return dict(answer.json())


@pytest.fixture
def page(acme: HttpClient) -> HttpClient:
    """A page of Acme's with a token."""
    return speaking(token_of(acme)["token"])


def ask(page: HttpClient, target: str, method: str = "POST", body: Any = None, **headers: str) -> Any:
    data = orjson.dumps({"prompt": "a fox"} if body is None else body)
    headers = {"X-Fal-Target-Url": target, "Origin": PAGE, **headers}
    return page.generic(method, PROXY, data, content_type="application/json", headers=headers)


def submitted(page: HttpClient) -> str:
    answer = ask(page, f"https://queue.fal.run/{MODEL}")
    assert answer.status_code == 200, answer.content
    return str(answer.json()["request_id"])


def test_a_page_runs_a_model_and_reads_what_became_of_it(page: HttpClient) -> None:
    request_id = submitted(page)
    base = f"https://queue.fal.run/fal-ai/flux/requests/{request_id}"

    assert ask(page, f"{base}/status?logs=0", "GET").json()["status"] == "IN_QUEUE"
    assert ask(page, f"{base}/cancel", "PUT").status_code == 202
    assert ask(page, base, "GET").status_code == 499


@pytest.mark.parametrize(
    "target",
    [
        "https://example.com/fal-ai/flux/dev", "http://queue.fal.run/fal-ai/flux/dev", "https://queue.fal.run/",
        "https://queue.fal.run.evil.com/fal-ai/flux/dev", "https://queue.fal.run@evil.com/fal-ai/flux/dev",
        "https://queue.fal.run:8443/fal-ai/flux/dev", "https://rest.fal.ai/tokens/", "https://rest.fal.ai/keys",
        "https://queue.fal.run/../../api/v1/jobs", "file:///etc/passwd", "https://[::1/x",
    ],
)  # fmt: skip
def test_it_is_no_way_to_anywhere_else(page: HttpClient, target: str) -> None:
    assert ask(page, target).status_code == 403
    assert not Job.objects.exists()


def test_it_runs_nothing_that_is_no_model_here(page: HttpClient) -> None:
    assert ask(page, "https://queue.fal.run/fal-ai/unknown").status_code == 404


def test_nobody_uses_it_without_a_token(acme: HttpClient) -> None:
    assert ask(HttpClient(), f"https://queue.fal.run/{MODEL}").status_code == 401
    assert ask(speaking("gfb_made-up"), f"https://queue.fal.run/{MODEL}").status_code == 401
    assert not Job.objects.exists()


def test_a_key_and_a_body_at_two_targets_are_two_requests(page: HttpClient) -> None:
    make_sold("fal-ai/other", outputs=IMAGES_OUT)
    same = {"Idempotency-Key": "one"}
    assert ask(page, f"https://queue.fal.run/{MODEL}", **same).status_code == 200
    assert ask(page, "https://queue.fal.run/fal-ai/other", **same).status_code == 422


# --- what a token may not ---


def test_a_token_is_no_key_of_the_api(page: HttpClient) -> None:
    assert page.get("/api/v1/jobs").status_code == 401
    assert post(page, "/api/v1/browser-tokens", {"origin": PAGE}).status_code == 401


def test_a_token_sees_its_own_requests_alone(page: HttpClient, acme: HttpClient) -> None:
    other = speaking(token_of(acme)["token"])
    base = f"https://queue.fal.run/fal-ai/flux/requests/{submitted(page)}"
    assert ask(other, f"{base}/status", "GET").status_code == 404
    assert ask(other, f"{base}/cancel", "PUT").status_code == 404
    assert acme.get(f"/fal/queue/{base.split('.run/')[1]}/status").status_code == 202


def test_a_token_runs_only_its_models(acme: HttpClient) -> None:
    make_sold("fal-ai/other", outputs=IMAGES_OUT)
    page = speaking(token_of(acme, models=["fal-ai/flux/*"])["token"])
    assert ask(page, "https://queue.fal.run/fal-ai/other").status_code == 404
    assert submitted(page)


def test_a_token_pays_no_more_than_it_may(acme: HttpClient) -> None:
    page = speaking(token_of(acme, max_price="0.05")["token"])
    assert ask(page, f"https://queue.fal.run/{MODEL}").status_code == 403
    assert not Job.objects.exists()


def test_all_requests_of_a_token_together_take_no_more_than_it_may(acme: HttpClient) -> None:
    page = speaking(token_of(acme, max_total="0.20")["token"])
    answers = [ask(page, f"https://queue.fal.run/{MODEL}").status_code for _ in range(3)]

    # Each may cost 0.083333333.
    assert answers == [200, 200, 403]
    assert (Job.objects.count(), Hold.objects.count()) == (2, 2)
    assert BrowserTokenLimit.objects.get().taken == 2 * PRICE


def test_ceilings_of_tokens_that_have_ended_are_forgotten(acme: HttpClient) -> None:
    token_of(acme, max_total="1")
    assert clean_up(now=timezone.now() + timedelta(hours=24))["browser_token_limits"] == 0
    assert clean_up(now=timezone.now() + timedelta(hours=25))["browser_token_limits"] == 1


def test_a_token_of_another_site_is_refused(page: HttpClient) -> None:
    answer = ask(page, f"https://queue.fal.run/{MODEL}", Origin="https://evil.example.com")
    assert answer.status_code == 403
    assert not Job.objects.exists()


def test_a_token_ends_with_its_time(page: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    now = browser_tokens.time.time()
    monkeypatch.setattr(browser_tokens.time, "time", lambda: now + 601)
    assert ask(page, f"https://queue.fal.run/{MODEL}").status_code == 401


def test_a_token_ends_with_the_key_that_made_it(page: HttpClient) -> None:
    revoke_key(ApiKey.objects.get(), actor=SYSTEM)
    assert ask(page, f"https://queue.fal.run/{MODEL}").status_code == 401


@pytest.mark.parametrize("origin", ["app.example.com", "https://a.com/path", "https://", "null", "ftp://a.com", "*"])
def test_an_origin_must_be_one(acme: HttpClient, origin: str) -> None:
    assert post(acme, "/api/v1/browser-tokens", {"origin": origin}).status_code == 400


# --- who may read ---


def test_pages_of_the_origin_read_the_answers_of_its_token_and_no_page_those_of_a_key(
    page: HttpClient, acme: HttpClient
) -> None:
    by_token = ask(page, f"https://queue.fal.run/{MODEL}")
    by_key = ask(acme, f"https://queue.fal.run/{MODEL}")
    assert by_token.headers["Access-Control-Allow-Origin"] == PAGE
    assert "x-fal-request-id" in by_token.headers["Access-Control-Expose-Headers"]
    assert "Access-Control-Allow-Origin" not in by_key.headers


def test_a_preflight_is_answered_without_a_token() -> None:
    answer = HttpClient().options(PROXY, headers={"Origin": PAGE, "Access-Control-Request-Method": "POST"})
    assert (answer.status_code, answer.headers["Access-Control-Allow-Methods"]) == (204, "GET, POST, PUT")
    assert "x-fal-target-url" in answer.headers["Access-Control-Allow-Headers"]


# --- files ---


def put(urls: dict[str, str], content: bytes) -> Any:
    path = urls["upload_url"].removeprefix("http://testserver")
    return HttpClient().put(path, content, content_type="image/png")


def initiated(page: HttpClient) -> dict[str, str]:
    target = "https://rest.fal.ai/storage/upload/initiate?storage_type=fal-cdn-v3"
    answer = ask(page, target, body={"content_type": "image/png", "file_name": "a.png"})
    assert answer.status_code == 200, answer.content
    return dict(answer.json())


@pytest.mark.usefixtures("media")
def test_a_page_uploads_a_file_and_names_it_by_its_address(page: HttpClient) -> None:
    urls = initiated(page)

    assert put(urls, png(3, 2)).status_code == 200

    asset = Asset.objects.get()
    assert (asset.width, asset.height, asset.client.name) == (3, 2, "Acme")
    assert HttpClient().get(urls["file_url"].removeprefix("http://testserver")).status_code == 200


@pytest.mark.usefixtures("media")
def test_an_address_takes_one_file(page: HttpClient) -> None:
    urls = initiated(page)
    put(urls, png(3, 2))
    assert put(urls, png(5, 5)).status_code == 400
    assert Asset.objects.get().width == 3


@pytest.mark.usefixtures("media")
def test_an_address_takes_no_file_beyond_the_cap_and_none_later_than_an_hour(
    page: HttpClient, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    urls = initiated(page)
    settings.UPLOAD_MAX_BYTES = 10
    assert put(urls, png(3, 2)).status_code == 413
    now = browser_tokens.time.time()
    monkeypatch.setattr(browser_tokens.time, "time", lambda: now + 3_601)
    assert put(urls, b"small").status_code == 401
    assert put({"upload_url": "http://testserver/fal/storage/files?token=made-up"}, b"x").status_code == 404
    assert not Asset.objects.exists()
