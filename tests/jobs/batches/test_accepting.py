"""Batches over HTTP: what is accepted is held and run, what is not is named, and nothing is accepted twice."""

import base64
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import orjson
import pytest
from django.db import OperationalError
from django.test import Client as HttpClient
from django.utils import timezone

from genfeed.clients.models import Client
from genfeed.journal.audit import SYSTEM
from genfeed.journal.models import OutboxEvent
from genfeed.sandbox.media.making import Wish, make
from jobs.assets.models import Asset
from jobs.batches import accepting, closing
from jobs.batches.models import Batch, BatchRefusal
from jobs.batches.sweeping import PATIENCE, sweep_batches
from jobs.models import IdempotentAnswer, Job
from pricing.ledger.accounts import top_up
from pricing.ledger.checking import check_ledger
from pricing.models import Account, Budget, Hold, LedgerTransaction
from pricing.money import format_usd
from tests.jobs.doubles import PRICE, USD
from tests.pricing.estimates.sold import IMAGE_URL, IMAGES_OUT, PROMPT, field, make_sold

pytestmark = pytest.mark.django_db

PICTURE = make(Wish(kind="png", seed="a", width=64, height=64))
FOX = {"model": "fal-ai/flux/dev", "input": {"prompt": "a fox"}}
BAD = {"model": "fal-ai/flux/dev", "input": {"prompt": "a fox", "promt": "a fox"}}
Post = Callable[..., Any]


@pytest.fixture
def http(make_key: Callable[..., str]) -> HttpClient:
    make_sold(inputs=[PROMPT, field("num_images", "integer", default=1)], outputs=IMAGES_OUT)
    text = make_key("jobs:write", "jobs:read", client="Acme")
    top_up(Client.objects.get(name="Acme").pk, 100 * USD, actor=SYSTEM, reason="paid")
    return HttpClient(headers={"Authorization": f"Bearer {text}"})


@pytest.fixture
def post(http: HttpClient) -> Post:
    def send(body: Any, path: str = "/batches", **headers: str) -> Any:
        return http.post(f"/api/v1{path}", orjson.dumps(body), content_type="application/json", headers=headers)

    return send


def fund(amount: int) -> None:
    Account.objects.filter(client__name="Acme").update(available=amount, funded=amount)


def proven() -> bool:
    """Apart from what `fund` made of nothing, the books are right."""
    return not [one for one in check_ledger() if one.invariant != "M2"]


def nothing_was_accepted() -> bool:
    account = Account.objects.get(client__name="Acme")
    return (
        not Job.objects.exists()
        and not Batch.objects.exists()
        and not Hold.objects.exists()
        and not LedgerTransaction.objects.filter(kind="hold").exists()
        and not OutboxEvent.objects.filter(kind__startswith="job.").exists()
        and not OutboxEvent.objects.filter(kind__startswith="batch.").exists()
        and (account.held, account.open_batch_holds) == (0, 0)
    )


# --- accepted ---


def test_every_item_gets_a_job_and_a_hold_of_its_own(post: Post) -> None:
    answer = post({"items": [FOX, {**FOX, "metadata": {"order": 7}}]})

    assert answer.status_code == 201
    body = answer.json()
    assert (body["status"], body["size"], body["counts"]["queued"]) == ("running", 2, 2)
    assert body["quote"] == format_usd(2 * PRICE)
    assert [(item["index"], item["status"]) for item in body["items"]] == [(0, "queued"), (1, "queued")]
    jobs = list(Job.objects.order_by("batch_index"))
    assert [item["job"] for item in body["items"]] == [job.pk for job in jobs]
    assert {job.batch_id for job in jobs} == {body["id"]}
    assert jobs[1].metadata == {"order": 7}
    assert sorted(Hold.objects.values_list("job", "amount", "in_batch")) == sorted(
        (job.pk, PRICE, True) for job in jobs
    )
    assert [event.kind for job in jobs for event in job.events.all()] == ["job_queued", "job_queued"]
    assert OutboxEvent.objects.filter(kind="job.queued").count() == 2
    assert check_ledger() == []


@pytest.mark.once
def test_a_job_names_its_batch_and_jobs_are_found_by_it(post: Post, http: HttpClient) -> None:
    batch = post({"items": [FOX]}).json()["id"]
    post(FOX, "/jobs")

    found = http.get(f"/api/v1/jobs?batch={batch}").json()["items"]

    assert [job["batch"] for job in found] == [batch]


@pytest.mark.once
def test_what_items_have_in_common_is_said_once(post: Post) -> None:
    body = {
        "model": "fal-ai/flux/dev",
        "input": {"num_images": 2, "prompt": "a fox"},
        "items": [{}, {"input": {"prompt": "an owl"}}, {"input": {"num_images": 1}}],
    }

    assert post(body).status_code == 201
    assert [job.input for job in Job.objects.order_by("batch_index")] == [
        {"num_images": 2, "prompt": "a fox"},
        {"num_images": 2, "prompt": "an owl"},
        {"num_images": 1, "prompt": "a fox"},
    ]


@pytest.mark.once
def test_a_batch_of_prompts_is_short(post: Post) -> None:
    assert post({"model": "fal-ai/flux/dev", "prompts": ["a fox", "an owl"]}).status_code == 201
    assert [job.input["prompt"] for job in Job.objects.order_by("batch_index")] == ["a fox", "an owl"]


def test_as_many_items_as_a_batch_may_have_are_all_accepted(post: Post) -> None:
    answer = post({"model": "fal-ai/flux/dev", "prompts": ["a fox"] * 500})

    assert (answer.status_code, answer.json()["counts"]["queued"]) == (201, 500)
    assert Hold.objects.count() == Job.objects.count() == 500


def test_the_first_item_has_the_least_id_and_so_its_turn_first(post: Post) -> None:
    post({"model": "fal-ai/flux/dev", "prompts": ["a fox"] * 60})

    assert list(Job.objects.order_by("batch_index").values_list("pk", flat=True)) == sorted(
        Job.objects.values_list("pk", flat=True)
    )


@pytest.mark.once
@pytest.mark.parametrize(
    "body",
    [
        {"items": []},
        {"items": [FOX] * 501},
        {},
        {"items": [FOX], "prompts": ["a"]},
        {"items": [FOX], "mode": "some"},
        {"items": [{**FOX, "unknown": 1}]},
        {"items": [FOX], "max_total_price": "much"},
        {"items": [FOX], "webhook_url": "http://example.com"},
        {"items": [FOX], "metadata": {"a": "x" * 501}},
    ],
)
def test_a_body_that_makes_no_sense_is_refused(post: Post, body: Any) -> None:
    answer = post(body)

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert nothing_was_accepted()


# --- best effort ---


@pytest.mark.once
def test_best_effort_accepts_what_can_be_and_says_why_the_rest_was_not(post: Post) -> None:
    items = [BAD, FOX, {"input": {"prompt": "a"}}, {**FOX, "max_price": "0.01"}, {**FOX, "webhook_url": "ftp://x"}]
    items += [{**FOX, "input": {"prompt": "\x00"}}, {**FOX, "model": "\x00"}]

    answer = post({"items": items})

    assert answer.status_code == 201
    body = answer.json()
    assert [item["status"] for item in body["items"]] == ["refused", "queued", *["refused"] * 5]
    errors = {item["index"]: item["error"] for item in body["items"] if item["error"]}
    assert {index: error["code"] for index, error in errors.items()} == {
        0: "unknown_field", 2: "invalid_request", 3: "price_above_max", 4: "invalid_request", 5: "invalid_request",
        6: "model_not_found",
    }  # fmt: skip
    assert all(error["message"] and error["hint"] for error in errors.values())
    assert "promt" in errors[0]["message"]
    assert (body["counts"]["refused"], body["counts"]["queued"]) == (6, 1)
    assert Hold.objects.count() == 1


def test_items_that_money_does_not_reach_for_are_named_and_cheaper_ones_taken(post: Post) -> None:
    # The price of two images is rounded once.
    fund(3 * PRICE + 1)
    double = {**FOX, "input": {"prompt": "a fox", "num_images": 2}}

    body = post({"items": [FOX, double, FOX, FOX]}).json()

    assert [item["status"] for item in body["items"]] == ["queued", "queued", "refused", "refused"]
    assert body["items"][2]["error"]["code"] == "insufficient_funds"
    assert Account.objects.get(client__name="Acme").held == 3 * PRICE + 1
    assert proven()


def test_items_beyond_a_budget_are_refused(post: Post) -> None:
    Budget.objects.create(client=Client.objects.get(name="Acme"), period="total", limit=2 * PRICE)

    body = post({"items": [FOX] * 3}).json()

    assert [item["status"] for item in body["items"]] == ["queued", "queued", "refused"]
    assert body["items"][2]["error"]["code"] == "budget_exceeded"
    assert check_ledger() == []


def test_a_batch_has_places_of_its_own_beside_single_jobs(post: Post) -> None:
    Client.objects.filter(name="Acme").update(max_in_flight=1, max_queued=1, max_open_in_batches=3)

    body = post({"items": [FOX] * 5}).json()
    singles = [post(FOX, "/jobs").status_code for _ in range(3)]

    assert [item["status"] for item in body["items"]] == ["queued"] * 3 + ["refused"] * 2
    assert {item["error"]["code"] for item in body["items"][3:]} == {"queue_full"}
    assert singles == [201, 201, 429]
    assert check_ledger() == []


@pytest.mark.once
def test_a_batch_takes_one_token_of_the_jobs_a_minute(post: Post) -> None:
    Client.objects.filter(name="Acme").update(jobs_per_minute=2)

    answers = [post({"items": [FOX] * 5}).status_code for _ in range(3)]

    assert answers == [201, 201, 429]
    assert Job.objects.count() == 10


@pytest.mark.once
def test_nothing_above_the_total_price_is_taken(post: Post) -> None:
    body = post({"items": [FOX] * 3, "max_total_price": format_usd(2 * PRICE + 1)}).json()

    assert [item["status"] for item in body["items"]] == ["queued", "queued", "refused"]
    assert body["items"][2]["error"]["code"] == "price_above_max"


@pytest.mark.once
def test_a_batch_of_which_nothing_can_be_accepted_is_refused_with_all_reasons(post: Post) -> None:
    answer = post({"items": [BAD, {**FOX, "model": "fal-ai/flux/deb"}]})

    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_field")
    assert [(item["index"], item["code"]) for item in answer.json()["details"]["items"]] == [
        (0, "unknown_field"),
        (1, "model_not_found"),
    ]
    assert nothing_was_accepted()


def test_a_batch_without_money_leaves_nothing(post: Post) -> None:
    fund(0)

    answer = post({"items": [FOX] * 60}, **{"Idempotency-Key": "k"})

    assert (answer.status_code, answer.json()["code"]) == (402, "insufficient_funds")
    assert len(answer.json()["details"]["items"]) == 60
    assert nothing_was_accepted()


# --- all or nothing ---


def test_all_or_nothing_accepts_all(post: Post) -> None:
    body = post({"items": [FOX] * 120, "mode": "all_or_nothing"}).json()

    assert (body["counts"]["queued"], body["counts"]["refused"]) == (120, 0)
    assert check_ledger() == []


@pytest.mark.once
def test_one_failing_item_refuses_the_whole_and_every_failing_item_is_named(post: Post) -> None:
    answer = post({"items": [FOX, BAD, FOX, {"input": {}}], "mode": "all_or_nothing"})

    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_field")
    assert "2 of 4 items" in answer.json()["message"]
    items = answer.json()["details"]["items"]
    assert [(item["index"], item["code"]) for item in items] == [(1, "unknown_field"), (3, "invalid_request")]
    assert all(item["message"] and item["hint"] for item in items)
    assert nothing_was_accepted()


@pytest.mark.once
def test_all_or_nothing_names_the_items_that_money_does_not_reach_for(post: Post) -> None:
    fund(2 * PRICE)

    answer = post({"items": [FOX] * 4, "mode": "all_or_nothing"})

    assert (answer.status_code, answer.json()["code"]) == (402, "insufficient_funds")
    assert [item["index"] for item in answer.json()["details"]["items"]] == [2, 3]
    assert nothing_was_accepted()


# --- repeated, cut off ---


@pytest.mark.parametrize("mode", ["best_effort", "all_or_nothing"])
def test_a_repetition_gets_the_same_answer(post: Post, mode: str) -> None:
    body = {"items": [FOX, FOX], "mode": mode}
    first = post(body, **{"Idempotency-Key": "k"})

    second = post(body, **{"Idempotency-Key": "k"})

    assert (second.status_code, second.content) == (201, first.content)
    assert second.headers["Idempotent-Replayed"] == "true"
    assert Job.objects.count() == 2


@pytest.mark.once
def test_the_key_of_another_batch_is_refused(post: Post) -> None:
    post({"items": [FOX]}, **{"Idempotency-Key": "k"})

    answer = post({"items": [FOX, FOX]}, **{"Idempotency-Key": "k"})

    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")


class CutOffError(BaseException):
    """What a killed process leaves: nothing runs any more."""


@pytest.fixture
def cut_off(post: Post, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A batch of 130 that was cut off in its third part."""
    body = {"items": [BAD, *[FOX] * 129]}
    take, parts = accepting._take, iter(range(10))

    def taken(*args: Any) -> Any:
        if next(parts) == 2:
            raise CutOffError
        return take(*args)

    with monkeypatch.context() as patch:
        patch.setattr(accepting, "_take", taken)
        with pytest.raises(CutOffError):
            post(body, **{"Idempotency-Key": "k"})
    assert Job.objects.count() == 100
    return body


def test_a_repetition_after_a_cut_off_goes_on_and_accepts_nothing_twice(post: Post, cut_off: Any) -> None:
    before = set(Job.objects.values_list("pk", flat=True))
    Batch.objects.update(accepting_until=timezone.now())

    answer = post(cut_off, **{"Idempotency-Key": "k"})

    assert answer.status_code == 201
    body = answer.json()
    assert (body["counts"]["queued"], body["counts"]["refused"], body["status"]) == (129, 1, "running")
    assert Batch.objects.count() == 1
    assert before < set(Job.objects.values_list("pk", flat=True))
    assert sorted(Job.objects.values_list("batch_index", flat=True)) == list(range(1, 130))
    assert post(cut_off, **{"Idempotency-Key": "k"}).content == answer.content
    assert check_ledger() == []


def test_while_a_batch_is_at_work_its_repetition_waits(post: Post, cut_off: Any) -> None:
    answer = post(cut_off, **{"Idempotency-Key": "k"})

    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_in_progress")
    assert int(answer.headers["Retry-After"]) > 0
    assert Job.objects.count() == 100


def test_two_that_go_on_at_once_accept_no_item_twice(post: Post, cut_off: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    Batch.objects.update(accepting_until=timezone.now())
    prepared = accepting._prepared

    def prepared_late(*args: Any) -> Any:
        found = prepared(*args)
        monkeypatch.setattr(accepting, "_prepared", prepared)
        # Another one thinks that this one is dead, and does its work.
        Batch.objects.update(accepting_until=timezone.now())
        assert post(cut_off, **{"Idempotency-Key": "k"}).status_code == 201
        return found

    monkeypatch.setattr(accepting, "_prepared", prepared_late)
    answer = post(cut_off, **{"Idempotency-Key": "k"})

    assert (answer.status_code, answer.json()["counts"]["queued"]) == (201, 129)
    assert sorted(Job.objects.values_list("batch_index", flat=True)) == list(range(1, 130))
    assert check_ledger() == []


def test_a_batch_that_nobody_repeats_is_closed_and_says_what_it_did_not_come_to(
    post: Post, http: HttpClient, cut_off: Any
) -> None:
    Batch.objects.update(accepting_until=timezone.now() - PATIENCE - timedelta(seconds=1))

    sweep_batches(now=True)

    body = http.get(f"/api/v1/batches/{Batch.objects.get().pk}").json()
    assert (body["status"], body["counts"]["queued"], body["counts"]["refused"]) == ("running", 100, 30)
    late = post(cut_off, **{"Idempotency-Key": "k"})
    assert (late.status_code, late.json()["counts"]) == (201, body["counts"])
    assert Job.objects.count() == 100


def test_an_item_that_was_refused_is_written_once(post: Post) -> None:
    post({"items": [BAD, FOX]})
    batch = Batch.objects.get()

    closing.close_cut_off(batch)

    assert list(BatchRefusal.objects.values_list("index", flat=True)) == [0]


def test_what_is_begun_and_not_answered_is_no_answer(post: Post, cut_off: Any) -> None:
    assert IdempotentAnswer.objects.get(key="k").status == 0


@pytest.fixture
def broken(http: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database fails once, in the third part of a batch."""
    http.raise_request_exception = False
    take, parts = accepting._take, iter(range(10))

    def taken(*args: Any) -> Any:
        if next(parts) == 2:
            raise OperationalError("the connection was lost")
        return take(*args)

    monkeypatch.setattr(accepting, "_take", taken)


def test_without_a_key_what_was_accepted_before_a_failure_is_told_and_the_rest_refused(
    post: Post, broken: None
) -> None:
    answer = post({"items": [BAD, *[FOX] * 129]})

    assert answer.status_code == 201
    body = answer.json()
    assert (body["status"], body["counts"]["queued"], body["counts"]["refused"]) == ("running", 100, 30)
    assert Job.objects.count() == 100
    codes = BatchRefusal.objects.order_by("index").values_list("index", "code")
    assert list(codes) == [(0, "unknown_field"), *((index, "internal_error") for index in range(101, 130))]
    assert check_ledger() == []


def test_with_a_key_a_failure_is_told_and_the_repetition_goes_on(post: Post, broken: None) -> None:
    body = {"items": [FOX] * 130}
    assert post(body, **{"Idempotency-Key": "k"}).status_code == 503
    Batch.objects.update(accepting_until=timezone.now())

    answer = post(body, **{"Idempotency-Key": "k"})

    assert (answer.status_code, answer.json()["counts"]["queued"]) == (201, 130)
    assert Job.objects.count() == 130


# --- files in items ---


def with_file(http: HttpClient, content: bytes) -> dict[str, Any]:
    make_sold("fal-ai/edit", "0.03", "images", inputs=[PROMPT, IMAGE_URL], outputs=IMAGES_OUT)
    uri = f"data:image/png;base64,{base64.b64encode(content).decode()}"
    return {"model": "fal-ai/edit", "input": {"prompt": "a fox", "image_url": uri}}


@pytest.mark.once
@pytest.mark.parametrize("mode", ["best_effort", "all_or_nothing"])
def test_data_uris_of_items_become_uploads(http: HttpClient, post: Post, mode: str) -> None:
    item = with_file(http, PICTURE)

    answer = post({"mode": mode, "items": [FOX, item]})

    assert answer.status_code == 201, answer.content
    assert Job.objects.get(batch_index=1).input["image_url"] == f"asset:{Asset.objects.get().pk}"


@pytest.mark.once
@pytest.mark.parametrize("mode", ["best_effort", "all_or_nothing"])
def test_items_that_are_not_accepted_leave_no_file(http: HttpClient, post: Post, mode: str) -> None:
    item = with_file(http, PICTURE)
    fund(PRICE)

    answer = post({"mode": mode, "items": [FOX, item]})

    assert answer.status_code == (201 if mode == "best_effort" else 402), answer.content
    assert Asset.objects.count() == 0


@pytest.mark.once
def test_a_file_that_no_upload_may_be_refuses_its_item_alone(http: HttpClient, post: Post) -> None:
    item = with_file(http, b"<html><script>alert(1)</script>")

    answer = post({"items": [FOX, item]})

    assert answer.status_code == 201, answer.content
    assert (Job.objects.count(), BatchRefusal.objects.get().index) == (1, 1)
