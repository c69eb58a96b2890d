"""Every process killed with -9 while jobs run: nothing is lost, nothing is sent or charged twice."""

from pathlib import Path

import pytest

from tests import kills
from tests.fleet import fleet

# On PostgreSQL `test_nodes.py` kills two of each, and `make kills` does this ten times.
pytestmark = [pytest.mark.postgres, pytest.mark.once]


# How many calls a dispatcher has under way at most.
THREADS = 4


def test_all_accepted_jobs_end_once_whatever_is_killed(tmp_path: Path, own_database: dict[str, str]) -> None:
    settings = kills.SETTINGS | {"DISPATCH_THREADS": str(THREADS)} | own_database
    with fleet(tmp_path / "var", settings=settings, dispatchers=2) as one:
        found = kills.run(one, jobs=60, rounds=1, seed=1)

    assert found.problems == []
    # What clients canceled and the provider failed says nothing of us.
    failed_there = found.codes.get("provider_error", 0) + found.codes.get("provider_unavailable", 0)
    left = found.accepted - found.by.get("canceled", 0) - failed_there
    # What a killed dispatcher held and had not sent yet never came to the provider, and is not sent by another.
    held = found.codes.get("submit_unknown", 0)
    assert held <= THREADS * found.killed["dispatcher 1"] + THREADS * found.killed["dispatcher 2"]
    assert found.sent <= found.accepted - held
    assert found.by["succeeded"] == left - held, (found.by, found.codes)
    assert (found.accepted, found.lost, found.sent_twice, found.charged_twice) == (60, 0, 0, 0)
    assert set(found.killed) == {"web", "worker", "dispatcher 1", "dispatcher 2"}
