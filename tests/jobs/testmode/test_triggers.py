"""Each trigger that docs/test-mode.md explains does what it says."""

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from genfeed.clients.errors import ApiError
from genfeed.clients.keys import Caller
from jobs.accepting.accept import Wanted, accept
from jobs.assets.models import Asset
from jobs.canceling import cancel
from jobs.dispatching.dispatcher import Dispatcher
from jobs.models import Job, Status, WebhookDelivery
from jobs.rendering import render_job
from jobs.testmode import triggers
from jobs.webhooks.fan_out import fan_out
from tests.jobs.doubles import PRICE
from tests.jobs.testmode.conftest import MODEL
from tests.sandbox_server import ROOT, RunningSandbox

pytestmark = [pytest.mark.django_db, pytest.mark.once]

DOCUMENTED = re.findall(r"^\| `([\w:]+)` \|", (ROOT / "docs" / "test-mode.md").read_text(), re.MULTILINE)
PATIENCE_SECONDS = 20
Run = Callable[..., Job]


@pytest.fixture
def dispatcher() -> Iterator[Dispatcher]:
    one = Dispatcher(threads=4)
    yield one
    one.drain()


@pytest.fixture
def run(tester: Caller, dispatcher: Dispatcher) -> Run:
    """Accepts a test job and works until it has ended; `until` tells of another moment, at which `then` happens."""

    def work(trigger: str, *, until: Any = None, then: Any = None, **given: Any) -> Job:
        job = ask(tester, trigger, **given)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not job.has_ended:
            assert time.monotonic() < deadline, f"{job.pk} is {job.status}"
            if until and until(job):
                then(job)
                until = None
            # Without waiting for the moment of the next look.
            Job.objects.filter(pk=job.pk, status__in=("submitted", "running")).update(next_at=job.created_at)
            if not dispatcher.tick():
                dispatcher._wait(0.02)
            job.refresh_from_db()
        return job

    return work


def ask(caller: Caller, trigger: str, *, metadata: Any = None, webhook_url: str = "", **given: Any) -> Job:
    told = {"test": trigger} if metadata is None else metadata
    input = {"prompt": "a fox", **given}
    return accept(Wanted(model=MODEL, input=input, metadata=told, webhook_url=webhook_url), caller)


def seconds(job: Job, first: str, last: str) -> float:
    return (getattr(job, last) - getattr(job, first)).total_seconds()


def test_every_trigger_is_documented_and_every_documented_one_is_tried() -> None:
    assert sorted(DOCUMENTED) == sorted(triggers.WORDS)
    slow = {"slow", "queue", "requeue", "files", "partial", "empty", "nsfw", "file:lost", "cancel:too_late"}
    tried = {f"fail:{code}" for code in FAILING} | {f"refuse:{code}" for code in REFUSING} | slow | {"webhook:lost"}
    assert tried == set(DOCUMENTED)


FAILING = (
    "content_refused", "provider_rejected_input", "provider_error", "provider_unavailable", "timeout", "queue_timeout",
    "submit_unknown", "model_retired",
)  # fmt: skip
REFUSING = {
    "insufficient_funds": 402, "budget_exceeded": 402, "rate_limited": 429, "too_many_in_flight": 429,
    "queue_full": 429, "offline": 503,
}  # fmt: skip


@pytest.mark.parametrize("code", FAILING)
def test_a_job_fails_with_the_code_that_is_asked_for(run: Run, code: str) -> None:
    job = run(f"fail:{code}")

    assert (job.status, job.error["code"], job.charge) == (Status.FAILED, code, 0)
    assert job.error["hint"]


@pytest.mark.parametrize(("code", "status"), REFUSING.items())
def test_a_request_is_refused_with_the_code_that_is_asked_for(tester: Caller, code: str, status: int) -> None:
    with pytest.raises(ApiError) as refused:
        ask(tester, f"refuse:{code}")

    assert (refused.value.code, refused.value.status) == (code, status)
    assert (refused.value.retry_after is not None) == (status in (429, 503))
    assert not Job.objects.exists()


def test_a_slow_job_runs_so_long(run: Run) -> None:
    job = run("slow:0.6")

    assert job.status == Status.SUCCEEDED
    assert seconds(job, "submitted_at", "finished_at") >= 0.5


def test_a_job_waits_in_the_providers_queue(run: Run) -> None:
    job = run("queue:0.6")

    assert job.status == Status.SUCCEEDED
    assert seconds(job, "submitted_at", "finished_at") >= 0.5


def test_a_job_is_put_back_into_the_queue(run: Run, fal: RunningSandbox) -> None:
    job = run("requeue")

    assert (job.status, fal.queue()["requests"][0]["attempts"]) == (Status.SUCCEEDED, 2)


@pytest.mark.parametrize(("trigger", "count"), [("files", 3), ("files:5", 5)])
def test_several_files_come(run: Run, trigger: str, count: int) -> None:
    job = run(trigger)

    assert (job.status, len(job.output["images"]), job.charge) == (Status.SUCCEEDED, count, PRICE)
    assert Asset.objects.filter(job=job, client=job.client).count() == count


def test_a_result_comes_short_and_says_so(run: Run) -> None:
    job = run("partial", num_images=3)

    assert (job.status, len(job.output["images"])) == (Status.SUCCEEDED, 1)
    assert [one["missing"] for one in render_job(job, shows_cost=False)["warnings"]] == [2]


def test_a_success_without_files_is_a_failure(run: Run) -> None:
    assert run("empty").error["code"] == "provider_error"


def test_files_are_flagged(run: Run) -> None:
    job = run("nsfw")

    assert [asset.is_nsfw for asset in Asset.objects.filter(job=job)] == [True]


def test_a_file_that_can_t_be_fetched_says_so(run: Run, dispatcher: Dispatcher) -> None:
    job = run("file:lost")
    dispatcher.until_quiet()

    asset = Asset.objects.get(job=job)
    assert (job.status, asset.state) == (Status.SUCCEEDED, Asset.State.PENDING)
    assert "404" in asset.problem


def test_a_cancel_comes_too_late(run: Run) -> None:
    job = run("cancel:too_late", until=lambda job: job.status == Status.RUNNING, then=cancel)

    assert (job.status, job.cancel_reason, job.charge) == (Status.SUCCEEDED, "client", PRICE)


def test_no_webhook_tells_of_a_job_that_loses_its_own(run: Run) -> None:
    lost = run("webhook:lost", webhook_url="https://example.com/hook")
    told = run("", metadata={}, webhook_url="https://example.com/hook")

    fan_out()

    assert lost.status == told.status == Status.SUCCEEDED
    assert {one.message.subject for one in WebhookDelivery.objects.select_related("message")} == {told.pk}


def test_triggers_may_stand_in_the_prompt_and_together(run: Run) -> None:
    job = run("", metadata={}, prompt="a fox [test: files:2 slow:0.1], running")

    assert len(job.output["images"]) == 2


@pytest.mark.parametrize(
    "word", ["explode", "slow:long", "slow:-1", "slow:nan", "files:99", "fail:forbidden", "nsfw:1"]
)
def test_a_word_that_is_not_known_is_refused_by_name(tester: Caller, word: str) -> None:
    with pytest.raises(ApiError) as refused:
        ask(tester, word)

    assert refused.value.code == "invalid_request"
    assert repr(word) in refused.value.message
    assert "fail:timeout" in refused.value.hint
