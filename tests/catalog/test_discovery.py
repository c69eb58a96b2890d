"""Discovery from a sandbox over real HTTP: what comes in, and what no trouble of the provider's can damage."""

from datetime import timedelta
from typing import Any

import pytest
from django.db.models import Count
from django.utils import timezone

from catalog import discovery, sync_runs
from catalog.models import AIModel, CatalogState, SchemaVersion, SyncRun
from genfeed.journal.models import Alert, OutboxEvent
from tests.sandbox_server import recorded_catalog

FLUX = "fal-ai/flux/dev"
MODELS = "^/v1/models$"


def schema_calls(sandbox: Any) -> list[dict[str, Any]]:
    return [call for call in sandbox.requests() if call["path"] == "/v1/models" and "endpoint_id" in call["query"]]


def listing_calls(sandbox: Any) -> list[dict[str, Any]]:
    return [call for call in sandbox.requests() if call["path"] == "/v1/models" and "endpoint_id" not in call["query"]]


def picture() -> list[Any]:
    """All that a failed sync must leave as it was."""
    models = AIModel.objects.order_by("pk").values_list(
        "endpoint_id", "name", "status", "enabled", "held_reason", "schema_version", "missed_listings", "revision"
    )
    return [
        list(models),
        SchemaVersion.objects.count(),
        OutboxEvent.objects.count(),
        list(CatalogState.objects.values()),
    ]


def flux_document(sandbox: Any) -> dict[str, Any]:
    return sandbox.model(FLUX)["openapi"]


def input_name(document: dict[str, Any]) -> str:
    reference = document["paths"][f"/{FLUX}"]["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    return reference.rpartition("/")[2]


# --- what comes in ---


@pytest.mark.once
def test_the_whole_recorded_catalog_is_discovered_without_any_configuration(recorded_synced):
    run = recorded_synced
    assert (run.status, run.listed, run.added, run.failed) == ("succeeded", 1429, 1429, 59)
    assert AIModel.objects.count() == 1429
    assert SchemaVersion.objects.count() == 1370
    assert AIModel.objects.filter(enabled=True).count() == 1370
    # All categories are kept, and 3D is among the media types.
    assert AIModel.objects.values("category").distinct().count() == 27
    types = dict(AIModel.objects.values_list("media_type").annotate(n=Count("pk")).order_by())
    assert set(types) == {"image", "video", "audio", "text", "3d", "other"}
    assert run.report["totals"] == {"models": 1429, "active": 1429, "understood": 1370, "enabled": 1370, "held": 59}


@pytest.mark.once
def test_the_builtin_catalog_has_more_than_650_models(synced):
    assert synced.status == "succeeded"
    assert AIModel.objects.filter(enabled=True).count() >= 650


@pytest.mark.once
def test_discovery_works_without_a_key(some_fal, sync, settings):
    settings.FAL_KEY = ""
    assert sync().status == "succeeded"
    assert not any(call["had_key"] for call in some_fal.requests())


@pytest.mark.once
def test_the_key_is_sent_as_fal_wants_it_and_never_in_the_address(some_fal, sync):
    sync()
    calls = some_fal.requests()
    assert all(call["had_key"] for call in calls)
    assert not any("sandbox-secret" in call["query"] for call in calls)


@pytest.mark.once
def test_the_listing_carries_no_schemas_and_is_followed_to_its_end(fal, synced, sync):
    assert sync().listed == 759
    listing = listing_calls(fal)
    assert len(listing) == 8
    assert not any("expand" in call["query"] for call in listing)
    assert sum("cursor" in call["query"] for call in listing) == 7


@pytest.mark.once
def test_a_second_sync_makes_no_doubles_and_fetches_only_the_rotating_slice(recorded_fal, recorded_synced, sync):
    before = picture()
    recorded_fal.clear_requests()
    run = sync()
    assert (run.added, run.changed, run.updated, run.retired) == (0, 0, 0, 0)
    # 1/28 of 1,370 schemas, ten a call.
    assert run.schemas_fetched == 49
    assert len(schema_calls(recorded_fal)) == 5
    assert picture() == before


@pytest.mark.once
def test_28_syncs_fetch_every_schema_once_more(some_fal, some_synced, sync):
    first = dict(AIModel.objects.values_list("endpoint_id", "schema_checked_at"))
    for _ in range(28):
        sync()
    understood = AIModel.objects.exclude(schema_version=0)
    still = [key for key, at in understood.values_list("endpoint_id", "schema_checked_at") if at == first[key]]
    assert still == []


@pytest.mark.once
def test_a_schema_that_the_provider_did_not_have_is_asked_for_again_after_a_day(some_fal, sync):
    some_fal.faults(expansion_errors=[FLUX])
    sync()
    some_fal.clear_faults()
    sync()
    assert AIModel.objects.get(endpoint_id=FLUX).schema_version == 0
    AIModel.objects.filter(endpoint_id=FLUX).update(schema_checked_at=timezone.now() - timedelta(hours=25))
    sync()
    model = AIModel.objects.get(endpoint_id=FLUX)
    assert (model.schema_version, model.enabled) == (1, True)


@pytest.mark.once
def test_a_schema_that_could_not_be_read_is_asked_for_in_the_next_sync(some_fal, sync):
    some_fal.faults(fail=[{"match": MODELS, "query": r"endpoint_id=fal-ai(%2F|/)flux(%2F|/)dev(&|$)", "status": 500}])
    sync()
    some_fal.clear_faults()
    sync()
    assert AIModel.objects.get(endpoint_id=FLUX).enabled


@pytest.mark.once
def test_a_full_sync_fetches_every_schema(some_fal, sync):
    first = sync()
    assert sync(full=True).schemas_fetched == first.added


@pytest.mark.once
def test_a_model_with_another_updated_at_is_fetched_again(some_fal, some_synced, sync):
    some_fal.patch_model(FLUX, touch=True, openapi_patch={"info": {"title": "new"}})
    some_fal.clear_requests()
    run = sync()
    assert any(FLUX in call["query"].replace("%2F", "/") for call in schema_calls(some_fal))
    assert run.updated == 1


def test_a_new_model_appears_enabled_with_the_next_sync(some_fal, some_synced, sync):
    row = some_fal.model(FLUX)
    some_fal.add_model({**row, "endpoint_id": "acme/brand-new", "openapi": rename(row["openapi"], "acme/brand-new")})
    run = sync()
    assert run.report["added"] == ["acme/brand-new"]
    assert AIModel.objects.get(endpoint_id="acme/brand-new").enabled
    assert OutboxEvent.objects.filter(kind="model.added", subject="fal:acme/brand-new").count() == 1


def rename(document: dict[str, Any], endpoint_id: str) -> dict[str, Any]:
    paths = {path.replace(FLUX, endpoint_id): value for path, value in document["paths"].items()}
    return {**document, "paths": paths}


@pytest.mark.once
def test_new_models_wait_for_a_person_where_the_setting_says_so(some_fal, some_synced, sync, settings):
    settings.CATALOG_REVIEW_NEW = True
    row = some_fal.model(FLUX)
    some_fal.add_model({**row, "endpoint_id": "acme/new", "openapi": rename(row["openapi"], "acme/new")})
    sync()
    model = AIModel.objects.get(endpoint_id="acme/new")
    assert (model.enabled, model.held_reason) == (False, "review")
    sync(full=True)
    model.refresh_from_db()
    assert (model.enabled, model.held_reason) == (False, "review")


@pytest.mark.once
def test_deprecated_models_are_not_taken_in_and_known_ones_are_marked(some_fal, sync):
    some_fal.patch_model("fal-ai/flux/schnell", status="deprecated")
    sync()
    assert not AIModel.objects.filter(endpoint_id="fal-ai/flux/schnell").exists()
    some_fal.patch_model(FLUX, status="deprecated")
    run = sync()
    model = AIModel.objects.get(endpoint_id=FLUX)
    assert (model.status, model.enabled, model.held_reason) == ("deprecated", False, "deprecated")
    assert run.report["deprecated"] == [FLUX]


def test_what_a_person_switched_off_stays_off(some_fal, some_synced, sync):
    from catalog.availability import switch_models
    from genfeed.journal.audit import SYSTEM

    switch_models(AIModel.objects.filter(endpoint_id=FLUX), on=False, actor=SYSTEM)
    some_fal.patch_model(FLUX, touch=True, metadata={"display_name": "Renamed"})
    sync(full=True)
    model = AIModel.objects.get(endpoint_id=FLUX)
    assert (model.name, model.enabled, model.switch) == ("Renamed", False, "off")


# --- changes ---


def test_a_removed_field_is_a_breaking_version_with_alert_and_event(some_fal, some_synced, sync):
    name = input_name(flux_document(some_fal))
    without_seed = {"components": {"schemas": {name: {"properties": {"seed": None}}}}}
    some_fal.patch_model(FLUX, touch=True, openapi_patch=without_seed)
    run = sync()
    version = SchemaVersion.objects.get(model__endpoint_id=FLUX, number=2)
    assert version.change_class == "breaking"
    assert [entry["id"] for entry in run.report["changed"]] == [FLUX]
    assert run.report["changed"][0]["class"] == "breaking"
    assert any("seed" in sentence for sentence in run.report["changed"][0]["words"])
    assert Alert.objects.get(code="schema_breaking").subject == f"fal:{FLUX}"
    assert OutboxEvent.objects.filter(kind="model.schema_breaking").count() == 1
    # The callers' model goes on: it is flagged, not taken away.
    assert AIModel.objects.get(endpoint_id=FLUX).enabled


@pytest.mark.once
def test_a_catalog_of_another_address_raises_no_alerts_for_what_differs(some_fal, some_synced, sync):
    SyncRun.objects.update(source="http://127.0.0.1:1/v1")
    name = input_name(flux_document(some_fal))
    without_seed = {"components": {"schemas": {name: {"properties": {"seed": None}}}}}
    some_fal.patch_model(FLUX, touch=True, openapi_patch=without_seed)
    sync()
    assert SchemaVersion.objects.get(model__endpoint_id=FLUX, number=2).change_class == "breaking"
    assert not Alert.objects.filter(code="schema_breaking").exists()


@pytest.mark.once
def test_an_added_optional_field_is_a_compatible_version_without_alert(some_fal, some_synced, sync):
    name = input_name(flux_document(some_fal))
    patch = {"components": {"schemas": {name: {"properties": {"sparkle": {"type": "boolean", "default": False}}}}}}
    some_fal.patch_model(FLUX, touch=True, openapi_patch=patch)
    run = sync()
    assert SchemaVersion.objects.get(model__endpoint_id=FLUX, number=2).change_class == "compatible"
    assert run.changed == 1
    assert not Alert.objects.filter(code="schema_breaking").exists()
    assert OutboxEvent.objects.filter(kind="model.changed").count() == 1


@pytest.mark.once
def test_a_change_without_a_new_updated_at_is_found_by_a_full_sync(some_fal, some_synced, sync):
    name = input_name(flux_document(some_fal))
    some_fal.patch_model(FLUX, openapi_patch={"components": {"schemas": {name: {"properties": {"seed": None}}}}})
    assert sync(full=True).changed == 1


def test_a_model_is_retired_after_two_complete_listings_without_it_and_never_deleted(some_fal, some_synced, sync):
    some_fal.delete_model(FLUX)
    assert sync().retired == 0
    assert AIModel.objects.get(endpoint_id=FLUX).enabled
    run = sync()
    model = AIModel.objects.get(endpoint_id=FLUX)
    assert (run.retired, model.status, model.enabled, model.held_reason) == (1, "retired", False, "retired")
    assert model.schema_versions.count() == 1
    assert OutboxEvent.objects.filter(kind="model.retired").count() == 1
    assert sync().retired == 0


def test_a_retired_model_that_comes_back_is_offered_again(some_fal, some_synced, sync):
    row = some_fal.model(FLUX)
    some_fal.delete_model(FLUX)
    sync(), sync()
    some_fal.add_model(row)
    run = sync()
    model = AIModel.objects.get(endpoint_id=FLUX)
    assert (model.status, model.enabled, model.retired_at) == ("active", True, None)
    assert run.report["returned"] == [FLUX]


@pytest.mark.once
def test_a_failed_listing_between_two_complete_ones_does_not_count_towards_retirement(some_fal, some_synced, sync):
    some_fal.delete_model(FLUX)
    sync()
    # The rest of the models, on eight pages.
    some_fal.load_catalog(None)
    some_fal.delete_model(FLUX)
    some_fal.faults(fail=[{"match": MODELS, "status": 500, "after": 2}])
    assert sync().status == "failed"
    assert AIModel.objects.get(endpoint_id=FLUX).missed_listings == 1


@pytest.mark.once
def test_january_then_june_of_the_real_catalog_gives_a_correct_change_report(recorded_fal, sync):
    recorded_fal.load_catalog(recorded_catalog("2026-01"))
    january = sync()
    ids = {row[0] for row in AIModel.objects.values_list("endpoint_id")}
    recorded_fal.load_catalog(recorded_catalog("2026-06"))
    june = sync()
    known = set(AIModel.objects.values_list("endpoint_id", flat=True))
    assert january.status == june.status == "succeeded"
    assert set(june.report["added"]) == known - ids
    # Nothing that was recorded in January is missing in June.
    assert (len(ids), june.added, june.retired) == (768, 661, 0)
    assert not AIModel.objects.exclude(missed_listings=0).exists()
    # Every change that the run reports is a version in the database, and the other way round.
    second = SchemaVersion.objects.filter(number=2)
    assert {entry["id"] for entry in june.report["changed"]} == set(second.values_list("model__endpoint_id", flat=True))
    assert june.changed == second.count() > 100
    classes = {entry["class"] for entry in june.report["changed"]}
    assert classes == {"breaking", "compatible"}


# --- trouble ---


@pytest.mark.once
@pytest.mark.parametrize(
    ("faults", "words"),
    [
        ({"fail": [{"match": MODELS, "body": "html", "status": 200, "after": 1}]}, "no JSON"),
        ({"fail": [{"match": MODELS, "body": "malformed", "status": 200, "after": 1}]}, "no JSON"),
        ({"fail": [{"match": MODELS, "body": "truncated", "status": 200, "after": 1}]}, ""),
        ({"fail": [{"match": MODELS, "body": "empty", "status": 200}]}, "no JSON"),
        ({"fail": [{"match": MODELS, "body": "wrong_shape", "status": 200}]}, "without a list of models"),
        ({"fail": [{"match": MODELS, "status": 503, "after": 3}]}, "503"),
        ({"fail": [{"match": MODELS, "drop": True, "after": 3}]}, "can't be reached"),
        ({"repeat_page": 3}, "repeats itself"),
        ({"loop_cursor": 3}, "in a circle"),
        ({"never_ending": "repeat"}, "repeats itself"),
        ({"fail": [{"match": MODELS, "status": 401}]}, "refused the key"),
        ({"fail": [{"match": MODELS, "status": 429}]}, "429"),
    ],
)
def test_a_listing_in_trouble_fails_in_words_and_leaves_the_last_good_catalog(fal, some_synced, sync, faults, words):
    before = picture()
    # The rest of the models: of eight pages.
    fal.load_catalog(None)
    fal.faults(**faults)
    run = sync()
    assert run.status == "failed"
    assert words in run.error
    assert run.finished_at is not None
    assert picture() == before
    assert Alert.objects.filter(code="sync_failed", resolved_at=None).count() == 1


@pytest.mark.once
def test_a_listing_that_never_ends_in_empty_pages_is_given_up(fal, sync, monkeypatch):
    from catalog.providers import fal_pages

    monkeypatch.setattr(fal_pages, "MOST_PAGES", 20)
    fal.faults(never_ending="empty")
    run = sync()
    assert run.status == "failed"
    assert "without an end" in run.error
    assert AIModel.objects.count() == 0


@pytest.mark.once
def test_the_next_good_sync_closes_the_alert_of_the_failed_one(some_fal, sync):
    some_fal.faults(fail=[{"match": MODELS, "status": 500}])
    sync()
    some_fal.clear_faults()
    assert sync().status == "succeeded"
    assert not Alert.objects.filter(code="sync_failed", resolved_at=None).exists()


@pytest.mark.once
def test_a_server_that_dies_while_schemas_are_read_changes_nothing(some_fal, sync):
    some_fal.faults(fail=[{"match": MODELS, "query": "endpoint_id", "drop": True, "after": 4}])
    run = sync()
    assert run.status == "failed"
    assert "can't be reached" in run.error
    assert AIModel.objects.count() == 0


@pytest.mark.once
def test_a_server_that_fails_for_all_schemas_is_the_providers_trouble(some_fal, sync):
    some_fal.faults(fail=[{"match": MODELS, "query": "endpoint_id", "status": 500}])
    run = sync()
    assert run.status == "failed"
    assert AIModel.objects.count() == 0


@pytest.mark.once
def test_one_model_that_the_provider_chokes_on_stops_no_other(some_fal, sync):
    some_fal.faults(fail=[{"match": MODELS, "query": r"endpoint_id=fal-ai(%2F|/)flux(%2F|/)dev(&|$)", "status": 500}])
    run = sync()
    assert (run.status, run.report["not_understood"].keys() >= {FLUX}) == ("succeeded", True)
    model = AIModel.objects.get(endpoint_id=FLUX)
    assert (model.enabled, model.held_reason) == (False, "schema_missing")
    assert AIModel.objects.filter(enabled=True).count() == run.added - len(run.report["not_understood"]) > 50


@pytest.mark.once
def test_short_trouble_is_waited_out(some_fal, sync):
    some_fal.faults(fail=[{"match": MODELS, "status": 503, "times": 2}])
    assert sync().status == "succeeded"


@pytest.mark.once
def test_retry_after_is_honoured(some_fal, sync, monkeypatch):
    from catalog.providers import reading

    waits: list[float] = []
    monkeypatch.setattr(reading.JsonReader.__init__, "__kwdefaults__", {"sleep": waits.append})
    some_fal.faults(fail=[{"match": MODELS, "status": 429, "retry_after": 7, "times": 1}])
    assert sync().status == "succeeded"
    assert waits == [7.0]


@pytest.mark.once
def test_a_failed_expansion_keeps_the_last_good_version(some_fal, some_synced, sync):
    some_fal.faults(expansion_errors=[FLUX])
    some_fal.patch_model(FLUX, touch=True)
    run = sync()
    model = AIModel.objects.get(endpoint_id=FLUX)
    assert run.status == "succeeded"
    assert FLUX in run.report["not_understood"]
    assert (model.schema_state, model.schema_version, model.enabled) == ("missing", 1, True)


@pytest.mark.once
def test_a_model_without_metadata_is_taken_in_under_its_id(some_fal, sync):
    some_fal.faults(missing_metadata=[FLUX])
    run = sync()
    model = AIModel.objects.get(endpoint_id=FLUX)
    assert run.status == "succeeded"
    assert (model.name, model.category, model.media_type, model.media_type_source) == (FLUX, "", "image", "schema")
    assert model.enabled


@pytest.mark.once
def test_an_unknown_category_is_kept_as_it_is(some_fal, sync):
    some_fal.patch_model(FLUX, metadata={"category": "smell-to-hologram"})
    sync()
    model = AIModel.objects.get(endpoint_id=FLUX)
    assert (model.category, model.media_type, model.media_type_source) == ("smell-to-hologram", "image", "schema")


@pytest.mark.once
def test_an_id_listed_twice_is_one_model_and_a_remark(some_fal, sync):
    some_fal.faults(duplicate_ids=[FLUX])
    run = sync()
    assert run.status == "succeeded"
    assert AIModel.objects.filter(endpoint_id=FLUX).count() == 1
    assert run.report["listing_problems"] == [f"{FLUX}: listed more than once"]


@pytest.mark.once
def test_a_document_that_is_none_is_told_and_holds_the_model(some_fal, sync):
    some_fal.patch_model(FLUX, openapi={"openapi": "3.0.4", "paths": {}})
    run = sync()
    model = AIModel.objects.get(endpoint_id=FLUX)
    assert (model.enabled, model.held_reason, model.schema_state) == (False, "schema_not_understood", "not_understood")
    assert run.report["held"]["schema_not_understood"] == [FLUX]
    assert run.report["not_understood"][FLUX]


@pytest.mark.once
def test_a_listing_that_lost_half_of_the_models_is_not_believed_until_a_person_says_so(some_fal, some_synced, sync):
    row = some_fal.model(FLUX)
    path_less = [entry for entry in AIModel.objects.values_list("endpoint_id", flat=True) if entry != FLUX]
    for endpoint_id in path_less:
        some_fal.patch_model(endpoint_id, metadata=None)
    before = picture()
    run = sync()
    assert run.status == "failed"
    assert "--accept-shrink" in run.error
    assert picture() == before
    assert sync(accept_shrink=True).status == "succeeded"
    assert row["endpoint_id"] in AIModel.objects.filter(missed_listings=0).values_list("endpoint_id", flat=True)


def test_nul_characters_of_a_provider_are_dropped(some_fal, sync):
    some_fal.patch_model(FLUX, metadata={"display_name": "Flux\x00 dev", "tags": ["a\x00b"]})
    assert sync().status == "succeeded"
    model = AIModel.objects.get(endpoint_id=FLUX)
    assert (model.name, model.tags) == ("Flux dev", ["ab"])


def test_a_crash_of_our_own_closes_the_run_and_changes_nothing(some_fal, some_synced, sync, monkeypatch):
    before = picture()
    monkeypatch.setattr("catalog.applying.publish", lambda reason: 1 / 0)
    some_fal.patch_model(FLUX, metadata={"display_name": "Other"})
    with pytest.raises(ZeroDivisionError):
        sync()
    run = SyncRun.objects.first()
    assert (run.status, "Internal error" in run.error) == ("failed", True)
    assert picture() == before


# --- narrow questions ---


@pytest.mark.once
def test_category_status_and_search_are_asked_of_fal_itself(fal):
    from catalog.providers.base import open_provider

    provider = open_provider("fal")
    found = [
        m
        for page in provider.list_models(category="text-to-video", status="active", query="kling")
        for m in page.models
    ]
    provider.close()
    assert found
    assert all(model.category == "text-to-video" for model in found)
    query = fal.requests()[-1]["query"]
    assert "category=text-to-video" in query
    assert "status=active" in query
    assert "q=kling" in query


@pytest.mark.once
def test_one_model_is_got_by_its_id_and_an_unknown_one_is_none(fal):
    from catalog.providers.base import open_provider

    provider = open_provider("fal")
    assert provider.get_model(FLUX).endpoint_id == FLUX
    assert provider.get_model("nobody/knows/this") is None
    provider.close()


@pytest.mark.once
def test_an_unregistered_provider_is_refused_by_name(db):
    from catalog.providers.base import UnknownProviderError

    with pytest.raises(UnknownProviderError, match=r"no provider 'acme'.*fal"):
        discovery.request_sync("acme", trigger="api")
    assert not SyncRun.objects.exists()


@pytest.mark.once
@pytest.mark.parametrize(
    ("key", "state"),
    [("", "missing"), ("wrong:key", "invalid"), ("sandbox-key:sandbox-secret", "valid")],
)
def test_the_key_is_checked_and_the_answer_told_plainly(fal, settings, key, state):
    from catalog.providers.base import open_provider

    settings.FAL_KEY = key
    provider = open_provider("fal")
    checked = provider.check_key()
    provider.close()
    assert checked.state == state
    assert not key or key not in checked.detail


@pytest.mark.once
def test_a_key_that_could_not_be_checked_is_not_called_wrong(settings, db):
    from catalog.providers.base import open_provider

    checked = open_provider("fal").check_key()
    assert checked.state == "unreachable"


@pytest.mark.once
def test_providers_are_known_by_being_imported(db, settings):
    settings.REPLICATE_API_TOKEN = "r8_x"

    assert set(sync_runs.ensure_providers()) == {"fal", "replicate"}


@pytest.mark.once
def test_a_provider_that_tells_nothing_without_a_key_is_not_there_without_one(db, settings):
    from catalog.providers.base import UnknownProviderError

    settings.REPLICATE_API_TOKEN = ""

    assert set(sync_runs.ensure_providers()) == {"fal"}
    with pytest.raises(UnknownProviderError, match="Set REPLICATE_API_TOKEN"):
        discovery.request_sync("replicate", trigger="api")
