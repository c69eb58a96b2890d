"""`fal_webhook`: one message at the end, in fal's form, that receivers verify as docs/fal.md shows."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from django.test import Client as HttpClient

from jobs.models import Job, WebhookMessage
from jobs.protocols.fal import webhooks
from tests.jobs.doubles import Provider, look, result, submit
from tests.jobs.webhooks.conftest import listen, receiver, sender, work  # noqa: F401
from tests.protocols.conftest import QUEUE, post
from tests.protocols.pages import example
from tests.sandbox.receiver import Receiver

pytestmark = [pytest.mark.django_db, pytest.mark.once]


@pytest.fixture
def run(acme: HttpClient, receiver: Receiver, work: Callable[[], None]) -> Callable[[Provider], Job]:  # noqa: F811
    """Runs a job whose end is told to the receiver."""

    def to_its_end(provider: Provider) -> Job:
        answer = post(acme, f"{QUEUE}?fal_webhook={receiver.url}")
        assert answer.status_code == 200, answer.content
        job = look(provider, submit(provider, Job.objects.get()))
        work()
        return job

    return to_its_end


def test_the_end_is_told_once_in_fals_form(run: Callable[..., Job], receiver: Receiver) -> None:  # noqa: F811
    job = run(Provider())

    (came,) = receiver.deliveries
    body = came.body
    assert {**body, "payload": None} == {
        "request_id": job.pk, "gateway_request_id": job.pk, "status": "OK", "error": None, "payload": None,
    }  # fmt: skip
    assert set(body["payload"]) == {"images", "seed"}


def test_a_failure_is_told_with_its_status_and_detail(run: Callable[..., Job], receiver: Receiver) -> None:  # noqa: F811
    failing = Provider()
    failing.on_result = result(status=422, detail=[{"loc": ["body"], "msg": "no", "type": "x"}])

    run(failing)

    body = receiver.deliveries[0].body
    assert (body["status"], body["error"]) == ("ERROR", "Invalid status code: 422")
    assert body["payload"]["detail"][0]["loc"] == ["body"]


def test_the_shown_receiver_verifies_it_by_the_published_key_and_nothing_else(
    run: Callable[..., Job],
    receiver: Receiver,  # noqa: F811
    client: HttpClient,
) -> None:
    run(Provider())
    verify, keys = example("verify"), client.get("/fal/.well-known/jwks.json").json()["keys"]
    (came,) = receiver.deliveries
    headers = came.headers

    assert verify(keys, headers, came.raw)
    assert not verify(keys, headers, came.raw + b" ")
    assert not verify(keys, headers | {"x-fal-webhook-request-id": "job_other"}, came.raw)
    assert not verify(keys, headers | {"x-fal-webhook-timestamp": "1"}, came.raw)


def test_the_key_signs_nothing_else_and_stays(client: HttpClient, settings: Any) -> None:
    first = client.get("/fal/.well-known/jwks.json").json()["keys"]
    again = client.get("/fal/.well-known/jwks.json").json()["keys"]
    catalog = client.get("/.well-known/genfeed-catalog-key").content.decode()

    assert first == again
    assert first[0]["x"].replace("-", "+").replace("_", "/") not in catalog


def test_what_is_too_large_for_a_webhook_says_so(run: Callable[..., Job], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "_LONGEST", 10)
    run(Provider())
    body = orjson.loads(WebhookMessage.objects.get().body)
    assert (body["status"], body["payload"]) == ("OK", None)
    assert "Get the result" in body["payload_error"]
