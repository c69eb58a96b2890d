"""The demo: when it refuses to run, how it tells the time, and what its calendar is like. Its run: tests/browser."""

import random
import socket
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from genfeed.clients.models import Client
from genfeed.demo import guard
from genfeed.demo.clock import moved_clock
from genfeed.demo.habits import HABITS, Visit, calendar
from genfeed.demo.provider import SandboxFailedError, own_sandbox
from genfeed.journal.audit import SYSTEM
from genfeed.journal.models import AuditEvent
from jobs.canceling import cancel
from jobs.ids import new_id
from jobs.models import Job
from pricing.ledger.accounts import top_up
from tests.jobs.doubles import make_job

pytestmark = pytest.mark.once

MONDAY = date(2026, 11, 2)


@pytest.fixture(autouse=True)
def _no_sandbox_of_others(settings: Any) -> None:
    settings.SANDBOX_URL = ""


@pytest.mark.django_db
def test_it_runs_on_a_database_that_nobody_has_used() -> None:
    Client.objects.create(name="Acme")

    assert guard.why_not() == ""


@pytest.mark.django_db
def test_it_refuses_a_database_with_a_job_that_has_not_ended() -> None:
    make_job()

    with pytest.raises(CommandError, match=r"1 jobs on this database have not ended.*GENFEED_VAR_DIR"):
        call_command("demo")

    assert Client.objects.count() == 1


@pytest.mark.django_db
def test_it_refuses_a_database_with_a_job_of_a_client() -> None:
    cancel(make_job())
    assert Job.objects.get().has_ended

    assert guard.why_not().startswith("There are 1 jobs of clients")


@pytest.mark.django_db
def test_it_refuses_a_database_with_money_of_a_client() -> None:
    top_up(Client.objects.create(name="Acme").pk, 5, actor=SYSTEM, reason="paid")

    assert guard.why_not().startswith("Money of clients")


@pytest.mark.django_db
def test_it_refuses_to_run_twice() -> None:
    Client.objects.create(name=HABITS[0].client)

    assert guard.why_not().startswith("The demo was here before")


@pytest.mark.django_db
def test_it_refuses_an_installation_with_a_key_for_fal_itself(settings: Any) -> None:
    settings.FAL_QUEUE_URL = "https://queue.fal.run"

    assert guard.why_not().startswith("This installation has a key for fal.ai")


@pytest.mark.django_db
def test_whatever_is_written_bears_the_time_of_the_moved_clock_and_afterwards_the_true_one() -> None:
    then = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    with moved_clock() as clock:
        clock.go_to(then)
        event = AuditEvent.objects.create(action="demo.tested")
        old_id = new_id("job")
        assert timezone.localdate() == then.date()

    assert abs(event.at - then) < timedelta(minutes=1)
    assert old_id < new_id("job")
    assert abs(timezone.now() - datetime.now(UTC)) < timedelta(minutes=1)


def test_it_refuses_a_port_at_which_somebody_else_answers() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SandboxFailedError, match=f"port {port} already"), own_sandbox(port):
            pass


def visits() -> list[Visit]:
    end = datetime(2026, 11, 30, tzinfo=UTC)
    return list(calendar(MONDAY - timedelta(days=14), MONDAY, end, random.Random(1)))


def test_a_calendar_is_the_same_for_the_same_dice_and_in_order() -> None:
    found = visits()

    assert found == visits()
    assert found == sorted(found, key=lambda visit: visit.at)


def test_working_days_are_busier_than_weekends_and_the_month_than_the_weeks_before() -> None:
    days = Counter(visit.at.date() for visit in visits())
    busy = {day: count for day, count in days.items() if day >= MONDAY}
    working = [count for day, count in busy.items() if day.weekday() < 5]
    free = [count for day, count in busy.items() if day.weekday() >= 5]

    assert sum(working) / len(working) > 1.3 * sum(free) / len(free)
    assert sum(busy.values()) > 4 * (sum(days.values()) - sum(busy.values()))
