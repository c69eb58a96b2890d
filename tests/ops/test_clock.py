"""On PostgreSQL it is as late as the database says, in every process and whatever the machine's own clock says."""

import logging
import time
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings
from django.db import OperationalError, connection
from django.utils import timezone

from genfeed import clock
from genfeed.demo.clock import moved_clock
from tests.sandbox_server import ROOT

TEN_MINUTES = 600.0


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that nobody has told the time yet, on a machine whose steady clock says 1000."""
    for name, value in (("_ahead", None), ("_error", 0.0), ("_measured", 0.0)):
        monkeypatch.setattr(clock, name, value)
    monkeypatch.setattr(clock, "elapsed", lambda: 1_000.0)


def told(seconds: float, *, asked: float = 999.9, answered: float = 1_000.1) -> None:
    clock.follow(seconds, asked=asked, answered=answered)


def test_before_the_database_has_told_it_the_time_is_the_machines_own(machine: None) -> None:
    assert abs((clock.now() - datetime.now(UTC)).total_seconds()) < 5


def test_the_time_is_the_databases_whatever_the_machine_says(machine: None) -> None:
    told(time.time() + TEN_MINUTES)

    assert abs((clock.now() - datetime.now(UTC)).total_seconds() - TEN_MINUTES) < 5


def test_time_goes_on_by_a_clock_that_nobody_sets(machine: None, monkeypatch: pytest.MonkeyPatch) -> None:
    told(5_000_000.0)
    monkeypatch.setattr(clock, "elapsed", lambda: 1_030.0)
    monkeypatch.setattr(time, "time", lambda: 17.0)

    assert clock.now().timestamp() == 5_000_030.0


def test_a_slow_answer_does_not_blur_what_a_quick_one_has_told(machine: None) -> None:
    told(5_000_000.0)
    told(5_000_002.0, asked=995.0, answered=1_005.0)

    assert clock.now().timestamp() == 5_000_000.0


def test_a_database_whose_clock_was_set_is_followed(machine: None) -> None:
    told(5_000_000.0)
    told(5_000_600.0, asked=995.0, answered=1_005.0)

    assert clock.now().timestamp() == 5_000_600.0


def test_a_machine_whose_clock_is_off_is_told_once(machine: None, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        told(time.time() + TEN_MINUTES)
        told(time.time() + TEN_MINUTES)

    assert [record.getMessage() for record in caplog.records] == [
        "this machine's clock is -600 s off the database's, which is the one that counts"
    ]


def test_a_demo_run_has_a_clock_of_its_own_and_leaves_the_one_before_it() -> None:
    before = timezone.datetime  # type: ignore[attr-defined]
    with moved_clock() as moved:
        moved.skip(86_400)
        assert timezone.now() - datetime.now(UTC) > timedelta(hours=23)

    assert timezone.datetime is before  # type: ignore[attr-defined]


@pytest.mark.django_db
def test_a_new_connection_brings_the_time_and_lets_no_transaction_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    if connection.vendor == "sqlite":
        pytest.skip("SQLite has one machine")
    monkeypatch.setattr(clock, "_ahead", None)
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("SHOW idle_in_transaction_session_timeout")
            assert cursor.fetchone() == (f"{settings.TRANSACTION_IDLE_SECONDS}s",)
            cursor.execute("SELECT clock_timestamp()")
            said = cursor.fetchone()[0]
    finally:
        other.close()

    assert clock._ahead is not None
    assert abs(timezone.now() - said) < timedelta(seconds=2)


@pytest.mark.django_db(transaction=True)
def test_a_web_process_asks_for_the_time_before_anything_is_judged_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    if connection.vendor == "sqlite":
        pytest.skip("SQLite has one machine")
    monkeypatch.setattr(clock, "_ahead", None)
    connection.close()

    clock.ask()

    assert clock._ahead is not None
    assert "clock.ask()" in (ROOT / "genfeed" / "wsgi.py").read_text()


def test_a_database_that_is_away_leaves_the_machines_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise OperationalError("the server is gone")

    monkeypatch.setattr(connection, "ensure_connection", away)
    monkeypatch.setattr(connection, "close", lambda: None)

    clock.ask()


@pytest.mark.django_db(transaction=True)
def test_what_a_process_holds_that_sleeps_in_a_transaction_is_free_again(monkeypatch: pytest.MonkeyPatch) -> None:
    if connection.vendor == "sqlite":
        pytest.skip("SQLite has one machine")
    monkeypatch.setattr(settings, "TRANSACTION_IDLE_SECONDS", 1)
    asleep, awake = connection.copy(), connection.copy()
    try:
        asleep.set_autocommit(False)
        with asleep.cursor() as cursor:
            cursor.execute("LOCK TABLE jobs_providergate")
        with awake.cursor() as cursor:
            cursor.execute("SET lock_timeout = '10s'")
            # Waits until the server has ended the other's transaction.
            cursor.execute("SELECT count(*) FROM jobs_providergate")
            assert cursor.fetchone() == (0,)
        # As any connection that is lost: what comes of it may be tried again.
        with pytest.raises(OperationalError), asleep.cursor() as cursor:
            cursor.execute("SELECT 1")
    finally:
        awake.close()
        asleep.connection.close()
        asleep.connection = None
