"""What a bill does to the books: corrected once, by the client's terms, whatever comes how often and in what order."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from genfeed.clients.models import Client
from genfeed.journal.audit import SYSTEM
from genfeed.journal.models import Alert
from pricing.ledger.afterwards import refund
from pricing.models import Bill, BillingEvent, Hold, LedgerTransaction, StrayRequest
from pricing.reconciling.reconcile import reconcile
from tests.pricing.ledger.books import CENT
from tests.pricing.reconciling.bills import TERMS, Bills, booked, line, settled

pytestmark = pytest.mark.django_db

# Losses are told by model.
SUBJECT = "fal:fal-ai/flux/dev"


def corrections() -> int:
    return LedgerTransaction.objects.filter(kind="correction").count()


def state(job: str = "job_1") -> str:
    return Bill.objects.get(request_id=f"req_{job}").state


def test_a_bill_as_booked_changes_nothing(client: Client, bills: Bills) -> None:
    settled(client)
    bills.lines = [line()]

    reconcile("fal")

    assert (state(), corrections(), booked()) == ("matched", 0, (10, 20))


def test_a_metered_client_pays_what_was_billed(client: Client, bills: Bills) -> None:
    settled(client)
    bills.lines = [line(units=15)]

    reconcile("fal")

    assert (state(), booked()) == ("corrected", (15, 30))


@pytest.mark.parametrize("terms", [TERMS, replace(TERMS, charges_failures=True)])
def test_a_request_that_ran_after_its_job_was_given_up_is_our_loss(client: Client, bills: Bills, terms: Any) -> None:
    usage = settled(client, released=True, outcome="failed", request_id="", terms=terms)
    StrayRequest.objects.create(provider=usage.model.provider, request_id="req_late", job="job_1")
    bills.lines = [line("late")]

    reconcile("fal")
    reconcile("fal")

    assert (state("late"), corrections(), booked()) == ("corrected", 1, (10, 0))
    assert LedgerTransaction.objects.get(kind="correction").loss == 10 * CENT
    assert Alert.objects.filter(code="operator_loss", subject=SUBJECT).exists()


def test_a_quoted_client_pays_the_quote_and_the_cost_is_the_bills(client: Client, bills: Bills) -> None:
    settled(client, terms=replace(TERMS, billing="quoted"))
    bills.lines = [line(units=15)]

    reconcile("fal")

    assert booked() == (15, 20)


def test_a_kept_price_of_the_existing_collection_stands(client: Client, bills: Bills) -> None:
    settled(client, terms=replace(TERMS, margin=None))
    bills.lines = [line(units=15)]

    reconcile("fal")

    assert booked() == (15, 20)


def test_a_discount_lowers_our_cost_and_not_the_price(client: Client, bills: Bills) -> None:
    settled(client)
    bills.lines = [line(discount=20)]

    reconcile("fal")

    assert booked() == (8, 20)


def test_the_charge_never_passes_the_hold_and_the_loss_is_told(client: Client, bills: Bills) -> None:
    settled(client, terms=replace(TERMS, hold=25 * CENT))
    bills.lines = [line(units=50)]

    reconcile("fal")

    assert booked() == (50, 25)
    assert Alert.objects.get(code="operator_loss").subject == SUBJECT
    assert LedgerTransaction.objects.get(kind="correction").loss == 25 * CENT


def test_lines_of_one_request_are_summed(client: Client, bills: Bills) -> None:
    settled(client)
    at = timezone.now() - timedelta(minutes=5)
    bills.lines = [line(units=6, at=at), line(units=4, at=at), line(units=2, at=at - timedelta(seconds=1))]

    reconcile("fal")

    assert booked() == (12, 24)


def test_the_same_bill_read_again_is_booked_once(client: Client, bills: Bills) -> None:
    settled(client)
    bills.lines = [line(units=15), line(units=15)]
    bills.lines[1] = bills.lines[0]

    for _ in range(3):
        reconcile("fal")

    assert (corrections(), BillingEvent.objects.count(), booked()) == (1, 1, (15, 30))


def test_a_line_that_comes_late_is_added(client: Client, bills: Bills) -> None:
    settled(client)
    bills.lines = [line()]
    reconcile("fal")
    bills.lines.append(line(units=3, at=timezone.now() - timedelta(minutes=90)))

    reconcile("fal")

    assert booked() == (13, 26)


def test_a_revised_line_takes_the_place_of_the_earlier_one(client: Client, bills: Bills) -> None:
    settled(client)
    first = line(units=15)
    bills.lines = [first]
    reconcile("fal")
    bills.lines = [replace(first, units=Decimal(12), subtotal=Decimal("0.12"), total=Decimal("0.12"))]

    reconcile("fal")

    assert booked() == (12, 24)
    assert BillingEvent.objects.filter(superseded=True).count() == 1


def test_a_line_that_is_revised_back_counts_again(client: Client, bills: Bills) -> None:
    settled(client)
    first = line(units=15)
    for lines in ([first], [replace(first, subtotal=Decimal("0.12"), total=Decimal("0.12"))], [first]):
        bills.lines = lines
        reconcile("fal")

    assert booked() == (15, 30)


def test_a_line_that_is_only_absent_stays(client: Client, bills: Bills) -> None:
    settled(client)
    bills.lines = [line(units=15)]
    reconcile("fal")
    bills.lines = []

    reconcile("fal")

    assert booked() == (15, 30)


def test_a_refund_that_was_given_stays_given(client: Client, bills: Bills) -> None:
    settled(client)
    refund("job_1", 5 * CENT, actor=SYSTEM, reason="blurred", reference="ticket 1")
    bills.lines = [line(units=15)]

    reconcile("fal")

    assert booked() == (15, 25)


@pytest.mark.parametrize(
    ("terms", "charged"), [({}, 0), ({"charges_failures": True}, 20)]
)  # fmt: skip
def test_m8_a_failure_that_was_billed_is_charged_only_where_the_terms_pass_it_on(
    client: Client, bills: Bills, terms: dict[str, Any], charged: int
) -> None:
    settled(client, outcome="failed", released=True, terms=replace(TERMS, **terms))
    bills.lines = [line()]

    reconcile("fal")

    assert booked() == (10, charged)


def test_a_bill_that_comes_before_its_job_is_settled_waits_for_it(client: Client, bills: Bills) -> None:
    bills.lines = [line(units=15)]
    reconcile("fal")
    assert state() == "unmatched"
    settled(client)

    reconcile("fal")

    assert (state(), booked()) == ("corrected", (15, 30))


def test_a_job_without_kept_terms_keeps_its_charge(client: Client, bills: Bills) -> None:
    settled(client, terms=None)
    bills.lines = [line(units=15)]

    reconcile("fal")

    assert booked() == (15, 20)


@pytest.mark.once
def test_an_answer_from_the_cache_is_no_job_of_the_bill(client: Client, bills: Bills) -> None:
    settled(client, "job_0", cost=0, is_cached=True, request_id="req_job_1")
    settled(client)
    bills.lines = [line(units=15)]

    reconcile("fal")

    assert (booked("job_0"), booked("job_1")) == ((0, 20), (15, 30))


def test_what_can_not_be_booked_holds_up_nobody(client: Client, bills: Bills) -> None:
    settled(client)
    settled(client, "job_2")
    Hold.objects.filter(job="job_1").update(closed_at=None)
    bills.lines = [line(units=15), line("job_2", units=15)]
    try:
        run = reconcile("fal")
    finally:
        Hold.objects.filter(job="job_1").update(closed_at=timezone.now())

    assert run.report["bills"] == {"failed": 1, "corrected": 1}
    assert booked("job_2") == (15, 30)
    reconcile("fal")
    assert booked() == (15, 30)


def test_a_part_of_a_nano_is_rounded_half_up(client: Client, bills: Bills) -> None:
    settled(client)
    bills.lines = [line(units="10.00000005")]

    reconcile("fal")

    assert booked() == (Decimal("10.0000001"), Decimal("20.0000002"))


def test_losses_of_a_model_are_one_alert_with_their_sum_and_the_last_job(client: Client, bills: Bills) -> None:
    for job, units in (("job_1", 50), ("job_2", 40)):
        settled(client, job, terms=replace(TERMS, hold=25 * CENT))
        bills.lines = [line(job, units=units)]
        reconcile("fal")

    alert = Alert.objects.get(code="operator_loss")
    assert (alert.times, alert.amount) == (2, 40 * CENT)
    assert alert.title == "fal-ai/flux/dev: 0.4000 USD of its cost are ours to bear, in 2 jobs"
    assert "job_2: 0.15 USD" in alert.text
