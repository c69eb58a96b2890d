"""The commands of the catalog: what they print, when they fail, and that a failure is an exit code."""

import io
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client as HttpClient
from django.utils import timezone

from catalog import published, sync_runs
from catalog.models import AIModel, CatalogState, SyncRun
from genfeed.management.commands import sync_models

pytestmark = [pytest.mark.django_db, pytest.mark.once]
FLUX = "fal-ai/flux/dev"


def said(command: str, *arguments: str) -> str:
    out = io.StringIO()
    call_command(command, *arguments, stdout=out)
    return out.getvalue()


def test_an_empty_database_is_seeded_by_one_command(fal: Any, api: HttpClient) -> None:
    assert AIModel.objects.count() == 0
    said("sync_models")
    published.forget()
    assert AIModel.objects.filter(enabled=True).count() >= 650
    assert len(api.get("/api/v1/models?limit=200").json()["items"]) == 200


def test_the_summary_tells_what_was_found(some_fal: Any) -> None:
    words = said("sync_models", "--provider", "fal")
    run = SyncRun.objects.get()
    assert f"{run.listed} models listed, {run.added} added" in words
    assert f"{run.report['totals']['enabled']} enabled" in words
    assert run.trigger == "command"


def test_a_second_sync_adds_nothing(some_fal: Any, seeded: None) -> None:
    assert " 0 added, 0 with a changed schema, 0 updated, 0 retired" in said("sync_models")


def test_full_fetches_every_schema_again(some_fal: Any, seeded: None) -> None:
    said("sync_models", "--full")
    newest = SyncRun.objects.first()
    assert (newest.full, newest.schemas_fetched) == (True, AIModel.objects.count())


def test_a_failed_sync_is_an_error_that_says_why(fal: Any, capsys: pytest.CaptureFixture[str]) -> None:
    fal.faults(fail=[{"match": "^/v1/models$", "status": 500}])
    out = io.StringIO()
    with pytest.raises(CommandError, match="What was known before still stands"):
        call_command("sync_models", stdout=out)
    assert "failed after" in out.getvalue()
    assert "500" in out.getvalue()


def test_an_unknown_provider_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(CommandError, match=r"no provider 'acme'.*fal"):
        call_command("sync_models", "--provider", "acme")
    assert not SyncRun.objects.exists()


def test_a_shrunken_listing_is_believed_where_the_option_says_so(some_fal: Any, seeded: None) -> None:
    for endpoint_id in AIModel.objects.exclude(endpoint_id=FLUX).values_list("endpoint_id", flat=True):
        some_fal.delete_model(endpoint_id)
    # Left are one, and perhaps deprecated ones that were never taken in.
    with pytest.raises(CommandError):
        said("sync_models")
    # The listing is believed; that nearly all prices are gone too is told, and still an exit code.
    with pytest.raises(CommandError):
        said("sync_models", "--accept-shrink")
    run = SyncRun.objects.latest("pk")
    assert (run.status, run.listed) == ("succeeded", some_fal.state()["listed"])
    assert run.listed < 5


def test_a_sync_that_is_already_open_is_followed_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    run, _ = sync_runs.request_run(sync_runs.ensure_providers()["fal"], trigger="admin")
    sync_runs.claim(run)

    def finish(_: float) -> None:
        SyncRun.objects.update(status="succeeded", finished_at=timezone.now(), listed=7)

    monkeypatch.setattr(sync_models.time, "sleep", finish)
    words = said("sync_models")
    assert "already open; following it" in words
    assert "7 models listed" in words
    assert SyncRun.objects.count() == 1


def test_a_followed_sync_that_dies_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    run, _ = sync_runs.request_run(sync_runs.ensure_providers()["fal"], trigger="admin")
    sync_runs.claim(run)

    def die(_: float) -> None:
        SyncRun.objects.update(lease_until=timezone.now() - timedelta(seconds=1))

    monkeypatch.setattr(sync_models.time, "sleep", die)
    with pytest.raises(CommandError):
        said("sync_models")
    assert "died" in SyncRun.objects.get().error


def test_publishing_by_hand_makes_a_new_revision_without_asking_the_provider(
    some_fal: Any, seeded: None, api: HttpClient
) -> None:
    etag = api.get("/api/v1/models").headers["ETag"]
    before = CatalogState.objects.get().revision
    some_fal.clear_requests()
    words = said("publish_catalog")
    assert f"Catalog revision {before + 1}: {AIModel.objects.count()} models, 0 changed" in words
    assert some_fal.requests() == []
    published.forget()
    assert api.get("/api/v1/models", headers={"If-None-Match": etag}).status_code == 200


def test_publishing_by_hand_brings_what_follows_from_the_schemas_up_to_date(some_fal: Any, seeded: None) -> None:
    right = AIModel.objects.get(endpoint_id=FLUX)
    # As an older release may have left it.
    AIModel.objects.filter(pk=right.pk).update(media_type="other", capabilities=[], limits={}, enabled=False)
    assert "1 changed" in said("publish_catalog")
    now = AIModel.objects.get(pk=right.pk)
    assert (now.media_type, now.capabilities, now.limits) == (right.media_type, right.capabilities, right.limits)
    assert now.enabled
    assert now.revision == CatalogState.objects.get().revision


def test_publishing_by_hand_respects_what_a_person_switched_off(some_fal: Any, seeded: None) -> None:
    AIModel.objects.filter(endpoint_id=FLUX).update(switch="off", enabled=True)
    said("publish_catalog")
    assert not AIModel.objects.get(endpoint_id=FLUX).enabled
