"""One sync at a time, whoever asks and whoever dies."""

from datetime import timedelta
from unittest.mock import Mock

import pytest
from django.db import OperationalError, transaction
from django.utils import timezone

from catalog import discovery, sync_runs
from catalog.models import AIModel, SyncRun
from catalog.sync_runs import LeaseLostError

pytestmark = pytest.mark.django_db
real_commits = pytest.mark.django_db(transaction=True)


@pytest.fixture
def provider():
    return sync_runs.ensure_providers()["fal"]


def test_however_many_ask_there_is_one_open_run(provider):
    first, is_new = sync_runs.request_run(provider, trigger="admin")
    assert is_new
    for _ in range(5):
        again, is_new = sync_runs.request_run(provider, trigger="api")
        assert (again.pk, is_new) == (first.pk, False)
    assert SyncRun.objects.count() == 1


def test_two_requests_in_the_same_moment_get_one_run(provider, monkeypatch):
    """The competing request is made exactly between our look and our insert."""
    atomic = transaction.atomic
    rivals = [lambda: SyncRun.objects.create(provider=provider, trigger="api")]

    def rival_first():
        if rivals:
            rivals.pop()()
        return atomic()

    monkeypatch.setattr(sync_runs.transaction, "atomic", rival_first)
    run, is_new = sync_runs.request_run(provider, trigger="admin")
    assert (is_new, run.trigger, SyncRun.objects.count()) == (False, "api", 1)


def test_only_one_process_claims_a_run(provider):
    run, _ = sync_runs.request_run(provider, trigger="admin")
    assert sync_runs.claim(run) is not None
    assert sync_runs.claim(run) is None


def test_a_dead_process_frees_its_sync_by_time(provider):
    run, _ = sync_runs.request_run(provider, trigger="admin")
    lease = sync_runs.claim(run)
    SyncRun.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    again, is_new = sync_runs.request_run(provider, trigger="admin")
    assert is_new
    run.refresh_from_db()
    assert (run.status, "died" in run.error) == ("failed", True)
    with pytest.raises(LeaseLostError):
        lease.report("listing models", 1, 2)
    assert again.status == "queued"


def test_a_live_process_keeps_its_sync(provider):
    run, _ = sync_runs.request_run(provider, trigger="admin")
    lease = sync_runs.claim(run)
    lease.report("listing models", 1, 2)
    assert not sync_runs.close_dead_run(provider)


@real_commits
def test_how_far_a_sync_is_may_go_untold_while_others_write(provider, monkeypatch):
    run, _ = sync_runs.request_run(provider, trigger="admin")
    lease = sync_runs.claim(run)
    with monkeypatch.context() as locked:
        locked.setattr(SyncRun.objects, "filter", Mock(side_effect=OperationalError("database is locked")))
        lease.report("reading prices", 1, 2)
        with pytest.raises(OperationalError), transaction.atomic():
            lease.prove()
    lease.report("reading prices", 2, 2)
    run.refresh_from_db()
    assert (run.phase, run.done) == ("reading prices", 2)


def test_a_queued_run_that_no_worker_takes_is_closed_in_words(provider):
    run, _ = sync_runs.request_run(provider, trigger="admin")
    SyncRun.objects.update(requested_at=timezone.now() - timedelta(hours=1))
    sync_runs.close_dead_run(provider)
    run.refresh_from_db()
    assert (run.status, "worker" in run.error) == ("failed", True)


def test_a_sync_that_lost_its_lease_before_writing_writes_nothing(provider, some_fal, monkeypatch):
    """Another process takes over after everything was read, before the first row is written."""
    run, _ = sync_runs.request_run(provider, trigger="command")
    apply_sync = discovery.apply_sync

    def after_takeover(run, lease, listing, schemas):
        SyncRun.objects.filter(pk=run.pk).update(status="failed", error="taken over")
        return apply_sync(run, lease, listing, schemas)

    monkeypatch.setattr(discovery, "apply_sync", after_takeover)
    done = discovery.run_sync(run)
    assert (done.status, done.error) == ("failed", "taken over")
    assert AIModel.objects.count() == 0


def test_the_task_of_a_run_that_somebody_else_took_does_nothing(provider, fal):
    run, _ = sync_runs.request_run(provider, trigger="admin")
    sync_runs.claim(run)
    assert discovery.run_sync(run).status == "running"
    assert AIModel.objects.count() == 0


def test_progress_is_written_for_those_who_watch(provider, some_fal):
    run, _ = sync_runs.request_run(provider, trigger="admin")
    seen = []
    discovery.run_sync(run, on_progress=lambda phase, done, total: seen.append(phase))
    assert list(dict.fromkeys(seen)) == ["listing models", "fetching schemas", "writing"]
    run.refresh_from_db()
    assert run.is_open is False


def test_the_schedule_asks_for_a_sync_every_six_hours():
    from django_q.models import Schedule

    schedule = Schedule.objects.get(func="catalog.tasks.sync_all")
    assert (schedule.schedule_type, schedule.cron, schedule.repeats) == ("C", "0 */6 * * *", -1)


@real_commits
def test_the_scheduled_task_queues_one_sync_a_provider():
    from django_q.models import OrmQ

    from catalog.tasks import sync_all

    assert sync_all() == "fal: queued"
    assert sync_all() == "fal: already queued"
    assert OrmQ.objects.count() == 1
    assert SyncRun.objects.get().trigger == "schedule"


@real_commits
def test_the_worker_runs_what_was_queued(some_fal):
    from genfeed.sync import run_queued_sync

    run, _ = discovery.request_sync("fal", trigger="admin", requested_by="root")
    assert run_queued_sync(run.pk) == "succeeded"
    assert AIModel.objects.filter(enabled=True).count() > 50
