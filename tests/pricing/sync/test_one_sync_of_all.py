"""One sync of all: the catalog, then the prices, under one lease and in one report; and the commands."""

import re
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from catalog import discovery, published, sync_runs
from catalog.models import AIModel, SyncRun
from genfeed import sync as whole
from genfeed.journal.models import Alert
from pricing.models import PricePoint
from tests.pricing.sync.conftest import FLUX

pytestmark = pytest.mark.django_db
PRICING = "^/v1/models/pricing$"


def run(**options: Any) -> SyncRun:
    row, _ = sync_runs.request_run(sync_runs.ensure_providers()["fal"], trigger="command")
    return whole.sync_everything(row, **options)


@pytest.mark.once
def test_after_one_sync_models_are_known_priced_and_sold(fal, capsys):
    call_command("sync_models")
    said = capsys.readouterr().out
    assert "759 models listed" in said
    assert re.search(r"6\d\d prices, 1\d\d models without one", said)

    done = SyncRun.objects.get()
    assert done.status == "succeeded"
    assert done.report["prices"]["first"] == PricePoint.objects.filter(standing="current").count() > 600
    enabled = AIModel.objects.filter(enabled=True).count()
    assert enabled >= 600
    # The totals are of the end, after the prices.
    assert done.report["totals"]["enabled"] == enabled
    assert done.report["held"]["unpriced"]
    published.forget()
    assert published.find(FLUX).pk


def test_those_who_watch_see_the_phase_of_the_prices(small_fal):
    phases: list[str] = []
    run(on_progress=lambda phase, done, total: phases.append(phase))
    assert list(dict.fromkeys(phases)) == [
        "listing models", "fetching schemas", "writing", "fetching prices", "reading price texts", "writing prices",
    ]  # fmt: skip


def test_the_run_stays_open_until_the_prices_are_written(small_fal, monkeypatch):
    seen: list[tuple[str, bool]] = []
    sync_prices = whole.sync_prices

    def watched(row: SyncRun, **options: Any) -> Any:
        row = SyncRun.objects.get(pk=row.pk)
        seen.append((row.status, row.listed > 0))
        assert sync_runs.request_run(row.provider, trigger="api")[1] is False
        return sync_prices(row, **options)

    monkeypatch.setattr(whole, "sync_prices", watched)
    assert run().is_open is False
    assert seen == [("running", True)]


def test_trouble_with_prices_leaves_the_catalog_published_and_is_told(some_fal):
    some_fal.faults(fail=[{"match": PRICING, "status": 500}])
    done = run()
    assert done.status == "succeeded"
    assert "500" in done.report["prices"]["error"]
    assert AIModel.objects.count() == done.added > 50
    assert Alert.objects.filter(code="price_sync_failed").exists()


@pytest.mark.once
def test_trouble_with_the_listing_asks_for_no_prices(fal):
    fal.faults(fail=[{"match": "^/v1/models$", "status": 500}])
    assert run().status == "failed"
    assert not any("pricing" in call["path"] for call in fal.requests())


def test_a_sync_that_lost_its_lease_before_the_prices_writes_none(some_fal, monkeypatch):
    """Another process takes the run over exactly between the catalog and the prices."""
    sync_prices = whole.sync_prices

    def after_takeover(row: SyncRun, **options: Any) -> Any:
        SyncRun.objects.filter(pk=row.pk).update(status="failed", error="taken over")
        return sync_prices(row, **options)

    monkeypatch.setattr(whole, "sync_prices", after_takeover)
    done = run()
    assert (done.status, done.error) == ("failed", "taken over")
    assert AIModel.objects.count() > 50
    assert not PricePoint.objects.exists()


def test_a_crash_with_the_prices_fails_the_run_in_words(some_fal, monkeypatch):
    def crash(*_: Any, **__: Any) -> Any:
        raise RuntimeError("no")

    monkeypatch.setattr(whole, "sync_prices", crash)
    with pytest.raises(RuntimeError):
        run()
    done = SyncRun.objects.get()
    assert (done.status, "catalog itself is published" in done.error) == ("failed", True)


@pytest.mark.once
def test_core_mode_reads_prices_too_and_sells_without(some_fal, settings):
    settings.GENFEED_MODE = "core"
    done = run()
    assert done.report["prices"]["first"] > 40
    assert AIModel.objects.get(endpoint_id="fal-ai/aura-sr").enabled


@pytest.mark.once
def test_the_queued_task_is_the_whole_sync(settings):
    from django.utils.module_loading import import_string

    assert import_string(settings.SYNC_TASK) is whole.run_queued_sync


@pytest.mark.once
def test_the_worker_runs_the_whole_sync(small_fal, monkeypatch):
    monkeypatch.setattr(discovery, "_enqueue", lambda run_id: None)
    row, _ = discovery.request_sync("fal", trigger="admin")
    assert whole.run_queued_sync(row.pk) == "succeeded"
    assert PricePoint.objects.exists()


# --- commands ---


@pytest.mark.once
def test_sync_models_fails_where_the_prices_failed(some_fal, capsys):
    some_fal.faults(fail=[{"match": PRICING, "status": 500}])
    with pytest.raises(CommandError, match="What was known before still stands"):
        call_command("sync_models")
    assert "prices failed" in capsys.readouterr().out


@pytest.mark.once
def test_sync_prices_reads_prices_alone(fal, sync_now, capsys):
    call_command("sync_prices")
    said = capsys.readouterr().out
    assert "3 prices, 1 models without one" in said
    assert AIModel.objects.count() == 4


@pytest.mark.once
def test_sync_prices_fails_in_words(fal, models, capsys):
    fal.faults(fail=[{"match": PRICING, "status": 500}])
    with pytest.raises(CommandError, match="The old ones stay"):
        call_command("sync_prices")


@pytest.mark.once
def test_sync_prices_knows_its_providers(db):
    with pytest.raises(CommandError, match="no provider 'nobody'"):
        call_command("sync_prices", provider="nobody")
