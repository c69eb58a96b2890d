"""What a job that waits in our own queue is told of its place in it."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client as HttpClient

from jobs.accepting.accept import Wanted
from jobs.batches.accepting import WantedBatch, accept_batch
from jobs.dispatching import ahead
from jobs.dispatching.ahead import ahead_of
from jobs.dispatching.claiming import claim_queued
from tests.jobs.doubles import Provider, make_caller, make_job, submit

pytestmark = pytest.mark.django_db

JOBS = "/api/v1/jobs"


@pytest.fixture
def acme(make_key: Callable[..., str]) -> HttpClient:
    make_caller(name="Acme")
    return HttpClient(headers={"Authorization": f"Bearer {make_key('jobs:read', client='Acme')}"})


def test_a_waiting_job_tells_how_many_of_its_clients_own_are_sent_before_it(acme: HttpClient) -> None:
    caller, other = make_caller(name="Acme"), make_caller(name="Beta")
    for _ in range(2):
        make_job(other)
    make_job(caller, low_priority=True)
    accept_batch(WantedBatch([Wanted("fal-ai/flux/dev", {"prompt": "a fox"})] * 2), caller)
    make_job(caller)

    told = {one["id"]: one["queue_position"] for one in acme.get(JOBS).json()["items"]}
    alone = {key: acme.get(f"{JOBS}/{key}").json()["queue_position"] for key in told}

    sent = [job.pk for job in claim_queued(100) if job.client_id == caller.client_id]
    assert told == alone == {key: place for place, key in enumerate(sent)}
    assert len(sent) == 4


def test_from_the_submit_on_it_is_the_place_in_the_providers_queue(acme: HttpClient) -> None:
    caller = make_caller(name="Acme")
    job, waiting = make_job(caller, low_priority=True), make_job(caller)
    submit(Provider(), waiting)

    assert acme.get(f"{JOBS}/{job.pk}").json()["queue_position"] is None
    assert acme.get(f"{JOBS}/{waiting.pk}").json()["queue_position"] == 3


@pytest.mark.parametrize(("most", "told"), [(3, 2), (2, None)])
def test_of_a_queue_that_is_too_long_to_be_counted_no_place_is_told(
    most: int, told: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ahead, "MOST", most)
    caller = make_caller()
    jobs = [make_job(caller) for _ in range(3)]

    assert ahead_of(jobs).get(jobs[-1].pk) == told


def test_where_nothing_waits_nothing_is_asked(django_assert_num_queries: Callable[..., Any]) -> None:
    job = submit(Provider(), make_job())

    with django_assert_num_queries(0):
        assert ahead_of([job]) == {}
