"""Files go when their time has passed; a client's contents go when somebody says so."""

import os
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import storages
from django.core.management import CommandError, call_command
from django.utils import timezone
from django_q.models import Schedule

from genfeed.clients.models import ApiKey, Client
from genfeed.journal.audit import SYSTEM
from genfeed.journal.models import AuditEvent
from jobs import tasks
from jobs.assets import retention
from jobs.assets.models import Asset
from jobs.assets.retention import sweep_incoming
from jobs.models import Job, ProviderAnswer
from jobs.webhooks.endpoints import make_endpoint
from jobs.webhooks.fan_out import fan_out
from jobs.webhooks.models import WebhookDelivery, WebhookEndpoint, WebhookMessage
from pricing.ledger.checking import check_ledger
from tests.jobs.assets.conftest import Fetch, make_asset
from tests.jobs.doubles import make_caller, make_job

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("by_hand")]


def files(folder: Path) -> int:
    return sum(path.is_file() for path in folder.rglob("*"))


def aged(days: int, **columns: Any) -> Asset:
    return make_asset(created_at=timezone.now() - timedelta(days=days), **columns)


def erase(*arguments: str) -> str:
    out = StringIO()
    call_command("erase_client", "Acme", *arguments, stdout=out)
    return out.getvalue()


def test_old_files_are_deleted_and_say_so(media: Path, settings: Any) -> None:
    settings.OUTPUT_DAYS = 10
    old, new = aged(11), aged(9)

    assert tasks.expire_files() == "1 files deleted"

    old.refresh_from_db()
    new.refresh_from_db()
    assert (old.state, old.storage_name, new.state, files(media)) == ("expired", "", "stored", 1)


def test_inputs_have_their_own_time(settings: Any) -> None:
    settings.OUTPUT_DAYS, settings.INPUT_DAYS = 100, 10
    aged(11)
    upload = aged(11, origin="upload")

    tasks.expire_files()

    assert list(Asset.objects.filter(state="expired")) == [upload]


def test_nothing_is_deleted_where_files_are_kept_for_ever(settings: Any) -> None:
    settings.OUTPUT_DAYS = 0
    aged(5_000)

    assert tasks.expire_files() == "0 files deleted"


def test_a_file_that_the_storage_does_not_let_go_is_served_no_more_and_tried_again(
    settings: Any, monkeypatch: pytest.MonkeyPatch, media: Path
) -> None:
    settings.OUTPUT_DAYS = 10
    asset = aged(11)
    with monkeypatch.context() as broken:

        def fail(_: str) -> None:
            raise OSError("read-only")

        broken.setattr(storages["assets"], "delete", fail)
        assert tasks.expire_files() == "0 files deleted"
    asset.refresh_from_db()
    assert (asset.state, files(media)) == ("expired", 1)

    assert tasks.expire_files() == "1 files deleted"
    assert files(media) == 0


def test_it_runs_every_day() -> None:
    assert Schedule.objects.get(func="jobs.tasks.expire_files").schedule_type == "D"


def test_an_erased_client_has_no_contents_left_and_all_its_money(fetch: Fetch, media: Path) -> None:
    asset = fetch(input={"prompt": "a secret fox"}, metadata={"order": "secret"})
    charge = Job.objects.get().charge

    assert "1 jobs and 1 files were erased" in erase("--yes")

    job = Job.objects.get()
    asset.refresh_from_db()
    assert (job.input, job.output, job.metadata, job.charge) == ({}, None, {}, charge)
    assert (asset.state, asset.source_url, files(media)) == ("expired", "", 0)
    assert (ProviderAnswer.objects.count(), job.events.exclude(data={}).count()) == (0, 0)
    assert (Client.objects.get().is_active, ApiKey.objects.filter(revoked_at=None).count()) == (False, 0)
    assert AuditEvent.objects.get(action="client.erased").after == {
        "jobs": 1, "files": 1, "left": 0, "at_provider": 1,
    }  # fmt: skip
    assert check_ledger() == []


def test_no_webhook_tells_of_an_erased_client_any_more(fetch: Fetch) -> None:
    fetch(metadata={"order": "secret"}, webhook_url="https://example.com/job")
    make_endpoint(Client.objects.get().pk, url="https://example.com/hook", events=["*"], actor=SYSTEM)
    while fan_out():
        pass
    assert WebhookDelivery.objects.filter(status="pending", message__body__contains="secret").exists()

    erase("--yes")

    assert not WebhookMessage.objects.exists()
    assert not WebhookDelivery.objects.exists()
    assert not WebhookEndpoint.objects.exists()


def test_other_clients_keep_theirs(media: Path) -> None:
    make_asset(), make_asset(client_name="Other")

    erase("--yes")

    assert (files(media), Asset.objects.get(state="stored").client.name) == (1, "Other")


def test_without_yes_it_only_says_what_it_would_do() -> None:
    make_asset()

    assert "0 jobs and 1 files would be erased" in erase()
    assert Asset.objects.get().state == "stored"


def test_open_jobs_are_ended_first() -> None:
    make_job()

    with pytest.raises(CommandError, match="have not ended"):
        erase("--yes")
    assert ApiKey.objects.filter(revoked_at=None).exists()


def test_a_job_that_is_accepted_while_files_are_deleted_is_not_erased_with_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caller, delete = make_caller(), retention.delete
    make_asset()
    seen: list[tuple[bool, int]] = []

    def delete_late(name: str) -> None:
        seen.append((Client.objects.get().is_active, ApiKey.objects.filter(revoked_at=None).count()))
        # Its request had begun before the client was switched off.
        make_job(caller)
        delete(name)

    monkeypatch.setattr(retention, "delete", delete_late)
    with pytest.raises(CommandError, match="have not ended"):
        erase("--yes")

    assert seen == [(False, 0)]
    assert Job.objects.get().input["prompt"] == "a fox"
    assert not AuditEvent.objects.filter(action="client.erased").exists()


def test_an_unknown_client_is_said_to_be_unknown() -> None:
    with pytest.raises(CommandError, match="There is no client"):
        erase()


def test_what_a_killed_process_had_on_its_way_is_deleted_after_a_day(tmp_path: Path) -> None:
    old, young = tmp_path / "old", tmp_path / "young"
    for path in (old, young):
        path.write_bytes(b"x")
    os.utime(old, (1, 1))

    assert sweep_incoming() == 1
    assert (old.exists(), young.exists()) == (False, True)
