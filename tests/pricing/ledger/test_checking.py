"""The proof of the ledger finds every kind of wrong, and says nothing of right books."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db.models import F
from django_q.models import Schedule

from genfeed.journal.models import Alert
from pricing import tasks
from pricing.ledger import checking
from pricing.ledger.checking import check_ledger
from pricing.models import Account, Hold, LedgerTransaction
from tests.pricing.ledger.books import USD, end, hold, make_client

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def books() -> None:
    client = make_client()
    hold(client, "job_1")
    end("job_1", charge=1)
    hold(client, "job_2")


def invariants() -> list[str]:
    return [one.invariant for one in check_ledger()]


def test_right_books_are_proven() -> None:
    out = StringIO()

    call_command("check_ledger", stdout=out)

    assert "The ledger is proven: 1 accounts, 4 transactions, 1 open holds." in out.getvalue()


def test_m2_a_balance_that_is_not_the_sum_of_its_ledger_is_found() -> None:
    Account.objects.update(available=F("available") + 1, funded=F("funded") + 1)

    found = check_ledger()

    assert found[0].invariant == "M2"
    assert "available is 9.0" not in found[0].words
    assert "its ledger says" in found[0].words


def test_m2_an_overdrawn_account_is_found() -> None:
    Account.objects.update(available=-USD, funded=F("held") + F("spent") - USD)

    assert any("below its credit line" in one.words for one in check_ledger())


def test_m7_held_money_without_a_hold_is_found() -> None:
    Hold.objects.filter(job="job_2").delete()

    assert "M7" in invariants()


def test_m3_a_hold_that_is_open_after_its_end_is_found() -> None:
    Hold.objects.filter(job="job_1").update(closed_at=None)

    assert "M3" in invariants()


def test_m7_an_open_hold_of_a_job_that_ended_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "open_jobs", lambda: {"job_3"})

    words = {one.subject: one.words for one in check_ledger()}

    assert words == {
        "job job_2": "has an open hold, and its outcome is known",
        "job job_3": "its outcome is not known, and it has no open hold",
    }


def test_m7_a_job_that_ends_while_it_is_read_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [{"job_2", "job_3"}, {"job_2"}]
    monkeypatch.setattr(checking, "open_jobs", lambda: answers.pop(0))

    assert check_ledger() == []


def test_the_command_says_what_is_wrong_and_fails() -> None:
    Hold.objects.filter(job="job_2").delete()
    out = StringIO()

    with pytest.raises(CommandError, match="mismatches"):
        call_command("check_ledger", "--json", stdout=out)

    assert json.loads(out.getvalue())["mismatches"][0]["invariant"] == "M7"


def test_the_daily_check_alerts_and_resolves_by_itself() -> None:
    gone = Hold.objects.get(job="job_2")
    Hold.objects.filter(job="job_2").delete()
    tasks.check_ledger()
    assert Alert.objects.get(code="ledger_mismatch", resolved_at=None).level == "critical"

    gone.save(force_insert=True)
    tasks.check_ledger()

    assert not Alert.objects.filter(code="ledger_mismatch", resolved_at=None).exists()


def test_it_runs_every_day() -> None:
    assert Schedule.objects.get(func="pricing.tasks.check_ledger").schedule_type == Schedule.DAILY


def test_checking_changes_nothing() -> None:
    before = list(LedgerTransaction.objects.values_list())

    check_ledger()

    assert list(LedgerTransaction.objects.values_list()) == before
