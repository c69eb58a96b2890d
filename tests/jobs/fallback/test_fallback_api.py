"""Alternatives over HTTP: asked for with the job, seen in it, and kept from where they have no place."""

from typing import Any

import orjson
import pytest
from django.test import Client as HttpClient

from genfeed.clients.keys import create_key
from genfeed.clients.models import Client
from genfeed.journal.audit import SYSTEM
from jobs.models import Job
from tests.jobs.doubles import make_caller
from tests.jobs.fallback.conftest import FIRST, SECOND, THIRD, shut

pytestmark = [pytest.mark.django_db, pytest.mark.once]


@pytest.fixture
def http() -> HttpClient:
    client = Client.objects.get(pk=make_caller().client_id)
    _, text = create_key(client, actor=SYSTEM, scopes=["jobs:write", "jobs:read"])
    return HttpClient(headers={"Authorization": f"Bearer {text}"})


def post(http: HttpClient, fallback: Any, *, path: str = "/jobs", **headers: str) -> Any:
    body = {"model": FIRST, "input": {"prompt": "a fox"}, "fallback": fallback}
    return http.post(f"/api/v1{path}", orjson.dumps(body), content_type="application/json", headers=headers)


def test_a_job_shows_what_was_asked_for_what_runs_it_and_why(http: HttpClient) -> None:
    shut("fal")

    answer = post(http, [SECOND, {"model": THIRD, "input": {"prompt": "a wolf"}}])

    assert answer.status_code == 201, answer.content
    body = answer.json()
    assert (body["requested_model"], body["model"], body["provider"]) == (FIRST, SECOND, "second")
    assert body["attempts"] == [
        {
            "model": FIRST, "provider": "fal", "status": "passed_over", "code": "provider_unavailable",
            "message": "fal does not take requests right now.",
        },
        {"model": SECOND, "provider": "second", "status": "chosen", "code": None, "message": None},
        {"model": THIRD, "provider": "second", "status": "spare", "code": None, "message": None},
    ]  # fmt: skip
    assert http.get(f"/api/v1/jobs/{body['id']}").json()["attempts"] == body["attempts"]


def test_the_same_request_twice_is_one_job_though_another_model_could_be_had_by_then(http: HttpClient) -> None:
    first = post(http, [SECOND], **{"Idempotency-Key": "k"})
    shut("fal")

    again = post(http, [SECOND], **{"Idempotency-Key": "k"})

    assert (again.json(), again["Idempotent-Replayed"]) == (first.json(), "true")
    assert Job.objects.count() == 1


@pytest.mark.parametrize("fallback", ["equal", [1], [{"input": {}}], [SECOND] * 6, {"model": SECOND}])
def test_what_is_no_fallback_is_refused_by_name(http: HttpClient, fallback: Any) -> None:
    answer = post(http, fallback)

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert "fallback" in answer.json()["message"]


def test_a_batch_takes_no_fallback_and_says_so(http: HttpClient) -> None:
    body = {"model": FIRST, "items": [{"input": {"prompt": "a fox"}, "fallback": [SECOND]}]}

    answer = http.post("/api/v1/batches", orjson.dumps(body), content_type="application/json")

    assert answer.status_code in (400, 422)
    assert "fallback" in answer.content.decode()
    assert not Job.objects.exists()
