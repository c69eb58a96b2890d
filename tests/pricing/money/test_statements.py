"""Statements: to the nano what the ledger says, month after month, by the client's clock."""

import random
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db.models import F, Sum
from django.test import Client as HttpClient
from django.utils import timezone

from genfeed.clients.models import Client
from genfeed.journal.audit import SYSTEM
from pricing.ledger.accounts import correct_balance, top_up
from pricing.ledger.afterwards import correct, refund
from pricing.models import LedgerTransaction
from pricing.usage.days import BadDayError
from pricing.usage.statements import statement_of
from tests.factories import make_model
from tests.pricing.ledger.books import CENT, USD, hold, make_client
from tests.pricing.money.used import back_date, use

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def alice() -> Client:
    client = make_client()
    back_date(at(9, 5), account__client=client)
    return client


@pytest.fixture
def reader(alice: Client, make_key: Callable[..., str]) -> HttpClient:
    return HttpClient(headers={"Authorization": f"Bearer {make_key('usage:read', client='alice')}"})


def at(month: int, day: int, hour: int = 12) -> datetime:
    return datetime(2025, month, day, hour, tzinfo=UTC)


def balance_at(client: Client, moment: datetime) -> int:
    """What the ledger itself says was paid in and not charged before a moment."""
    rows = LedgerTransaction.objects.filter(account__client=client, at__lt=moment)
    return rows.aggregate(left=Sum(F("funded") - F("spent")))["left"] or 0


def test_it_leads_from_the_opening_to_the_closing_balance(alice: Client) -> None:
    use(alice, "job_1", charge=10 * CENT, at=at(10, 3))
    correct("job_1", charge=7 * CENT, cost=2 * CENT, reference="bill", reason="the bill")
    refund("job_1", 2 * CENT, actor=SYSTEM, reason="sorry", reference="r")
    top_up(alice.pk, 5 * USD, actor=SYSTEM, reason="paid", reference="INV-7")
    correct_balance(alice.pk, -USD, actor=SYSTEM, reason="booked twice")
    back_date(at(10, 9), kind__in=["correction", "refund"])
    back_date(at(10, 9), reference="INV-7")

    found = statement_of(alice, date(2025, 10, 1))
    assert (found.opening, found.funded("top_up"), found.funded("correction")) == (10 * USD, 5 * USD, -USD)
    assert (found.charges, found.corrections, found.refunds) == (10 * CENT, -3 * CENT, 2 * CENT)
    assert found.closing == 14 * USD - 5 * CENT


def test_charges_stand_beside_their_models(alice: Client) -> None:
    veo = make_model("fal-ai/veo", category="text-to-video", media_type="video")
    use(alice, "job_1", charge=CENT, at=at(10, 3))
    use(alice, "job_2", charge=2 * CENT, at=at(10, 3))
    use(alice, "job_3", charge=5 * CENT, model=veo, at=at(10, 4))

    lines = statement_of(alice, date(2025, 10, 1)).models
    assert [(line.model, line.jobs, line.charges) for line in lines] == [
        ("fal-ai/flux/dev", 2, 3 * CENT), ("fal-ai/veo", 1, 5 * CENT),
    ]  # fmt: skip


def test_a_refund_of_last_months_job_is_of_this_month(alice: Client) -> None:
    use(alice, "job_1", charge=10 * CENT, at=at(10, 3))
    refund("job_1", 4 * CENT, actor=SYSTEM, reason="sorry", reference="r")
    back_date(at(11, 2), kind="refund")

    october, november = (statement_of(alice, date(2025, month, 1)) for month in (10, 11))
    assert (october.charges, october.refunds, october.closing) == (10 * CENT, 0, 10 * USD - 10 * CENT)
    assert (november.charges, november.refunds, november.closing) == (0, 4 * CENT, 10 * USD - 6 * CENT)


def test_money_that_is_held_is_not_charged_yet(alice: Client) -> None:
    hold(alice, "job_1", 3 * USD)
    back_date(at(10, 3), job="job_1")

    assert statement_of(alice, date(2025, 10, 1)).closing == 10 * USD


def test_a_month_begins_by_the_clients_clock(alice: Client) -> None:
    use(alice, "job_1", charge=CENT, at=at(9, 30, 23))
    assert statement_of(alice, date(2025, 9, 1)).charges == CENT

    Client.objects.update(timezone="Europe/Berlin")
    alice.refresh_from_db()
    assert statement_of(alice, date(2025, 9, 1)).charges == 0
    assert statement_of(alice, date(2025, 10, 1)).charges == CENT


@pytest.mark.parametrize("seed", range(3))
def test_whatever_happens_every_statement_agrees_with_the_ledger(alice: Client, seed: int) -> None:
    dice = random.Random(seed)
    Client.objects.update(timezone="America/New_York")
    alice.refresh_from_db()
    for number in range(25):
        moment = at(9, 6) + timedelta(minutes=dice.randrange(110 * 24 * 60))
        last = LedgerTransaction.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
        what = dice.choice(["use", "use", "fail", "top_up", "correct", "refund", "balance"])
        if what in ("use", "fail"):
            outcome = "succeeded" if what == "use" else "failed"
            use(alice, f"job_{number}", charge=dice.randrange(1, 20 * CENT), outcome=outcome)
        elif what == "top_up":
            top_up(alice.pk, dice.randrange(1, USD), actor=SYSTEM, reason="paid")
        elif what == "balance":
            correct_balance(alice.pk, dice.randrange(-CENT, 0), actor=SYSTEM, reason="put right")
        elif settled := LedgerTransaction.objects.filter(kind="settle").order_by("?").first():
            if what == "correct":
                charge = dice.randrange(20 * CENT)
                correct(settled.job, charge=charge, cost=1, reference=f"b{number}", reason="a bill")
            elif LedgerTransaction.objects.filter(job=settled.job).aggregate(left=Sum("spent"))["left"] > 0:
                refund(settled.job, 1, actor=SYSTEM, reason="sorry", reference=f"r{number}")
        back_date(moment, pk__gt=last)

    before = None
    for month in (9, 10, 11, 12):
        found = statement_of(alice, date(2025, month, 1))
        assert found.opening == balance_at(alice, found.starts_at)
        assert found.closing == balance_at(alice, found.ends_at)
        assert before is None or found.opening == before
        before = found.closing


def test_a_month_that_has_not_begun_has_no_statement(alice: Client) -> None:
    with pytest.raises(BadDayError, match="not begun"):
        statement_of(alice, (timezone.now() + timedelta(days=40)).date().replace(day=1))


def test_the_running_month_is_not_final(alice: Client) -> None:
    today = timezone.now().date()
    assert statement_of(alice, today.replace(day=1)).is_final is False
    assert statement_of(alice, date(2025, 10, 1)).is_final is True


def test_the_api_tells_it_as_json(alice: Client, reader: HttpClient) -> None:
    use(alice, "job_1", charge=10 * CENT, at=at(10, 3))

    body = reader.get("/api/v1/statements/2025-10").json()
    sums = ("opening_balance", "top_ups", "charges", "closing_balance")
    assert [body[name] for name in sums] == ["10", "0", "0.1", "9.9"]
    assert body["models"] == [
        {
            "model": "fal-ai/flux/dev", "provider": "fal", "jobs": 1, "charges": "0.1", "corrections": "0",
            "refunds": "0", "total": "0.1",
        }
    ]  # fmt: skip


def test_the_api_tells_it_as_csv_without_cells_that_run(alice: Client, reader: HttpClient) -> None:
    top_up(alice.pk, USD, actor=SYSTEM, reason="paid", reference="=HYPERLINK(1)")
    back_date(at(10, 2, 8), reference="=HYPERLINK(1)")

    text = reader.get("/api/v1/statements/2025-10", headers={"Accept": "text/csv"}).content.decode()
    assert "sum,opening_balance,,,10\r\n" in text
    assert "funding,top_up,'=HYPERLINK(1),2025-10-02T08:00:00.000Z,1\r\n" in text


def test_the_api_tells_it_as_a_page_to_print(alice: Client, reader: HttpClient) -> None:
    Client.objects.update(name="<b>alice</b>")
    use(alice, "job_1", charge=10 * CENT, at=at(10, 3))

    answer = reader.get("/api/v1/statements/2025-10?format=html")
    page = answer.content.decode()
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "Closing balance" in page
    assert "9.9" in page
    assert "&lt;b&gt;alice" in page
    assert "<style" not in page


@pytest.mark.once
@pytest.mark.parametrize("month", ["2025-13", "2025-1", "25-01", "now", "0001-01", "9999-12", "2025-10-01", "2100-01"])
def test_what_is_no_month_is_refused_in_words(reader: HttpClient, month: str) -> None:
    answer = reader.get(f"/api/v1/statements/{month}")

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert "month" in answer.json()["message"]


def test_another_clients_movements_are_not_in_it(alice: Client, reader: HttpClient) -> None:
    bob: Any = make_client("bob")
    use(bob, "job_1", charge=10 * CENT, at=at(10, 3))

    assert reader.get("/api/v1/statements/2025-10").json()["models"] == []
