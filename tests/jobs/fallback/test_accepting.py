"""Accepting a job with alternatives: the first that can be had runs it, the others stay with it."""

from typing import Any

import pytest

from catalog.models import AIModel
from catalog.providers.queue import NotAcceptedError
from genfeed.clients.errors import ApiError
from jobs.fallback.accepting import Alternative
from jobs.models import Job
from pricing.models import Equivalence, Hold
from tests.jobs.doubles import Provider, make_caller, money, set_job, submit
from tests.jobs.fallback.conftest import FIRST, PRICES, SECOND, THIRD, make, set_model, shut, tried
from tests.pricing.estimates.sold import IMAGES_OUT, PROMPT, field, make_sold

pytestmark = pytest.mark.django_db

RETIRED: dict[str, Any] = {"enabled": False, "status": AIModel.Status.RETIRED, "held_reason": "retired"}
OFF: dict[str, Any] = {"enabled": False, "held_reason": ""}
UNPRICED: dict[str, Any] = {"enabled": False, "held_reason": "unpriced"}


def refusal(*alternatives: Any, **wanted: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        make(*alternatives, **wanted)
    assert not Job.objects.exists()
    assert not Hold.objects.exists()
    return caught.value


def test_the_model_that_is_asked_for_runs_the_job_and_alone_holds_money() -> None:
    job = make(SECOND, THIRD)

    assert (job.endpoint_id, job.has_spare) == (FIRST, True)
    assert tried(job) == [(FIRST, "chosen", None), (SECOND, "spare", None), (THIRD, "spare", None)]
    assert (job.hold_amount, money(job)[1]) == (PRICES[FIRST], PRICES[FIRST])


@pytest.mark.once
@pytest.mark.parametrize(
    ("columns", "code"), [(RETIRED, "model_retired"), (OFF, "model_disabled"), (UNPRICED, "model_unpriced")]
)
def test_optm_09_a_model_that_is_not_offered_is_replaced_by_the_first_that_is(
    columns: dict[str, Any], code: str
) -> None:
    set_model(FIRST, **columns)
    if code == "model_unpriced":
        AIModel.objects.get(endpoint_id=FIRST).price_points.all().delete()  # type: ignore[attr-defined]
        set_model(FIRST, price={}, priced=False)

    job = make(SECOND, THIRD)

    assert (job.provider, job.endpoint_id, job.hold_amount) == ("second", SECOND, PRICES[SECOND])
    assert tried(job) == [(FIRST, "passed_over", code), (SECOND, "chosen", None), (THIRD, "spare", None)]


def test_a_provider_whose_gate_is_shut_is_passed_over() -> None:
    shut("fal")

    job = make(SECOND)

    assert job.endpoint_id == SECOND
    assert tried(job)[0] == (FIRST, "passed_over", "provider_unavailable")


@pytest.mark.once
def test_where_every_gate_is_shut_the_job_waits_for_the_model_that_it_asked_for() -> None:
    shut("fal")
    shut("second")

    job = make(SECOND)

    assert tried(job) == [(FIRST, "chosen", None), (SECOND, "spare", None)]


@pytest.mark.once
def test_an_alternative_that_does_not_take_the_input_is_passed_over_with_the_reason() -> None:
    make_sold("makers/other", "0.02", inputs=[field("text", required=True)], outputs=IMAGES_OUT, provider="second")

    job = make("makers/other", SECOND)

    assert [status for _, status, _ in tried(job)] == ["chosen", "passed_over", "spare"]
    assert job.fallback is not None
    assert "prompt" in job.fallback["attempts"][1]["message"]


@pytest.mark.once
def test_an_alternative_with_an_input_of_its_own_is_sent_that() -> None:
    make_sold("makers/other", "0.02", inputs=[field("text", required=True)], outputs=IMAGES_OUT, provider="second")
    shut("fal")

    job = make(Alternative("makers/other", {"text": "a fox"}))

    assert (job.endpoint_id, job.input) == ("makers/other", {"text": "a fox"})


@pytest.mark.once
def test_an_input_of_an_alternatives_own_that_is_wrong_refuses_the_request_by_its_place() -> None:
    error = refusal(SECOND, Alternative(THIRD, {"promt": "a fox"}))

    assert error.code in ("unknown_field", "invalid_input")
    assert error.message.startswith("fallback.1: ")


@pytest.mark.once
def test_an_alternative_that_nobody_knows_refuses_the_request() -> None:
    error = refusal("makers/nothing")

    assert error.code == "model_not_found"
    assert error.message.startswith("fallback.0: ")


@pytest.mark.once
@pytest.mark.parametrize(
    ("wanted", "code"), [({"input": {"promt": "a fox"}}, "invalid_input"), ({"max_price": 1}, "price_above_max")]
)
def test_a_request_that_is_wrong_itself_is_refused_whatever_its_alternatives(wanted: dict[str, Any], code: str) -> None:
    assert refusal(SECOND, **wanted).code == code


@pytest.mark.once
def test_an_alternative_above_the_price_limit_is_passed_over() -> None:
    job = make(SECOND, THIRD, max_price=PRICES[FIRST])

    assert tried(job)[1:] == [(SECOND, "passed_over", "price_above_max"), (THIRD, "spare", None)]


@pytest.mark.once
def test_where_no_model_can_be_had_the_refusal_tells_of_each() -> None:
    set_model(FIRST, **RETIRED)
    set_model(SECOND, **OFF)

    error = refusal(SECOND)

    assert error.code == "model_retired"
    assert [(one["model"], one["code"]) for one in error.details["attempts"]] == [
        (FIRST, "model_retired"),
        (SECOND, "model_disabled"),
    ]


# --- equivalents ---


def confirm(sold: dict[str, AIModel], *others: str, state: str = "confirmed") -> None:
    for score, other in enumerate(reversed(others)):
        Equivalence.objects.create(left=sold[FIRST], right=sold[other], score=score, reason="tested", state=state)


def test_equivalents_that_are_confirmed_stand_in_the_surest_first(sold: dict[str, AIModel]) -> None:
    confirm(sold, THIRD, SECOND)
    set_model(FIRST, **RETIRED)

    job = make(fallback="equivalent", max_price=1_000_000_000)

    assert tried(job) == [(FIRST, "passed_over", "model_retired"), (THIRD, "chosen", None), (SECOND, "spare", None)]


@pytest.mark.once
def test_equivalents_that_are_only_suggested_do_not_stand_in(sold: dict[str, AIModel]) -> None:
    confirm(sold, SECOND, state="suggested")
    set_model(FIRST, **RETIRED)

    assert refusal(fallback="equivalent", max_price=1_000_000_000).code == "model_retired"


def test_equivalents_need_a_price_limit_and_keep_to_it(sold: dict[str, AIModel]) -> None:
    confirm(sold, SECOND)

    assert refusal(fallback="equivalent").code == "invalid_request"
    job = make(fallback="equivalent", max_price=PRICES[FIRST])

    assert tried(job)[1] == (SECOND, "passed_over", "price_above_max")


# --- with stored results ---


def test_a_stored_result_of_a_model_whose_provider_is_away_will_do() -> None:
    caller = make_caller()
    stored = make(SECOND, caller=caller, cache="any_seed")
    set_job(stored, status="succeeded", output={"images": [], "seed": 1}, finished_at=stored.created_at, features={})
    shut("fal")

    job = make(SECOND, caller=caller, cache="any_seed")

    assert (job.is_cached, job.endpoint_id, job.has_spare) == (True, FIRST, False)
    assert tried(job) == [(FIRST, "chosen", None), (SECOND, "spare", None)]


@pytest.mark.once
def test_an_input_with_fields_in_common_alone_is_put_to_an_alternative_as_it_is() -> None:
    make_sold("makers/plain", "0.02", inputs=[PROMPT], outputs=IMAGES_OUT, provider="second")
    shut("fal")

    assert make("makers/plain").input == {"prompt": "a fox"}


@pytest.mark.once
def test_a_secret_in_an_alternatives_input_is_kept_sealed_and_sent_in_clear() -> None:
    key = field("api_key", format="password")
    make_sold("makers/keyed", "0.02", inputs=[PROMPT, key], outputs=IMAGES_OUT, provider="second")
    job = make(Alternative("makers/keyed", {"prompt": "a fox", "api_key": "somebody-elses"}))
    assert "somebody-elses" not in repr(Job.objects.filter(pk=job.pk).values())
    provider = Provider()
    provider.on_submit = NotAcceptedError("could not be reached")
    submit(provider, job)

    provider.on_submit = None
    submit(provider, job)

    assert provider.sent[-1] == {"prompt": "a fox", "api_key": "somebody-elses"}
