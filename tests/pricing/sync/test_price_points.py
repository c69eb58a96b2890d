"""Prices over time: what is added, what is ended, what waits, and what people decide."""

from typing import Any

import pytest

from catalog.models import AIModel, CatalogState
from genfeed.journal.models import Alert, AuditEvent, OutboxEvent
from pricing.models import ModelPricing, PricePoint
from pricing.money import NotMoney
from pricing.prices.decisions import DecisionError, accept, confirm_free, reject, release_manual, set_manual
from pricing.prices.points import Outcome, record_point
from tests.factories import make_model
from tests.pricing.sync.conftest import FLUX, PERSON, current, held, said

pytestmark = pytest.mark.django_db


@pytest.fixture
def model() -> AIModel:
    return make_model(FLUX, priced=False)


def take(
    model: AIModel, price: Any, unit: str = "images", currency: str = "USD", source: str = "advertised"
) -> Outcome:
    return record_point(model, source=source, raw_unit=unit, unit_price=price, currency=currency)


def waiting(model: AIModel, price: str = "1") -> PricePoint:
    take(model, "0.1")
    point = take(model, price).point
    assert point is not None
    return point


# --- taking in ---


def test_a_first_price_counts_from_now_on(model):
    assert take(model, "0.100", " Images ").kind == "first"
    point = current(FLUX)
    assert (point.unit_price, point.unit, point.raw_unit) == ("0.1", "images", " Images ")
    assert point.effective_from is not None
    assert point.effective_to is None


def test_the_same_price_again_adds_nothing(model):
    take(model, "0.1")
    assert take(model, "0.10").kind == "unchanged"
    assert PricePoint.objects.count() == 1


def test_a_new_price_ends_the_old_one_and_edits_nothing_else_of_it(model):
    take(model, "0.1")
    before = PricePoint.objects.values().get()
    take(model, "0.11")
    old = PricePoint.objects.values().get(pk=before["id"])
    changed = {name for name in old if old[name] != before[name]}
    assert changed == {"standing", "effective_to"}
    assert old["effective_to"] == current(FLUX).effective_from
    assert said(FLUX) == ("0.11", "images")


def test_a_large_change_waits_while_the_old_price_stays(model):
    point = waiting(model)
    assert said(FLUX) == ("0.1", "images")
    assert (point.standing, point.effective_from, round(point.change_percent)) == ("held", None, 900)
    alert = Alert.objects.get(code="price_held")
    assert alert.subject == f"fal:{FLUX}"
    assert alert.url == f"/admin/pricing/pricepoint/{point.pk}/change/"


def test_what_waits_already_is_not_asked_about_twice(model):
    waiting(model)
    assert take(model, "1").kind == "waiting"
    assert PricePoint.objects.filter(standing="held").count() == 1
    assert Alert.objects.get(code="price_held").times == 1


def test_a_newer_price_takes_the_place_of_the_one_that_waits(model):
    waiting(model)
    take(model, "2")
    assert held(FLUX).unit_price == "2"
    assert PricePoint.objects.get(unit_price="1").standing == "rejected"


def test_a_provider_that_goes_back_withdraws_what_waits_and_its_alert(model):
    waiting(model)
    assert take(model, "0.1").kind == "unchanged"
    assert held(FLUX) is None
    assert not Alert.objects.filter(code="price_held", resolved_at=None).exists()


@pytest.mark.once
def test_a_noticeable_change_is_told(model):
    take(model, "0.1")
    take(model, "0.12")
    alert = Alert.objects.get(code="price_changed")
    assert "0.1 → 0.12" in alert.text
    assert "+20.0 %" in alert.text


@pytest.mark.once
def test_a_small_change_is_not_told(model):
    take(model, "0.1")
    take(model, "0.104")
    assert not Alert.objects.exists()


def test_a_whole_price_list_that_moves_is_one_alert():
    from pricing.prices.guards import offered
    from pricing.prices.points import record_points
    from tests.factories import make_models

    keys = [row.pk for row in make_models(30)]
    record_points({key: offered("images", "0.1") for key in keys}, source="advertised")
    record_points({key: offered("images", "0.9") for key in keys}, source="advertised")
    alert = Alert.objects.get(code="price_held")
    assert (alert.subject, alert.level) == ("many", "critical")
    assert "30 models" in alert.title


@pytest.mark.once
@pytest.mark.parametrize("price", ["-1", "NaN", "Infinity", None, "1e300"])
def test_a_price_that_makes_no_sense_writes_nothing(model, price):
    with pytest.raises(NotMoney):
        take(model, price)
    assert not PricePoint.objects.exists()


# --- accept and reject ---


def test_an_accepted_price_counts_and_reaches_the_selling_price_in_the_same_revision(model):
    take(model, "0.1")
    confirm = waiting(model)
    before = CatalogState.objects.get(pk=1).revision if CatalogState.objects.exists() else 0
    accept(confirm, actor=PERSON, reason="announced")
    assert said(FLUX) == ("1", "images")
    model.refresh_from_db()
    # The shipped margin: 1 / (1 − 0.70).
    assert model.price["amount"] == "3.333333333"
    assert model.enabled
    assert model.revision == CatalogState.objects.get(pk=1).revision == before + 1
    assert OutboxEvent.objects.get(kind="model.price_changed").subject == f"fal:{FLUX}"
    event = AuditEvent.objects.get(action="price.accepted")
    assert (event.actor_name, event.before["unit_price"], event.after["unit_price"]) == ("a person", "0.1", "1")
    assert not Alert.objects.filter(code="price_held", resolved_at=None).exists()


@pytest.mark.once
def test_no_event_for_clients_tells_what_we_pay(model):
    accept(waiting(model, "0.777"), actor=PERSON)
    event = OutboxEvent.objects.get(kind="model.price_changed")
    assert "0.777" not in str(event.payload)


def test_a_rejected_price_leaves_the_old_one_and_is_not_asked_about_again(model):
    reject(waiting(model), actor=PERSON, reason="a typing error of theirs")
    assert said(FLUX) == ("0.1", "images")
    assert take(model, "1").kind == "rejected"
    assert held(FLUX) is None
    # Another one is another question.
    assert take(model, "2").kind == "held"


def test_a_rejected_price_is_asked_about_again_once_the_price_has_moved(model):
    reject(waiting(model), actor=PERSON, reason="no")
    take(model, "0.11")
    assert take(model, "1").kind == "held"


def test_a_decision_is_made_once(model):
    point = waiting(model)
    reject(point, actor=PERSON, reason="no")
    with pytest.raises(DecisionError, match="no longer waits"):
        accept(point, actor=PERSON)
    assert AuditEvent.objects.filter(action__startswith="price.").count() == 1


@pytest.mark.once
def test_a_price_in_another_currency_is_never_taken_for_dollars(model):
    take(model, "0.1")
    point = take(model, "0.1", currency="EUR").point
    with pytest.raises(DecisionError, match="EUR"):
        accept(point, actor=PERSON)
    assert current(FLUX).currency == "USD"
    assert held(FLUX) is not None


# --- by hand ---


def test_a_price_set_by_hand_sells_the_model_and_no_sync_touches_it(model):
    set_manual(model, unit="images", unit_price="0.03", actor=PERSON, reason="contract")
    assert take(model, "0.9").kind == "kept"
    assert take(model, "0.9", "seconds").kind == "kept"
    assert said(FLUX) == ("0.03", "images")
    model.refresh_from_db()
    assert (model.enabled, model.price["amount"], model.price["state"]) == (True, "0.1", "manual")
    assert AuditEvent.objects.get(action="price.set").reason == "contract"


def test_a_price_set_by_hand_settles_what_waited(model):
    waiting(model)
    set_manual(model, unit="images", unit_price="0.03", actor=PERSON, reason="contract")
    assert held(FLUX) is None


@pytest.mark.once
@pytest.mark.parametrize(("price", "is_free"), [("0", False), ("0.1", True)])
def test_nothing_as_a_price_and_free_belong_together(model, price, is_free):
    with pytest.raises(DecisionError, match="0 means unknown"):
        set_manual(model, unit="images", unit_price=price, actor=PERSON, reason="", is_free=is_free)


@pytest.mark.once
@pytest.mark.parametrize("price", ["-1", "NaN", "", "ten"])
def test_nonsense_by_hand_is_refused_and_changes_nothing(model, price):
    take(model, "0.1")
    with pytest.raises(NotMoney):
        set_manual(model, unit="images", unit_price=price, actor=PERSON, reason="")
    assert said(FLUX) == ("0.1", "images")


def test_the_providers_price_counts_again_when_the_manual_one_is_released(model):
    take(model, "0.1")
    set_manual(model, unit="images", unit_price="0.03", actor=PERSON, reason="contract")
    release_manual(model, actor=PERSON)
    assert (said(FLUX), current(FLUX).source) == (("0.1", "images"), "advertised")
    assert take(model, "0.11").kind == "changed"


def test_the_providers_price_counts_again_when_the_one_of_our_bills_is_released(model):
    take(model, "0.1")
    take(model, "0.12", source="observed")
    assert current(FLUX).source == "observed"
    release_manual(model, actor=PERSON)
    assert said(FLUX) == ("0.1", "images")


def test_a_price_that_was_not_set_by_hand_cannot_be_released(model):
    take(model, "0.1")
    with pytest.raises(DecisionError, match="neither set by hand nor learned"):
        release_manual(model, actor=PERSON)


def test_a_manual_price_that_never_had_another_cannot_be_released(model):
    set_manual(model, unit="images", unit_price="0.03", actor=PERSON, reason="")
    with pytest.raises(DecisionError, match="none to go back to"):
        release_manual(model, actor=PERSON)


# --- free ---


def test_a_row_of_nothing_is_unknown_until_a_person_says_that_it_is_free(model):
    from pricing.selling.publishing import settle

    take(model, "0")
    settle([model.pk], reason="test")
    model.refresh_from_db()
    assert (model.enabled, model.held_reason) == (False, "unpriced")
    assert ModelPricing.objects.get(model=model).state == "unknown"
    confirm_free(model, actor=PERSON)
    model.refresh_from_db()
    assert model.enabled
    assert current(FLUX).is_free


def test_a_confirmed_free_model_stays_free_at_the_next_sync_and_a_new_price_waits(model):
    take(model, "0")
    confirm_free(model, actor=PERSON)
    assert take(model, "0").kind == "unchanged"
    assert take(model, "0.1").kind == "held"
    assert current(FLUX).is_free


@pytest.mark.once
def test_what_is_confirmed_as_free_is_not_confirmed_again(model):
    take(model, "0")
    confirm_free(model, actor=PERSON)
    with pytest.raises(DecisionError, match="confirmed by a person already"):
        confirm_free(model, actor=PERSON)
    assert PricePoint.objects.count() == 2


@pytest.mark.once
def test_only_nothing_can_be_confirmed_as_free(model):
    take(model, "0.1")
    with pytest.raises(DecisionError):
        confirm_free(model, actor=PERSON)
