"""A workflow is checked and quoted as a whole before anything of it runs; what can't be is refused by name."""

import base64
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from genfeed.clients.errors import ApiError
from genfeed.clients.keys import Caller, create_key, find_caller
from genfeed.clients.models import Client
from genfeed.journal.audit import SYSTEM
from jobs.assets.models import Asset
from jobs.models import Job, WorkflowRun, WorkflowStep
from jobs.testmode.clean_up import forget_tests
from jobs.testmode.mode import is_test
from jobs.workflows.canceling import cancel_workflow
from jobs.workflows.rendering import render_workflow
from pricing.models import Account
from pricing.money import format_usd
from tests.jobs.doubles import make_caller
from tests.jobs.workflows.flows import (
    FILM,
    FILM_PRICE,
    IMAGE_REF,
    PICTURE,
    PICTURE_PRICE,
    forward,
    job_of,
    make_flow,
    steps_of,
)
from tests.pricing.estimates.sold import AUDIO_URL, IMAGE_URL, PROMPT, field, make_sold

pytestmark = pytest.mark.django_db
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def refused(caller: Caller, *steps: dict[str, Any], **body: Any) -> ApiError:
    """The error for a workflow, of which nothing is left."""
    with pytest.raises(ApiError) as caught:
        make_flow(caller, *steps, **body)
    assert not WorkflowRun.objects.exists()
    assert not Job.objects.exists()
    return caught.value


def test_it_is_quoted_as_its_estimate_says_and_nothing_is_held_or_run(caller: Caller) -> None:
    run = make_flow(caller, {**PICTURE, "quantity": 3}, {**FILM, "fan_out": 1})

    # Of all runs of a step the exact cost is rounded once.
    assert run.quote["price"] == 250_000_000 + 5_000_000_000
    assert [(step["name"], step["runs"]) for step in run.plan] == [("picture", 3), ("film", 3)]
    assert (WorkflowStep.objects.count(), Job.objects.count()) == (6, 0)


@pytest.mark.once
@pytest.mark.parametrize(
    ("steps", "code", "words"),
    [
        ([PICTURE, PICTURE], "invalid_request", "More than one step"),
        ([FILM], "invalid_request", "waits for 'picture', which is no step"),
        (
            [{**PICTURE, "depends_on": ["film"]}, FILM],
            "invalid_request",
            "wait for each other: picture → film → picture",
        ),
        (
            [PICTURE, {**FILM, "input": {"prompt": "a", "image_url": {"$ref": "steps.picture.output.film.url"}}}],
            "invalid_input",
            "is nothing that fal-ai/flux/dev makes",
        ),
        (
            [PICTURE, {**FILM, "input": {"prompt": {"$ref": "steps.picture.output.seed"}, "image_url": IMAGE_REF}}],
            "invalid_input",
            "steps.film.input.prompt",
        ),
        ([{**PICTURE, "model": "fal-ai/nothing"}], "model_not_found", "Step 'picture'"),
        ([{**PICTURE, "input": {"prompt": "a", "promt": "b"}}], "unknown_field", "steps.picture.input.promt"),
        ([{**PICTURE, "max_price": "0.01"}], "price_above_max", "Step 'picture'"),
        ([PICTURE, {**FILM, "max_price": "0.01"}], "price_above_max", "Step 'film'"),
        ([{**PICTURE, "quantity": 501}], "invalid_request", "501 jobs; at most 500"),
        ([{**PICTURE, "input": {"prompt": {"$param": "subject"}}}], "invalid_request", "no template"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(
    caller: Caller, steps: list[dict[str, Any]], code: str, words: str
) -> None:
    error = refused(caller, *steps)

    assert error.code == code
    assert words in error.message


def test_a_workflow_that_costs_more_than_it_may_is_refused(caller: Caller) -> None:
    error = refused(caller, max_price="1.70")

    assert error.code == "price_above_max"
    assert error.details["price"] == format_usd(PICTURE_PRICE + FILM_PRICE)


def test_a_workflow_that_the_balance_does_not_reach_for_is_refused(caller: Caller) -> None:
    error = refused(make_caller(usd=1, name="Beta"))

    assert (error.code, error.details["needed"]) == ("insufficient_funds", format_usd(PICTURE_PRICE + FILM_PRICE))


@pytest.mark.once
def test_in_core_mode_no_balance_is_looked_at(caller: Caller, settings: Any) -> None:
    settings.GENFEED_MODE, settings.FAL_KEY = "core", "key"

    assert make_flow(make_caller(usd=0, name="Beta")).status == "running"


@pytest.mark.once
def test_a_price_that_is_known_only_later_needs_a_limit(caller: Caller) -> None:
    text_out = [field("output", required=True)]
    make_sold("fal-ai/llm", "0.01", "requests", inputs=[PROMPT], outputs=text_out, category="llm", media_type="text")
    make_sold("fal-ai/say", "0.05", "1000 characters", inputs=[field("text", required=True)], category="text-to-speech")
    write = {"name": "write", "model": "fal-ai/llm", "input": {"prompt": "a"}}
    say = {"name": "say", "model": "fal-ai/say", "input": {"text": {"$ref": "steps.write.output.output"}}}

    error = refused(caller, write, say)
    assert (error.code, error.details) == ("model_unpriced", {"missing": ["text"], "step": "say"})

    run = make_flow(caller, write, {**say, "max_price": "1.00"})
    assert (run.quote["price"], run.quote["confidence"]) == (None, "unknown")


@pytest.mark.once
def test_what_can_not_be_priced_whatever_comes_is_refused(caller: Caller) -> None:
    make_sold("fal-ai/hear", "0.05", "minutes", inputs=[AUDIO_URL], category="speech-to-text", media_type="text")
    hear = {"name": "hear", "model": "fal-ai/hear", "input": {"audio_url": "https://example.com/a.mp3"}}

    assert refused(caller, hear, max_price="5").code == "model_unpriced"


@pytest.mark.once
def test_models_that_can_not_be_run_here_are_refused_at_every_step(caller: Caller) -> None:
    make_sold("acme/film", "0.10", inputs=[PROMPT, IMAGE_URL], provider="acme")
    later = {**FILM, "model": "acme:acme/film"}

    assert refused(caller, PICTURE, later).details["step"] == "film"


def test_a_test_key_runs_a_workflow_for_nothing_and_it_is_forgotten_in_time(caller: Caller, settings: Any) -> None:
    settings.TEST_SANDBOX_URL = "http://127.0.0.1:9"
    client = Client.objects.get(pk=caller.client_id)
    Account.objects.update(available=0, funded=0)
    tester = find_caller(create_key(client, actor=SYSTEM, scopes=["jobs:write"], is_test=True)[1])
    assert tester is not None

    run = forward(make_flow(tester))

    assert (steps_of(run)["picture"], is_test(job_of(run, "picture"))) == (["running"], True)
    assert render_workflow(run, shows_cost=False)["livemode"] is False
    assert not WorkflowRun.objects.filter(client_id=caller.client_id).exists()
    assert Account.objects.get(client_id=caller.client_id).held == 0

    forward(cancel_workflow(run))
    forget_tests(now=timezone.now() + timedelta(days=400))
    assert not WorkflowRun.objects.exists()
    assert not Job.objects.exists()


@pytest.mark.once
def test_caps_of_the_client_count(caller: Caller) -> None:
    Client.objects.update(caps={"images": 1})
    capped = make_caller(usd=10)

    error = refused(capped, {**PICTURE, "input": {"prompt": "a", "num_images": 2}})

    assert (error.code, "num_images" in error.message) == ("invalid_input", True)


@pytest.mark.once
def test_a_file_in_the_request_is_uploaded_and_no_row_holds_it(caller: Caller) -> None:
    film = {**FILM, "input": {"prompt": "a", "image_url": f"data:image/png;base64,{PNG}"}}
    run = make_flow(caller, film)

    asset = Asset.objects.get()
    assert asset.size == len(base64.b64decode(PNG))
    assert run.plan[0]["input"]["image_url"] == f"asset:{asset.pk}"
    assert job_of(forward(run), "film").input["image_url"] == f"asset:{asset.pk}"


@pytest.mark.once
def test_a_file_of_a_refused_request_is_not_kept(caller: Caller) -> None:
    film = {**FILM, "input": {"prompt": "a", "image_url": f"data:image/png;base64,{PNG}"}}

    refused(caller, film, max_price="0.01")

    assert not Asset.objects.exists()


def test_so_many_workflows_of_a_client_are_open_at_once(caller: Caller, settings: Any) -> None:
    settings.MAX_OPEN_WORKFLOWS = 1
    make_flow(caller)

    with pytest.raises(ApiError) as caught:
        make_flow(caller)

    assert (caught.value.code, caught.value.details["open_workflows"]) == ("queue_full", 1)
    assert make_flow(make_caller(name="Beta")).status == "running"


def test_a_price_that_rises_after_the_start_changes_no_plan(caller: Caller) -> None:
    run = make_flow(caller)
    make_sold("fal-ai/other", "0.5", "images")

    assert WorkflowRun.objects.get(pk=run.pk).plan[0]["price"] == PICTURE_PRICE
