"""Calibration: planned inputs are checked, observations counted once, a price proposed only where the runs agree."""

from decimal import Decimal

import pytest

from catalog.models import AIModel
from genfeed.journal.models import AuditEvent
from pricing.calibration.runs import CalibrationError, accept, plan, proposal_of, record_observation, reject, runs_left
from pricing.models import Calibration, PricePoint
from tests.factories import make_model
from tests.pricing.collection.rows import TESTER, give_price

pytestmark = pytest.mark.django_db
ONE, TWO, FOUR = ({"prompt": "x", "num_images": n} for n in (1, 2, 4))


@pytest.fixture
def model() -> AIModel:
    """A model that is billed in units which only the bill explains."""
    return give_price(make_model("acme/opaque"), "1", "units")


def observed(model: AIModel, *runs: tuple[dict, int], unit: str = "units") -> Calibration:
    """A calibration with these runs: input and cost in millionths of a USD."""
    row = plan(model, [value for value, _ in runs], actor=TESTER)
    for value, cost in runs:
        row = record_observation(row, input=value, units=Decimal(cost) / 10**6, unit=unit, cost_nano=cost * 1000)
    return row


# --- planning ---


@pytest.mark.once
@pytest.mark.parametrize("inputs", [[], {}, None, "text", {"prompt": "x"}])
def test_a_plan_needs_a_list_of_inputs(model: AIModel, inputs: object) -> None:
    with pytest.raises(CalibrationError, match="list of inputs"):
        plan(model, inputs, actor=TESTER)


@pytest.mark.once
def test_an_invalid_input_is_refused_by_number_and_field(model: AIModel) -> None:
    with pytest.raises(CalibrationError, match=r"Input 2 is not valid in num_images"):
        plan(model, [ONE, {"prompt": "x", "num_images": 99}], actor=TESTER)


@pytest.mark.once
def test_too_many_runs_are_refused(model: AIModel) -> None:
    with pytest.raises(CalibrationError, match="20 at most"):
        plan(model, [ONE] * 21, actor=TESTER)


def test_a_null_character_in_an_input_is_refused_before_a_database_chokes_on_it(model: AIModel) -> None:
    with pytest.raises(CalibrationError, match="null character"):
        plan(model, [{"prompt": "a\0b"}], actor=TESTER)


@pytest.mark.once
def test_what_a_person_records_is_audited(model: AIModel) -> None:
    row = plan(model, [ONE], actor=TESTER)
    record_observation(row, input=ONE, units="1", unit="units", cost_nano=5, actor=TESTER)
    event = AuditEvent.objects.get(action="calibration.observed")
    assert (event.actor_name, event.after["cost"]) == (TESTER.name, 5)


@pytest.mark.once
def test_a_model_without_schema_cant_be_calibrated() -> None:
    with pytest.raises(CalibrationError, match="schema is not known"):
        plan(make_model("a/bare", schema_version=0), [ONE], actor=TESTER)


def test_one_calibration_of_a_model_is_open_at_a_time(model: AIModel) -> None:
    first = plan(model, [ONE], actor=TESTER)
    with pytest.raises(CalibrationError, match="open already"):
        plan(model, [ONE], actor=TESTER)
    reject(first, actor=TESTER)
    plan(model, [ONE], actor=TESTER)


@pytest.mark.once
def test_a_plan_is_audited(model: AIModel) -> None:
    plan(model, [ONE], actor=TESTER)
    assert AuditEvent.objects.get(action="calibration.planned").actor_name == "tester"


# --- observing ---


def test_the_same_job_is_counted_once(model: AIModel) -> None:
    row = plan(model, [ONE, ONE, ONE], actor=TESTER)
    for _ in range(3):
        row = record_observation(row, input=ONE, units=1, unit="units", cost_nano=5, job="job_1")
    assert len(row.observations) == 1
    assert len(runs_left(row)) == 2


@pytest.mark.once
@pytest.mark.parametrize(
    ("units", "cost"), [("NaN", 1), (-1, 1), ("Infinity", 1), (1, -1), (1, 1.5), (1, True), (None, 1), ("x", 1)]
)
def test_numbers_that_make_no_sense_are_refused(model: AIModel, units: object, cost: object) -> None:
    row = plan(model, [ONE], actor=TESTER)
    with pytest.raises(CalibrationError):
        record_observation(row, input=ONE, units=units, unit="units", cost_nano=cost)  # type: ignore[arg-type]
    row.refresh_from_db()
    assert row.observations == []


@pytest.mark.once
def test_a_decided_calibration_takes_no_more_runs(model: AIModel) -> None:
    row = reject(plan(model, [ONE], actor=TESTER), actor=TESTER)
    with pytest.raises(CalibrationError, match="decided: rejected"):
        record_observation(row, input=ONE, units=1, unit="units", cost_nano=5)


# --- proposing ---


@pytest.mark.once
def test_a_cost_that_goes_with_the_number_of_images_is_a_price_per_image(model: AIModel) -> None:
    row = observed(model, (ONE, 20_000), (TWO, 40_000), (FOUR, 80_000))
    assert (row.state, row.proposed_unit, row.proposed_price) == ("proposed", "images", "0.02")


@pytest.mark.once
def test_a_cost_that_is_always_the_same_is_a_price_per_request(model: AIModel) -> None:
    row = observed(model, (ONE, 30_000), (TWO, 30_000), (FOUR, 30_000))
    assert (row.proposed_unit, row.proposed_price) == ("requests", "0.03")


@pytest.mark.once
def test_runs_that_are_all_alike_leave_a_remark(model: AIModel) -> None:
    row = observed(model, (ONE, 30_000), (ONE, 30_000), (ONE, 30_000))
    assert row.proposed_unit == "requests"
    assert "per image" in proposal_of(row).remarks[0]


@pytest.mark.once
def test_a_billed_unit_that_requests_can_be_counted_in_goes_first() -> None:
    model = give_price(make_model("acme/plain"), "1", "units")
    assert observed(model, (ONE, 5), (ONE, 5), (ONE, 5), unit="images").proposed_unit == "images"


@pytest.mark.once
def test_the_price_is_the_exact_median(model: AIModel) -> None:
    row = observed(model, (ONE, 10_000), (ONE, 10_001), (ONE, 10_002), (ONE, 10_003))
    assert row.proposed_price == "0.0100015"


def test_a_price_keeps_all_its_digits() -> None:
    model = give_price(make_model("acme/third"), "1", "units")
    row = plan(model, [FOUR, TWO, ONE], actor=TESTER)
    for value, cost in ((FOUR, 4), (TWO, 2), (ONE, 1)):
        row = record_observation(row, input=value, units=1, unit="units", cost_nano=cost * 333_333_333)
    assert row.proposed_price == "0.333333333"


@pytest.mark.once
def test_too_few_runs_propose_nothing(model: AIModel) -> None:
    row = observed(model, (ONE, 5), (TWO, 10))
    assert (row.state, row.proposed_price) == ("running", "")
    with pytest.raises(CalibrationError, match="2 of at least 3 runs"):
        proposal_of(row)


@pytest.mark.once
def test_runs_that_contradict_each_other_propose_nothing_and_say_why(model: AIModel) -> None:
    row = observed(model, (ONE, 10_000), (ONE, 20_000), (ONE, 90_000))
    assert row.state == "running"
    with pytest.raises(CalibrationError, match=r"between 0\.01 and 0\.09 USD"):
        proposal_of(row)


@pytest.mark.once
def test_runs_that_cost_nothing_are_no_price(model: AIModel) -> None:
    with pytest.raises(CalibrationError, match="cost 0"):
        proposal_of(observed(model, (ONE, 0), (ONE, 0), (ONE, 0)))


@pytest.mark.once
def test_a_run_that_cost_nothing_among_others_contradicts_them(model: AIModel) -> None:
    with pytest.raises(CalibrationError, match="1 of 3 cost 0"):
        proposal_of(observed(model, (ONE, 10), (ONE, 0), (ONE, 10)))


# --- deciding ---


def test_an_accepted_price_is_observed_current_and_sold(model: AIModel) -> None:
    assert not model.priced
    point = accept(observed(model, (ONE, 30_000), (TWO, 60_000), (FOUR, 120_000)), actor=TESTER)
    assert (point.source, point.standing, point.unit, point.unit_price) == ("observed", "current", "images", "0.03")
    model.refresh_from_db()
    assert model.priced
    assert model.price["amount"] == "0.1"
    assert PricePoint.objects.filter(model=model, standing="past").count() == 1
    assert Calibration.objects.get().state == "accepted"


@pytest.mark.once
def test_nothing_is_accepted_before_it_is_proposed(model: AIModel) -> None:
    row = observed(model, (ONE, 5))
    with pytest.raises(CalibrationError, match="nothing to accept"):
        accept(row, actor=TESTER)


@pytest.mark.once
def test_a_price_is_accepted_once(model: AIModel) -> None:
    row = observed(model, (ONE, 5), (ONE, 5), (ONE, 5))
    accept(row, actor=TESTER)
    with pytest.raises(CalibrationError, match="decided: accepted"):
        accept(row, actor=TESTER)


@pytest.mark.once
def test_a_rejected_calibration_changes_no_price(model: AIModel) -> None:
    reject(observed(model, (ONE, 5), (ONE, 5), (ONE, 5)), actor=TESTER, reason="odd")
    assert PricePoint.objects.get(standing="current").unit == "units"
    assert AuditEvent.objects.get(action="calibration.rejected").reason == "odd"
