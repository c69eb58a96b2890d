"""Every process killed with -9 while jobs run: nothing is lost, nothing is sent or charged twice."""

from pathlib import Path

import pytest

from tests import kills
from tests.fleet import fleet

# In one worker: it starts a dozen processes of its own.
pytestmark = pytest.mark.postgres


def test_all_accepted_jobs_end_once_whatever_is_killed(tmp_path: Path, own_database: dict[str, str]) -> None:
    with fleet(tmp_path / "var", settings=kills.SETTINGS | own_database, dispatchers=2) as one:
        found = kills.run(one, jobs=60, rounds=1, seed=1)

    assert found.problems == []
    assert (found.accepted, found.lost, found.sent_twice, found.charged_twice) == (60, 0, 0, 0)
    assert set(found.killed) == {"web", "worker", "dispatcher 1", "dispatcher 2"}
