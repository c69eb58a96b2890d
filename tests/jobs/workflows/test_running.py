"""A workflow on its way: what starts when, what is handed on, what a failure means, and that its end is told once."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import DataError
from django.utils import timezone

from genfeed.clients.keys import Caller
from genfeed.journal.audit import SYSTEM
from genfeed.media.headers import MediaFacts
from jobs.assets import fetching
from jobs.assets.models import Asset
from jobs.assets.reading import Read
from jobs.models import Job, WorkflowRun
from jobs.workflows.advancing import advance, advance_due
from jobs.workflows.rendering import render_steps, render_workflow
from jobs.workflows.turns import claim, due
from pricing.ledger.accounts import top_up
from pricing.ledger.checking import check_ledger
from pricing.models import Account
from pricing.money import format_usd
from tests.jobs.doubles import OUTPUT, USD, make_caller
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
from tests.pricing.estimates.sold import IMAGES_OUT, VIDEO_OUT, field, make_sold

pytestmark = pytest.mark.django_db


def film(**more: Any) -> dict[str, Any]:
    return {**FILM, **more}


# --- from step to step ---


def test_a_step_starts_when_what_it_refers_to_is_there(caller: Caller) -> None:
    run = forward(make_flow(caller))
    assert steps_of(run) == {"picture": ["running"], "film": ["waiting"]}

    picture = succeed(job_of(run, "picture"))
    forward(run)

    assert steps_of(run) == {"picture": ["succeeded"], "film": ["running"]}
    asset = Asset.objects.get(job=picture)
    assert job_of(run, "film").input["image_url"] == f"asset:{asset.pk}"


def test_the_last_step_ends_the_workflow_and_it_is_told_once(caller: Caller) -> None:
    run = forward(make_flow(caller))
    succeed(job_of(run, "picture"))
    forward(run)
    succeed(job_of(run, "film"))
    assert told(run) == ["workflow.created"]

    forward(run)
    assert not advance(run.pk)

    assert (run.status, told(run)) == ("succeeded", ["workflow.created", "workflow.succeeded"])
    assert check_ledger() == []


def test_each_step_is_held_as_it_starts_and_charged_as_a_job(caller: Caller) -> None:
    run = make_flow(caller)
    account = Account.objects.get(client_id=caller.client_id)
    assert account.held == 0

    forward(run)
    account.refresh_from_db()
    assert account.held == PICTURE_PRICE
    succeed(job_of(run, "picture"))
    forward(run)
    account.refresh_from_db()
    assert (account.spent, account.held) == (PICTURE_PRICE, FILM_PRICE)


def test_steps_that_wait_for_nothing_of_each_other_run_at_once(caller: Caller) -> None:
    run = forward(make_flow(caller, PICTURE, {**PICTURE, "name": "other"}, FILM, film(name="again")))
    assert steps_of(run) == {
        "picture": ["running"], "other": ["running"], "film": ["waiting"], "again": ["waiting"],
    }  # fmt: skip

    succeed(job_of(run, "picture"))
    forward(run)

    assert steps_of(run)["film"] == steps_of(run)["again"] == ["running"]


def test_the_end_of_a_job_wakes_its_workflow(caller: Caller) -> None:
    run = forward(make_flow(caller))
    assert due() == []

    succeed(job_of(run, "picture"))
    assert due() == [run.pk]
    assert advance_due(now=True) == 1

    assert steps_of(run)["film"] == ["running"]


def test_news_that_come_while_a_workflow_is_brought_forward_are_not_missed(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jobs.workflows import advancing

    run = forward(make_flow(caller))
    give_back = advancing.give_back

    def late(mine: WorkflowRun, **more: Any) -> None:
        succeed(job_of(run, "picture"))
        give_back(mine, **more)

    monkeypatch.setattr(advancing, "give_back", late)
    forward(run)
    monkeypatch.undo()

    assert due() == [run.pk]


@pytest.mark.once
@pytest.mark.parametrize(
    "came",
    [
        fetching.Stored("a.png", 68, "0" * 64, Read("image/png", "image", "a.png", MediaFacts(width=64, height=64))),
        fetching.CannotFetchError("the host answered 404", Asset.State.FAILED),
    ],
)
def test_a_file_that_is_not_there_yet_is_waited_for_and_its_coming_is_news(
    caller: Caller, came: fetching.Stored | fetching.CannotFetchError
) -> None:
    run = forward(make_flow(caller))
    succeed(job_of(run, "picture"), stores=False)

    forward(run)
    # However long it takes, nobody asks for it all the time.
    assert (steps_of(run)["film"], run.next_at > timezone.now() + timedelta(seconds=30)) == (["waiting"], True)
    (asset,) = fetching.claim(10)
    fetching.apply(asset, fetching.CannotFetchError("the host answered 503"))
    assert due() == []
    asset.refresh_from_db()
    fetching.apply(asset, came)
    assert due() == [run.pk]
    forward(run)

    assert steps_of(run)["film"] == ["running"]


@pytest.mark.once
def test_a_file_that_could_not_be_stored_is_handed_on_by_the_providers_address(caller: Caller) -> None:
    run = forward(make_flow(caller))
    picture = succeed(job_of(run, "picture"), stores=False)
    Asset.objects.filter(job=picture).update(state=Asset.State.FAILED)

    forward(run)

    assert job_of(run, "film").input["image_url"] == OUTPUT["images"][0]["url"]


@pytest.mark.once
def test_a_file_that_was_refused_is_handed_to_nobody(caller: Caller) -> None:
    run = forward(make_flow(caller))
    picture = succeed(job_of(run, "picture"), stores=False)
    Asset.objects.filter(job=picture).update(state=Asset.State.REFUSED)

    forward(run)

    step = run.steps.get(name="film")
    assert (step.status, step.error["code"], run.status) == ("failed", "invalid_input", "failed")
    assert "refused" in step.error["message"]


@pytest.mark.once
def test_a_file_comes_as_the_field_wants_it(caller: Caller) -> None:
    images = field("image_urls", "array", required=True, media="image", items={"type": "string"})
    frame = field("frame", "object", media="image", fields=[field("url", required=True)])
    make_sold("fal-ai/merge", "0.01", "images", inputs=[images, frame], outputs=IMAGES_OUT)
    both = {"image_urls": {"$ref": "steps.picture.output.images"}, "frame": {"$ref": "steps.picture.output.images.0"}}
    merge = {"name": "merge", "model": "fal-ai/merge", "input": both}
    run = forward(make_flow(caller, PICTURE, merge))
    picture = succeed(job_of(run, "picture"))

    forward(run)

    address = f"asset:{Asset.objects.get(job=picture).pk}"
    assert job_of(run, "merge").input == {"image_urls": [address], "frame": {"url": address}}


@pytest.mark.once
def test_what_a_step_did_not_make_fails_the_step_that_refers_to_it_by_name(caller: Caller) -> None:
    second = film(input={**FILM["input"], "image_url": {"$ref": "steps.picture.output.images.1.url"}})
    run = forward(make_flow(caller, PICTURE, second))
    succeed(job_of(run, "picture"))

    forward(run)

    error = run.steps.get(name="film").error
    assert error["code"] == "invalid_input"
    assert "steps.picture.output.images.1.url was not made" in error["message"]


@pytest.mark.once
def test_the_price_of_a_step_is_made_of_the_file_that_it_is_handed(caller: Caller) -> None:
    video = field("video_url", required=True, media="video")
    make_sold("fal-ai/lips", "0.02", "seconds", inputs=[video], outputs=VIDEO_OUT, media_type="video")
    lips = {"name": "lips", "model": "fal-ai/lips", "input": {"video_url": {"$ref": "steps.film.output.video.url"}}}
    run = forward(make_flow(caller, PICTURE, FILM, lips))
    succeed(job_of(run, "picture"))
    forward(run)
    made = succeed(job_of(run, "film"))
    Asset.objects.filter(job=made).update(seconds=8)

    forward(run)

    # It was quoted at the five seconds that the film was to have.
    assert run.plan[2]["price"] == 333_333_333
    assert job_of(run, "lips").quote["price"] == 533_333_333


@pytest.mark.once
def test_where_a_file_tells_nothing_the_price_is_what_the_step_before_promised(caller: Caller) -> None:
    video = field("video_url", required=True, media="video")
    make_sold("fal-ai/lips", "0.02", "seconds", inputs=[video], outputs=VIDEO_OUT, media_type="video")
    lips = {"name": "lips", "model": "fal-ai/lips", "input": {"video_url": {"$ref": "steps.film.output.video.url"}}}
    run = forward(make_flow(caller, PICTURE, FILM, lips))
    succeed(job_of(run, "picture"))
    forward(run)
    succeed(job_of(run, "film"))

    forward(run)

    assert job_of(run, "lips").quote["price"] == 333_333_333


# --- many runs of a step ---


@pytest.mark.once
def test_runs_of_a_step_take_up_those_of_the_step_before_in_order(caller: Caller) -> None:
    run = forward(make_flow(caller, {**PICTURE, "quantity": 2}, film(fan_out=2)))
    first, second = job_of(run, "picture", 0), job_of(run, "picture", 1)

    succeed(second)
    forward(run)
    # Those of a run that is done need not wait for the others.
    assert steps_of(run)["film"] == ["waiting", "waiting", "running", "running"]
    succeed(first)
    forward(run)

    files = [f"asset:{Asset.objects.get(job=job).pk}" for job in (first, first, second, second)]
    assert [job_of(run, "film", index).input["image_url"] for index in range(4)] == files


def test_a_run_that_failed_skips_only_what_it_was_for(caller: Caller) -> None:
    run = forward(make_flow(caller, {**PICTURE, "quantity": 2}, film(fan_out=1)))
    lose(job_of(run, "picture", 0))
    succeed(job_of(run, "picture", 1))
    forward(run)
    succeed(job_of(run, "film", 1))

    forward(run)

    assert (steps_of(run)["film"], run.status) == (["skipped", "succeeded"], "failed")


# --- one at a time ---


def test_who_was_overtaken_starts_nothing(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    from jobs.workflows import starting

    run, accept = make_flow(caller), starting.accept

    def slow(*args: Any, **more: Any) -> Job:
        monkeypatch.setattr(starting, "accept", accept)
        WorkflowRun.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
        assert advance(run.pk)
        return accept(*args, **more)

    monkeypatch.setattr(starting, "accept", slow)
    forward(run)

    assert Job.objects.count() == 1
    assert steps_of(run)["picture"] == ["running"]


def test_a_turn_that_was_never_given_back_is_taken_up_after_its_lease(caller: Caller) -> None:
    run = make_flow(caller)
    assert claim(run.pk) is not None

    assert not advance(run.pk)
    assert due() == []
    WorkflowRun.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
    assert due() == [run.pk]
    forward(run)

    assert steps_of(run)["picture"] == ["running"]


# --- what is shown ---


@pytest.mark.once
def test_each_step_shows_its_quote_what_it_made_and_what_it_was_charged(caller: Caller) -> None:
    run = forward(make_flow(caller))
    job = succeed(job_of(run, "picture"))
    forward(run)

    picture, second = render_steps(run, shows_cost=True)

    assert (picture["status"], picture["quote"]["price"]) == ("succeeded", format_usd(PICTURE_PRICE))
    assert (picture["charge"], picture["cost"]) == (format_usd(PICTURE_PRICE), "0.025")
    (made,) = picture["runs"]
    assert (made["job"], made["output"]["seed"], len(made["assets"])) == (job.pk, 1, 1)
    assert (second["status"], second["charge"], second["depends_on"]) == ("running", "0", ["picture"])
    shown = render_workflow(run, shows_cost=False)
    assert (shown["progress"], shown["charge"], "cost" in shown) == (0.5, format_usd(PICTURE_PRICE), False)
    assert shown["quote"]["price"] == format_usd(PICTURE_PRICE + FILM_PRICE)


def test_a_step_that_waits_for_money_is_looked_at_again_by_itself(caller: Caller) -> None:
    poor = make_caller(usd=2, name="Gamma")
    run = forward(make_flow(poor))
    succeed(job_of(run, "picture"))
    leave(poor, 0)
    forward(run)
    top_up(poor.client_id, 5 * USD, actor=SYSTEM, reason="paid")
    WorkflowRun.objects.update(next_at=timezone.now())

    assert advance_due(now=True) == 1

    assert steps_of(run)["film"] == ["running"]


# --- what can't be written down ---


@pytest.mark.parametrize("error", [DataError("no such value"), OverflowError("too large"),
                                   UnicodeEncodeError("utf-8", "\ud800", 0, 1, "no")])  # fmt: skip
def test_a_step_whose_job_can_not_be_written_has_failed_and_is_not_tried_for_ever(
    caller: Caller, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    from jobs.workflows import starting

    tries: list[str] = []

    def refuse(wanted: Any, *_: Any) -> Any:
        tries.append(wanted.model)
        raise error

    run = make_flow(caller)
    monkeypatch.setattr(starting, "_accept", refuse)
    forward(run)
    forward(run)

    assert (run.status, steps_of(run)) == ("failed", {"picture": ["failed"], "film": ["skipped"]})
    assert tries == ["fal:fal-ai/flux/dev"]
    assert run.steps.get(name="picture").error["code"] == "invalid_request"
    assert told(run) == ["workflow.created", "workflow.failed"]


def test_a_workflow_that_the_database_refuses_keeps_no_other_from_going_on(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jobs.workflows import advancing

    first, second = make_flow(caller), make_flow(caller)
    write_down = advancing._write_down

    def refuse(run: WorkflowRun, board: Any) -> None:
        if run.pk == first.pk:
            raise DataError("no such value")
        write_down(run, board)

    monkeypatch.setattr(advancing, "_write_down", refuse)

    assert advance_due(now=True) == 1
    assert steps_of(second)["picture"] == ["running"]
    # Its lease ends by itself.
    assert due() == []
