"""Price syncs from a sandbox over real HTTP, and what no trouble of the provider's can damage."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from catalog.models import AIModel, CatalogState
from catalog.providers.base import NotOfferedError, PriceRow
from genfeed.journal.audit import SYSTEM
from genfeed.journal.models import Alert, OutboxEvent
from pricing.estimates.facts import load_facts
from pricing.models import ModelPricing, PricePoint, PriceRule
from pricing.prices.decisions import set_manual
from tests.factories import make_model
from tests.pricing.sync.conftest import FLUX, SCHNELL, UNPRICED, VEO, current, held, said

pytestmark = pytest.mark.django_db

PRICING = "^/v1/models/pricing$"
PER_IMAGE = "Your request will cost **$0.05** per image."


def calls(sandbox: Any, path: str = "/v1/models/pricing") -> list[dict[str, Any]]:
    return [call for call in sandbox.requests() if call["path"] == path]


def picture() -> list[Any]:
    """All that a failed sync must leave as it was."""
    return [
        list(PricePoint.objects.order_by("pk").values()),
        list(PriceRule.objects.order_by("pk").values()),
        list(AIModel.objects.order_by("pk").values("pk", "price", "enabled", "held_reason", "revision")),
        list(ModelPricing.objects.order_by("pk").values("has_row", "asked_at", "price_note", "state", "default_cost")),
        list(CatalogState.objects.values()),
        OutboxEvent.objects.count(),
    ]


# --- what comes in ---


@pytest.mark.once
def test_a_first_sync_prices_and_sells_every_model_that_has_a_price(fal, sync_now):
    result = sync_now()
    assert (result.error, result.first, result.without_price) == ("", 3, 1)
    assert said(FLUX) == ("0.025", "megapixels")
    assert AIModel.objects.get(endpoint_id=FLUX).enabled
    unpriced = AIModel.objects.get(endpoint_id=UNPRICED)
    assert (unpriced.enabled, unpriced.held_reason) == (False, "unpriced")
    assert OutboxEvent.objects.filter(kind="model.price_changed").count() == 3


def test_a_second_sync_changes_nothing_and_asks_only_for_models_with_a_price(fal, sync_now):
    sync_now()
    before = picture()
    fal.clear_requests()
    result = sync_now()
    assert (result.unchanged, result.offers, result.without_price) == (3, 0, 1)
    assert UNPRICED not in "".join(call["query"] for call in calls(fal)).replace("%2F", "/")
    after = picture()
    assert [after[0], after[1], after[2], after[4], after[5]] == [before[0], before[1], before[2], before[4], before[5]]


@pytest.mark.once
def test_a_model_without_a_price_is_asked_about_again_after_a_day(fal, sync_now):
    sync_now()
    ModelPricing.objects.filter(has_row=False).update(asked_at=timezone.now() - timedelta(hours=25))
    fal.patch_model(UNPRICED, price={"unit_price": 0.5, "unit": "images"})
    assert sync_now().first == 1
    assert said(UNPRICED) == ("0.5", "images")
    assert ModelPricing.objects.get(model__endpoint_id=UNPRICED).has_row is True


def test_a_full_sync_asks_about_all_of_them(fal, sync_now):
    sync_now()
    fal.patch_model(UNPRICED, price={"unit_price": 0.5, "unit": "images"})
    assert sync_now().first == 0
    assert sync_now(full=True).first == 1


@pytest.mark.once
def test_a_new_model_is_asked_about_in_the_next_sync(fal, sync_now):
    sync_now()
    make_model("fal-ai/nano-banana-pro", priced=False)
    assert sync_now().first == 1


@pytest.mark.once
def test_retired_models_are_not_asked_about(fal, sync_now):
    AIModel.objects.update(status="retired")
    assert sync_now().asked == 0


def test_a_changed_price_reaches_price_revision_and_event_together(fal, sync_now):
    sync_now()
    before = CatalogState.objects.get(pk=1).revision
    fal.patch_model(SCHNELL, price={"unit_price": 0.0033})
    result = sync_now()
    assert list(result.changed) == [SCHNELL]
    model = AIModel.objects.get(endpoint_id=SCHNELL)
    assert (model.price["amount"], model.revision) == ("0.011", before + 1)
    assert CatalogState.objects.get(pk=1).revision == before + 1
    assert OutboxEvent.objects.filter(kind="model.price_changed", subject=f"fal:{SCHNELL}").count() == 2
    assert Alert.objects.get(code="price_changed").subject == f"fal:{SCHNELL}"


@pytest.mark.once
@pytest.mark.parametrize(
    "change", [{"unit_price": 0.25}, {"unit": "images"}, {"currency": "EUR"}, {"unit_price": 0}, {"unit_price": 0.001}]
)
def test_a_suspicious_change_waits_while_the_old_price_stays_everywhere(fal, sync_now, change):
    sync_now()
    before = AIModel.objects.get(endpoint_id=FLUX).price
    fal.patch_model(FLUX, price=change)
    result = sync_now()
    assert list(result.held) == [FLUX]
    assert said(FLUX) == ("0.025", "megapixels")
    assert held(FLUX) is not None
    assert AIModel.objects.get(endpoint_id=FLUX).price == before
    assert Alert.objects.get(code="price_held").subject == f"fal:{FLUX}"


@pytest.mark.once
def test_a_row_of_nothing_is_unknown_and_the_model_not_sold(fal, sync_now):
    fal.patch_model(FLUX, price={"unit_price": 0})
    sync_now()
    model = AIModel.objects.get(endpoint_id=FLUX)
    assert (model.enabled, model.held_reason) == (False, "unpriced")
    assert ModelPricing.objects.get(model=model).state == "unknown"
    assert said(FLUX) == ("0", "megapixels")


def test_a_manual_price_survives_every_sync(fal, sync_now, models):
    set_manual(models[FLUX], unit="images", unit_price="0.07", actor=SYSTEM, reason="contract")
    result = sync_now()
    assert result.kept == 1
    assert (said(FLUX), current(FLUX).source) == (("0.07", "images"), "manual")


@pytest.mark.once
def test_a_price_that_is_gone_leaves_the_last_one_and_tells(fal, sync_now):
    sync_now()
    fal.patch_model(FLUX, price=None)
    result = sync_now()
    assert result.gone == [FLUX]
    assert said(FLUX) == ("0.025", "megapixels")
    assert AIModel.objects.get(endpoint_id=FLUX).enabled
    assert FLUX in Alert.objects.get(code="prices_gone").text


def is_open(code: str) -> bool:
    return Alert.objects.filter(code=code, resolved_at=None).exists()


@pytest.mark.once
def test_the_alert_of_a_price_that_is_gone_stays_until_it_is_back(fal, sync_now):
    sync_now()
    fal.patch_model(FLUX, price=None)
    sync_now()
    sync_now()
    assert is_open("prices_gone")
    fal.patch_model(FLUX, price={"unit_price": 0.025, "unit": "megapixels"})
    sync_now(full=True)
    assert not is_open("prices_gone")


@pytest.mark.once
def test_a_price_by_hand_closes_the_alert_of_the_one_that_is_gone(fal, sync_now, models):
    sync_now()
    fal.patch_model(FLUX, price=None)
    sync_now()
    set_manual(models[FLUX], unit="images", unit_price="0.07", actor=SYSTEM, reason="contract")
    assert not is_open("prices_gone")


def test_a_price_synced_today_changes_nothing_that_was_quoted_yesterday_m9(fal, sync_now, models):
    """M9: quotes are frozen facts; a later price adds a point and leaves those that a quote speaks of."""
    from pricing.estimates.quotes import quote

    sync_now()
    facts = next(load_facts([models[SCHNELL].pk]))
    stored = quote(facts, {"prompt": "a cat"}).as_json()
    kept = dict(stored)
    point = PricePoint.objects.get(model=models[SCHNELL])
    fal.patch_model(SCHNELL, price={"unit_price": 0.0033})
    sync_now()
    assert stored == kept
    quoted = PricePoint.objects.get(pk=point.pk)
    assert (quoted.unit_price, quoted.effective_from) == (point.unit_price, point.effective_from)
    assert facts.unit_price == Decimal("0.003")
    assert quote(next(load_facts([models[SCHNELL].pk])), {"prompt": "a cat"}).as_json() != kept


# --- rows that make no sense ---


@pytest.mark.once
def test_rows_that_make_no_sense_are_refused_in_words_and_the_others_taken(price_list, sync_now):
    price_list(
        {
            FLUX: PriceRow(FLUX, "megapixels", None, "USD", "the price is negative: -1"),
            SCHNELL: PriceRow(SCHNELL, "megapixels", Decimal("0.003")),
            VEO: PriceRow(VEO, "seconds", Decimal(10) ** 30),
            "somebody/else": PriceRow("somebody/else", problem="a price for a model that was not asked for"),
        }
    )
    result = sync_now()
    assert set(result.refused) == {FLUX, VEO, "somebody/else"}
    assert "negative" in result.refused[FLUX]
    assert (said(FLUX), said(SCHNELL), said(VEO)) == (None, ("0.003", "megapixels"), None)
    assert FLUX in Alert.objects.get(code="prices_refused").text


@pytest.mark.once
def test_a_refused_row_is_no_missing_row(price_list, sync_now):
    price_list({FLUX: PriceRow(FLUX, problem="the price is negative: -1")})
    sync_now()
    assert ModelPricing.objects.get(model__endpoint_id=FLUX).has_row is True


@pytest.mark.once
def test_models_that_got_no_answer_stay_as_they_were(price_list, sync_now):
    price_list({FLUX: PriceRow(FLUX, problem="500", answered=False), SCHNELL: PriceRow(SCHNELL, "x", Decimal(1))})
    result = sync_now()
    assert result.unanswered == 1
    assert ModelPricing.objects.get(model__endpoint_id=FLUX).has_row is None
    assert Alert.objects.filter(code="prices_unanswered").exists()


@pytest.mark.once
def test_a_good_sync_closes_the_alerts_of_a_bad_one(price_list, sync_now):
    price_list({FLUX: PriceRow(FLUX, problem="negative")})
    sync_now()
    price_list({FLUX: PriceRow(FLUX, "images", Decimal(1))})
    sync_now()
    assert not Alert.objects.filter(code="prices_refused", resolved_at=None).exists()


# --- trouble ---


@pytest.mark.once
@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"status": 500}, "500"), ({"status": 503}, "503"), ({"status": 429, "retry_after": 600}, "429"),
        ({"status": 200, "body": "html"}, "no JSON"), ({"status": 200, "body": "empty"}, "no JSON"),
        ({"status": 200, "body": "wrong_shape"}, "list of prices"), ({"drop": True}, "can't be reached"),
        ({"status": 401}, "refused the key"),
    ],
)  # fmt: skip
def test_a_price_list_in_trouble_writes_nothing_and_says_why(fal, sync_now, rule, words):
    sync_now()
    before = picture()
    fal.patch_model(FLUX, price_note="Your request will cost **$5** per image.")
    fal.faults(fail=[{"match": PRICING, **rule}])
    result = sync_now()
    assert words in result.error
    assert picture() == before
    assert words in Alert.objects.get(code="price_sync_failed", resolved_at=None).text


@pytest.mark.once
def test_a_price_list_that_lost_all_prices_is_a_fault_and_not_news(fal, sync_now):
    keys = [row["id"] for row in _gallery(fal)[:40]]
    for one in keys:
        if not AIModel.objects.filter(endpoint_id=one).exists():
            make_model(one, priced=False)
    sync_now()
    before = picture()
    fal.faults(fail=[{"match": PRICING, "status": 404}])
    result = sync_now()
    assert "fault of the provider" in result.error
    assert picture() == before


def _gallery(sandbox: Any) -> list[dict[str, Any]]:
    return sandbox.client.get("/api/models", params={"size": 100}).json()["items"]


@pytest.mark.once
def test_the_next_good_sync_closes_the_alert_of_the_failed_one(fal, sync_now):
    fal.faults(fail=[{"match": PRICING, "status": 500}])
    sync_now()
    fal.clear_faults()
    assert sync_now().error == ""
    assert not Alert.objects.filter(code="price_sync_failed", resolved_at=None).exists()


def test_a_crash_while_writing_leaves_everything_as_it_was(fal, sync_now, monkeypatch):
    from pricing.prices import sync as price_sync

    sync_now()
    before = picture()
    fal.patch_model(SCHNELL, price={"unit_price": 0.0033})

    def crash(*_: Any, **__: Any) -> int:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(price_sync, "settle", crash)
    with pytest.raises(RuntimeError):
        sync_now()
    assert picture() == before


@pytest.mark.once
def test_a_provider_without_a_price_list_is_no_failure(price_list, sync_now):
    price_list(NotOfferedError("Acme has no price list."))
    result = sync_now()
    assert (result.error, result.skipped) == ("", "Acme has no price list.")
    assert not Alert.objects.filter(code="price_sync_failed").exists()


@pytest.mark.once
def test_without_a_key_prices_are_left_out_and_texts_are_read(fal, sync_now, settings):
    settings.FAL_KEY = ""
    fal.patch_model(FLUX, price_note=PER_IMAGE, billing_message=None)
    result = sync_now()
    assert "only with a key" in result.skipped
    assert PriceRule.objects.get(model__endpoint_id=FLUX).state == "active"
    assert AIModel.objects.get(endpoint_id=FLUX).enabled
    assert not calls(fal)


# --- texts ---


@pytest.mark.once
def test_texts_are_kept_beside_the_model_and_read_into_rules(fal, sync_now):
    sync_now()
    kept = ModelPricing.objects.get(model__endpoint_id=VEO)
    assert "at 4k" in kept.price_note
    assert kept.texts_at is not None
    assert ModelPricing.objects.get(model__endpoint_id=FLUX).billing_message.startswith("Images are billed")


@pytest.mark.once
@pytest.mark.parametrize("rule", [{"status": 500}, {"status": 200, "body": "html"}, {"drop": True}, {"status": 404}])
def test_a_gallery_in_trouble_never_hurts_the_prices(fal, sync_now, rule):
    fal.faults(fail=[{"match": "^/api/models$", **rule}])
    result = sync_now()
    assert (result.error, result.first) == ("", 3)
    assert result.texts_problem
    assert Alert.objects.filter(code="price_texts_failed").exists()


@pytest.mark.once
def test_texts_that_were_read_once_survive_a_gallery_in_trouble(fal, sync_now):
    fal.patch_model(FLUX, price_note=PER_IMAGE, billing_message=None)
    sync_now()
    fal.faults(fail=[{"match": "^/api/models$", "status": 500}])
    sync_now()
    assert ModelPricing.objects.get(model__endpoint_id=FLUX).price_note == PER_IMAGE
    assert PriceRule.objects.get(model__endpoint_id=FLUX).state == "active"


@pytest.mark.once
def test_a_model_that_the_gallery_does_not_list_is_read_on_its_own_page_once_a_day(fal, sync_now):
    fal.patch_model(VEO, metadata=None)
    sync_now()
    page = f"/models/{VEO}/llms.txt"
    assert len(calls(fal, page)) == 1
    sync_now()
    assert len(calls(fal, page)) == 1


# --- the whole recorded catalog ---


@pytest.mark.once
def test_the_recorded_catalog_is_priced_in_one_sync_and_later_in_about_thirty_calls(recorded_fal, sync, sync_now):
    AIModel.objects.all().delete()
    sync()
    first = sync_now()
    assert (first.error, first.first, first.without_price, first.refused) == ("", 1171, 258, {})
    assert first.texts == 1429
    recorded_fal.clear_requests()
    second = sync_now()
    assert (second.unchanged, second.offers) == (1171, 0)
    # 24 batches of prices, 8 pages of texts.
    assert len(recorded_fal.requests()) == 32
    assert second.rules["read"] == 0
    recorded = {row["endpoint_id"]: row["price"] for row in _recorded() if row["price"]}
    for point in PricePoint.objects.select_related("model"):
        assert Decimal(point.unit_price) == Decimal(str(recorded[point.model.endpoint_id]["unit_price"]))


def _recorded() -> Any:
    from tests.recorded import JUNE, rows

    return rows(JUNE)
