"""The page Reconciliation and the bills behind it: what they show, to whom, and what can be done there."""

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client as HttpClient
from django_q.models import OrmQ, Schedule

from genfeed.clients.models import Client
from genfeed.journal.models import AuditEvent
from pricing.models import Bill
from pricing.reconciling.reconcile import reconcile
from tests.admin.pages import page_of
from tests.pricing.reconciling.bills import Bills, booked, line, settled

pytestmark = pytest.mark.django_db
Staff = Callable[[str], HttpClient]
PAGE = "/admin/pricing/bill/reconciliation/"
LIST = "/admin/pricing/bill/"


@pytest.fixture
def waiting(client: Client, bills: Bills) -> Bill:
    """A bill that waits, beside one that was corrected, one of nobody, and one as booked."""
    for number in range(3):
        settled(client, f"job_{number}")
    bills.lines = [line("job_0", units=101), line("job_1", units=11), line("job_2"), line("stranger")]
    reconcile("fal", deep=True)
    return Bill.objects.get(state="quarantined")


def shown(who: HttpClient, url: str) -> str:
    answer = who.get(url)
    assert answer.status_code == 200
    return " ".join(next(one for one in page_of(answer).elements if one.tag == "body").text.split())


@pytest.mark.once
def test_without_a_key_the_page_says_what_to_do(staff: Staff, settings: Any) -> None:
    settings.FAL_ADMIN_KEY = ""
    text = shown(staff("viewer"), PAGE)
    assert "not configured" in text
    assert "FAL_ADMIN_KEY" in text


@pytest.mark.once
def test_before_the_first_run_it_says_so(staff: Staff, bills: Bills) -> None:
    assert "never read" in shown(staff("viewer"), PAGE)


def test_the_page_shows_watermark_totals_what_waits_and_accuracy(staff: Staff, waiting: Bill) -> None:
    text = shown(staff("viewer"), PAGE)

    for words in ("current", "Credit left: 100 USD", "1 bill to decide", "job_0", "more than 10 times the quote",
                  "fal-ai/flux/dev", "1.32", "4.55 %"):  # fmt: skip
        assert words in text


def test_the_page_costs_a_fixed_number_of_queries(
    staff: Staff, waiting: Bill, client: Client, bills: Bills, django_assert_max_num_queries: Any
) -> None:
    who = staff("viewer")
    with django_assert_max_num_queries(30):
        who.get(PAGE)


@pytest.mark.once
def test_days_come_as_csv(staff: Staff, waiting: Bill) -> None:
    rows = list(csv.DictReader(io.StringIO(staff("viewer").get(f"{PAGE}days.csv").content.decode())))
    assert (rows[0]["jobs"], rows[0]["billed_usd"], rows[0]["without_job_usd"]) == ("3", "1.32", "0.1")


def test_the_list_finds_a_bill_by_its_job(staff: Staff, waiting: Bill) -> None:
    text = shown(staff("viewer"), f"{LIST}?q=job_1")
    assert "req_job_1" in text
    assert "req_job_0" not in text


def test_finance_decides_and_the_books_follow(staff: Staff, waiting: Bill) -> None:
    who = staff("finance")
    assert "Accept the bill" in shown(who, f"{LIST}{waiting.pk}/change/")

    who.post(f"{LIST}{waiting.pk}/decide/", {"do": "accepted", "reason": "asked fal"})

    assert booked("job_0") == (101, 100)
    assert AuditEvent.objects.get(action="bill.accepted").actor_name == "a finance"
    assert "asked fal" in shown(who, f"{LIST}{waiting.pk}/change/")


@pytest.mark.once
def test_a_decision_without_a_reason_is_refused_in_words(staff: Staff, waiting: Bill) -> None:
    answer = staff("finance").post(f"{LIST}{waiting.pk}/decide/", {"do": "accepted", "reason": ""}, follow=True)
    assert "Say why" in " ".join(page_of(answer).messages)
    assert booked("job_0") == (10, 20)


@pytest.mark.once
@pytest.mark.parametrize("role", ["viewer", "catalog manager"])
def test_who_moves_no_money_decides_nothing(staff: Staff, waiting: Bill, role: str) -> None:
    who = staff(role)
    assert who.post(f"{LIST}{waiting.pk}/decide/", {"do": "accepted", "reason": "x"}).status_code == 403
    assert who.post(f"{PAGE}run/", {"provider": "fal"}).status_code == 403
    assert "Accept the bill" not in shown(who, f"{LIST}{waiting.pk}/change/")


@pytest.mark.once
def test_a_bill_that_does_not_exist_is_a_404(staff: Staff) -> None:
    who = staff("finance")
    assert who.post(f"{LIST}99/decide/", {"do": "accepted", "reason": "x"}).status_code == 404
    assert who.post(f"{PAGE}run/", {"provider": "nobody"}).status_code == 404


@pytest.mark.once
def test_the_button_queues_a_run(staff: Staff, bills: Bills) -> None:
    staff("finance").post(f"{PAGE}run/", {"provider": "fal"})

    assert "pricing.tasks.reconcile" in str(OrmQ.objects.get().task)
    assert AuditEvent.objects.filter(action="provider.reconciliation_asked").exists()


@pytest.mark.once
def test_it_is_scheduled_every_hour(db: None) -> None:
    assert Schedule.objects.get(func="pricing.tasks.reconcile").schedule_type == "H"
