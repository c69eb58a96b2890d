"""How often a job is looked at."""

from typing import Any

import pytest

from jobs.dispatching.pace import next_look
from tests.jobs.doubles import make_job

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(("public_url", "first", "longest"), [("", 0.3, 5), ("https://media.example.com", 5, 60)])
def test_looks_come_soon_at_first_and_rarer_later_and_beside_webhooks_rarer_still(
    settings: Any, public_url: str, first: float, longest: float
) -> None:
    settings.PUBLIC_URL = public_url
    job = make_job()

    waits = [next_look(job, number).total_seconds() for number in range(60)]

    assert (waits[0], waits[-1]) == (first, longest)
    assert waits == sorted(waits)
    assert waits[1] > waits[0]
