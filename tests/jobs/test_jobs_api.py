"""Jobs over HTTP: accepted with everything or refused with nothing, read and canceled by their own client alone."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from django.db import IntegrityError
from django.test import Client as HttpClient

from catalog.models import AIModel
from genfeed.clients import keys
from genfeed.clients.models import Client
from genfeed.journal.audit import SYSTEM
from genfeed.journal.models import OutboxEvent
from jobs.accepting import idempotency
from jobs.models import IdempotentAnswer, Job
from pricing import sql
from pricing.ledger.accounts import top_up
from pricing.models import Account, Budget, Hold, LedgerTransaction
from tests.factories import publish_now
from tests.jobs.doubles import PRICE, USD, Provider, look, set_job, submit
from tests.pricing.estimates.sold import IMAGES_OUT, PROMPT, field, make_sold

pytestmark = pytest.mark.django_db

FOX = {"model": "fal-ai/flux/dev", "input": {"prompt": "a fox"}}
Caller = Callable[..., HttpClient]


@pytest.fixture
def client_of(make_key: Callable[..., str]) -> Caller:
    def make(name: str = "Acme", usd: int = 10, scopes: tuple[str, ...] = ("jobs:write", "jobs:read")) -> HttpClient:
        text = make_key(*scopes, client=name)
        row = Client.objects.get(name=name)
        if usd:
            top_up(row.pk, usd * USD, actor=SYSTEM, reason="paid")
        return HttpClient(headers={"Authorization": f"Bearer {text}"})

    return make


@pytest.fixture
def acme(client_of: Caller) -> HttpClient:
    make_sold(outputs=IMAGES_OUT)
    return client_of()


def post(client: HttpClient, body: Any = FOX, path: str = "/jobs", **headers: str) -> Any:
    return client.post(f"/api/v1{path}", orjson.dumps(body), content_type="application/json", headers=headers)


def error(answer: Any) -> tuple[int, str]:
    body = answer.json()
    assert body["message"]
    assert body["hint"]
    assert body["requestId"]
    return answer.status_code, body["code"]


def nothing_was_accepted() -> bool:
    account = Account.objects.filter(client__name="Acme").first()
    return (
        not Job.objects.exists()
        and not Hold.objects.exists()
        and not LedgerTransaction.objects.filter(kind="hold").exists()
        and not OutboxEvent.objects.filter(kind__startswith="job.").exists()
        and (account is None or (account.held, account.open_holds) == (0, 0))
    )


# --- accepting ---


def test_a_job_is_accepted_with_its_money(acme: HttpClient) -> None:
    answer = post(acme, {**FOX, "metadata": {"order": 7}})

    assert answer.status_code == 201
    body = answer.json()
    assert set(body) == {
        "id", "livemode", "status", "model", "provider", "created_at", "queued_at", "started_at", "finished_at",
        "queue_position",
        "quote", "charge", "cost_source", "output", "assets", "error", "cached", "metadata", "events_url", "batch",
        "warnings", "requested_model", "attempts", "workflow",
    }  # fmt: skip
    assert (body["requested_model"], body["attempts"]) == ("fal-ai/flux/dev", [])
    assert (body["status"], body["model"], body["metadata"]) == ("queued", "fal-ai/flux/dev", {"order": 7})
    assert body["quote"]["price"] == "0.083333333"
    assert body["created_at"].endswith("Z")
    job = Job.objects.get(pk=body["id"])
    assert Hold.objects.get(job=job.pk).amount == PRICE
    assert OutboxEvent.objects.filter(kind="job.queued", subject=job.pk).exists()


def test_m5_parallel_submits_with_money_for_one_accept_one(acme: HttpClient) -> None:
    Account.objects.update(available=PRICE, funded=PRICE)

    answers = [post(acme).status_code for _ in range(3)]

    assert answers == [201, 402, 402]


@pytest.mark.once
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"model": "fal-ai/flux/deb", "input": {"prompt": "a"}}, (404, "model_not_found")),
        ({"model": "fal-ai/flux/dev", "input": {}}, (422, "invalid_input")),
        ({"model": "fal-ai/flux/dev", "input": {"prompt": 1}}, (422, "invalid_input")),
        ({"model": "fal-ai/flux/dev", "input": {"prompt": "a", "promt": "b"}}, (422, "unknown_field")),
        ({"model": "fal-ai/flux/dev", "input": {"prompt": "a", "num_images": 99}}, (422, "invalid_input")),
        ({"model": "fal-ai/flux/dev", "input": {"prompt": "a" * 2001}}, (422, "invalid_input")),
        ({"model": "fal-ai/flux/dev", "input": []}, (400, "invalid_request")),
        ({"input": {}}, (400, "invalid_request")),
        ({**FOX, "unknown": 1}, (400, "invalid_request")),
        ({**FOX, "max_price": "0.05"}, (402, "price_above_max")),
        ({**FOX, "max_price": "-1"}, (400, "invalid_request")),
        ({**FOX, "max_price": "NaN"}, (400, "invalid_request")),
        ({**FOX, "max_price": "much"}, (400, "invalid_request")),
        ({**FOX, "max_price": "1e30"}, (400, "invalid_request")),
        ({**FOX, "priority": "urgent"}, (400, "invalid_request")),
        ({**FOX, "webhook_url": "http://example.com/x"}, (400, "invalid_request")),
        ({**FOX, "webhook_url": "https://user:secret@example.com/x"}, (400, "invalid_request")),
        ({**FOX, "webhook_url": "ftp://example.com"}, (400, "invalid_request")),
        ({**FOX, "webhook_url": "https://[bad"}, (400, "invalid_request")),
        ({**FOX, "metadata": {"a": {"b": 1}}}, (400, "invalid_request")),
        ({**FOX, "metadata": {"a": "x" * 501}}, (400, "invalid_request")),
        ({**FOX, "metadata": {str(n): n for n in range(51)}}, (400, "invalid_request")),
        ({**FOX, "media": {"input_video_seconds": -1}}, (422, "invalid_input")),
    ],
)
def test_a_bad_request_is_refused_and_nothing_is_accepted(acme: HttpClient, body: Any, expected: Any) -> None:
    assert error(post(acme, body)) == expected
    assert nothing_was_accepted()


@pytest.mark.parametrize(
    ("more", "place"),
    [
        ({"input": {"prompt": "a\x00b"}}, "input.prompt"),
        ({"input": {"prompt": "a", "x\x00": 1}}, "input: a name"),
        ({"metadata": {"order": "\x00"}}, "metadata.order"),
        ({"metadata": {"\x00": 1}}, "metadata: a name"),
    ],
)
def test_null_characters_are_refused_by_their_place(acme: HttpClient, more: Any, place: str) -> None:
    answer = post(acme, {**FOX, **more})

    assert error(answer) == (400, "invalid_request")
    assert answer.json()["message"] == f"{place}: holds a null character."
    assert nothing_was_accepted()


@pytest.mark.once
def test_the_words_of_an_escape_are_no_null_character(acme: HttpClient) -> None:
    assert post(acme, {**FOX, "metadata": {"a": "\\u0000"}}).status_code == 201


@pytest.mark.parametrize("path", ["/a%00b", "?cursor=%00", "?model=%00", "/%00/events"])
def test_null_characters_in_addresses_find_nothing(acme: HttpClient, path: str) -> None:
    assert acme.get(f"/api/v1/jobs{path}").status_code in (200, 404)


@pytest.mark.once
@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"a": {"b": 1}}, "metadata.a: is no text, number, true, false or null."),
        ({str(n): n for n in range(51)}, "metadata: has more than 50 entries."),
    ],
)
def test_metadata_that_is_not_kept_is_told_in_words(acme: HttpClient, metadata: Any, message: str) -> None:
    assert post(acme, {**FOX, "metadata": metadata}).json()["message"] == message


@pytest.mark.once
def test_an_unknown_model_is_told_with_the_nearest(acme: HttpClient) -> None:
    assert "fal-ai/flux/dev" in post(acme, {"model": "fal-ai/flux/deb", "input": {}}).json()["hint"]


@pytest.mark.once
@pytest.mark.parametrize(
    ("name", "columns", "expected"),
    [
        ("off", {"enabled": False, "switch": "off"}, (409, "model_disabled")),
        ("gone", {"enabled": False, "status": "retired"}, (410, "model_retired")),
    ],
)
def test_models_that_are_not_offered_are_refused_with_the_reason(
    acme: HttpClient, name: str, columns: dict[str, Any], expected: Any
) -> None:
    make_sold(f"fal-ai/{name}", outputs=IMAGES_OUT)
    AIModel.objects.filter(endpoint_id=f"fal-ai/{name}").update(**columns)
    publish_now()

    assert error(post(acme, {"model": f"fal-ai/{name}", "input": {"prompt": "a"}})) == expected
    assert nothing_was_accepted()


@pytest.mark.once
def test_a_model_without_a_price_is_not_sold(acme: HttpClient) -> None:
    make_sold("fal-ai/opaque", unit="units", outputs=IMAGES_OUT)

    assert error(post(acme, {"model": "fal-ai/opaque", "input": {"prompt": "a"}})) == (409, "model_unpriced")
    assert nothing_was_accepted()


def test_too_little_money_is_refused(acme: HttpClient) -> None:
    Account.objects.update(available=1, funded=1)

    assert error(post(acme)) == (402, "insufficient_funds")
    assert nothing_was_accepted()


@pytest.mark.once
def test_a_budget_is_refused_by_name(acme: HttpClient) -> None:
    Budget.objects.create(client=Client.objects.get(name="Acme"), period="day", limit=1)

    answer = post(acme)

    assert error(answer) == (402, "budget_exceeded")
    assert answer.json()["details"]["left"] == "0.000000001"
    assert nothing_was_accepted()


@pytest.mark.once
def test_a_rate_limit_is_told_with_when_to_come_back(acme: HttpClient) -> None:
    Client.objects.update(jobs_per_minute=1)
    assert post(acme).status_code == 201

    answer = post(acme)

    assert error(answer) == (429, "rate_limited")
    assert int(answer.headers["Retry-After"]) == answer.json()["retry_after"] > 0
    assert Job.objects.count() == 1


@pytest.mark.once
def test_a_full_queue_is_told(acme: HttpClient) -> None:
    Client.objects.update(max_in_flight=1, max_queued=0)
    assert post(acme).status_code == 201

    answer = post(acme)

    assert error(answer) == (429, "too_many_in_flight")
    assert int(answer.headers["Retry-After"]) == answer.json()["retry_after"] > 0


def test_m10_an_error_of_the_store_refuses_the_job(acme: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    write = sql.insert_all

    def fail(rows: Any) -> None:
        write([row for row in rows if not isinstance(row, OutboxEvent)])
        raise IntegrityError("disk full")

    monkeypatch.setattr(sql, "insert_all", fail)
    acme.raise_request_exception = False

    assert error(post(acme)) == (500, "internal_error")
    monkeypatch.undo()
    assert nothing_was_accepted()


@pytest.mark.once
def test_caps_of_the_settings_hold_where_the_schema_allows_more(acme: HttpClient, settings: Any) -> None:
    settings.MAX_IMAGES = 2

    answer = post(acme, {**FOX, "input": {"prompt": "a", "num_images": 3}})

    assert error(answer) == (422, "invalid_input")
    assert "2 are allowed" in answer.json()["message"]


@pytest.mark.once
@pytest.mark.parametrize(
    ("setting", "asked", "words"),
    [
        ("MAX_MEGAPIXELS", {"image_size": {"width": 3000, "height": 2000}}, "5 are allowed"),
        ("MAX_SECONDS", {"duration": 6}, "5 are allowed"),
        ("MAX_FRAMES", {"num_frames": 6}, "5 are allowed"),
        ("MAX_PROMPT_CHARACTERS", {"prompt": "a fox"}, "the text has 5 characters, and 4 are allowed"),
    ],
)
def test_pixels_seconds_frames_and_prompts_are_capped(
    client_of: Caller, settings: Any, setting: str, asked: dict[str, Any], words: str
) -> None:
    fields = [PROMPT, field("image_size", "object"), field("duration", "integer"), field("num_frames", "integer")]
    make_sold("fal-ai/any", "0.001", "requests", inputs=fields, outputs=IMAGES_OUT)
    client, body = client_of(), {"model": "fal-ai/any", "input": {"prompt": "fox"} | asked}
    assert post(client, body).status_code == 201

    setattr(settings, setting, 4 if setting == "MAX_PROMPT_CHARACTERS" else 5)

    answer = post(client, body)
    assert error(answer) == (422, "invalid_input")
    assert words in answer.json()["message"]


@pytest.mark.once
def test_a_client_may_have_caps_of_its_own(acme: HttpClient) -> None:
    Client.objects.update(caps={"images": 1})
    assert error(post(acme, {**FOX, "input": {"prompt": "a", "num_images": 2}}))[1] == "invalid_input"

    assert post(acme).status_code == 201


@pytest.mark.once
def test_a_length_that_the_model_states_goes_before_the_general_one(client_of: Caller) -> None:
    make_sold(inputs=[field("prompt", required=True, maxLength=5000)], outputs=IMAGES_OUT)

    assert post(client_of(), {**FOX, "input": {"prompt": "a" * 3000}}).status_code == 201


@pytest.mark.once
def test_the_safety_checker_stays_on_unless_the_terms_allow_otherwise(client_of: Caller) -> None:
    make_sold(inputs=[PROMPT, field("enable_safety_checker", "boolean", default=True)], outputs=IMAGES_OUT)
    client, off = client_of(), {**FOX, "input": {"prompt": "a", "enable_safety_checker": False}}
    assert error(post(client, off))[1] == "invalid_input"

    Client.objects.update(may_disable_safety_checker=True)
    keys._cache.clear()

    assert post(client, off).status_code == 201
    assert Job.objects.get().input["enable_safety_checker"] is False


@pytest.mark.once
def test_a_model_whose_own_default_is_no_safety_checker_runs_with_it_on(client_of: Caller) -> None:
    make_sold(inputs=[PROMPT, field("enable_safety_checker", "boolean", default=False)], outputs=IMAGES_OUT)

    answer = post(client_of(), {**FOX, "input": {"prompt": "a"}})

    assert answer.status_code == 201
    assert Job.objects.get().input["enable_safety_checker"] is True


@pytest.mark.once
@pytest.mark.parametrize("scopes", [("jobs:read",), ("estimates", "models:read")])
def test_without_the_scope_nothing_runs(acme: HttpClient, client_of: Caller, scopes: tuple[str, ...]) -> None:
    assert error(post(client_of(scopes=scopes, usd=0))) == (403, "forbidden_scope")
    assert nothing_was_accepted()


@pytest.mark.once
def test_without_a_key_nothing_runs(acme: HttpClient) -> None:
    assert error(post(HttpClient())) == (401, "unauthorized")


@pytest.mark.once
def test_staff_run_nothing_in_a_clients_name(acme: HttpClient, staff: Callable[[str], HttpClient]) -> None:
    assert error(post(staff("superuser")))[1] == "forbidden_scope"
    assert nothing_was_accepted()


@pytest.mark.once
def test_a_test_key_never_spends_money_also_where_there_is_nothing_to_test_on(acme: HttpClient) -> None:
    _, text = keys.create_key(Client.objects.get(name="Acme"), actor=SYSTEM, scopes=["jobs:write"], is_test=True)

    answer = post(HttpClient(headers={"Authorization": f"Bearer {text}"}))

    assert error(answer) == (503, "not_configured")
    assert nothing_was_accepted()


@pytest.mark.once
def test_without_a_key_of_the_provider_nothing_is_accepted(acme: HttpClient, settings: Any) -> None:
    settings.FAL_KEY = ""

    assert error(post(acme)) == (503, "not_configured")
    assert nothing_was_accepted()


@pytest.mark.once
def test_a_key_bound_to_other_models_can_t_run_this_one(acme: HttpClient) -> None:
    Client.objects.update(denied_models=["fal-ai/flux/*"])

    assert error(post(acme)) == (404, "model_not_found")


# --- once ---


def test_the_same_key_and_body_are_one_job(acme: HttpClient) -> None:
    first, second = (post(acme, **{"Idempotency-Key": "k1"}) for _ in range(2))

    assert (first.status_code, second.status_code) == (201, 201)
    assert first.content == second.content
    assert "Idempotent-Replayed" not in first.headers
    assert second.headers["Idempotent-Replayed"] == "true"
    assert Job.objects.count() == 1


def test_the_same_key_with_another_body_is_refused(acme: HttpClient) -> None:
    post(acme, **{"Idempotency-Key": "k1"})

    assert error(post(acme, {**FOX, "input": {"prompt": "b"}}, **{"Idempotency-Key": "k1"})) == (
        422,
        "idempotency_key_reused",
    )
    assert Job.objects.count() == 1


def test_the_same_key_of_another_client_is_another_request(acme: HttpClient, client_of: Caller) -> None:
    post(acme, **{"Idempotency-Key": "k1"})

    assert post(client_of("Bob"), **{"Idempotency-Key": "k1"}).status_code == 201
    assert Job.objects.count() == 2


def test_a_crash_between_commit_and_answer_replays(acme: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    # The answer is committed with the job: who asks again is told the same, although nobody was told before.
    from jobs import api

    real = api.accept

    def crash(*args: Any, **more: Any) -> None:
        real(*args, **more)
        raise SystemError("killed")

    monkeypatch.setattr(api, "accept", crash)
    acme.raise_request_exception = False
    assert post(acme, **{"Idempotency-Key": "k1"}).status_code == 500
    monkeypatch.undo()

    again = post(acme, **{"Idempotency-Key": "k1"})

    assert (again.status_code, again.json()["id"]) == (201, Job.objects.get().pk)


def test_whoever_loses_a_race_with_the_same_key_gets_the_winners_answer(
    acme: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = idempotency._replay
    raced: list[bool] = []

    def other_comes_first(client_id: int, key: str, digest: str) -> Any:
        if not raced:
            raced.append(True)
            found = real(client_id, key, digest)
            post(acme, **{"Idempotency-Key": "k1"})
            return found
        return real(client_id, key, digest)

    monkeypatch.setattr(idempotency, "_replay", other_comes_first)

    answer = post(acme, **{"Idempotency-Key": "k1"})

    assert answer.headers.get("Idempotent-Replayed") == "true"
    assert Job.objects.count() == 1


def test_a_refusal_is_replayed_but_not_one_that_time_may_heal(acme: HttpClient) -> None:
    Account.objects.update(available=1, funded=1)
    post(acme, **{"Idempotency-Key": "poor"})
    Client.objects.update(max_in_flight=0, max_queued=0)
    keys._cache.clear()
    assert error(post(acme, **{"Idempotency-Key": "full"}))[0] == 429

    assert list(IdempotentAnswer.objects.values_list("key", "status")) == [("poor", 402)]


@pytest.mark.once
@pytest.mark.parametrize("key", ["x" * 256, "a\tb", "", " "])
def test_a_key_that_can_t_be_kept_is_refused(acme: HttpClient, key: str) -> None:
    assert error(post(acme, **{"Idempotency-Key": key})) == (400, "invalid_request")
    assert nothing_was_accepted()


def test_after_a_day_a_key_is_new_again(acme: HttpClient) -> None:
    from datetime import timedelta

    from django.utils import timezone

    post(acme, **{"Idempotency-Key": "k1"})
    IdempotentAnswer.objects.update(created_at=timezone.now() - timedelta(hours=25))

    assert post(acme, {**FOX, "input": {"prompt": "b"}}, **{"Idempotency-Key": "k1"}).status_code == 201


# --- reading ---


def test_a_job_is_read_with_its_output_and_charge_and_no_cost(acme: HttpClient) -> None:
    job_id = post(acme).json()["id"]
    provider = Provider()
    look(provider, submit(provider, Job.objects.get(pk=job_id)))

    body = acme.get(f"/api/v1/jobs/{job_id}").json()

    assert (body["status"], body["charge"], body["cost_source"]) == ("succeeded", "0.083333333", "billable_units")
    assert body["output"]["images"][0]["width"] == 64
    assert "cost" not in body
    assert "cost" not in body["quote"]


@pytest.mark.once
def test_costs_are_for_the_scope_admin(acme: HttpClient, client_of: Caller) -> None:
    job_id = post(acme).json()["id"]
    admin = client_of(scopes=("admin",), usd=0)

    assert "cost" in admin.get(f"/api/v1/jobs/{job_id}").json()


@pytest.mark.once
@pytest.mark.parametrize("path", ["", "/events"])
def test_another_clients_job_is_as_unknown_as_none(acme: HttpClient, client_of: Caller, path: str) -> None:
    job_id = post(acme).json()["id"]
    bob = client_of("Bob")

    assert error(bob.get(f"/api/v1/jobs/{job_id}{path}")) == (404, "not_found")
    assert error(post(bob, {}, f"/jobs/{job_id}/cancel")) == (404, "not_found")
    assert bob.get("/api/v1/jobs").json() == {"items": [], "next_cursor": None}


def test_jobs_are_listed_newest_first_page_by_page(acme: HttpClient) -> None:
    made = [post(acme).json()["id"] for _ in range(5)]

    first = acme.get("/api/v1/jobs?limit=3").json()
    second = acme.get(f"/api/v1/jobs?limit=3&cursor={first['next_cursor']}").json()

    assert [item["id"] for item in first["items"] + second["items"]] == sorted(made, reverse=True)
    assert second["next_cursor"] is None


def test_a_list_can_be_narrowed(acme: HttpClient) -> None:
    one, two = (post(acme).json()["id"] for _ in range(2))
    post(acme, {}, f"/jobs/{one}/cancel")

    assert [job["id"] for job in acme.get("/api/v1/jobs?status=canceled").json()["items"]] == [one]
    assert [job["id"] for job in acme.get("/api/v1/jobs?status=queued").json()["items"]] == [two]
    assert acme.get("/api/v1/jobs?model=fal-ai/other").json()["items"] == []
    assert error(acme.get("/api/v1/jobs?status=lost")) == (400, "invalid_request")
    assert error(acme.get("/api/v1/jobs?state=queued")) == (400, "invalid_request")


def test_events_are_read_after_the_last_one_that_is_known(acme: HttpClient) -> None:
    job_id = post(acme).json()["id"]
    post(acme, {}, f"/jobs/{job_id}/cancel")

    events = acme.get(f"/api/v1/jobs/{job_id}/events").json()["items"]
    later = acme.get(f"/api/v1/jobs/{job_id}/events?after={events[0]['number']}").json()["items"]

    assert [event["type"] for event in events] == ["job_queued", "job_canceled"]
    assert later == events[1:]


@pytest.mark.once
def test_canceling_over_http(acme: HttpClient) -> None:
    job_id = post(acme).json()["id"]

    assert post(acme, {}, f"/jobs/{job_id}/cancel").json()["status"] == "canceled"
    set_job(Job.objects.get(pk=job_id), status="succeeded")
    assert error(post(acme, {}, f"/jobs/{job_id}/cancel")) == (409, "conflict")


@pytest.mark.once
def test_m6_reading_a_job_a_thousand_times_changes_no_amount(acme: HttpClient) -> None:
    job_id = post(acme).json()["id"]
    before = Account.objects.values().get(client__name="Acme")
    Client.objects.update(reads_per_minute=100_000)

    for _ in range(1000):
        assert acme.get(f"/api/v1/jobs/{job_id}").status_code == 200

    assert Account.objects.values().get(client__name="Acme") == before


def test_accepting_takes_a_bounded_number_of_queries(acme: HttpClient, django_assert_max_num_queries: Any) -> None:
    post(acme)

    with django_assert_max_num_queries(24):
        assert post(acme).status_code == 201


@pytest.mark.once
def test_what_a_success_lacks_stands_in_the_job(acme: HttpClient) -> None:
    job_id = post(acme, {"model": "fal-ai/flux/dev", "input": {"prompt": "a fox", "num_images": 3}}).json()["id"]
    provider = Provider()
    look(provider, submit(provider, Job.objects.get(pk=job_id)))

    body = acme.get(f"/api/v1/jobs/{job_id}").json()

    assert (body["status"], len(body["output"]["images"])) == ("succeeded", 1)
    assert [(one["code"], one["missing"]) for one in body["warnings"]] == [("provider_error", 2)]
