"""fal's queue under /fal: what its clients rely on, call by call, and money as with every other job."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client as HttpClient

from catalog.providers import queue
from catalog.providers.base import KeyCheck
from genfeed.clients import keys
from genfeed.clients.models import Client
from jobs.canceling import cancel
from jobs.models import Job, Status
from pricing.models import Account, Hold
from pricing.reports import refusals
from tests.jobs.doubles import PRICE, Provider, look, result, set_job, submit
from tests.jobs.events.conftest import blocks, tell_progress
from tests.pricing.estimates.sold import IMAGES_OUT, make_sold
from tests.protocols.conftest import MODEL, QUEUE, post, speaking

pytestmark = pytest.mark.django_db


def submitted(client: HttpClient) -> tuple[Job, str]:
    """A job that was accepted, and where its queue asks about it."""
    told = post(client).json()
    return Job.objects.get(pk=told["request_id"]), f"/fal/queue/fal-ai/flux/requests/{told['request_id']}"


# --- submit ---


def test_a_submit_is_a_job_with_its_hold_and_names_where_to_ask(acme: HttpClient) -> None:
    answer = post(acme)

    body, job = answer.json(), Job.objects.get()
    base = f"http://testserver/fal/queue/fal-ai/flux/requests/{job.pk}"
    assert answer.status_code == 200
    assert body == {
        "status": "IN_QUEUE", "request_id": job.pk, "gateway_request_id": job.pk, "queue_position": 0,
        "response_url": base, "status_url": f"{base}/status", "cancel_url": f"{base}/cancel",
    }  # fmt: skip
    assert answer.headers["x-fal-request-id"] == job.pk
    assert (job.endpoint_id, job.input, job.protocol) == (MODEL, {"prompt": "a fox"}, "fal")
    assert Account.objects.get().held == PRICE


@pytest.mark.once
def test_unknown_fields_are_dropped_and_named_in_a_header(acme: HttpClient) -> None:
    answer = post(acme, body={"prompt": "a fox", "negativ\u00e9": 1, "steps": 3})

    assert answer.status_code == 200
    assert answer.headers["X-GenFeed-Dropped-Fields"] == "negativ?, steps"
    assert Job.objects.get().input == {"prompt": "a fox"}


@pytest.mark.once
def test_a_wrong_input_is_a_422_with_the_place_of_each_mistake(acme: HttpClient) -> None:
    answer = post(acme, body={"prompt": 7, "num_images": 99})

    assert answer.status_code == 422
    assert [(one["loc"], one["type"]) for one in answer.json()["detail"]] == [
        (["body", "prompt"], "value_error"),
        (["body", "num_images"], "less_than_equal"),
    ]
    assert not Job.objects.exists()


@pytest.mark.once
def test_what_a_repetition_can_not_mend_is_never_a_status_that_clients_repeat(acme: HttpClient) -> None:
    from catalog.models import AIModel
    from tests.factories import publish_now

    AIModel.objects.update(enabled=False, held_reason="switched_off")
    publish_now()

    assert post(acme).status_code == 404
    assert post(acme, "/fal/queue/fal-ai/nothing").status_code == 404


def test_without_money_the_user_is_locked_and_nothing_is_accepted(make_key: Callable[..., str]) -> None:
    make_sold(MODEL, outputs=IMAGES_OUT)
    answer = post(speaking(make_key("jobs:write")))

    assert answer.status_code == 403
    assert answer.json()["detail"].startswith("User is locked. Reason: Exhausted balance.")
    assert not Job.objects.exists()


@pytest.mark.once
def test_without_a_key_it_is_a_401_in_fals_form(acme: HttpClient) -> None:
    answer = post(HttpClient())
    assert (answer.status_code, type(answer.json()["detail"])) == (401, str)


@pytest.mark.once
def test_one_too_many_is_a_429_that_was_not_accepted_and_says_when(acme: HttpClient) -> None:
    Client.objects.update(jobs_per_minute=1)
    post(acme)

    answer = post(acme)

    assert (answer.status_code, answer.headers["X-Fal-Error-Type"]) == (429, "concurrent_requests_limit")
    assert int(answer.headers["Retry-After"]) > 0
    assert (Job.objects.count(), Hold.objects.count()) == (1, 1)


def test_a_submit_with_an_idempotency_key_that_comes_again_is_the_same_job(acme: HttpClient) -> None:
    first, second = (post(acme, **{"Idempotency-Key": "one"}) for _ in range(2))

    assert first.json() == second.json()
    assert second.headers["x-fal-request-id"] == Job.objects.get().pk


@pytest.mark.once
def test_a_refusal_that_was_kept_for_a_key_is_given_out_in_fals_form(acme: HttpClient) -> None:
    first, second = (post(acme, body={"prompt": 7}, **{"Idempotency-Key": "one"}) for _ in range(2))
    assert (second.status_code, second.json()["detail"]) == (422, first.json()["detail"])


@pytest.mark.once
def test_a_queue_that_is_longer_than_allowed_refuses(acme: HttpClient) -> None:
    post(acme)
    assert post(acme, f"{QUEUE}?fal_max_queue_length=1").status_code == 200
    assert post(acme, f"{QUEUE}?fal_max_queue_length=1").status_code == 429


@pytest.mark.once
def test_a_length_of_the_queue_that_is_none_is_refused(acme: HttpClient) -> None:
    assert post(acme, f"{QUEUE}?fal_max_queue_length=many").status_code == 400
    assert not Job.objects.exists()


@pytest.mark.once
def test_who_is_refused_by_a_limit_of_ours_is_counted_and_by_one_of_its_own_is_not(acme: HttpClient) -> None:
    post(acme)
    assert post(acme, f"{QUEUE}?fal_max_queue_length=0").status_code == 429
    assert not refusals._counts
    Client.objects.update(jobs_per_minute=0)
    keys._cache.clear()
    assert post(acme).status_code == 429
    assert [(key[1:], times) for key, times in refusals._counts.items()] == [
        (("client", Client.objects.get().pk, 0, "rate_limited"), 1)
    ]


@pytest.mark.once
def test_the_same_key_with_another_webhook_is_another_request(acme: HttpClient) -> None:
    same = {"Idempotency-Key": "one"}
    first, second = (post(acme, f"{QUEUE}?fal_webhook=https://example.com/{n}", **same) for n in range(2))
    assert (first.status_code, second.status_code) == (200, 422)
    assert second.json()["code"] == "idempotency_key_reused"


@pytest.mark.once
def test_a_webhook_that_is_too_long_is_refused_and_not_cut(acme: HttpClient) -> None:
    answer = post(acme, f"{QUEUE}?fal_webhook=https://example.com/{'a' * 2_000}")
    assert (answer.status_code, Job.objects.count()) == (400, 0)
    assert "2000 characters" in answer.json()["detail"]


@pytest.mark.once
@pytest.mark.parametrize("body", [b'{"prompt": %s1%s}' % (b"[" * 500, b"]" * 500), b'{"x":' * 500 + b"1" + b"}" * 500])
def test_what_is_nested_too_deeply_is_a_400(acme: HttpClient, body: bytes) -> None:
    answer = acme.post(QUEUE, body, content_type="application/json")
    assert (answer.status_code, Job.objects.count()) == (400, 0)
    assert "nested" in answer.json()["detail"]


@pytest.mark.once
def test_a_provider_key_of_the_callers_own_runs_the_job(
    acme: HttpClient, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.GENFEED_MODE = "core"
    monkeypatch.setattr(queue, "check_key", lambda provider, key: KeyCheck("valid", ""))

    answer = post(acme, **{"X-Provider-Key": "alice:alice-secret-of-the-provider-4711"})

    assert answer.status_code == 200, answer.content
    assert (Job.objects.get().key_source, Job.objects.get().key_hint) == ("request", "4711")


@pytest.mark.once
def test_a_provider_key_where_none_is_taken_is_refused_and_not_passed_over(acme: HttpClient) -> None:
    answer = post(acme, **{"X-Provider-Key": "alice:alice-secret-of-the-provider-4711"})
    assert (400 <= answer.status_code < 409, Job.objects.count()) == (True, 0)
    assert b"4711" not in answer.content


@pytest.mark.once
@pytest.mark.parametrize("method", ["get", "post"])
def test_realtime_is_refused_with_what_to_use_instead(acme: HttpClient, method: str) -> None:
    answer = getattr(acme, method)(f"/fal/run/{MODEL}/realtime")
    assert answer.status_code == 400
    assert "subscribe" in answer.json()["hint"]


@pytest.mark.once
def test_priority_and_webhook_are_taken_over(acme: HttpClient) -> None:
    post(acme, f"{QUEUE}?fal_webhook=https%3A%2F%2Fexample.com%2Fhook", **{"X-Fal-Queue-Priority": "low"})
    job = Job.objects.get()
    assert (job.priority, job.webhook_url) == ("low", "https://example.com/hook")


@pytest.mark.once
def test_a_webhook_into_the_inside_is_refused(acme: HttpClient) -> None:
    assert post(acme, f"{QUEUE}?fal_webhook=http%3A%2F%2F127.0.0.1%2F").status_code == 400


# --- status, result, cancel ---


@pytest.mark.once
def test_states_go_from_202_to_200(acme: HttpClient) -> None:
    job, base = submitted(acme)
    waiting = acme.get(f"{base}/status")
    set_job(submit(Provider(), job), status=Status.RUNNING, started_at=job.created_at)
    running = acme.get(f"{base}/status/")
    look(Provider(), job)
    done = acme.get(f"{base}/status?logs=1")

    assert [(one.status_code, one.json()["status"]) for one in (waiting, running, done)] == [
        (202, "IN_QUEUE"), (202, "IN_PROGRESS"), (200, "COMPLETED"),
    ]  # fmt: skip
    assert waiting.json()["queue_position"] == 0
    assert running.json()["logs"] is None
    assert done.json()["logs"] == []
    assert done.json()["metrics"]["inference_time"] > 0


def test_a_request_that_waits_here_tells_how_many_of_the_clients_own_go_before_it(acme: HttpClient) -> None:
    bases = [submitted(acme)[1] for _ in range(3)]

    assert [acme.get(f"{base}/status").json()["queue_position"] for base in bases] == [0, 1, 2]


def test_logs_come_where_they_are_asked_for(acme: HttpClient) -> None:
    job, base = submitted(acme)
    line = {"message": "Step 1", "level": "INFO", "timestamp": "2026-11-26T00:00:00Z"}
    tell_progress(set_job(submit(Provider(), job), status=Status.RUNNING), logs=[line])

    assert acme.get(f"{base}/status").json()["logs"] is None
    assert acme.get(f"{base}/status?logs=1").json()["logs"] == [{**line, "source": "USER"}]
    assert acme.get(f"{base}/status?logs=True").json()["logs"]


@pytest.mark.once
@pytest.mark.parametrize("path", ["fal-ai/flux", MODEL])
@pytest.mark.parametrize("end", ["", "/", "/response"])
def test_a_result_is_the_output_itself_under_app_and_model(acme: HttpClient, path: str, end: str) -> None:
    job, _ = submitted(acme)
    look(Provider(), submit(Provider(), job))

    answer = acme.get(f"/fal/queue/{path}/requests/{job.pk}{end}")

    assert answer.status_code == 200
    assert set(answer.json()) == {"images", "seed"}
    assert answer.headers["x-fal-request-id"] == job.pk
    assert answer.headers["x-fal-billable-units"] == "1"


@pytest.mark.once
def test_a_result_that_is_not_there_yet_is_a_400(acme: HttpClient) -> None:
    _, base = submitted(acme)
    answer = acme.get(base)
    assert (answer.status_code, answer.json()) == (400, {"detail": "Request is still in progress"})


@pytest.mark.once
def test_a_failure_is_a_completed_state_and_a_result_with_its_own_status(acme: HttpClient) -> None:
    job, base = submitted(acme)
    refused = Provider()
    refused.on_result = result(status=422, detail=[{"loc": ["body"], "msg": "no", "type": "content_policy_violation"}])
    look(refused, submit(refused, job))

    state, answer = acme.get(f"{base}/status").json(), acme.get(base)

    assert (state["status"], state["error_type"]) == ("COMPLETED", "content_policy_violation")
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["type"] == "content_policy_violation"


def test_a_cancel_is_requested_and_then_too_late(acme: HttpClient) -> None:
    _, base = submitted(acme)

    first, second = acme.put(f"{base}/cancel"), acme.put(f"{base}/cancel")

    assert (first.status_code, first.json()) == (202, {"status": "CANCELLATION_REQUESTED"})
    assert (second.status_code, second.json()) == (400, {"status": "ALREADY_COMPLETED"})
    assert acme.get(f"{base}/status").json()["error_type"] == "client_cancelled"
    assert acme.get(base).status_code == 499


@pytest.mark.once
def test_another_clients_request_is_not_there(acme: HttpClient, make_key: Callable[..., str]) -> None:
    _, base = submitted(acme)
    stranger = speaking(make_key("jobs:write", "jobs:read", client="Other"))
    for answer in (stranger.get(f"{base}/status"), stranger.get(base), stranger.put(f"{base}/cancel")):
        assert (answer.status_code, answer.json()["status"]) == (404, "NOT_FOUND")


@pytest.mark.once
def test_a_request_is_not_asked_about_under_another_app(acme: HttpClient) -> None:
    job, _ = submitted(acme)
    assert acme.get(f"/fal/queue/fal-ai/other/requests/{job.pk}/status").status_code == 404


@pytest.mark.once
def test_a_model_may_be_named_with_its_provider_as_clients_build_addresses(acme: HttpClient) -> None:
    answer = post(acme, f"/fal/queue/fal:{MODEL}")
    request_id = answer.json()["request_id"]
    assert acme.get(answer.json()["status_url"]).status_code == 202
    assert acme.get(f"/fal/queue/fal:fal-ai/flux/requests/{request_id}/status").status_code == 202


@pytest.mark.once
def test_a_namespace_belongs_to_the_app(acme: HttpClient) -> None:
    make_sold("workflows/acme/poster/v2", outputs=IMAGES_OUT)
    told = post(acme, "/fal/queue/workflows/acme/poster/v2").json()
    assert "/fal/queue/workflows/acme/poster/requests/" in told["status_url"]
    assert acme.get(told["status_url"]).status_code == 202


@pytest.mark.once
def test_a_direct_run_without_the_event_loop_is_refused_before_anything_is_accepted(acme: HttpClient) -> None:
    assert post(acme, f"/fal/run/{MODEL}").status_code == 503
    assert not Job.objects.exists()


@pytest.mark.once
def test_a_status_stream_begins_with_the_state_of_now(acme: HttpClient) -> None:
    job, base = submitted(acme)
    cancel(job)
    answer = acme.get(f"{base}/status/stream")
    assert answer.headers["Content-Type"] == "text/event-stream"
    assert [one["data"]["status"] for one in blocks(answer.content)] == ["COMPLETED"]
