"""Models that a caller is not offered, requests of others, and test keys: alike at all addresses of both protocols."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from django.test import Client as HttpClient

from catalog.models import AIModel
from genfeed.clients import keys
from genfeed.clients.keys import create_key
from genfeed.clients.models import Client
from genfeed.front.connections import HANDED_OVER
from genfeed.journal.audit import SYSTEM
from jobs.models import Job
from jobs.testmode.mode import is_test
from pricing.models import Account
from tests.factories import publish_now
from tests.pricing.estimates.sold import VIDEO_OUT, make_sold
from tests.protocols.conftest import MODEL, QUEUE

pytestmark = [pytest.mark.django_db, pytest.mark.once]

VIDEO = "acme/video"
FOX = {"prompt": "a fox"}
# Where a model is run: path, headers, body.
ADDRESSES: dict[str, tuple[str, dict[str, str], dict[str, Any]]] = {
    "queue": (QUEUE, {}, FOX),
    "run": (f"/fal/run/{MODEL}", {}, FOX),
    "stream": (f"/fal/run/{MODEL}/stream", {}, FOX),
    "proxy": ("/fal/proxy", {"X-Fal-Target-Url": f"https://queue.fal.run/{MODEL}"}, FOX),
    "images": ("/v1/images/generations", {}, {"model": MODEL} | FOX),
    "edits": ("/v1/images/edits", {}, {"model": MODEL, "image": "https://example.com/a.png"} | FOX),
}


def ask(caller: HttpClient, address: str) -> Any:
    path, headers, body = ADDRESSES[address]
    extra: dict[str, Any] = {HANDED_OVER: None}
    return ended(caller.post(path, orjson.dumps(body), content_type="application/json", headers=headers, **extra))


def ended(answer: Any) -> Any:
    """The answer, of which nobody waits for a result."""
    if stream := answer.wsgi_request.environ.get(HANDED_OVER):
        stream.close()
    return answer


def held() -> None:
    AIModel.objects.update(enabled=False, held_reason="unpriced_variant")
    publish_now()


def of_another_client() -> None:
    AIModel.objects.update(client=Client.objects.create(name="Owner"))
    publish_now()


def barred_for_the_key() -> None:
    Client.objects.filter(name="Acme").update(denied_models=["fal-ai/*"])
    keys._cache.clear()


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("make", [held, of_another_client, barred_for_the_key])
def test_a_model_that_is_not_offered_is_a_404_and_runs_nothing(
    acme: HttpClient, make: Callable[[], None], address: str
) -> None:
    make()

    assert ask(acme, address).status_code == 404
    assert not Job.objects.exists()


@pytest.mark.parametrize("make", [of_another_client, barred_for_the_key])
def test_a_model_that_is_not_the_callers_is_listed_nowhere(
    acme: HttpClient, make_key: Callable[..., str], make: Callable[[], None]
) -> None:
    reader = HttpClient(headers={"Authorization": f"Bearer {make_key('models:read')}"})
    assert [one["id"] for one in reader.get("/v1/models").json()["data"]] == [MODEL]
    make()

    assert reader.get("/v1/models").json()["data"] == []
    assert reader.get(f"/v1/models/{MODEL}").json()["error"]["code"] == "model_not_found"


@pytest.fixture
def tester(acme: HttpClient, settings: Any) -> HttpClient:
    """A test key of the same client."""
    settings.TEST_SANDBOX_URL = "http://127.0.0.1:1"
    scopes = ("jobs:write", "jobs:read")
    text = create_key(Client.objects.get(name="Acme"), actor=SYSTEM, scopes=scopes, is_test=True)[1]
    return HttpClient(headers={"Authorization": f"Bearer {text}"})


@pytest.mark.parametrize("address", [name for name in ADDRESSES if name != "edits"])
def test_a_test_key_runs_test_jobs_that_hold_no_money(tester: HttpClient, address: str) -> None:
    answer = ask(tester, address)

    assert answer.status_code == 200, answer.content
    assert is_test(Job.objects.get())
    assert Account.objects.get(client__name="Acme").held == 0


def test_live_and_test_keys_see_nothing_of_each_others_videos(acme: HttpClient, tester: HttpClient) -> None:
    make_sold(VIDEO, outputs=VIDEO_OUT, category="text-to-video", media_type="video")
    asked = orjson.dumps({"model": VIDEO} | FOX)
    live, test = (
        caller.post("/v1/videos", asked, content_type="application/json").json()["id"] for caller in (acme, tester)
    )

    for caller, own, other in ((acme, live, test), (tester, test, live)):
        assert [one["id"] for one in caller.get("/v1/videos").json()["data"]] == [own]
        assert caller.get(f"/v1/videos/{own}").status_code == 200
        video, request = f"/v1/videos/{other}", f"/fal/queue/{VIDEO}/requests/{other}"
        reads = (
            video,
            f"{video}/content",
            request,
            f"{request}/response",
            f"{request}/status",
            f"{request}/status/stream",
        )
        answers = [caller.get(path) for path in reads] + [caller.delete(video), caller.put(f"{request}/cancel")]
        assert {answer.status_code for answer in answers} == {404}
