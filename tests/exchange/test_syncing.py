"""One sync with the cloud at a time; whatever ends it, nobody waits for it any longer."""

import fcntl
import importlib
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django_q.models import Schedule

from catalog import sync_runs
from catalog.models import SyncRun
from genfeed.cloud import syncing
from genfeed.cloud.downloading import CloudError
from genfeed.cloud.syncing import UnderWayError, sync_from_cloud
from genfeed.journal.models import Alert

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def folder(settings: Any, tmp_path: Path) -> Path:
    """Where downloads of this installation are kept; nothing answers at its cloud."""
    settings.VAR_DIR, settings.CLOUD_URL = tmp_path, "http://127.0.0.1:9"
    return tmp_path / "cloud"


@pytest.fixture
def queued() -> SyncRun:
    """A sync that a person has asked for."""
    run, _ = sync_runs.request_run(sync_runs.provider_row("fal"), trigger="admin")
    return run


def test_a_second_sync_beside_the_first_is_refused_and_asks_nobody(folder: Path, queued: SyncRun) -> None:
    folder.mkdir()
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UnderWayError, match="under way"):
            sync_from_cloud(trigger="admin", queued={"fal": queued})

    queued.refresh_from_db()
    assert (queued.status, "under way" in queued.error) == ("failed", True)
    assert not Alert.objects.exists()


def test_a_disk_that_takes_nothing_is_told_as_the_reason(folder: Path) -> None:
    folder.write_text("a file where the folder should be")

    with pytest.raises(CloudError, match="can't be written"):
        sync_from_cloud(trigger="schedule")

    assert "can't be written" in Alert.objects.get().text


def test_a_cloud_over_plain_http_is_not_asked_for_its_key(settings: Any) -> None:
    settings.CLOUD_URL = "http://cloud.example.com"

    with pytest.raises(CloudError, match="plain http"):
        sync_from_cloud(trigger="schedule")


def test_an_error_that_nobody_thought_of_leaves_no_run_waiting(
    queued: SyncRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(syncing, "_sync", broken)

    with pytest.raises(ZeroDivisionError):
        sync_from_cloud(trigger="admin", queued={"fal": queued})

    queued.refresh_from_db()
    assert queued.status == "failed"


def test_the_cloud_is_asked_every_hour_at_a_minute_that_was_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    migration = importlib.import_module("pricing.migrations.0022_catalog_exchange")
    crons = []
    for minute in (7, 42):
        Schedule.objects.filter(func="genfeed.cloud.tasks.sync").delete()
        monkeypatch.setattr(migration.random, "randrange", lambda _below, minute=minute: minute)
        migration.add_schedules(apps, None)
        schedule = Schedule.objects.get(func="genfeed.cloud.tasks.sync")
        assert (schedule.schedule_type, schedule.repeats) == ("C", -1)
        crons.append(schedule.cron)

    assert crons == ["7 * * * *", "42 * * * *"]
