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
from genfeed.clients.sealing import seal
from genfeed.front.connections import HANDED_OVER
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


@pytest.mark.once
@pytest.mark.parametrize(
    "target",
    [
        "https://example.com/fal-ai/flux/dev", "http://queue.fal.run/fal-ai/flux/dev", "https://queue.fal.run/",
        "https://queue.fal.run.evil.com/fal-ai/flux/dev", "https://queue.fal.run@evil.com/fal-ai/flux/dev",
        "https://queue.fal.run:8443/fal-ai/flux/dev", "https://rest.fal.ai/keys",
        "https://rest.fal.ai/tokens/x",
        "https://queue.fal.run/../../api/v1/jobs", "file:///etc/passwd", "https://[::1/x",
        "https://queue.fal.run/%2e%2e/api/v1/jobs", "https://queue.fal.run./fal-ai/flux/dev",
        "//queue.fal.run/fal-ai/flux/dev",
        "https://user:pass@queue.fal.run/fal-ai/flux/dev", "https://queue.fal.run\\@evil.com/fal-ai/flux/dev",
        "https://evil.com#queue.fal.run/fal-ai/flux/dev", "https://evil.com?x=https://queue.fal.run/fal-ai/flux/dev",
        "https://rest.fal.ai/storage/upload/initiate/../../../keys", "https://xn--queue-fal.run/fal-ai/flux/dev",
    ],
)  # fmt: skip
def test_it_is_no_way_to_anywhere_else(page: HttpClient, target: str) -> None:
    assert ask(page, target).status_code == 403
    assert not Job.objects.exists()


@pytest.mark.once
@pytest.mark.parametrize(
    "target",
    [
        "https://queue.fal.run/fal-ai/unknown", "https://queue.fal.run//evil.com/x", "https://fal.run/fal-ai/unknown",
        # What a header sent twice becomes.
        f"https://queue.fal.run/{MODEL},https://evil.com/x", f"https://queue.fal.run/{MODEL}%0d%0aX-Evil: 1",
        "https://queue.fal.run/https://evil.com/x", "https://queue.fal.run/%2fapi/v1/jobs",
    ],
)  # fmt: skip
def test_it_runs_nothing_that_is_no_model_here(page: HttpClient, target: str) -> None:
    answer = page.generic(
        "POST", PROXY, b"{}", content_type="application/json", headers={"X-Fal-Target-Url": target, "Origin": PAGE},
        **{HANDED_OVER: None},
    )  # fmt: skip
    assert answer.status_code == 404
    assert not Job.objects.exists()
    assert "X-Evil" not in answer.headers


@pytest.mark.once
def test_a_target_that_is_too_long_is_refused_and_not_cut(page: HttpClient) -> None:
    target = f"https://queue.fal.run/{MODEL}?fal_webhook=https://example.com/{'a' * 8_000}"
    assert (ask(page, target).status_code, Job.objects.count()) == (400, 0)


@pytest.mark.once
def test_an_upload_in_parts_and_a_realtime_connection_are_refused_with_what_to_do(page: HttpClient) -> None:
    parts = ask(page, "https://rest.fal.ai/storage/upload/initiate-multipart?storage_type=fal-cdn-v3")
    realtime = ask(page, "https://rest.fal.ai/tokens/")

    assert (parts.status_code, "/api/v1/uploads" in parts.json()["hint"]) == (413, True)
    assert (realtime.status_code, "subscribe" in realtime.json()["hint"]) == (400, True)


@pytest.mark.once
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


@pytest.mark.once
@pytest.mark.parametrize("kind", ["queue", "run"])
def test_a_token_is_given_no_result_of_another_ones_by_its_idempotency_key(acme: HttpClient, kind: str) -> None:
    pages = [speaking(token_of(acme)["token"]) for _ in range(2)]
    headers = {"X-Fal-Target-Url": f"https://{kind}.fal.run/{MODEL}".replace("run.fal", "fal"), "Origin": PAGE}

    first, other, again = (
        page.generic(
            "POST", PROXY, b'{"prompt": "a fox"}', content_type="application/json",
            headers=headers | {"Idempotency-Key": "one"}, **{HANDED_OVER: None},
        )
        for page in (pages[0], pages[1], pages[0])
    )  # fmt: skip

    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert first.headers["x-fal-request-id"] == again.headers["x-fal-request-id"] == Job.objects.get().pk


@pytest.mark.once
@pytest.mark.usefixtures("media")
def test_sealed_texts_are_good_for_what_they_were_made_for_alone(page: HttpClient, acme: HttpClient) -> None:
    address = initiated(page)["upload_url"].partition("token=")[2]
    token = token_of(acme)["token"].removeprefix(browser_tokens.PREFIX)

    assert ask(speaking(browser_tokens.PREFIX + address), f"https://queue.fal.run/{MODEL}").status_code == 401
    assert put({"upload_url": f"/fal/storage/files?token={token}"}, png(3, 2)).status_code == 404
    for text in ("[1, 2]", "null", '{"id": "bt_1"}', "no json"):
        assert ask(speaking(browser_tokens.PREFIX + seal(text)), f"https://queue.fal.run/{MODEL}").status_code == 401
        assert put({"upload_url": f"/fal/storage/files?token={seal(text)}"}, png(3, 2)).status_code == 404


@pytest.mark.once
def test_a_page_brings_no_key_of_a_provider(page: HttpClient) -> None:
    answer = ask(page, f"https://queue.fal.run/{MODEL}", **{"X-Provider-Key": "alice:alice-secret-4711"})
    assert (answer.status_code, Job.objects.count()) == (403, 0)


@pytest.mark.once
def test_a_token_is_no_key_of_the_api(page: HttpClient) -> None:
    assert page.get("/api/v1/jobs").status_code == 401
    assert post(page, "/api/v1/browser-tokens", {"origin": PAGE}).status_code == 401


def test_a_token_sees_its_own_requests_alone(page: HttpClient, acme: HttpClient) -> None:
    other = speaking(token_of(acme)["token"])
    base = f"https://queue.fal.run/fal-ai/flux/requests/{submitted(page)}"
    assert ask(other, f"{base}/status", "GET").status_code == 404
    assert ask(other, f"{base}/cancel", "PUT").status_code == 404
    assert acme.get(f"/fal/queue/{base.split('.run/')[1]}/status").status_code == 202


@pytest.mark.once
def test_a_token_runs_only_its_models(acme: HttpClient) -> None:
    make_sold("fal-ai/other", outputs=IMAGES_OUT)
    page = speaking(token_of(acme, models=["fal-ai/flux/*"])["token"])
    assert ask(page, "https://queue.fal.run/fal-ai/other").status_code == 404
    assert submitted(page)


@pytest.mark.once
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


@pytest.mark.once
def test_a_token_of_another_site_is_refused(page: HttpClient) -> None:
    answer = ask(page, f"https://queue.fal.run/{MODEL}", Origin="https://evil.example.com")
    assert answer.status_code == 403
    assert not Job.objects.exists()


@pytest.mark.once
def test_a_token_ends_with_its_time(page: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    now = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: now + timedelta(seconds=601))
    assert ask(page, f"https://queue.fal.run/{MODEL}").status_code == 401


@pytest.mark.once
def test_a_token_ends_with_the_key_that_made_it(page: HttpClient) -> None:
    revoke_key(ApiKey.objects.get(), actor=SYSTEM)
    assert ask(page, f"https://queue.fal.run/{MODEL}").status_code == 401


@pytest.mark.once
@pytest.mark.parametrize(
    "origin",
    [
        "app.example.com", "https://a.com/path", "https://", "null", "ftp://a.com", "*", "https://*", "https://a b.com",
        "https://a.com;x", 'https://"x', "https://a..com", "https://m\u00fcnchen.de", "https://u@a.com", "https://a.com:x",
    ],
)  # fmt: skip
def test_an_origin_must_be_one(acme: HttpClient, origin: str) -> None:
    assert post(acme, "/api/v1/browser-tokens", {"origin": origin}).status_code == 400


# --- who may read ---


@pytest.mark.once
def test_pages_of_the_origin_read_the_answers_of_its_token_and_no_page_those_of_a_key(
    page: HttpClient, acme: HttpClient
) -> None:
    by_token = ask(page, f"https://queue.fal.run/{MODEL}")
    by_key = ask(acme, f"https://queue.fal.run/{MODEL}")
    assert by_token.headers["Access-Control-Allow-Origin"] == PAGE
    assert "x-fal-request-id" in by_token.headers["Access-Control-Expose-Headers"]
    assert "Access-Control-Allow-Origin" not in by_key.headers


@pytest.mark.once
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


@pytest.mark.once
@pytest.mark.usefixtures("media")
def test_a_page_uploads_a_file_and_names_it_by_its_address(page: HttpClient) -> None:
    urls = initiated(page)

    assert put(urls, png(3, 2)).status_code == 200

    asset = Asset.objects.get()
    assert (asset.width, asset.height, asset.client.name) == (3, 2, "Acme")
    assert HttpClient().get(urls["file_url"].removeprefix("http://testserver")).status_code == 200


@pytest.mark.once
@pytest.mark.usefixtures("media")
def test_an_address_ends_with_the_key_that_asked_for_it(page: HttpClient) -> None:
    urls = initiated(page)
    revoke_key(ApiKey.objects.get(), actor=SYSTEM)

    assert put(urls, png(3, 2)).status_code == 401
    assert not Asset.objects.exists()


@pytest.mark.usefixtures("media")
def test_an_address_takes_one_file(page: HttpClient) -> None:
    urls = initiated(page)
    put(urls, png(3, 2))
    assert put(urls, png(5, 5)).status_code == 400
    assert Asset.objects.get().width == 3


@pytest.mark.once
@pytest.mark.usefixtures("media")
def test_an_address_takes_no_file_beyond_the_cap_and_none_later_than_an_hour(
    page: HttpClient, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    urls = initiated(page)
    settings.UPLOAD_MAX_BYTES = 10
    assert put(urls, png(3, 2)).status_code == 413
    now = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: now + timedelta(seconds=3_601))
    assert put(urls, b"small").status_code == 401
    assert put({"upload_url": "http://testserver/fal/storage/files?token=made-up"}, b"x").status_code == 404
    assert not Asset.objects.exists()
