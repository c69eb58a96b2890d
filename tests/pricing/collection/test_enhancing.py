"""Enhancing the existing collection: counts, dry run, pricing only, and what must never change."""

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client as HttpClient
from django.test.utils import CaptureQueriesContext

from catalog import discovery, published, sync_runs
from catalog.models import AIModel, SyncRun
from genfeed.journal.models import AuditEvent
from pricing.existing.adopting import adopt_prices
from pricing.existing.costs import sync_existing_pricing
from pricing.existing.enhancing import EnhancementResult, enhance
from pricing.models import Equivalence, ExistingModel
from pricing.prices.sync import sync_prices
from tests.factories import make_model
from tests.pricing.collection.rows import TESTER, checked, give_price, imported, legacy, whole_database

pytestmark = pytest.mark.django_db
COUNTS = ("added", "updated", "skipped", "duplicates", "errors", "pricing_synced")


def counts(result: EnhancementResult) -> dict[str, int]:
    return {name: getattr(result, name) for name in COUNTS if getattr(result, name)}


def offline(**options: Any) -> EnhancementResult:
    return enhance(actor=TESTER, discover=False, **options)


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("enhance_models", *arguments, stdout=out, stderr=out)
    return out.getvalue()


@pytest.fixture
def collection() -> None:
    """Three existing models: one discovered too, one under a stale id, one that nobody else has."""
    give_price(make_model("fal-ai/flux/dev", metadata={"id": "x"}))
    give_price(make_model("fal-ai/veo3", metadata={"id": "y"}), "0.5", "videos")
    imported(
        legacy("fal-ai/flux/dev"),
        legacy("fal-ai/veo-3", name="Veo", pricing={"video": 0.9}),
        legacy("acme/own", name="Own", provider="acme"),
    )


@pytest.mark.usefixtures("collection")
def test_the_cost_is_put_beside_and_everything_is_counted() -> None:
    result = offline()
    assert counts(result) == {"updated": 1, "skipped": 2, "duplicates": 2, "pricing_synced": 1}
    assert ExistingModel.objects.get(legacy_id="fal-ai/flux/dev").provider_cost == {"image": "0.025"}


@pytest.mark.once
@pytest.mark.usefixtures("collection")
def test_the_details_say_what_was_done_with_each() -> None:
    said = {(entry["action"], entry["id"]): entry["why"] for entry in offline().details}
    assert "cost put beside: image 0.025 USD, before unknown" in said["updated", "fal-ai/flux/dev"]
    assert "one row stands for both" in said["duplicate", "fal-ai/flux/dev"]
    assert "seems to be fal:fal-ai/veo3" in said["duplicate", "fal-ai/veo-3"]
    assert said["skipped", "acme/own"] == "no provider lists this id, and no counterpart is confirmed"


@pytest.mark.usefixtures("collection")
def test_no_field_price_or_switch_of_an_existing_model_is_altered() -> None:
    kept = ("legacy_id", "provider_name", "name", "category", "pricing", "enabled", "extra", "keeps_price")
    sold = ("name", "category", "price", "legacy_pricing", "switch", "enabled", "held_reason", "revision", "changed_at")
    before = list(ExistingModel.objects.values(*kept)), list(AIModel.objects.values(*sold))
    offline()
    assert (list(ExistingModel.objects.values(*kept)), list(AIModel.objects.values(*sold))) == before


@pytest.mark.usefixtures("collection")
def test_a_dry_run_writes_nothing_at_all_and_counts_the_same() -> None:
    before = whole_database()
    planned = offline(dry_run=True)
    assert whole_database() == before
    assert counts(planned) == counts(offline())


@pytest.mark.usefixtures("collection")
def test_a_second_run_changes_nothing() -> None:
    offline()
    before = whole_database()
    result = offline()
    assert whole_database() == before
    assert counts(result) == {"skipped": 3, "duplicates": 2}


@pytest.mark.once
@pytest.mark.usefixtures("collection")
def test_pricing_only_looks_for_no_duplicates() -> None:
    result = offline(pricing_only=True)
    assert counts(result) == {"updated": 1, "skipped": 2, "pricing_synced": 1}
    assert not Equivalence.objects.exists()


@pytest.mark.once
def test_a_dry_run_with_a_file_writes_nothing_and_tells_what_the_run_then_does() -> None:
    give_price(make_model("fal-ai/flux/dev", metadata={"id": "x"}))
    rows, _ = checked(
        legacy("fal-ai/flux/dev"), legacy("fal-ai/flux-dev"), legacy("acme/own", name="Own", provider="acme")
    )
    before = whole_database()
    planned = offline(dry_run=True, rows=rows)
    assert whole_database() == before
    assert counts(planned) == {"added": 2, "updated": 1, "skipped": 2, "duplicates": 2, "pricing_synced": 1}
    assert counts(offline(rows=rows)) == counts(planned)


@pytest.mark.usefixtures("collection")
def test_a_changed_cost_is_put_beside_and_told() -> None:
    offline()
    row = AIModel.objects.get(endpoint_id="fal-ai/flux/dev")
    row.price_points.update(unit_price="0.03")
    give_price_again(row)
    assert sync_existing_pricing("fal") == 1
    assert sync_existing_pricing("fal") == 0
    existing = ExistingModel.objects.get(legacy_id="fal-ai/flux/dev")
    assert (existing.provider_cost, existing.pricing) == ({"image": "0.03"}, {"image": "0.05"})


def give_price_again(row: AIModel) -> None:
    from pricing.selling.offers import recompute

    recompute([row.pk], reason="test")


def test_a_model_that_is_discovered_later_is_matched(some_fal: Any, sync: Any) -> None:
    imported(legacy("fal-ai/flux/dev"))
    assert counts(offline()) == {"skipped": 1}
    sync()
    offline()
    assert ExistingModel.objects.get().match == "same"


# --- with the provider ---


def test_new_models_come_in_beside_the_existing_ones(some_fal: Any) -> None:
    rows, _ = checked(*[legacy(f"acme/m{n}", name=f"M {n}", provider="acme") for n in range(50)])
    result = enhance(actor=TESTER, rows=rows)
    assert result.errors == 0
    assert result.added == AIModel.objects.count() > 100
    assert AIModel.objects.filter(origin="existing").count() == 50


@pytest.mark.once
def test_a_dry_run_lists_what_is_new_without_writing(small_fal: Any) -> None:
    rows, _ = checked(legacy("fal-ai/flux/dev"), legacy("acme/own", name="Own", provider="acme"))
    before = whole_database()
    planned = enhance(actor=TESTER, rows=rows, dry_run=True)
    assert whole_database() == before
    done = enhance(actor=TESTER, rows=rows)
    assert (planned.added, planned.duplicates, planned.errors) == (done.added, done.duplicates, 0)


def test_enhancing_twice_adds_nothing(small_fal: Any) -> None:
    imported(legacy("fal-ai/flux/dev"))
    enhance(actor=TESTER)
    models = list(AIModel.objects.values("pk", "price", "enabled", "revision"))
    existing = list(ExistingModel.objects.values())
    again = enhance(actor=TESTER)
    assert (again.added, again.updated, again.errors) == (0, 0, 0)
    assert list(AIModel.objects.values("pk", "price", "enabled", "revision")) == models
    assert list(ExistingModel.objects.values()) == existing


def test_prices_come_from_the_provider_with_pricing_only(small_fal: Any, sync: Any) -> None:
    sync()
    imported(legacy("fal-ai/flux/dev"))
    result = enhance(actor=TESTER, pricing_only=True)
    assert (result.added, result.pricing_synced) == (0, 1)
    assert ExistingModel.objects.get().provider_cost


@pytest.mark.once
def test_a_provider_that_does_not_answer_is_an_error_and_the_rest_is_done(settings: Any) -> None:
    give_price(make_model("fal-ai/flux/dev", metadata={"id": "x"}))
    imported(legacy("fal-ai/flux/dev"))
    result = enhance(actor=TESTER)
    assert (result.errors, result.pricing_synced) == (1, 1)
    assert "failed" in next(entry["why"] for entry in result.details if entry["action"] == "error")


def test_a_sync_that_is_running_already_is_followed(some_fal: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    provider = sync_runs.ensure_providers()["fal"]
    run, _ = sync_runs.request_run(provider, trigger="schedule")
    monkeypatch.setattr("pricing.existing.newcomers.time.sleep", lambda _seconds: discovery.run_sync(run))
    result = enhance(actor=TESTER)
    assert (result.errors, SyncRun.objects.count()) == (0, 1)
    assert result.added == AIModel.objects.count() > 50


# --- the command ---


@pytest.mark.once
@pytest.mark.usefixtures("collection")
def test_the_command_prints_the_counts_and_writes_the_details(tmp_path: Path) -> None:
    details = tmp_path / "details.json"
    answer = run("--offline", "--details", str(details))
    assert "added 0, updated 1, skipped 2, duplicates 2, errors 0; costs put beside: 1" in answer
    written = json.loads(details.read_text())
    assert written["updated"] == 1
    assert {entry["action"] for entry in written["details"]} == {"updated", "skipped", "duplicate"}


@pytest.mark.once
@pytest.mark.usefixtures("collection")
def test_the_command_says_that_a_dry_run_wrote_nothing() -> None:
    before = whole_database()
    assert "nothing was written" in run("--dry-run", "--offline")
    assert whole_database() == before


@pytest.mark.once
def test_the_command_imports_a_file_first(tmp_path: Path) -> None:
    path = tmp_path / "models.json"
    path.write_text(json.dumps([legacy("acme/own", provider="acme")]))
    assert "added 1" in run("--offline", "--from", str(path))


@pytest.mark.once
def test_bad_rows_are_counted_as_errors_and_the_command_fails_at_its_end(tmp_path: Path) -> None:
    path = tmp_path / "models.json"
    path.write_text(json.dumps([legacy("acme/own"), legacy("bad one")]))
    with pytest.raises(CommandError, match="1 could not be done"):
        run("--offline", "--from", str(path), "--skip-bad")
    assert ExistingModel.objects.count() == 1


# --- adopting prices ---


@pytest.mark.once
@pytest.mark.usefixtures("collection")
def test_prices_are_adopted_only_after_a_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builtins.input", lambda _words: "no")
    assert "Nothing was adopted" in run("--offline", "--adopt-prices")
    assert AIModel.objects.get(endpoint_id="fal-ai/flux/dev").price["amount"] == "0.05"


@pytest.mark.usefixtures("collection")
def test_an_adopted_price_follows_from_cost_and_margin_and_is_audited() -> None:
    assert "1 prices adopted" in run("--offline", "--adopt-prices", "--yes")
    row = AIModel.objects.get(endpoint_id="fal-ai/flux/dev")
    assert row.price["amount"] == "0.083333333"
    event = AuditEvent.objects.get(action="existing.price_adopted")
    assert (event.before["price"]["amount"], event.after["price"]["amount"]) == ("0.05", "0.083333333")


@pytest.mark.usefixtures("collection")
def test_adopting_locks_the_models_before_the_existing_rows() -> None:
    """As importing does; the other way round, the two could wait for each other."""
    rows = list(ExistingModel.objects.all())
    with CaptureQueriesContext(connection) as queries:
        adopt_prices(rows, actor=TESTER)
    tables = [re.search(r'FROM "(\w+)"', query["sql"]) for query in queries]
    first = [found[1] for found in tables if found][:2]
    assert first == ["catalog_aimodel", "pricing_existingmodel"]


@pytest.mark.once
@pytest.mark.usefixtures("collection")
def test_a_model_without_a_known_cost_keeps_its_price() -> None:
    run("--offline", "--adopt-prices", "--yes")
    assert AIModel.objects.get(endpoint_id="acme/own").price["amount"] == "0.05"


@pytest.mark.once
@pytest.mark.usefixtures("collection")
def test_an_id_that_is_not_in_the_collection_is_refused() -> None:
    with pytest.raises(CommandError, match="Not in the existing collection: nobody"):
        run("--offline", "--adopt-prices", "--only", "nobody")


@pytest.mark.once
def test_adopting_is_not_mixed_with_a_dry_run() -> None:
    with pytest.raises(CommandError, match="previews"):
        run("--dry-run", "--adopt-prices")


def test_a_price_sync_puts_the_new_cost_beside_and_leaves_the_price(small_fal: Any, sync: Any) -> None:
    sync()
    imported(legacy("fal-ai/flux/dev"))
    result = sync_prices(None)
    row = ExistingModel.objects.select_related("model").get()
    assert result.existing == 1
    assert row.provider_cost
    assert (row.pricing, row.model.legacy_pricing) == ({"image": "0.05"}, {"image": 0.05})


@pytest.mark.once
def test_the_command_refreshes_costs_alone_with_pricing_only(small_fal: Any, sync: Any) -> None:
    sync()
    imported(legacy("fal-ai/flux/dev"))
    small_fal.clear_requests()
    said = run("--pricing-only")
    paths = {call["path"] for call in small_fal.requests()}
    assert "/v1/models/pricing" in paths
    assert "/v1/models" not in paths
    assert "1" in said
    assert ExistingModel.objects.get().provider_cost
    assert not Equivalence.objects.exists()


@pytest.mark.once
def test_an_existing_model_is_switched_like_any_other(admin_api: HttpClient, api: HttpClient) -> None:
    imported(legacy("acme/own", name="Own", provider="acme", enabled=True))
    published.forget()
    assert [model["id"] for model in api.get("/api/v1/models").json()["items"]] == ["acme/own"]
    answer = admin_api.post(
        "/api/v1/admin/models/bulk-toggle", {"ids": ["acme/own"], "enabled": False}, content_type="application/json"
    )
    assert answer.json()["changed"] == ["acme/own"]
    assert api.get("/api/v1/models").json()["items"] == []
    admin_api.post("/api/v1/admin/models/acme/own/toggle", {}, content_type="application/json")
    published.forget()
    assert [model["id"] for model in api.get("/api/v1/models").json()["items"]] == ["acme/own"]
