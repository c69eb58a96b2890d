"""The state machine: which status follows which, and that whoever comes second changes nothing."""

import itertools

import pytest
from django.db import transaction

from genfeed.journal.models import OutboxEvent
from jobs.models import ENDED, Job, JobEvent, Status
from jobs.transitions import FOLLOWS, NotAllowedError, move, touch
from tests.jobs.doubles import kinds, make_job, set_job

pytestmark = pytest.mark.django_db

ALLOWED = {
    ("queued", "submitting"), ("queued", "failed"), ("queued", "canceled"),
    ("submitting", "queued"), ("submitting", "submitted"), ("submitting", "failed"), ("submitting", "canceled"),
    ("submitted", "running"), ("submitted", "canceling"), ("submitted", "succeeded"), ("submitted", "failed"),
    ("running", "submitted"), ("running", "canceling"), ("running", "succeeded"), ("running", "failed"),
    ("canceling", "canceled"), ("canceling", "succeeded"), ("canceling", "failed"),
}  # fmt: skip


@pytest.mark.once
@pytest.mark.parametrize(("old", "new"), sorted(itertools.product(Status.values, Status.values)))
def test_only_these_steps_exist(old: str, new: str) -> None:
    job = set_job(make_job(), status=old)

    with transaction.atomic():
        if (old, new) in ALLOWED:
            assert move(job, new)
        else:
            with pytest.raises(NotAllowedError):
                move(job, new)

    assert Job.objects.get(pk=job.pk).status == (new if (old, new) in ALLOWED else old)


def test_nothing_follows_an_end() -> None:
    assert all(FOLLOWS[status] == frozenset() for status in ENDED)


def test_whoever_comes_second_changes_nothing_and_writes_no_event() -> None:
    job = make_job()
    first, second = Job.objects.get(pk=job.pk), Job.objects.get(pk=job.pk)

    with transaction.atomic():
        assert move(first, Status.CANCELED, event="job_canceled")
    with transaction.atomic():
        assert not move(second, Status.FAILED, event="job_failed")

    assert kinds(job) == ["job_queued", "job_canceled"]


def test_a_change_that_is_no_status_makes_others_look_again_too() -> None:
    job = make_job()
    other = Job.objects.get(pk=job.pk)
    with transaction.atomic():
        touch(other, queue_position=1)

    with transaction.atomic():
        assert not move(job, Status.CANCELED)


def test_events_are_numbered_in_the_order_of_the_changes() -> None:
    job = make_job()
    with transaction.atomic():
        touch(job, event="job_progress", data={"queue_position": 2})
        move(job, Status.CANCELED, event="job_canceled")

    numbers = list(JobEvent.objects.filter(job=job).order_by("number").values_list("number", "kind"))
    assert numbers == [(1, "job_queued"), (2, "job_progress"), (3, "job_canceled")]


def test_progress_is_for_whoever_watches_and_the_rest_is_news() -> None:
    job = make_job()
    with transaction.atomic():
        touch(job, event="job_progress")
        move(job, Status.CANCELED, event="job_canceled")

    told = OutboxEvent.objects.filter(subject=job.pk).order_by("pk").values_list("kind", "client_id", "delivered_at")
    assert [row[:2] for row in told] == [
        (kind, job.client_id) for kind in ("job.queued", "job.progress", "job.canceled")
    ]
    # Handed out already: streams follow it, and no webhook is made of it.
    assert [row[2] is None for row in told] == [True, False, True]


def test_a_job_changes_only_inside_a_transaction(transactional_db: None) -> None:
    with pytest.raises(transaction.TransactionManagementError):
        move(make_job(), Status.CANCELED)
