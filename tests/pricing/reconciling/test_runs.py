"""Reading a bill: the watermark moves only when all is written, and whatever breaks in between loses nothing."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from catalog.models import Provider
from catalog.providers.base import ProviderNotConfiguredError, ProviderUnavailableError
from genfeed.clients.models import Client
from genfeed.journal.models import Alert
from pricing import tasks
from pricing.models import Bill, BillingEvent, ReconciliationRun
from pricing.reconciling import matching, runs
from pricing.reconciling.reconcile import is_configured, reconcile
from pricing.reconciling.runs import AlreadyRunningError, LeaseLostError, watermark
from tests.pricing.reconciling.bills import Bills, booked, line, settled

pytestmark = pytest.mark.django_db(transaction=True)


def mark() -> Any:
    return watermark(Provider.objects.get(slug="fal"))


def test_the_next_run_starts_before_where_the_last_one_ended(client: Client, bills: Bills) -> None:
    now = timezone.now()
    reconcile("fal", now=now)
    reconcile("fal", now=now + timedelta(hours=1))

    assert mark() == now + timedelta(hours=1)
    assert bills.asked[1] == (now - timedelta(hours=2), now + timedelta(hours=1))


def test_once_a_day_a_run_looks_back_a_week(client: Client, bills: Bills) -> None:
    now = timezone.now()
    reconcile("fal", now=now)
    reconcile("fal", now=now + timedelta(hours=25))

    assert bills.asked[1][0] == now - timedelta(days=7)


def test_the_first_run_starts_before_the_first_job(client: Client, bills: Bills) -> None:
    now = timezone.now()
    settled(client, now=now - timedelta(days=30))

    reconcile("fal", now=now)

    assert bills.asked[0][0] == now - timedelta(days=31)


def test_no_run_looks_back_more_than_ninety_days(client: Client, bills: Bills) -> None:
    now = timezone.now()
    settled(client, now=now - timedelta(days=300))

    reconcile("fal", now=now)

    assert bills.asked[0][0] == now - timedelta(days=90)


def test_pages_before_a_failure_are_kept_and_the_watermark_stays(client: Client, bills: Bills) -> None:
    for number in range(4):
        settled(client, f"job_{number}")
    reconcile("fal")
    before = mark()
    bills.lines = [line(f"job_{number}", units=15) for number in range(4)]
    bills.page_size, bills.breaks_after = 2, (1, ProviderUnavailableError("fal.ai answered 503.", 503))

    run = reconcile("fal")

    assert (run.status, mark(), BillingEvent.objects.count()) == ("failed", before, 2)
    assert Alert.objects.filter(code="reconciliation_failed", resolved_at=None).exists()

    bills.breaks_after = None
    reconcile("fal")
    assert [booked(f"job_{number}") for number in range(4)] == [(15, 30)] * 4
    assert not Alert.objects.filter(code="reconciliation_failed", resolved_at=None).exists()


def test_a_crash_between_bills_is_made_up_for_by_the_next_run(
    client: Client, bills: Bills, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        settled(client, f"job_{number}")
    bills.lines = [line(f"job_{number}", units=15) for number in range(3)]
    real, seen = matching.match, []

    def crash(*args: Any, **more: Any) -> str:
        seen.append(args)
        if len(seen) == 2:
            raise RuntimeError("the machine stopped")
        return real(*args, **more)

    monkeypatch.setattr(matching, "match", crash)
    with pytest.raises(RuntimeError):
        reconcile("fal")
    assert mark() is None

    reconcile("fal")
    assert [booked(f"job_{number}") for number in range(3)] == [(15, 30)] * 3


def test_a_correction_and_the_state_of_its_bill_are_one_transaction(
    client: Client, bills: Bills, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled(client)
    bills.lines = [line(units=15)]

    def crash(*_: Any, **__: Any) -> None:
        raise RuntimeError("the machine stopped")

    with monkeypatch.context() as patched:
        patched.setattr(Bill, "save", crash)
        with pytest.raises(RuntimeError):
            reconcile("fal")
    assert booked() == (10, 20)

    reconcile("fal")
    assert booked() == (15, 30)


def test_no_call_happens_inside_a_transaction(client: Client, bills: Bills, monkeypatch: pytest.MonkeyPatch) -> None:
    settled(client)
    bills.lines = [line(), line("job_2")]
    bills.page_size = 1
    inside: list[bool] = []
    real = Bills.billing_events

    def watch(self: Bills, *args: Any) -> Any:
        for page in real(self, *args):
            inside.append(connection.in_atomic_block)
            yield page

    monkeypatch.setattr(Bills, "billing_events", watch)
    reconcile("fal")
    assert inside == [False, False]


def test_two_runs_at_once_are_one(client: Client, bills: Bills) -> None:
    provider = Provider.objects.get_or_create(slug="fal")[0]
    runs.begin(provider, trigger="test")

    with pytest.raises(AlreadyRunningError):
        reconcile("fal")
    assert tasks.reconcile() == "fal: already running"


def test_a_run_whose_process_died_is_closed_by_the_next(client: Client, bills: Bills) -> None:
    provider = Provider.objects.get_or_create(slug="fal")[0]
    dead = runs.begin(provider, trigger="test")
    ReconciliationRun.objects.update(lease_until=timezone.now() - timedelta(seconds=1))

    assert reconcile("fal").status == "succeeded"
    with pytest.raises(LeaseLostError):
        runs.succeed(dead)
    dead.refresh_from_db()
    assert (dead.status, "died" in dead.error) == ("failed", True)


@pytest.mark.once
def test_a_line_that_can_not_be_read_is_told(client: Client, bills: Bills) -> None:
    bills.problems = ["page 1, line 3: cost_total is missing"]

    run = reconcile("fal")

    assert run.status == "succeeded"
    assert "line 3" in Alert.objects.get(code="bills_unreadable").text
    bills.problems = []
    reconcile("fal")
    assert Alert.objects.get(code="bills_unreadable").resolved_at


@pytest.mark.once
def test_without_a_key_for_bills_it_says_so(db: None, settings: Any) -> None:
    settings.FAL_ADMIN_KEY = ""

    assert not is_configured("fal")
    with pytest.raises(ProviderNotConfiguredError, match="ADMIN key"):
        reconcile("fal")
    assert tasks.reconcile() == "fal: not configured"
    with pytest.raises(CommandError, match="ADMIN key"):
        call_command("reconcile")
    assert not ReconciliationRun.objects.exists()


@pytest.mark.once
def test_the_command_says_what_it_did(client: Client, bills: Bills, capsys: pytest.CaptureFixture[str]) -> None:
    settled(client)
    bills.lines = [line(units=15)]

    call_command("reconcile")

    assert "Read 1 lines (1 new)" in (said := capsys.readouterr().out)
    assert "1 corrected" in said


@pytest.mark.once
def test_the_command_fails_where_the_provider_does(client: Client, bills: Bills) -> None:
    bills.breaks_after = (0, ProviderUnavailableError("fal.ai answered 503.", 503))
    with pytest.raises(CommandError, match="503"):
        call_command("reconcile")
