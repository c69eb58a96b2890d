"""What logs and metrics tell of jobs, and what they must not."""

import logging
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import psutil
import pytest
from django.conf import settings as project
from django.utils import timezone
from prometheus_client import REGISTRY

from genfeed.metrics import exposition
from jobs.canceling import cancel
from jobs.clean_up import clean_up
from jobs.dispatching import gate
from jobs.models import IdempotentAnswer, Job, ProviderAnswer
from jobs.redaction import keyed_digest
from jobs.rendering import moment
from pricing.estimates import observed
from tests.jobs.conftest import Run
from tests.jobs.doubles import look, make_caller, make_job, result, set_job, submitted
from tests.sandbox_server import RunningSandbox

pytestmark = pytest.mark.django_db

SECRET = "a very private lighthouse"


@pytest.fixture
def records() -> Iterator[list[logging.LogRecord]]:
    """Every record of the test, of any logger and level."""
    kept: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = kept.append  # type: ignore[method-assign]
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield kept
    root.removeHandler(handler)
    root.setLevel(level)


def told(records: list[logging.LogRecord]) -> dict[str, Any]:
    """The only record of an ended job."""
    (record,) = [record for record in records if record.name == "genfeed.jobs.ended"]
    return vars(record)


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


# --- the log ---


def test_an_ended_job_leaves_one_record_with_model_times_units_and_money(records: list[logging.LogRecord]) -> None:
    provider, job = submitted(metadata={"order": "7"})
    look(provider, job)
    look(provider, job)

    record = told(records)

    assert (record["job"], record["model"], record["provider_request"]) == (job.pk, "fal:fal-ai/flux/dev", "req-1")
    assert (record["status"], record["success"], record["error_code"]) == ("succeeded", True, "")
    assert list(record["timeline"]) == ["accepted", "sent", "submitted", "ended"]
    assert (record["units"], record["unit"]) == ("1", "images")
    assert (record["charge"], record["cost"]) == ("0.083333333", "0.025")
    assert (record["attempts"], record["metadata"], record["features"]) == (1, {"order": "7"}, {"num_images": 1})
    assert record["duration"] >= record["provider_seconds"] >= 0
    assert (record["operation"], record["timeline"]["ended"]) == ("generate", moment(job.finished_at))


@pytest.mark.once
def test_a_failure_is_logged_with_its_code_and_without_the_providers_words(records: list[logging.LogRecord]) -> None:
    provider, job = submitted()
    provider.on_result = result(status=422, detail=[{"msg": SECRET, "type": "x", "loc": ["body", "prompt"]}])
    look(provider, job)

    record = told(records)

    assert (record["success"], record["error_code"]) == (False, "provider_rejected_input")
    assert SECRET not in repr(record)


@pytest.mark.once
def test_of_the_prompt_a_record_has_length_and_keyed_digest_alone(records: list[logging.LogRecord]) -> None:
    cancel(make_job(input={"prompt": SECRET}))

    record = told(records)

    assert (record["prompt_characters"], record["prompt_hmac"]) == (len(SECRET), keyed_digest(SECRET))
    assert SECRET not in repr(record)


@pytest.mark.once
def test_the_digest_of_a_prompt_takes_the_key_to_be_made(settings: Any) -> None:
    before = keyed_digest(SECRET)

    settings.SECRET_KEY = "another"

    assert keyed_digest(SECRET) != before


@pytest.mark.once
def test_the_prompt_the_key_and_the_token_are_in_no_log_line_of_a_jobs_whole_way(
    run: Run, sandbox: RunningSandbox, records: list[logging.LogRecord]
) -> None:
    job = run(input={"prompt": SECRET})

    formatter = logging.Formatter("%(message)s")
    text = "\n".join(f"{formatter.format(record)} {vars(record)!r}" for record in records)
    assert job.status == "succeeded"
    assert job.pk in text
    made = job.output["images"][0]["url"]
    assert [secret for secret in (SECRET, job.token, project.FAL_KEY, made) if secret in text] == []


@pytest.mark.once
def test_a_refused_job_does_not_log_its_prompt(client: Any, records: list[logging.LogRecord]) -> None:
    make_job()
    from genfeed.clients.keys import create_key
    from genfeed.clients.models import Client
    from genfeed.journal.audit import SYSTEM

    _, key = create_key(Client.objects.get(), actor=SYSTEM, scopes=["jobs:write"])
    body = {"model": "fal-ai/flux/dev", "input": {"prompt": SECRET, "no_such_field": SECRET}}

    answer = client.post(
        "/api/v1/jobs", orjson.dumps(body), content_type="application/json", headers={"Authorization": f"Bearer {key}"}
    )

    assert answer.status_code == 422
    assert SECRET not in "\n".join(repr(vars(record)) for record in records if not record.name.startswith("django.db"))


# --- metrics ---


@pytest.mark.once
def test_jobs_are_counted_when_accepted_and_by_how_they_end() -> None:
    accepted = value("genfeed_jobs_accepted_total", provider="fal")
    failed = value("genfeed_jobs_ended_total", provider="fal", status="failed", code="provider_error")

    provider, job = submitted()
    provider.on_result = result(status=500)
    look(provider, job)

    assert value("genfeed_jobs_accepted_total", provider="fal") == accepted + 1
    after = value("genfeed_jobs_ended_total", provider="fal", status="failed", code="provider_error")
    assert after == failed + 1


@pytest.mark.once
def test_the_times_from_acceptance_to_submit_and_from_submit_to_the_last_event_are_observed() -> None:
    waits = value("genfeed_job_accepted_to_submitted_seconds_count", provider="fal")
    runs = value("genfeed_job_submitted_to_ended_seconds_count", provider="fal", status="succeeded")

    provider, job = submitted()
    look(provider, job)

    assert value("genfeed_job_accepted_to_submitted_seconds_count", provider="fal") == waits + 1
    assert value("genfeed_job_submitted_to_ended_seconds_count", provider="fal", status="succeeded") == runs + 1


@pytest.mark.once
def test_calls_to_the_provider_are_timed_and_their_errors_counted(run: Run, sandbox: RunningSandbox) -> None:
    calls = value("genfeed_provider_call_seconds_count", provider="fal", call="submit")
    errors = value("genfeed_provider_call_errors_total", provider="fal", call="submit", kind="404")
    sandbox.faults(gone=["fal-ai/flux/dev"])

    run()

    assert value("genfeed_provider_call_seconds_count", provider="fal", call="submit") == calls + 1
    assert value("genfeed_provider_call_errors_total", provider="fal", call="submit", kind="404") == errors + 1


def test_the_scrape_tells_of_queue_gates_and_machine() -> None:
    job = make_job()
    set_job(job, created_at=timezone.now() - timedelta(minutes=5))
    gate.block("fal", "provider_locked", "Our balance is exhausted", "Top it up.")

    lines = dict(line.rsplit(" ", 1) for line in exposition().decode().splitlines() if not line.startswith("#"))

    assert lines['genfeed_jobs_open{status="queued"}'] == "1.0"
    assert lines['genfeed_jobs_open{status="running"}'] == "0.0"
    assert float(lines["genfeed_jobs_oldest_queued_seconds"]) >= 300
    assert lines['genfeed_provider_gate_shut{provider="fal"}'] == "1.0"
    assert float(lines["genfeed_storage_free_bytes"]) > 0
    assert float(lines["genfeed_load_average"]) >= 0
    assert float(lines["genfeed_cpus"]) == os.cpu_count()
    if Path("/proc/meminfo").exists():
        assert 0 < float(lines["genfeed_memory_available_bytes"]) <= psutil.virtual_memory().total


# --- what comes short ---


@pytest.mark.once
def test_fewer_outputs_than_asked_for_are_delivered_and_what_is_missing_is_named() -> None:
    provider, job = submitted(input={"prompt": "a fox", "num_images": 3})
    provider.on_result = result(units="1")

    look(provider, job)

    assert (job.status, len(job.output["images"])) == ("succeeded", 1)
    (warning,) = job.events.get(kind="job_succeeded").data["warnings"]
    assert (warning["code"], warning["missing"]) == ("provider_error", 2)
    assert "2 of 3" in warning["message"]
    assert "Send the job again for the rest" in warning["hint"]


@pytest.mark.once
def test_outputs_that_the_provider_flagged_are_named() -> None:
    provider, job = submitted()
    provider.on_result = result({"images": [{"url": "https://v3.fal.media/files/a.png"}], "has_nsfw_concepts": [True]})

    look(provider, job)

    (warning,) = job.events.get(kind="job_succeeded").data["warnings"]
    assert (warning["code"], warning["missing"]) == ("content_refused", 1)


@pytest.mark.once
def test_a_success_in_full_has_no_warnings() -> None:
    provider, job = submitted()

    look(provider, job)

    assert "warnings" not in job.events.get(kind="job_succeeded").data


# --- deadlines by what was observed ---


def test_a_deadline_is_three_times_what_the_models_own_jobs_took_at_most() -> None:
    first = make_job()
    assert first.deadline_seconds == 60
    used(first, [1.0] * 20 + [100.0])

    assert make_job(make_caller()).deadline_seconds == 300


def test_a_few_jobs_say_nothing_about_the_deadline() -> None:
    first = make_job()
    used(first, [100.0] * 19)

    assert make_job(make_caller()).deadline_seconds == 60


def used(job: Job, seconds: list[float]) -> None:
    """As if so many jobs of the model had taken so long."""
    from pricing.models import UsageRecord

    for number, took in enumerate(seconds):
        UsageRecord.objects.create(
            job=f"job_{number}", model_id=job.model_id, client_id=job.client_id, cost=0, charge=0, cost_source="none",
            seconds=took,
        )  # fmt: skip
    observed.forget()


# --- clean-up ---


def test_answers_of_providers_are_forgotten_after_their_days(settings: Any) -> None:
    settings.PROVIDER_ANSWER_DAYS = 30
    job = make_job()
    old = ProviderAnswer.objects.create(job=job, call="status", status=200, at=timezone.now() - timedelta(days=31))
    new = ProviderAnswer.objects.create(job=job, call="result", status=200)

    assert clean_up()["provider_answers"] == 1

    assert list(ProviderAnswer.objects.all()) == [new]
    assert old.pk != new.pk


def test_kept_answers_of_idempotency_keys_are_forgotten_after_a_day() -> None:
    client_id = make_caller().client_id
    for hours in (25, 1):
        IdempotentAnswer.objects.create(
            client_id=client_id, key=str(hours), body_digest="", created_at=timezone.now() - timedelta(hours=hours)
        )

    assert clean_up()["idempotent_answers"] == 1

    assert IdempotentAnswer.objects.get().key == "1"


@pytest.mark.once
def test_the_clean_up_runs_daily() -> None:
    from django_q.models import Schedule

    assert Schedule.objects.get(func="jobs.tasks.forget_old").schedule_type == "D"
