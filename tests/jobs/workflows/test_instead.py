"""Steps whose model another one may stand in for, and the notes that their jobs carry."""

from typing import Any

import pytest

from catalog import published
from catalog.models import AIModel
from genfeed.clients.errors import ApiError
from genfeed.clients.keys import Caller, create_key, find_caller
from genfeed.clients.models import Client
from genfeed.journal.audit import SYSTEM
from jobs.models import WorkflowRun
from jobs.workflows.rendering import render_steps
from pricing.ledger.checking import check_ledger
from pricing.models import Account
from pricing.money import format_usd
from tests.jobs.workflows.flows import FILM, PICTURE, PICTURE_PRICE, forward, job_of, lose, make_flow, steps_of, succeed
from tests.pricing.estimates.sold import IMAGES_OUT, NUM_IMAGES, PROMPT, VIDEO_OUT, make_sold

pytestmark = pytest.mark.django_db
SPARE = "fal-ai/spare"
SPARE_PRICE = 333_333_333
PICTURED = {**PICTURE, "fallback": [SPARE]}


@pytest.fixture
def spare(caller: Caller) -> AIModel:
    """Four times as dear as the picture's own model."""
    return make_sold(SPARE, "0.10", inputs=[PROMPT, NUM_IMAGES], outputs=IMAGES_OUT)


def take_off_sale(endpoint_id: str) -> None:
    AIModel.objects.filter(endpoint_id=endpoint_id).update(enabled=False)
    published.forget()


def test_the_job_of_a_step_has_its_alternatives(caller: Caller, spare: AIModel) -> None:
    run = forward(make_flow(caller, PICTURED))

    plan = job_of(run, "picture").fallback
    assert plan is not None
    assert [(one["model"], one["status"]) for one in plan["attempts"]] == [
        ("fal-ai/flux/dev", "chosen"), (SPARE, "spare"),
    ]  # fmt: skip
    assert render_steps(run, shows_cost=False)[0]["fallback"] == [SPARE]


def test_another_model_runs_a_step_whose_own_is_off_sale_when_it_starts(caller: Caller, spare: AIModel) -> None:
    run = make_flow(caller, PICTURED, FILM)
    take_off_sale("fal-ai/flux/dev")

    forward(run)
    picture = job_of(run, "picture")
    succeed(picture)
    forward(run)

    assert (picture.endpoint_id, picture.hold_amount) == (SPARE, SPARE_PRICE)
    assert steps_of(run)["film"] == ["running"]
    assert check_ledger() == []


@pytest.mark.once
def test_without_another_such_a_step_fails(caller: Caller) -> None:
    run = make_flow(caller, PICTURE)
    take_off_sale("fal-ai/flux/dev")

    forward(run)

    assert (run.status, run.steps.get().error["code"]) == ("failed", "model_disabled")


def test_what_an_alternative_may_come_to_cost_is_kept_of_the_limit(caller: Caller, spare: AIModel) -> None:
    other = {**PICTURE, "name": "other"}
    run = forward(make_flow(caller, PICTURED, other, max_price=format_usd(SPARE_PRICE)))
    # The first holds what its own model costs, and may be run by the dear one yet.
    assert job_of(run, "picture").hold_amount == PICTURE_PRICE
    assert steps_of(run) == {"picture": ["running"], "other": ["waiting"]}

    succeed(job_of(run, "picture"))
    forward(run)

    assert steps_of(run)["other"] == ["running"]
    assert Account.objects.get(client_id=caller.client_id).held == PICTURE_PRICE


@pytest.mark.once
@pytest.mark.parametrize(
    ("step", "code", "words"),
    [
        ({**PICTURE, "fallback": ["fal-ai/nothing"]}, "model_not_found", "fallback.0"),
        ({**PICTURE, "fallback": [SPARE, "fal-ai/film"]}, "invalid_input", "nothing that fal-ai/film makes"),
        ({**PICTURE, "fallback": "equivalent"}, "invalid_request", "no max_price was sent"),
    ],
)
def test_what_can_not_stand_in_is_refused_by_name(
    caller: Caller, spare: AIModel, step: dict[str, Any], code: str, words: str
) -> None:
    with pytest.raises(ApiError) as caught:
        make_flow(caller, step, FILM)

    assert (caught.value.code, caught.value.details["step"]) == (code, "picture")
    assert words in caught.value.message
    assert not WorkflowRun.objects.exists()


def test_what_nobody_takes_may_be_made_otherwise(caller: Caller, spare: AIModel) -> None:
    make_sold("fal-ai/still", "0.10", inputs=[PROMPT], outputs=VIDEO_OUT)

    assert make_flow(caller, {**PICTURE, "fallback": ["fal-ai/still"]}).status == "running"


@pytest.mark.once
def test_jobs_carry_the_notes_of_their_workflow_and_of_their_step(caller: Caller) -> None:
    noted = {**PICTURE, "metadata": {"part": "cover", "lang": "en"}}
    run = forward(make_flow(caller, noted, {**PICTURE, "name": "other"}, metadata={"order": "7", "lang": "de"}))

    assert job_of(run, "picture").metadata == {"order": "7", "part": "cover", "lang": "en"}
    assert job_of(run, "other").metadata == run.metadata == {"order": "7", "lang": "de"}


def a_tester_of(caller: Caller) -> Caller:
    client = Client.objects.get(pk=caller.client_id)
    found = find_caller(create_key(client, actor=SYSTEM, scopes=["jobs:write"], is_test=True)[1])
    assert found is not None
    return found


@pytest.mark.once
@pytest.mark.parametrize(
    ("trigger", "code"), [("refuse:queue_full", "queue_full"), ("fail:nothing", "invalid_request")]
)
def test_triggers_of_test_mode_are_read_at_every_step(caller: Caller, settings: Any, trigger: str, code: str) -> None:
    settings.TEST_SANDBOX_URL = "http://127.0.0.1:9"

    with pytest.raises(ApiError) as caught:
        make_flow(a_tester_of(caller), PICTURE, {**FILM, "metadata": {"test": trigger}})

    assert (caught.value.code, caught.value.details["step"]) == (code, "film")


def test_a_plan_of_before_there_were_alternatives_goes_on(caller: Caller) -> None:
    run = make_flow(caller)
    plan = [{name: value for name, value in step.items() if name not in ("fallback", "metadata")} for step in run.plan]
    WorkflowRun.objects.update(plan=plan)

    forward(run)
    lose(job_of(run, "picture"))

    assert forward(run).status == "failed"
