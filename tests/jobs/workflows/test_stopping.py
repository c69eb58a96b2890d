"""A workflow that is kept from going on: failures, money and places that are not there, revoked keys, cancels."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from genfeed.clients.keys import Caller
from genfeed.clients.models import ApiKey, Client
from jobs.ending.finishing import finish
from jobs.models import Job, Status, WorkflowRun, WorkflowStep
from jobs.workflows.canceling import cancel_workflow
from jobs.workflows.rendering import render_workflow
from jobs.workflows.turns import due
from pricing.models import Account
from pricing.money import format_usd
from tests.jobs.doubles import USD, make_caller, result
from tests.jobs.workflows.flows import (
    FILM,
    FILM_PRICE,
    PICTURE,
    PICTURE_PRICE,
    forward,
    job_of,
    leave,
    lose,
    make_flow,
    steps_of,
    succeed,
    told,
)

pytestmark = pytest.mark.django_db


# --- failures ---


def test_a_failed_step_skips_all_that_needs_it_and_fails_the_workflow_and_others_run_on(caller: Caller) -> None:
    run = forward(make_flow(caller, PICTURE, FILM, {**PICTURE, "name": "other"}))
    lose(job_of(run, "picture"))
    forward(run)
    assert (steps_of(run), run.status) == (
        {"picture": ["failed"], "film": ["skipped"], "other": ["running"]}, "running",
    )  # fmt: skip

    succeed(job_of(run, "other"))
    forward(run)

    assert (run.status, told(run)[-1]) == ("failed", "workflow.failed")
    error = run.steps.get(name="film").error
    assert (error["code"], "step 'picture' failed" in error["message"]) == ("provider_error", True)


@pytest.mark.once
def test_a_failure_that_is_to_be_gone_on_from_skips_what_refers_to_it_alone(caller: Caller) -> None:
    picture = {**PICTURE, "on_error": "continue"}
    after = {**PICTURE, "name": "after", "depends_on": ["picture"]}
    run = forward(make_flow(caller, picture, FILM, after))
    lose(job_of(run, "picture"))
    forward(run)
    succeed(job_of(run, "after"))

    forward(run)

    assert steps_of(run) == {"picture": ["failed"], "film": ["skipped"], "after": ["succeeded"]}
    assert run.status == "succeeded"


@pytest.mark.once
def test_a_step_that_only_comes_after_another_is_skipped_where_that_failed(caller: Caller) -> None:
    after = {**PICTURE, "name": "after", "depends_on": ["picture"]}
    run = forward(make_flow(caller, PICTURE, after))
    lose(job_of(run, "picture"))

    forward(run)

    assert (steps_of(run)["after"], run.status) == (["skipped"], "failed")


@pytest.mark.once
def test_a_step_that_comes_after_a_skipped_one_says_so(caller: Caller) -> None:
    after = {**PICTURE, "name": "after", "depends_on": ["film"]}
    run = forward(make_flow(caller, PICTURE, FILM, after))
    lose(job_of(run, "picture"))

    forward(run)

    message = run.steps.get(name="after").error["message"]
    assert message == "It was not run, because run 0 of step 'film' was skipped."


# --- money and places that are not there ---


def test_a_step_that_can_not_be_paid_waits_and_runs_once_it_can(caller: Caller) -> None:
    poor = make_caller(usd=2, name="Beta")
    run = forward(make_flow(poor))
    succeed(job_of(run, "picture"))
    leave(poor, FILM_PRICE - 1)

    forward(run)
    step = run.steps.get(name="film")
    assert (step.status, step.error["code"], run.status) == ("waiting", "insufficient_funds", "running")
    assert timezone.now() < run.next_at <= timezone.now() + timedelta(seconds=15)
    leave(poor, FILM_PRICE)
    forward(run)

    step.refresh_from_db()
    assert (step.status, step.error) == ("running", None)


def test_a_step_fails_with_the_reason_when_it_has_waited_too_long(caller: Caller, settings: Any) -> None:
    settings.WORKFLOW_PATIENCE_SECONDS = 60
    poor = make_caller(usd=2, name="Beta")
    run = forward(make_flow(poor))
    succeed(job_of(run, "picture"))
    leave(poor, 0)
    forward(run)
    WorkflowStep.objects.update(waits_since=timezone.now() - timedelta(seconds=61))

    forward(run)

    step = run.steps.get(name="film")
    assert (step.status, step.error["code"], run.status) == ("failed", "insufficient_funds", "failed")


def test_a_full_queue_keeps_the_steps_behind_it_waiting_and_is_asked_again(caller: Caller) -> None:
    Client.objects.update(max_in_flight=1, max_queued=1)
    narrow = make_caller(usd=10, name="Acme")
    run = forward(make_flow(narrow, {**PICTURE, "quantity": 4}))
    assert sorted(steps_of(run)["picture"]) == ["running", "running", "waiting", "waiting"]
    assert run.steps.filter(error__code="queue_full").count() == 1

    succeed(job_of(run, "picture", 0))
    forward(run)

    assert sorted(steps_of(run)["picture"]) == ["running", "running", "succeeded", "waiting"]


def test_the_jobs_of_a_workflow_are_never_charged_more_than_it_may_cost(caller: Caller) -> None:
    run = forward(make_flow(caller, max_price=format_usd(PICTURE_PRICE + FILM_PRICE)))
    assert job_of(run, "picture").max_price == PICTURE_PRICE + FILM_PRICE
    succeed(job_of(run, "picture"))

    forward(run)

    assert job_of(run, "film").max_price == FILM_PRICE


def test_a_step_that_has_become_too_dear_fails(caller: Caller) -> None:
    run = forward(make_flow(caller, max_price=format_usd(PICTURE_PRICE + FILM_PRICE)))
    succeed(job_of(run, "picture"))
    WorkflowRun.objects.update(max_price=FILM_PRICE)

    forward(run)

    step = run.steps.get(name="film")
    assert (step.status, step.error["code"]) == ("failed", "price_above_max")


def test_a_step_waits_while_others_hold_what_it_needs_of_the_limit(caller: Caller) -> None:
    both = [PICTURE, {**PICTURE, "name": "other"}]
    run = make_flow(caller, *both, max_price=format_usd(2 * PICTURE_PRICE))
    WorkflowRun.objects.update(max_price=2 * PICTURE_PRICE - 1)
    forward(run)
    assert steps_of(run) == {"picture": ["running"], "other": ["waiting"]}

    # It costs nothing, so the other fits.
    lose(job_of(run, "picture"))
    forward(run)

    assert steps_of(run)["other"] == ["running"]


def test_a_key_that_was_revoked_starts_nothing_more(caller: Caller) -> None:
    run = forward(make_flow(caller))
    succeed(job_of(run, "picture"))
    ApiKey.objects.update(revoked_at=timezone.now())

    forward(run)

    step = run.steps.get(name="film")
    assert (step.status, step.error["code"], run.status) == ("failed", "unauthorized", "failed")


def test_a_step_that_could_not_be_started_for_a_fault_of_ours_is_tried_again(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jobs.workflows import starting

    run = make_flow(caller)
    monkeypatch.setattr(starting, "accept", lambda *_, **__: 1 / 0)
    forward(run)
    step = run.steps.get(name="picture")
    assert (step.status, step.error["code"]) == ("waiting", "internal_error")

    monkeypatch.undo()
    forward(run)

    assert steps_of(run)["picture"] == ["running"]


def test_a_stored_result_answers_a_step_and_what_follows_starts_at_once(caller: Caller) -> None:
    cached = {**PICTURE, "cache": "any_seed"}
    first = forward(make_flow(caller, cached))
    succeed(job_of(first, "picture"))

    run = forward(make_flow(caller, cached, FILM))

    assert (steps_of(run), job_of(run, "picture").is_cached) == ({"picture": ["succeeded"], "film": ["running"]}, True)


# --- cancel ---


def test_a_cancel_starts_nothing_more_and_cancels_what_runs(caller: Caller) -> None:
    run = forward(make_flow(caller))

    forward(cancel_workflow(run))

    assert steps_of(run) == {"picture": ["canceled"], "film": ["canceled"]}
    assert (run.status, told(run)) == ("canceled", ["workflow.created", "workflow.canceled"])
    account = Account.objects.get(client_id=caller.client_id)
    assert (account.available, account.held) == (10 * USD, 0)
    assert cancel_workflow(run).status == "canceled"


def test_a_cancel_of_more_than_a_look_has_time_for_goes_on_at_once(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jobs.workflows import advancing, canceling

    run = forward(make_flow(caller, {**PICTURE, "quantity": 3}))
    Job.objects.update(status=Status.RUNNING)
    monkeypatch.setattr(canceling, "PATIENCE_SECONDS", -1)
    monkeypatch.setattr(advancing, "_PATIENCE", -1)

    forward(cancel_workflow(run))
    assert (Job.objects.filter(cancel_requested_at=None).count(), due()) == (3, [run.pk])
    monkeypatch.undo()
    forward(run)

    assert (Job.objects.filter(status=Status.CANCELING).count(), due()) == (3, [])


@pytest.mark.once
def test_what_the_provider_delivers_all_the_same_is_shown_and_charged(caller: Caller) -> None:
    run = forward(make_flow(caller))
    Job.objects.update(status=Status.RUNNING)

    forward(cancel_workflow(run))
    assert (run.status, steps_of(run)["film"]) == ("canceling", ["canceled"])
    job = job_of(run, "picture")
    assert job.status == Status.CANCELING
    assert finish(job, result())
    forward(run)

    assert (run.status, steps_of(run)["picture"]) == ("canceled", ["succeeded"])
    assert render_workflow(run, shows_cost=False)["charge"] == format_usd(PICTURE_PRICE)


def test_a_cancel_that_comes_while_a_step_is_started_undoes_the_start(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jobs.workflows import starting

    run, accept = make_flow(caller), starting.accept

    def late(*args: Any, **more: Any) -> Job:
        cancel_workflow(WorkflowRun.objects.get(pk=run.pk))
        return accept(*args, **more)

    monkeypatch.setattr(starting, "accept", late)
    forward(run)
    monkeypatch.undo()
    assert Job.objects.count() == 0

    forward(run)
    assert (run.status, steps_of(run)["picture"]) == ("canceled", ["canceled"])
