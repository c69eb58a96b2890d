"""Deliveries by real processes that are killed with -9, to a receiver that fails a third of the time."""

from pathlib import Path

import pytest

from tests import deliveries

# In one worker, with the other tests that start processes of their own.
pytestmark = pytest.mark.postgres


def test_every_delivery_is_made_as_often_as_needed_and_in_order_though_senders_are_killed(
    tmp_path: Path, own_database: dict[str, str]
) -> None:
    found = deliveries.run(tmp_path, events=20, endpoints=10, ordered=5, kills=2, database=own_database)

    assert found.problems == []
    assert (found.deliveries, found.kills) == (200, 2)
    assert found.failed_attempts > 50


# With kills, what comes again soon after one is forgiven; here nothing is.
@pytest.mark.once
def test_nothing_is_delivered_again_after_a_2xx(tmp_path: Path, own_database: dict[str, str]) -> None:
    found = deliveries.run(tmp_path, events=10, endpoints=6, ordered=3, database=own_database)

    assert (found.problems, found.repeated) == ([], 0)
