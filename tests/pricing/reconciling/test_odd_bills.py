"""Bills that can't be right wait for a person; bills of nobody, missing bills and drifting estimates are told."""

from collections.abc import Callable
from copy import copy
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from catalog.availability import switch_models
from catalog.models import AIModel
from catalog.providers.base import AccountBalance, ProviderUnavailableError
from genfeed.clients.models import Client
from genfeed.journal.audit import SYSTEM, Actor
from genfeed.journal.models import Alert, AuditEvent
from pricing.models import Bill, UsageRecord
from pricing.reconciling.accuracy import by_day, by_model, overall
from pricing.reconciling.deciding import DecisionError, decide
from pricing.reconciling.reconcile import reconcile
from pricing.reconciling.telling import tell_daily
from tests.pricing.ledger.books import CENT, a_model
from tests.pricing.reconciling.bills import TERMS, Bills, booked, line, settled

pytestmark = pytest.mark.django_db
PERSON = Actor("a person")
Quarantine = Callable[..., Bill]


def open_alert(code: str) -> Alert | None:
    return Alert.objects.filter(code=code, resolved_at=None).first()


@pytest.fixture
def quarantined(client: Client, bills: Bills) -> Quarantine:
    """A job of 10 cents whose bill says otherwise, read once."""

    def make(job: str = "job_1", **said: Any) -> Bill:
        settled(client, job)
        bills.lines.append(line(job, **({"units": 101} | said)))
        reconcile("fal")
        return Bill.objects.get(request_id=f"req_{job}")

    return make


@pytest.mark.parametrize(
    ("said", "reason"),
    [({"units": 101}, "too_high"), ({"units": "0.99"}, "too_low"), ({"unit": "seconds"}, "other_unit")],
)
def test_a_bill_that_can_not_be_right_corrects_nothing(
    quarantined: Quarantine, said: dict[str, Any], reason: str
) -> None:
    bill = quarantined(**said)

    assert (bill.state, bill.reason, booked()) == ("quarantined", reason, (10, 20))
    assert open_alert("bill_anomaly")


@pytest.mark.once
def test_a_high_discount_is_no_anomaly(quarantined: Quarantine) -> None:
    assert quarantined(units=10, discount=95).state == "corrected"
    assert booked() == (Decimal("0.5"), 20)


def test_another_unit_among_several_is_enough(client: Client, bills: Bills) -> None:
    settled(client)
    bills.lines = [line(units=9), line(units=1, unit="seconds")]
    reconcile("fal")
    assert Bill.objects.get().reason == "other_unit"


@pytest.mark.parametrize(
    ("decision", "cost", "charge"), [("accepted", 101, 100), ("kept", 101, 20), ("disputed", 10, 20)]
)
def test_a_person_decides(quarantined: Quarantine, decision: str, cost: int, charge: int) -> None:
    bill = quarantined()

    decide(bill.pk, decision, actor=PERSON, reason="asked fal")

    assert booked() == (cost, charge)
    event = AuditEvent.objects.get(action=f"bill.{decision}")
    assert (event.actor_name, event.reason) == ("a person", "asked fal")
    assert not open_alert("bill_anomaly")


def test_a_decision_stands_when_the_bill_is_read_again(quarantined: Quarantine) -> None:
    decide(quarantined().pk, "disputed", actor=PERSON, reason="asked fal")
    reconcile("fal")
    assert (Bill.objects.get().state, booked()) == ("disputed", (10, 20))


def test_a_bill_that_is_revised_after_the_decision_is_judged_again(quarantined: Quarantine, bills: Bills) -> None:
    decide(quarantined().pk, "accepted", actor=PERSON, reason="asked fal")
    bills.lines = [replace(bills.lines[0], units=Decimal(11), subtotal=Decimal("0.11"), total=Decimal("0.11"))]
    reconcile("fal")
    assert (Bill.objects.get().state, booked()) == ("corrected", (11, 22))


@pytest.mark.once
@pytest.mark.parametrize(("decision", "reason"), [("accepted", " "), ("forget", "why not"), ("matched", "hm")])
def test_a_decision_needs_a_reason_and_must_be_one(quarantined: Quarantine, decision: str, reason: str) -> None:
    bill = quarantined()
    with pytest.raises(DecisionError):
        decide(bill.pk, decision, actor=PERSON, reason=reason)
    assert booked() == (10, 20)


def test_nothing_is_decided_twice(quarantined: Quarantine) -> None:
    bill = quarantined()
    decide(bill.pk, "kept", actor=PERSON, reason="asked fal")
    with pytest.raises(DecisionError, match="waits for no decision"):
        decide(bill.pk, "accepted", actor=PERSON, reason="again")
    assert booked() == (101, 20)


def test_two_in_a_row_take_the_model_off_sale(quarantined: Quarantine) -> None:
    quarantined("job_1")
    model = a_model()
    assert model.enabled

    quarantined("job_2")
    model.refresh_from_db()
    assert (model.enabled, model.held_reason) == (False, "bill_anomaly")
    alert = open_alert("bill_anomaly")
    assert alert
    assert "not sold" in alert.text

    switch_models([model], on=True, actor=SYSTEM)
    assert AIModel.objects.get(pk=model.pk).enabled


def test_a_right_bill_in_between_breaks_the_row(quarantined: Quarantine) -> None:
    at = timezone.now() - timedelta(minutes=30)
    for number, units in enumerate([101, 10, 101]):
        quarantined(f"job_{number}", units=units, at=at + timedelta(minutes=number))
    assert a_model().enabled


def test_bills_of_nobody_are_told_once_when_they_are_a_day_old(client: Client, bills: Bills) -> None:
    now = timezone.now()
    bills.lines = [line("stranger", units=30, at=now - timedelta(hours=20))]
    reconcile("fal", now=now)
    assert not open_alert("bills_without_job")

    reconcile("fal", now=now + timedelta(hours=5))
    alert = open_alert("bills_without_job")
    assert alert
    assert "0.3 USD for 1 request of no job" in alert.title

    reconcile("fal", now=now + timedelta(hours=6))
    assert Alert.objects.get(code="bills_without_job").times == 1


def test_jobs_without_a_bill_after_two_days_are_told(client: Client, bills: Bills) -> None:
    now = timezone.now()
    settled(client, now=now)
    reconcile("fal", now=now)
    assert not open_alert("jobs_without_bill")

    reconcile("fal", now=now + timedelta(hours=49))
    alert = open_alert("jobs_without_bill")
    assert alert
    assert "job_1" in alert.text


def test_estimates_that_drift_are_told_for_the_model_and_over_all(client: Client, bills: Bills) -> None:
    for number in range(20):
        settled(client, f"job_{number}")
        bills.lines.append(line(f"job_{number}", units="10.6"))
    reconcile("fal", deep=True)

    subjects = set(Alert.objects.filter(code="price_drift").values_list("subject", flat=True))
    assert subjects == {"fal:fal-ai/flux/dev", "fal:all models"}


@pytest.mark.parametrize(("wrong", "is_told"), [(1, False), (2, True)])
def test_more_than_one_settlement_in_a_thousand_that_is_not_the_bills_is_told(
    client: Client, bills: Bills, wrong: int, is_told: bool
) -> None:
    first, others = settled(client), []
    bills.lines.append(line())
    reconcile("fal")
    bill, now = Bill.objects.select_related("provider").get(), timezone.now()
    same = {"model": first.model, "cost": first.cost, "charge": first.charge, "cost_source": "billable_units"}
    UsageRecord.objects.bulk_create([UsageRecord(job=f"other_{n}", created_at=now, **same) for n in range(999)])
    for number, usage in enumerate(UsageRecord.objects.exclude(pk=first.pk)):
        bill.pk, bill.usage, bill.request_id = None, usage, f"other_{number}"
        bill.booked_cost = bill.subtotal - (number < wrong)
        others.append(copy(bill))
    Bill.objects.bulk_create(others)

    tell_daily(bill.provider, now=now)

    assert is_told == bool(open_alert("settled_not_as_billed"))


@pytest.mark.once
@pytest.mark.parametrize(("jobs", "units"), [(19, "10.6"), (20, "10.5")])
def test_few_jobs_or_small_deviations_are_no_drift(client: Client, bills: Bills, jobs: int, units: str) -> None:
    for number in range(jobs):
        settled(client, f"job_{number}")
        bills.lines.append(line(f"job_{number}", units=units))
    reconcile("fal", deep=True)
    assert not open_alert("price_drift")


def test_the_accuracy_of_estimates_is_measured_before_discounts(client: Client, bills: Bills) -> None:
    since = timezone.now() - timedelta(days=1)
    for number, (units, discount) in enumerate([(10, 50), (10, 0), ("10.05", 0), (8, 0)]):
        settled(client, f"job_{number}")
        bills.lines.append(line(f"job_{number}", units=units, discount=discount))
    settled(client, "job_bound", terms=replace(TERMS, is_bound=True))
    bills.lines.append(line("job_bound", units=2))
    reconcile("fal")

    found = overall(None, since=since)
    assert found
    assert (found.count, found.exact, found.within) == (4, 2, 3)
    assert (found.mean, found.signed) == ("6.37", "+6.13")
    assert by_model(None, since=since)[0].endpoint_id == "fal-ai/flux/dev"


@pytest.mark.once
def test_each_day_shows_what_was_billed_and_booked(client: Client, bills: Bills) -> None:
    noon = timezone.now().replace(hour=12, minute=0) - timedelta(days=2)
    settled(client, now=noon)
    settled(client, "job_2", now=noon)
    bills.lines = [line(at=noon), line("job_2", units=12, at=noon), line("stranger", units=5, at=noon)]
    reconcile("fal")

    day = by_day(None, since=noon - timedelta(days=1))[0]
    assert (day.bills, day.billed, day.booked, day.unmatched) == (2, 27 * CENT, 20 * CENT, 5 * CENT)
    assert (day.difference, day.share_as_settled) == (2 * CENT, "50.00")


@pytest.mark.once
def test_credit_that_runs_low_is_told_until_it_is_topped_up(client: Client, bills: Bills) -> None:
    bills.credit = AccountBalance("my-team", Decimal("19.99"), "USD")
    reconcile("fal")
    alert = open_alert("provider_credit_low")
    assert alert
    assert "19.99 USD" in alert.title

    bills.credit = AccountBalance("my-team", Decimal(20), "USD")
    reconcile("fal")
    assert not open_alert("provider_credit_low")


@pytest.mark.once
def test_credit_that_can_not_be_read_spoils_no_run(client: Client, bills: Bills) -> None:
    bills.credit = ProviderUnavailableError("fal.ai answered 503.", 503)
    assert reconcile("fal").status == "succeeded"
