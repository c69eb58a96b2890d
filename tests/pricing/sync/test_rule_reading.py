"""From price texts to rules: what becomes active, what stays proposed, what people decided, what is read again."""

from typing import Any

import pytest

from catalog.models import AIModel, SchemaVersion
from genfeed.journal.models import Alert
from pricing.estimates.facts import load_facts
from pricing.models import ModelPricing, PricePoint, PriceRule
from pricing.prices.points import record_point
from pricing.rules import reading as rule_reading
from pricing.rules.editing import activate, retire, save_rule
from pricing.rules.reading import read_rules
from tests.factories import make_model
from tests.pricing.sync.conftest import FLUX, PERSON, VEO

pytestmark = pytest.mark.django_db

PER_IMAGE = "Your request will cost **$0.05** per image."
DEARER = "Your request will cost **$0.06** per image."
NONSENSE = "Prices follow the moon: **$0.05** per image on Tuesdays, and otherwise as the wind blows $3."
OPAQUE = "Your request will cost **$0.001** per compute second."
BY_HAND = {"version": 1, "charges": [{"name": "images", "price": "0.09", "per": {"of": "outputs"}}]}


@pytest.fixture
def model() -> AIModel:
    return make_model(FLUX, priced=False)


def text(model: AIModel, note: str, billing_message: str = "") -> None:
    values = {"price_note": note, "billing_message": billing_message}
    ModelPricing.objects.update_or_create(model=model, defaults=values)


def row(model: AIModel, price: str = "0.05", unit: str = "images") -> None:
    record_point(model, source="advertised", raw_unit=unit, unit_price=price)


def live(model: AIModel) -> dict[str, PriceRule]:
    return {rule.state: rule for rule in PriceRule.objects.filter(model=model).exclude(state="retired")}


def read(model: AIModel, note: str) -> dict[str, PriceRule]:
    text(model, note)
    read_rules([model.pk])
    return live(model)


def price_of(model: AIModel) -> Any:
    model.refresh_from_db()
    return model.price["amount"]


@pytest.mark.once
def test_a_text_that_is_understood_is_active_by_itself_and_sells_the_model(model):
    rule = read(model, PER_IMAGE)["active"]
    assert (rule.source, rule.problems, rule.decided_by) == ("note", [], "")
    assert price_of(model) == "0.166666667"
    assert model.enabled
    assert ModelPricing.objects.get(model=model).state == "ruled"


@pytest.mark.once
def test_a_text_outranks_the_row_and_a_contradiction_only_asks_for_a_look(model):
    row(model, "0.01")
    rule = read(model, PER_IMAGE)["active"]
    assert rule.contradicts_row
    assert price_of(model) == "0.166666667"


@pytest.mark.once
def test_a_text_that_is_not_understood_waits_with_the_reason(model):
    row(model)
    rule = read(model, NONSENSE)["proposed"]
    assert any("not understood" in problem for problem in rule.problems)
    assert "active" not in live(model)


@pytest.mark.once
def test_a_text_that_makes_no_rule_is_kept_for_a_person_and_out_of_estimates(model):
    row(model)
    rule = read(model, OPAQUE)["proposed"]
    assert (rule.body, rule.billed_in) == ({}, "compute seconds")
    facts = next(load_facts([model.pk]))
    assert (facts.proposed, facts.billed_in) == (None, "compute seconds")


@pytest.mark.once
def test_a_text_about_a_row_of_nothing_makes_nothing_free(model):
    row(model, "0", "megapixels")
    text(model, "", "Images are billed by rounding up to the nearest megapixel.")
    read_rules([model.pk])
    assert "active" not in live(model)
    assert price_of(model) is None
    assert not model.enabled


@pytest.mark.once
def test_a_model_without_texts_gets_no_rule(model):
    row(model)
    assert read(model, "") == {}


@pytest.mark.once
@pytest.mark.parametrize("change", ["text", "row", "schema", "billing"])
def test_it_is_read_again_when_text_row_or_schema_changed(model, change):
    row(model)
    read(model, PER_IMAGE)
    assert read_rules([model.pk]).read == 0
    if change == "text":
        text(model, DEARER)
    elif change == "row":
        PricePoint.objects.update(unit_price="0.06")
    elif change == "schema":
        SchemaVersion.objects.update(fingerprint="1" * 64)
    else:
        text(model, PER_IMAGE, "Images are billed by rounding up to the nearest megapixel")
    assert read_rules([model.pk]).read == 1


@pytest.mark.once
def test_it_is_read_again_when_the_reader_has_learned(model, monkeypatch):
    read(model, PER_IMAGE)
    monkeypatch.setattr(rule_reading, "READER", 10_000)
    assert read_rules([model.pk]).read == 1


@pytest.mark.once
def test_the_same_reading_keeps_the_rule_that_is_there(model):
    row(model)
    before = read(model, PER_IMAGE)["active"]
    PricePoint.objects.update(unit_price="0.04")
    read_rules([model.pk])
    after = live(model)["active"]
    assert after.pk == before.pk
    assert after.text_digest != before.text_digest


def test_a_changed_text_replaces_the_rule_and_the_old_one_stays_readable(model):
    old = read(model, PER_IMAGE)["active"]
    new = read(model, DEARER)["active"]
    assert new.pk != old.pk
    assert PriceRule.objects.get(pk=old.pk).state == "retired"
    assert price_of(model) == "0.2"


@pytest.mark.once
def test_a_text_that_vanishes_takes_its_rule_along(model):
    row(model)
    read(model, PER_IMAGE)
    assert read(model, "") == {}


@pytest.mark.once
def test_a_rule_written_by_hand_is_never_touched(model):
    rule = save_rule(model, BY_HAND, activate=True, actor=PERSON)
    read(model, PER_IMAGE)
    found = live(model)
    assert found["active"].pk == rule.pk
    assert found["proposed"].source == "note"
    assert price_of(model) == "0.3"
    read(model, "")
    assert set(live(model)) == {"active"}


@pytest.mark.once
def test_a_draft_by_hand_keeps_its_place(model):
    row(model)
    draft = save_rule(model, BY_HAND, activate=False, actor=PERSON)
    read(model, NONSENSE)
    assert live(model)["proposed"].pk == draft.pk


@pytest.mark.once
def test_an_observed_rule_is_never_touched(model):
    observed = PriceRule.objects.create(model=model, source="observed", state="active", body=BY_HAND)
    read(model, PER_IMAGE)
    assert live(model)["active"].pk == observed.pk


@pytest.mark.once
def test_what_a_person_activated_stays_active_while_the_text_says_the_same(model):
    row(model)
    rule = activate(read(model, NONSENSE)["proposed"], actor=PERSON)
    SchemaVersion.objects.update(fingerprint="2" * 64)
    read_rules([model.pk])
    assert live(model)["active"].pk == rule.pk
    assert "proposed" not in live(model)


@pytest.mark.once
def test_what_a_person_retired_does_not_come_back_with_the_same_text(model):
    row(model)
    retire(read(model, PER_IMAGE)["active"], actor=PERSON)
    SchemaVersion.objects.update(fingerprint="3" * 64)
    assert read_rules([model.pk]).read == 1
    assert live(model) == {}
    assert "active" in read(model, DEARER)


def test_a_reading_publishes_a_revision_even_where_the_default_price_stays(model):
    from catalog.models import CatalogState

    row(model)
    read(model, PER_IMAGE)
    before = CatalogState.objects.get(pk=1).revision
    dearer_at_4k = {
        **BY_HAND,
        "charges": [{**BY_HAND["charges"][0], "price": "0.05"}],
        "multipliers": [{"name": "many", "factor": "2", "when": [{"field": "num_images", "is": [4]}]}],
    }
    save_rule(model, dearer_at_4k, activate=True, actor=PERSON)
    assert CatalogState.objects.get(pk=1).revision > before


def test_contradictions_and_proposals_are_one_alert_each_and_lead_to_their_list(fal, sync_now):
    fal.patch_model(VEO, price_note=NONSENSE)
    fal.patch_model(FLUX, price_note=PER_IMAGE, billing_message=None)
    sync_now()
    assert Alert.objects.get(code="price_rules_proposed").url == "/admin/pricing/pricerule/?state__exact=proposed"
    found = Alert.objects.get(code="price_texts_contradict")
    assert found.url == "/admin/pricing/pricerule/?contradicts_row__exact=1"


@pytest.fixture
def alerted(fal, sync_now) -> None:
    """A text that is not understood and one that contradicts its row, with the alerts of both open."""
    fal.patch_model(VEO, price_note=NONSENSE)
    fal.patch_model(FLUX, price_note=PER_IMAGE, billing_message=None)
    sync_now()


def open_alerts() -> set[str]:
    return set(Alert.objects.filter(resolved_at=None).values_list("code", flat=True))


def test_alerts_of_texts_stay_while_their_rules_wait(alerted, sync_now):
    sync_now()
    assert open_alerts() >= {"price_rules_proposed", "price_texts_contradict"}


def test_a_sync_after_which_no_rule_waits_closes_the_alerts(alerted, fal, models, sync_now):
    for endpoint_id in models:
        fal.patch_model(endpoint_id, price_note=None, billing_message=None)
    sync_now()
    assert not open_alerts() & {"price_rules_proposed", "price_texts_contradict"}


@pytest.mark.once
@pytest.mark.parametrize(
    ("code", "waiting"),
    [("price_rules_proposed", {"state": "proposed"}), ("price_texts_contradict", {"contradicts_row": True})],
)
def test_the_last_decision_about_a_waiting_rule_closes_its_alert(alerted, code, waiting):
    *others, last = PriceRule.objects.filter(**waiting).exclude(state="retired")
    for rule in others:
        retire(rule, actor=PERSON)
    assert code in open_alerts()
    retire(last, actor=PERSON)
    assert code not in open_alerts()


@pytest.mark.once
@pytest.mark.parametrize(
    "note", ["$" * 5000, "**$1", "\u202e$5 rep egami", "$NaN per image", "-$5 per image", "0" * 20_000]
)
def test_a_text_in_nonsense_makes_nothing_fail_and_nothing_free(model, note):
    row(model)
    read(model, note)
    assert price_of(model) not in (None, "0")
