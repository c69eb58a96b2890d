"""Prices and margin rules written at the same time, each on its own connection: none waits for ever, none is lost.

Each race is made at its worst moment: one transaction has read what it needs and not written yet when the other begins.
"""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections, transaction
from django.utils import timezone

from catalog import existing as catalog_existing
from catalog.models import AIModel, CatalogState
from genfeed.journal.models import AuditEvent, OutboxEvent
from pricing.margins.rules import BadRule, Draft, apply_clock, save_rule
from pricing.models import MarginRule, PricePoint, SellingPrice
from pricing.prices.decisions import DecisionError, accept, set_manual
from pricing.prices.points import record_point
from pricing.selling import offers
from pricing.selling.publishing import settle
from tests.factories import make_model
from tests.pricing.collection.rows import TESTER, imported, legacy
from tests.pricing.selling.priced import FINANCE, add_rule, make_priced, price_of_model

pytestmark = pytest.mark.django_db(transaction=True)

# So long one transaction stays open for the other to come in; a deadlock is found by PostgreSQL after a second.
OPEN_FOR = 0.5
WAIT = 20
Call = Callable[[], Any]


def in_thread(call: Call) -> tuple[threading.Thread, list[Any]]:
    """Runs `call` on a database connection of its own; the list holds its answer or its exception."""
    answers: list[Any] = []

    def run() -> None:
        try:
            answers.append(call())
        except BaseException as error:
            answers.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, answers


@pytest.fixture
def race(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Any]]:
    """Runs `first`, and `second` from the moment at which `first` reaches the function; returns both answers."""

    def run(first: Call, second: Call, *, at: tuple[Any, str] = (offers, "write_offers")) -> list[Any]:
        real = getattr(*at)
        started: list[tuple[threading.Thread, list[Any]]] = []

        def reached(*args: Any, **options: Any) -> Any:
            if not started:
                started.append(in_thread(second))
                started[0][0].join(OPEN_FOR)
                assert started[0][1] == [], "the second did not wait for the first"
            return real(*args, **options)

        monkeypatch.setattr(*at, reached)
        thread, answers = in_thread(first)
        thread.join(WAIT)
        assert started, f"the first never reached {at[1]}"
        started[0][0].join(WAIT)
        found = [*answers, *started[0][1]]
        for answer in found:
            if isinstance(answer, BaseException):
                raise answer
        assert len(found) == 2, "somebody still waits"
        return found

    return run


@pytest.fixture
def model() -> AIModel:
    """0.025 USD an image, sold for twice that."""
    MarginRule.objects.all().delete()
    row = make_priced()
    add_rule(mode="markup", rate="1")
    return row


def dearer_rule() -> MarginRule:
    return save_rule(Draft("global", mode="markup", rate="3"), actor=FINANCE)


def dearer_price() -> PricePoint:
    row = AIModel.objects.get(endpoint_id="fal-ai/flux/dev")
    return set_manual(row, unit="images", unit_price="0.04", actor=FINANCE, reason="contract")


def sync_of_price() -> int:
    """What a sync does with one price that moved."""
    row = AIModel.objects.get(endpoint_id="fal-ai/flux/dev")
    with transaction.atomic():
        record_point(row, source="advertised", raw_unit="images", unit_price="0.03")
        return settle([row.pk], reason="sync")


def check_story(model: AIModel, prices: list[str]) -> None:
    """The selling price went through these, one revision and one event each."""
    stored = SellingPrice.objects.filter(model=model).order_by("pk")
    assert [row.price["amount"] for row in stored][-len(prices) :] == prices
    assert price_of_model(model) == prices[-1]
    events = OutboxEvent.objects.filter(kind="model.price_changed").order_by("pk")
    assert [event.payload["price"]["amount"] for event in events][-len(prices) :] == prices


def test_a_price_that_comes_while_a_margin_rule_is_saved_is_sold_by_the_new_rule(race: Any, model: AIModel) -> None:
    race(dearer_rule, dearer_price)
    check_story(model, ["0.1", "0.16"])


def test_a_margin_rule_that_comes_while_a_price_is_set_is_put_on_the_new_price(race: Any, model: AIModel) -> None:
    race(dearer_price, dearer_rule)
    check_story(model, ["0.08", "0.16"])


def test_two_margin_rules_at_the_same_time_both_count(race: Any, model: AIModel) -> None:
    other = make_priced("fal-ai/other", category="image-to-image")
    before = CatalogState.objects.get().revision

    race(lambda: save_rule(Draft("model", model_id=model.pk, mode="markup", rate="9"), actor=FINANCE), dearer_rule)

    assert (price_of_model(model), price_of_model(other)) == ("0.25", "0.1")
    assert CatalogState.objects.get().revision == before + 2
    assert AuditEvent.objects.filter(action="margin_rule.added").count() == 3


def test_the_same_margin_rule_twice_at_the_same_time_is_one_rule(race: Any, model: AIModel) -> None:
    with pytest.raises(BadRule, match="says the same already"):
        race(dearer_rule, dearer_rule)
    assert MarginRule.objects.filter(rate="3").count() == 1
    assert price_of_model(model) == "0.1"


def test_a_price_by_hand_and_one_of_a_sync_at_the_same_time_leave_the_one_by_hand(race: Any, model: AIModel) -> None:
    race(dearer_price, sync_of_price)
    assert PricePoint.objects.get(model=model, standing="current").source == "manual"
    check_story(model, ["0.08"])


def test_a_price_of_a_sync_that_a_person_overtakes_stays_in_the_history(race: Any, model: AIModel) -> None:
    race(sync_of_price, dearer_price)
    points = PricePoint.objects.filter(model=model).order_by("pk").values_list("unit_price", "standing")
    assert list(points) == [("0.025", "past"), ("0.03", "past"), ("0.04", "current")]
    check_story(model, ["0.06", "0.08"])


def test_a_held_price_is_decided_once_whoever_comes_first(race: Any, model: AIModel) -> None:
    point = record_point(model, source="advertised", raw_unit="images", unit_price="0.1").point
    assert point is not None
    assert point.standing == "held"

    with pytest.raises(DecisionError, match="no longer waits"):
        race(lambda: accept(point, actor=FINANCE), lambda: accept(point, actor=TESTER))

    assert AuditEvent.objects.filter(action="price.accepted").count() == 1
    check_story(model, ["0.2"])


def test_a_rule_that_starts_by_the_clock_and_a_price_at_the_same_time_both_count(race: Any, model: AIModel) -> None:
    soon = timezone.now() + timedelta(hours=1)
    save_rule(Draft("global", mode="markup", rate="3", starts_at=soon), actor=FINANCE)

    race(lambda: apply_clock(soon), dearer_price)

    # What comes in the meantime is priced by the real clock, and by the rule once its time has come.
    assert price_of_model(model) == "0.08"
    assert PricePoint.objects.get(model=model, standing="current").unit_price == "0.04"


def test_an_import_of_a_known_model_and_a_price_wait_for_each_other(race: Any, model: AIModel) -> None:
    """Both lock the model and the revision; in different orders, each would wait for the other for ever."""
    wanted = legacy(pricing={"image": 0.5})

    race(lambda: imported(wanted), dearer_price, at=(catalog_existing, "publish"))

    assert price_of_model(model) == "0.5"
    assert PricePoint.objects.get(model=model, standing="current").unit_price == "0.04"


def test_writers_of_many_models_in_opposite_order_wait_for_each_other(race: Any, model: AIModel) -> None:
    keys = [model.pk, *(make_model(f"fal-ai/m{number}").pk for number in range(20))]
    before = CatalogState.objects.get().revision

    race(
        lambda: settle(keys, reason="forwards"), lambda: settle(keys[::-1], reason="backwards"),
        at=(offers, "load_facts"),
    )  # fmt: skip

    assert CatalogState.objects.get().revision == before + 2
