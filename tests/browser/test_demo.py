"""What a run of the demo leaves behind, read from its database."""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.running_app import manage

pytestmark = pytest.mark.browser


@pytest.fixture
def database(demo_var: Path) -> Iterator[sqlite3.Connection]:
    with sqlite3.connect(f"file:{demo_var}/db.sqlite3?mode=ro", uri=True) as connection:
        yield connection
    connection.close()


def of_demo(sql: str) -> str:
    """The jobs of demo clients; other tests may have added others."""
    return f"{sql} FROM jobs_job JOIN clients_client c ON c.id = client_id WHERE c.name LIKE 'Demo: %'"


def test_jobs_are_spread_over_the_days_and_their_ids_sort_by_time(database: sqlite3.Connection) -> None:
    jobs = database.execute(f"{of_demo('SELECT jobs_job.id, jobs_job.created_at')} ORDER BY jobs_job.id").fetchall()

    moments = [moment for _, moment in jobs]
    first = datetime.fromisoformat(moments[0]).replace(tzinfo=UTC)
    assert len(jobs) > 40
    assert len({moment[:10] for moment in moments}) >= 2
    assert datetime.now(UTC) - first > timedelta(days=1)
    assert moments == sorted(moments)


def test_every_job_has_ended_and_some_have_failed(database: sqlite3.Connection) -> None:
    ends = dict(database.execute(f"{of_demo('SELECT status, COUNT(*)')} GROUP BY status").fetchall())

    assert set(ends) <= {"succeeded", "failed", "canceled"}
    assert ends["succeeded"] > 5 * ends["failed"] > 0


def test_each_client_says_that_it_is_one_of_the_demo(database: sqlite3.Connection) -> None:
    sql = "SELECT name FROM clients_client WHERE id IN (SELECT client_id FROM jobs_job WHERE metadata LIKE '%demo%')"
    names = [name for (name,) in database.execute(sql)]

    assert names
    assert all(name.startswith("Demo: ") for name in names)


def test_requests_over_a_limit_were_refused_and_counted(database: sqlite3.Connection) -> None:
    counted = dict(database.execute("SELECT code, SUM(times) FROM pricing_refusal GROUP BY code").fetchall())

    assert counted["queue_full"] > 0


def test_the_ledger_of_the_demo_is_proven_and_its_rollups_equal_its_records(
    demo_var: Path, database: sqlite3.Connection
) -> None:
    done = manage(demo_var, "check_ledger")
    assert done.returncode == 0, done.stderr

    of_demo = "JOIN clients_client c ON c.id = client_id WHERE c.name LIKE 'Demo: %'"
    (summed,) = database.execute(f"SELECT SUM(jobs) FROM pricing_clientday {of_demo}").fetchone()
    (recorded,) = database.execute(f"SELECT COUNT(*) FROM pricing_usagerecord {of_demo}").fetchone()
    assert summed == recorded


def test_a_second_run_is_refused_and_says_what_to_do(demo_var: Path) -> None:
    done = manage(demo_var, "demo")

    assert done.returncode != 0
    assert "GENFEED_VAR_DIR=var/demo" in done.stderr
