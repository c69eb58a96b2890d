"""Taking an existing collection in: prices and switches stay, one row stands for a model that is discovered too."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from catalog import published
from catalog.models import AIModel
from genfeed.journal.models import AuditEvent, OutboxEvent
from pricing.models import ExistingModel, ModelPricing
from pricing.selling import offers
from pricing.selling.offers import recompute
from tests.factories import make_model, publish_now
from tests.pricing.collection.rows import COLUMNS, give_price, imported, legacy, whole_database

pytestmark = pytest.mark.django_db


def shown(endpoint_id: str) -> dict[str, Any]:
    """The model in the legacy shape, as the API shows it."""
    published.forget()
    return json.loads(published.find(endpoint_id, offered_only=False).legacy)


@pytest.fixture
def file(tmp_path: Path):
    def write(content: Any, name: str = "models.json") -> str:
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return str(path)

    return write


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("import_existing", *arguments, stdout=out, stderr=out)
    return out.getvalue()


@pytest.mark.once
def test_an_unknown_model_becomes_a_row_under_its_provider() -> None:
    imported(legacy("acme/voice", provider="Acme Inc.", category="text-to-speech"))
    row = AIModel.objects.get()
    assert (row.provider.slug, row.provider.name, row.origin) == ("acme-inc", "Acme Inc.", "existing")
    assert row.media_type == "audio"


@pytest.mark.once
def test_an_existing_model_is_shown_as_it_was() -> None:
    wanted = legacy("acme/pic", provider="acme", pricing={"image": 0.0625, "fixedPrice": 1.5})
    imported(wanted)
    assert shown("acme/pic") == wanted


@pytest.mark.once
def test_an_existing_model_without_schema_or_cost_is_offered_because_its_owner_offers_it() -> None:
    imported(legacy("acme/on", pricing={}), legacy("acme/off", enabled=False))
    assert dict(AIModel.objects.values_list("endpoint_id", "enabled")) == {"acme/on": True, "acme/off": False}


def test_a_discovered_model_keeps_its_row_and_takes_the_price_and_the_switch_of_the_existing_one() -> None:
    row = give_price(make_model(metadata={"id": "x"}))
    assert row.legacy_pricing != {"image": 0.05}
    result = imported(legacy(enabled=False))
    assert result.joined == ["fal-ai/flux/dev"]
    assert AIModel.objects.count() == 1
    row.refresh_from_db()
    assert (row.legacy_pricing, row.enabled, row.schema_version) == ({"image": 0.05}, False, 1)
    assert ExistingModel.objects.get().match == "same"


@pytest.mark.once
def test_a_sync_leaves_name_category_price_and_switch_of_an_existing_model(some_fal: Any, sync: Any) -> None:
    wanted = legacy("fal-ai/flux/dev", name="My own flux", category="Pictures", enabled=False)
    imported(wanted)
    sync()
    recompute(None, reason="test")
    row = AIModel.objects.get(endpoint_id="fal-ai/flux/dev")
    assert row.schema_version == 1
    assert row.metadata
    assert shown("fal-ai/flux/dev") == wanted


@pytest.mark.once
def test_a_margin_rule_does_not_move_an_existing_price() -> None:
    imported(legacy())
    row = give_price(AIModel.objects.get(), "0.9")
    assert row.legacy_pricing == {"image": 0.05}
    assert row.price["amount"] == "0.05"


def test_importing_twice_changes_nothing() -> None:
    make_model("fal-ai/flux/dev")
    publish_now()
    rows = [legacy(), legacy("acme/a", provider="acme", note="x"), legacy("acme/b", provider="acme", pricing={})]
    imported(*rows)
    before = whole_database()
    result = imported(*rows)
    assert result.counts() == {"added": 0, "joined": 0, "unchanged": 3, "differing": 0, "updated": 0}
    assert whole_database() == before


def test_a_dry_run_writes_nothing_and_counts_the_same() -> None:
    make_model("fal-ai/flux/dev")
    before = whole_database()
    rows = [legacy(), legacy("acme/a", provider="a new provider")]
    planned = imported(*rows, dry_run=True)
    assert whole_database() == before
    assert planned.counts() == imported(*rows).counts()


@pytest.mark.once
def test_another_file_does_not_change_what_was_imported() -> None:
    imported(legacy())
    before = whole_database()
    result = imported(legacy(pricing={"image": 0.9}, enabled=False))
    assert result.differing == {"fal-ai/flux/dev": ["pricing", "enabled"]}
    assert whole_database() == before


def test_another_file_changes_it_on_request_and_the_audit_tells() -> None:
    imported(legacy())
    imported(legacy(pricing={"image": 0.9}), update=True)
    assert shown("fal-ai/flux/dev")["pricing"] == {"image": 0.9}
    event = AuditEvent.objects.get(action="existing.updated")
    assert (event.before, event.after) == ({"pricing": {"image": "0.05"}}, {"pricing": {"image": "0.9"}})


@pytest.mark.once
def test_a_switch_that_a_person_set_later_stays_through_another_import() -> None:
    imported(legacy())
    row = AIModel.objects.get()
    AIModel.objects.update(switch="off", enabled=False)
    imported(legacy())
    row.refresh_from_db()
    assert not row.enabled


def test_an_import_is_audited_row_by_row() -> None:
    make_model("fal-ai/flux/dev", name="Old name")
    imported(legacy(name="New name"), legacy("acme/a", provider="acme"))
    joined = AuditEvent.objects.get(action="existing.imported", object_name="fal:fal-ai/flux/dev")
    assert (joined.before["name"], joined.after["name"]) == ("Old name", "New name")
    assert AuditEvent.objects.filter(action="existing.imported").count() == 2


def test_clients_hear_of_new_models_and_of_new_prices() -> None:
    give_price(make_model("fal-ai/flux/dev"))
    OutboxEvent.objects.all().delete()
    imported(legacy(), legacy("acme/a", provider="acme"))
    assert set(OutboxEvent.objects.values_list("kind", "subject")) >= {
        ("model.added", "acme:acme/a"),
        ("model.price_changed", "fal:fal-ai/flux/dev"),
    }


def test_new_rows_are_priced_without_reading_them_back(monkeypatch: Any) -> None:
    monkeypatch.setattr(offers, "load_facts", None)
    imported(legacy("acme/a", provider="acme"))
    assert shown("acme/a")["pricing"] == {"image": 0.05}


def test_new_rows_stand_as_a_recomputation_would_leave_them() -> None:
    imported(legacy("acme/a", provider="acme"), legacy("acme/b", provider="acme", pricing={}, category="training"))
    told = ("pricing_modelpricing", "pricing_sellingprice", "catalog_aimodel", "journal_outboxevent")
    ModelPricing.objects.update(computed_at=None)
    before = whole_database()
    recompute(None, reason="again")
    ModelPricing.objects.update(computed_at=None)
    after = whole_database()
    assert {name: after[name] for name in told} == {name: before[name] for name in told}
    assert len(before["pricing_modelpricing"]) == 2


@pytest.mark.once
def test_thousands_of_rows_are_imported(file: Any) -> None:
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(COLUMNS.split(","))
    writer.writerows([f"acme/m{n}", f"Model {n}", "acme", "image", f"0.{n:05}", "true"] for n in range(3_000))
    answer = run(file(table.getvalue(), "models.csv"))
    assert answer.startswith("3000 added")
    assert ExistingModel.objects.get(legacy_id="acme/m70").pricing == {"image": "0.00070"}


# --- the command ---


@pytest.mark.once
def test_one_bad_row_stops_the_import_and_is_told(file: Any) -> None:
    with pytest.raises(CommandError, match="1 of 2 rows are bad; nothing was imported"):
        run(file([legacy("a/b"), legacy("c/d", pricing={"image": -1})]))
    assert not ExistingModel.objects.exists()


@pytest.mark.once
def test_the_good_rows_are_imported_on_request(file: Any) -> None:
    answer = run(file([legacy("a/b"), legacy("c/d", pricing={"image": -1})]), "--skip-bad")
    assert "line 1 (c/d): pricing.image can't be negative" in answer
    assert list(ExistingModel.objects.values_list("legacy_id", flat=True)) == ["a/b"]


@pytest.mark.once
def test_columns_are_mapped_on_the_command_line(file: Any) -> None:
    path = file("model;title;is_on;usd\na/b;Flux;t;0.0500", "table.csv")
    run(
        path, "--map", "id=model", "--map", "name=title", "--map", "enabled=is_on", "--map", "pricing.image=usd",
        "--default", "provider=fal",
    )  # fmt: skip
    row = ExistingModel.objects.get()
    assert (row.legacy_id, row.pricing) == ("a/b", {"image": "0.0500"})


@pytest.mark.once
@pytest.mark.parametrize("option", ["id", "id=", "=x", "price=x"])
def test_a_mapping_that_makes_no_sense_is_refused(file: Any, option: str) -> None:
    with pytest.raises(CommandError):
        run(file([legacy()]), "--map", option)


@pytest.mark.once
def test_a_file_that_is_not_there_is_refused_in_words() -> None:
    with pytest.raises(CommandError, match=r"nowhere\.json can't be read: No such file"):
        run("nowhere.json")
