"""Taking an export in: as a sync of the provider would, with what people decided here left alone."""

from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from catalog import availability, published
from catalog.exchange import file_format
from catalog.exchange.contents import Record
from catalog.exchange.file_format import BadExportError
from catalog.models import AIModel, SyncRun
from catalog.revisions import publish
from genfeed.cloud import taking
from genfeed.cloud.downloading import CloudError
from genfeed.cloud.syncing import import_file
from genfeed.cloud.taking import Trust
from genfeed.journal.audit import SYSTEM
from pricing.exchange import list_prices, records
from pricing.models import CloudCatalog, ExportState, ModelPricing, PricePoint, PriceRule
from pricing.prices.decisions import set_manual
from pricing.rules.editing import retire, save_rule

FLUX, VEO = "fal-ai/flux/dev", "fal-ai/veo3.1"
RULE = {"version": 1, "charges": [{"name": "images", "price": "0.09", "per": {"of": "outputs"}}]}
OTHER = {"version": 1, "charges": [{"name": "images", "price": "0.11", "per": {"of": "outputs"}}]}


def picture():
    """What a catalog says of its models, but for numbers that are an installation's own."""
    models = AIModel.objects.order_by("endpoint_id").values_list(
        "endpoint_id",
        "name",
        "category",
        "media_type",
        "kind",
        "status",
        "capabilities",
        "enabled",
        "price",
        "metadata",
    )
    points = PricePoint.objects.filter(standing="current").order_by("model__endpoint_id")
    rules = PriceRule.objects.filter(state="active").order_by("model__endpoint_id")
    return [
        list(models),
        list(points.values_list("model__endpoint_id", "unit", "unit_price")),
        list(rules.values_list("model__endpoint_id", "body")),
    ]


def become_another_installation() -> None:
    """Forgets the catalog, so that only what is imported is there."""
    SyncRun.objects.all().delete()
    AIModel.objects.all().delete()
    CloudCatalog.objects.all().delete()


@pytest.fixture
def take(tmp_path):
    def run(content: bytes, **trust):
        path = tmp_path / "catalog.bin"
        path.write_bytes(content)
        taken = import_file(path, trust=Trust(**trust))
        published.forget()
        return taken

    return run


@pytest.fixture
def imported(export, take):
    """This installation after its first import."""
    content = export()
    become_another_installation()
    take(content)
    return content


def test_an_imported_catalog_is_the_exported_one(export, take):
    before, content = picture(), export()
    become_another_installation()
    taken = take(content)
    assert taken.is_news
    assert [(run.status, run.added) for run in taken.runs] == [("succeeded", 4)]
    assert picture() == before


@pytest.mark.once
def test_revision_and_signature_of_an_import_are_recorded(imported):
    state = CloudCatalog.objects.get()
    assert state.revision > 0
    assert len(state.signature) == 88
    assert (state.origin, bool(state.imported_at)) == ("catalog.bin", True)


def test_taking_the_same_export_again_changes_nothing(imported, take):
    before = picture()
    assert not take(imported).is_news
    assert (picture(), SyncRun.objects.count()) == (before, 1)


def test_switches_of_this_installation_stay(imported, export, take):
    availability.switch_models(AIModel.objects.filter(endpoint_id=FLUX), on=False, actor=SYSTEM)
    AIModel.objects.filter(endpoint_id=FLUX).update(description="as the cloud does not say it")
    CloudCatalog.objects.update(revision=1, state="older")
    take(imported)
    flux = AIModel.objects.get(endpoint_id=FLUX)
    assert (flux.switch, flux.enabled) == ("off", False)
    assert flux.description != "as the cloud does not say it"


def test_a_price_set_by_hand_here_stays(imported, take):
    flux = AIModel.objects.get(endpoint_id=FLUX)
    set_manual(flux, unit="images", unit_price="0.5", actor=SYSTEM, reason="ours")
    CloudCatalog.objects.update(revision=1, state="older")
    take(imported)
    assert PricePoint.objects.get(model=flux, standing="current").unit_price == "0.5"


@pytest.mark.once
def test_a_rule_of_the_cloud_counts_where_nobody_decided_here(export, take):
    save_rule(AIModel.objects.get(endpoint_id=FLUX), RULE, activate=True, actor=SYSTEM)
    content = export()
    become_another_installation()
    take(content)
    rule = PriceRule.objects.get(model__endpoint_id=FLUX, state="active")
    assert (rule.source, rule.body) == ("cloud", RULE)
    assert AIModel.objects.get(endpoint_id=FLUX).price["state"] == "ruled"


@pytest.mark.once
@pytest.mark.parametrize("decision", ["another rule", "retired"])
def test_a_rule_of_the_cloud_yields_to_a_person_of_this_installation(export, take, decision):
    save_rule(AIModel.objects.get(endpoint_id=FLUX), RULE, activate=True, actor=SYSTEM)
    content = export()
    become_another_installation()
    take(content)
    flux = AIModel.objects.get(endpoint_id=FLUX)
    if decision == "another rule":
        save_rule(flux, OTHER, activate=True, actor=SYSTEM)
    else:
        retire(PriceRule.objects.get(model=flux, state="active"), actor=SYSTEM)
    CloudCatalog.objects.update(revision=1, state="older")
    take(content)
    bodies = list(PriceRule.objects.filter(model=flux, state="active").values_list("body", flat=True))
    assert bodies == ([OTHER] if decision == "another rule" else [])


def test_a_rule_that_the_cloud_takes_back_gives_way_to_the_text(export, take):
    flux = AIModel.objects.get(endpoint_id=VEO)
    by_text = PriceRule.objects.filter(model=flux, state="active").values_list("body", flat=True).first()
    assert by_text
    plain = export()
    seconds = {"version": 1, "charges": [{"name": "videos", "price": "0.9", "per": {"of": "outputs"}}]}
    save_rule(flux, seconds, activate=True, actor=SYSTEM)
    ruled = export()
    become_another_installation()
    take(ruled)
    assert PriceRule.objects.get(model__endpoint_id=VEO, state="active").source == "cloud"
    take(plain, older=True)
    rule = PriceRule.objects.get(model__endpoint_id=VEO, state="active")
    assert (rule.source, rule.body) == ("note", by_text)


def test_an_increment_brings_what_changed_and_leaves_the_rest(small, export, take):
    content = export()
    small.patch_model(FLUX, metadata={"description": "new words"}, touch=True)
    small.delete_model(VEO)
    base = file_format.read(content, public_key=file_format.signer(content)).header.revision
    # Gone from two complete listings: retired.
    call_command("sync_models", stdout=StringIO())
    call_command("sync_models", stdout=StringIO())
    part = export(since=base)
    become_another_installation()
    take(content)
    taken = take(part)
    assert len(part) < len(content)
    assert [(run.updated, run.retired) for run in taken.runs] == [(1, 1)]
    assert AIModel.objects.get(endpoint_id=FLUX).description == "new words"
    assert AIModel.objects.get(endpoint_id=VEO).status == "retired"


@pytest.mark.once
def test_the_version_that_a_model_is_run_by_comes_along_and_stays_where_nothing_changed(export, take):
    AIModel.objects.filter(endpoint_id__in=[FLUX, VEO]).update(upstream_version="v1")
    publish("test")
    content = export()
    AIModel.objects.filter(endpoint_id=VEO).update(upstream_version="v2")
    publish("test")
    part = export(since=file_format.read(content, public_key=file_format.signer(content)).header.revision)
    become_another_installation()
    take(content)
    take(part)
    versions = dict(AIModel.objects.values_list("endpoint_id", "upstream_version"))
    assert (versions[FLUX], versions[VEO]) == ("v1", "v2")


@pytest.mark.once
def test_a_cloud_that_tells_no_versions_leaves_those_that_are_known(imported, take, monkeypatch):
    AIModel.objects.filter(endpoint_id=FLUX).update(upstream_version="v1")
    CloudCatalog.objects.update(revision=1, state="older")
    read = Record.model_validate
    monkeypatch.setattr(
        Record, "model_validate", lambda line: read({name: line[name] for name in line if name != "version"})
    )
    take(imported)
    assert AIModel.objects.get(endpoint_id=FLUX).upstream_version == "v1"


@pytest.mark.once
def test_an_increment_without_its_base_is_refused(export, take):
    content = export()
    AIModel.objects.filter(endpoint_id=FLUX).update(description="x")
    base = file_format.read(content, public_key=file_format.signer(content)).header.revision
    publish("test")
    part = export(since=base)
    become_another_installation()
    with pytest.raises(BadExportError) as refused:
        take(part)
    assert refused.value.reason == "gap"
    assert not AIModel.objects.exists()


@pytest.mark.once
def test_an_increment_of_a_history_that_forked_is_refused(export, take):
    content = export()
    before = ExportState.objects.get()
    AIModel.objects.filter(endpoint_id=FLUX).update(description="x")
    publish("test")
    part = export(since=before.revision)
    become_another_installation()
    take(content)
    # What is here is of the same revision, and not what the cloud says of it now.
    CloudCatalog.objects.update(state="0" * 64)
    with pytest.raises(CloudError, match="builds on another state"):
        take(part)
    assert AIModel.objects.get(endpoint_id=FLUX).description != "x"


@pytest.mark.once
def test_an_older_export_is_refused_unless_that_is_meant(imported, take):
    CloudCatalog.objects.update(revision=10_000)
    before = picture()
    with pytest.raises(BadExportError) as refused:
        take(imported)
    assert refused.value.reason == "older"
    assert picture() == before
    assert take(imported, older=True).is_news


@pytest.mark.once
def test_an_export_of_another_key_is_refused_unless_that_is_meant(imported, take):
    CloudCatalog.objects.update(public_key="A" * 43 + "=")
    with pytest.raises(BadExportError) as refused:
        take(imported)
    assert refused.value.reason == "key"
    assert take(imported, new_key=True).is_news


@pytest.mark.once
def test_a_configured_key_is_the_only_one_that_counts(export, take, settings):
    content = export()
    become_another_installation()
    settings.CLOUD_PUBLIC_KEY = "A" * 43 + "="
    with pytest.raises(BadExportError) as refused:
        take(content)
    assert refused.value.reason == "key"
    assert not CloudCatalog.objects.exists()


@pytest.mark.once
def test_a_withheld_price_leaves_the_one_that_is_known(imported, take, export, monkeypatch):
    listed = PricePoint.objects.get(model__endpoint_id=FLUX, standing="current").unit_price
    monkeypatch.setattr(records, "read_bills", lambda _provider: list_prices.Bills({}, needs_proof=True))
    publish("test")
    content = export()
    CloudCatalog.objects.update(revision=1)
    take(content)
    point = PricePoint.objects.get(model__endpoint_id=FLUX, standing="current")
    assert Decimal(point.unit_price) == Decimal(listed)
    assert ModelPricing.objects.get(model__endpoint_id=FLUX).has_row is True


def test_what_another_machine_took_meanwhile_is_not_set_back(imported, take, monkeypatch):
    CloudCatalog.objects.update(revision=1, state="older")
    sync_from = taking.sync_from

    def with_another(*given, **options):
        CloudCatalog.objects.update(revision=10_000, state="newer")
        return sync_from(*given, **options)

    monkeypatch.setattr(taking, "sync_from", with_another)
    with pytest.raises(CloudError, match="next sync takes the whole"):
        take(imported)
    state = CloudCatalog.objects.get()
    assert (state.revision, state.state) == (10_000, "")


@pytest.mark.once
def test_an_error_that_nobody_thought_of_is_told_as_the_clouds_trouble(export, take, monkeypatch):
    def broken(*_, **__):
        raise TypeError("argument of type 'int' is not iterable")

    content = export()
    monkeypatch.setattr(taking, "sync_from", broken)
    CloudCatalog.objects.update(revision=0)
    with pytest.raises(CloudError, match="the log tells more"):
        take(content)


@pytest.mark.once
def test_the_commands_say_what_is_wrong_and_change_nothing(imported, tmp_path):
    before = picture()
    broken = tmp_path / "broken"
    broken.write_bytes(imported[:-10])
    with pytest.raises(CommandError, match="cut off"):
        call_command("import_catalog", str(broken))
    with pytest.raises(CommandError, match="can't be read"):
        call_command("import_catalog", str(tmp_path / "nothing"))
    assert picture() == before
