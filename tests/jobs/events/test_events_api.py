"""Events over HTTP as lists, and as the short streams of pure WSGI; live streams are tested with real processes."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.test import Client as HttpClient
from django.utils import timezone

from genfeed.clients.models import ApiKey, Client
from genfeed.journal.models import OutboxEvent
from genfeed.journal.positions import Position
from jobs import failures
from jobs.assets.models import Asset
from jobs.ending.finishing import fail
from jobs.events.links import events_url
from jobs.events.slots import Slot
from jobs.models import Job, JobEvent
from jobs.transitions import move
from tests.jobs.doubles import make_caller, make_job
from tests.jobs.events.conftest import SSE, blocks, tell, tell_progress

pytestmark = pytest.mark.django_db


def events(client: HttpClient, job: Job, query: str = "", **headers: str) -> Any:
    return client.get(f"/api/v1/jobs/{job.pk}/events{query}", headers=headers)


def cancel(job: Job) -> None:
    with transaction.atomic():
        assert move(job, "canceled", event="job_canceled")


def error(answer: Any) -> tuple[int, str]:
    body = answer.json()
    assert body["message"]
    assert body["hint"]
    return answer.status_code, body["code"]


# --- of a job ---


def test_without_a_word_about_streams_events_are_a_list(acme: HttpClient, job: Job) -> None:
    tell_progress(job, queue_position=2)

    body = events(acme, job, "?after=1").json()

    assert [(one["number"], one["type"], one["data"]) for one in body["items"]] == [
        (2, "job_progress", {"queue_position": 2})
    ]
    assert body["next_cursor"] is None


def test_a_stream_tells_each_event_under_its_number(acme: HttpClient, job: Job) -> None:
    tell_progress(job, queue_position=2)

    answer = events(acme, job, **SSE)

    assert answer.headers["Content-Type"] == "text/event-stream"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.content.startswith(b"retry: ")
    assert [(one["id"], one["event"], one["data"]["number"]) for one in blocks(answer.content)] == [
        ("1", "job_queued", 1),
        ("2", "job_progress", 2),
    ]


def test_a_stream_tells_why_a_job_failed(acme: HttpClient, job: Job) -> None:
    fail(job, failures.QUEUE_TIMEOUT)

    last = blocks(events(acme, job, **SSE).content)[-1]

    said = {"code": "queue_timeout", "message": failures.QUEUE_TIMEOUT.message, "hint": failures.QUEUE_TIMEOUT.hint}
    assert (last["event"], last["data"]["data"]) == ("job_failed", said)


def test_a_stream_carries_the_headers_that_every_answer_has(acme: HttpClient, job: Job) -> None:
    answer = events(acme, job, **SSE, **{"X-Request-Id": "req-of-mine"})

    assert answer.headers["X-Request-Id"] == "req-of-mine"
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_stream_goes_on_after_the_last_event_id(acme: HttpClient, job: Job) -> None:
    tell_progress(job)
    tell_progress(job)

    told = blocks(events(acme, job, "?after=1", **SSE, **{"Last-Event-ID": "2"}).content)

    assert [one["id"] for one in told] == ["3"]


@pytest.mark.parametrize("word", ["1", "true", "yes"])
def test_the_parameter_asks_for_a_stream_too(acme: HttpClient, job: Job, word: str) -> None:
    assert [one["id"] for one in blocks(events(acme, job, f"?stream={word}").content)] == ["1"]


def test_a_parameter_that_events_of_a_job_do_not_know_is_refused(acme: HttpClient, job: Job) -> None:
    assert error(events(acme, job, "?streem=1")) == (400, "invalid_request")


def test_whoever_knows_the_last_event_is_told_to_stay_away(acme: HttpClient, job: Job) -> None:
    cancel(job)

    assert events(acme, job, **SSE, **{"Last-Event-ID": "1"}).status_code == 200
    assert events(acme, job, **SSE, **{"Last-Event-ID": "2"}).status_code == 204


def test_a_last_event_id_that_is_none_is_refused(acme: HttpClient, job: Job) -> None:
    for text in ("x", "-1", "9" * 30, "1.5"):
        assert error(events(acme, job, **SSE, **{"Last-Event-ID": text})) == (400, "invalid_request")


def test_another_clients_job_has_no_events(make_key: Callable[..., str], job: Job) -> None:
    other = HttpClient(headers={"Authorization": f"Bearer {make_key('jobs:read', client='Other')}"})

    assert error(events(other, job, **SSE)) == (404, "not_found")


def test_a_key_without_the_scope_follows_nothing(make_key: Callable[..., str], job: Job) -> None:
    weak = HttpClient(headers={"Authorization": f"Bearer {make_key('models:read')}"})

    assert error(events(weak, job, **SSE)) == (403, "forbidden_scope")
    assert error(weak.get("/api/v1/events")) == (403, "forbidden_scope")


# --- by the job's own address ---


def test_the_address_in_the_job_opens_its_events_without_a_key(acme: HttpClient, job: Job) -> None:
    url = acme.get(f"/api/v1/jobs/{job.pk}").json()["events_url"]

    answer = HttpClient().get(url, headers=SSE)

    assert [one["event"] for one in blocks(answer.content)] == ["job_queued"]
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in answer.headers


def test_answers_by_key_are_for_no_foreign_page(acme: HttpClient, job: Job) -> None:
    assert "Access-Control-Allow-Origin" not in events(acme, job, **SSE).headers


def test_an_address_whose_time_has_passed_is_refused(job: Job, settings: Any) -> None:
    old = events_url(job.pk, base_url="", now=time.time() - settings.EVENTS_URL_SECONDS - 301)

    answer = HttpClient().get(old, headers=SSE)

    assert error(answer) == (401, "unauthorized")
    assert "passed" in answer.json()["message"]


def test_a_token_opens_no_other_job(job: Job) -> None:
    other = make_job(make_caller())
    token = events_url(job.pk, base_url="").partition("token=")[2]

    assert error(events(HttpClient(), other, f"?token={token}")) == (401, "unauthorized")


def test_a_token_that_was_changed_is_refused(job: Job) -> None:
    token = events_url(job.pk, base_url="").partition("token=")[2]
    later = f"{int(token.partition('.')[0]) + 3600}.{token.partition('.')[2]}"

    for forged in (later, "", ".", "x.y", token[:-1], f"{token}é"):
        assert error(events(HttpClient(), job, f"?token={forged}")) == (401, "unauthorized")


def test_a_token_opens_nothing_of_a_client_that_is_switched_off(job: Job) -> None:
    url = events_url(job.pk, base_url="")
    Client.objects.update(is_active=False)

    assert error(HttpClient().get(url)) == (404, "not_found")


def test_requests_by_token_count_against_the_client(job: Job) -> None:
    Client.objects.update(reads_per_minute=1)
    url = events_url(job.pk, base_url="")

    assert [HttpClient().get(url).status_code for _ in range(2)] == [200, 429]
    assert not ApiKey.objects.filter(name="events_url").exists()


# --- files ---


def test_the_last_event_tells_what_is_known_of_the_files(acme: HttpClient, job: Job) -> None:
    named = {
        "id": "ast_1",
        "kind": "video",
        "name": "a.mp4",
        "content_type": "video/mp4",
        "size": None,
        "seconds": None,
    }
    JobEvent.objects.create(job=job, number=9, kind="job_succeeded", data={"assets": [named]})
    asset = Asset.objects.create(
        id="ast_1", client_id=job.client_id, job=job, kind="video", name="a.mp4", content_type="video/webm",
        size=5, seconds=2.5, width=640, height=480,
    )  # fmt: skip

    def told() -> Any:
        return events(acme, job, "?after=8").json()["items"][0]["data"]["assets"][0]

    assert told() == named
    Asset.objects.filter(pk=asset.pk).update(state="stored", stored_at=timezone.now())
    assert told() == named | {
        "content_type": "video/webm", "size": 5, "seconds": 2.5, "width": 640, "height": 480,
    }  # fmt: skip


# --- of a client ---


def follow(client: HttpClient, after: str = "", query: str = "") -> list[dict[str, Any]]:
    answer = client.get(f"/api/v1/events?stream=1&after={after}{query}")
    assert answer.status_code == 200, answer.content
    return blocks(answer.content)


def place(client: HttpClient) -> str:
    return str(client.get("/api/v1/events").json()["next_cursor"])


def test_a_client_follows_all_its_jobs_and_its_account(transactional_db: None, acme: HttpClient) -> None:
    start = place(acme)
    job = make_job(make_caller())
    tell_progress(job, queue_position=1)
    tell("Acme", "balance.low", balance="0.5")
    tell("Other", "balance.low", balance="1")
    cancel(job)

    told = follow(acme, start)

    assert [(one["event"], one["data"].get("job"), one["data"].get("number")) for one in told] == [
        ("job_queued", job.pk, 1),
        ("job_progress", job.pk, 2),
        ("balance_low", None, None),
        ("job_canceled", job.pk, 3),
    ]
    assert told[1]["data"]["data"] == {"queue_position": 1}
    assert told[2]["data"]["data"] == {"balance": "0.5"}


def test_each_id_is_where_to_go_on(transactional_db: None, acme: HttpClient) -> None:
    start = place(acme)
    for number in range(5):
        tell("Acme", balance=number)

    told = follow(acme, start)

    for index, one in enumerate(told):
        assert [later["id"] for later in follow(acme, one["id"])] == [later["id"] for later in told[index + 1 :]]


def test_without_a_place_a_client_begins_now(transactional_db: None, acme: HttpClient) -> None:
    tell("Acme")

    assert follow(acme) == []


def test_short_streams_miss_nothing_in_between(transactional_db: None, acme: HttpClient) -> None:
    def come_back(last: str = "") -> tuple[str, list[str]]:
        answer = acme.get("/api/v1/events?type=budget_*", headers={**SSE, **({"Last-Event-ID": last} if last else {})})
        ids = [line[4:] for line in answer.content.decode().split("\n") if line.startswith("id: ")]
        return ids[-1], [one["event"] for one in blocks(answer.content)]

    place, nothing = come_back()
    tell("Acme", "budget.threshold_reached")
    tell("Acme", "balance.low")
    after, told = come_back(place)

    assert (nothing, told) == ([], ["budget_threshold_reached"])
    # What it does not want is behind it as well.
    assert after == str(Position(*OutboxEvent.objects.order_by("pk").values_list("txid", "pk").last()))
    assert come_back(after) == (after, [])


def test_events_are_chosen_by_job_and_type(transactional_db: None, acme: HttpClient) -> None:
    start = place(acme)
    one, other = make_job(make_caller()), make_job(make_caller())
    cancel(one)
    tell("Acme")

    def types(query: str) -> list[str]:
        return [told["event"] for told in follow(acme, start, query)]

    assert types(f"&job={one.pk}") == ["job_queued", "job_canceled"]
    assert types(f"&job={one.pk},{other.pk}&type=job_queued") == ["job_queued", "job_queued"]
    assert types("&type=balance_*,job_canceled") == ["job_canceled", "balance_low"]


def test_pages_of_a_clients_events_end_where_they_begin_again(transactional_db: None, acme: HttpClient) -> None:
    start, seen = place(acme), []
    for number in range(5):
        tell("Acme", balance=number)
    while items := (page := acme.get(f"/api/v1/events?after={start}&limit=2").json())["items"]:
        seen += [one["data"]["balance"] for one in items]
        start = page["next_cursor"]

    assert seen == [0, 1, 2, 3, 4]
    assert page["next_cursor"] == start


def test_a_place_that_is_none_is_refused(acme: HttpClient) -> None:
    for text in ("x", "1", "1-", "-1", "1-2-3", "٣-٤", "9" * 19 + "-1", "1-" + "9" * 19):
        assert error(acme.get(f"/api/v1/events?after={text}")) == (400, "invalid_request")


def test_a_place_far_ahead_is_no_error(acme: HttpClient) -> None:
    assert acme.get(f"/api/v1/events?after={'9' * 18}-{'9' * 18}").json()["items"] == []


def test_a_misspelt_parameter_is_refused(acme: HttpClient) -> None:
    assert error(acme.get("/api/v1/events?jobs=job_1")) == (400, "invalid_request")


# --- limits ---


def test_a_client_has_so_many_streams_at_once(acme: HttpClient, job: Job, settings: Any) -> None:
    settings.MAX_CLIENT_STREAMS = 2
    held = [Slot(job.client_id), Slot(job.client_id)]

    answer = events(acme, job, **SSE)
    assert error(answer) == (429, "rate_limited")
    assert answer.json()["details"] == {"limit": "streams", "of": "client", "at_once": 2}
    assert answer.headers["Retry-After"]

    held.pop().give_back()
    assert events(acme, job, **SSE).status_code == 200
    # It was a short one, and holds nothing.
    assert events(acme, job, **SSE).status_code == 200
    held.pop().give_back()


def test_a_process_holds_so_many_streams_at_once(acme: HttpClient, job: Job, settings: Any) -> None:
    settings.MAX_STREAMS = 1
    slot = Slot(-1)

    assert error(events(acme, job, **SSE)) == (429, "rate_limited")
    assert events(acme, job).status_code == 200

    slot.give_back()
    slot.give_back()
    assert events(acme, job, **SSE).status_code == 200


def test_progress_is_no_webhook(job: Job) -> None:
    tell_progress(job)

    row = OutboxEvent.objects.get(kind="job.progress")
    assert row.delivered_at is not None
    assert timezone.now() - row.created_at < timedelta(minutes=1)
