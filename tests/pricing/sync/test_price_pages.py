"""The admin's pages of prices and rules: who may look, who may decide, and what they do."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client as HttpClient

from catalog.models import AIModel
from pricing.models import ModelPricing, PricePoint, PriceRule
from pricing.prices.points import record_point
from pricing.rules.trial import pretty
from tests.admin.pages import Page, page_of, read
from tests.factories import make_model
from tests.pricing.sync.conftest import FLUX, current, held, said

pytestmark = pytest.mark.django_db

RULE = {"version": 1, "charges": [{"name": "images", "price": "0.09", "per": {"of": "outputs"}}]}
MAY = ["catalog manager", "finance", "superuser"]


@pytest.fixture
def model() -> AIModel:
    return make_model(FLUX, name="FLUX dev")


@pytest.fixture
def root(staff: Callable[[str], HttpClient]) -> HttpClient:
    return staff("superuser")


def hold(model: AIModel, price: str = "1") -> PricePoint:
    record_point(model, source="advertised", raw_unit="images", unit_price="0.1")
    record_point(model, source="advertised", raw_unit="images", unit_price=price)
    point = held(model.endpoint_id)
    assert point is not None
    return point


def decide(client: HttpClient, model: AIModel, **typed: Any) -> Any:
    return client.post(f"/admin/pricing/pricepoint/model/{model.pk}/decide/", typed, follow=True)


# --- prices ---


@pytest.mark.once
def test_held_prices_are_one_click_away_in_the_list(root, model):
    hold(model)
    page = read(root, "/admin/pricing/pricepoint/?standing__exact=held")
    assert len([row for row in page.rows if FLUX in " ".join(row)]) == 1


@pytest.mark.once
def test_the_address_of_an_alert_leads_to_the_decision(root, model):
    point = hold(model)
    answer = root.get(f"/admin/pricing/pricepoint/{point.pk}/change/", follow=True)
    page = page_of(answer)
    assert page.has("button", data_testid="accept-price")
    assert "the price changed by +900.0 %" in page.text


@pytest.mark.once
@pytest.mark.parametrize("role", MAY)
def test_who_may_decide_accepts_a_held_price(staff, model, role):
    point = hold(model)
    page = page_of(decide(staff(role), model, do="accept", point=point.pk, reason="announced"))
    assert page.messages == ["Accepted: fal-ai/flux/dev 1 USD per images."]
    assert said(FLUX) == ("1", "images")
    assert current(FLUX).why == "announced"


def test_a_null_character_in_a_reason_is_dropped_before_a_database_chokes_on_it(root, model):
    decide(root, model, do="set", unit="images", unit_price="0.05", reason="con\0tract")
    assert current(FLUX).why == "contract"


@pytest.mark.once
@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"unit_price": "1e999999999"}, "more than 40 places"), ({"unit_price": "1e-999999999"}, "more than 40 places"),
        ({"unit_price": "NaN"}, "finite"), ({"unit_price": "-1"}, "negative"), ({"unit_price": "٣"}, "is no number"),
        ({"unit_price": "1", "unit": "a\0b"}, "unit"), ({"unit_price": "0"}, "Tick that it is free"),
    ],
)  # fmt: skip
def test_a_price_that_makes_no_sense_is_refused_in_words_and_changes_nothing(root, model, typed, words):
    page = page_of(decide(root, model, do="set", **{"unit": "images", "reason": "x"} | typed))
    [message] = page.messages
    assert words in message
    assert not PricePoint.objects.exists()


@pytest.mark.once
def test_a_held_price_is_rejected(root, model):
    decide(root, model, do="reject", point=hold(model).pk, reason="a typing error")
    assert (held(FLUX), said(FLUX)) == (None, ("0.1", "images"))


@pytest.mark.once
def test_a_price_is_set_by_hand(root, model):
    decide(root, model, do="set", unit="images", unit_price="0.05", reason="contract")
    assert (said(FLUX), current(FLUX).source) == (("0.05", "images"), "manual")


def test_a_manual_price_is_given_back(root, model):
    hold(model)
    decide(root, model, do="set", unit="images", unit_price="0.05", reason="contract")
    decide(root, model, do="release")
    assert current(FLUX).source == "advertised"


@pytest.mark.once
def test_nothing_is_confirmed_as_free(root, model):
    record_point(model, source="advertised", raw_unit="images", unit_price="0")
    assert "Confirm that it is free" in read(root, f"/admin/pricing/pricepoint/model/{model.pk}/").text
    decide(root, model, do="free")
    assert current(FLUX).is_free


@pytest.mark.once
@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"do": "set", "unit_price": "-1"}, "negative"), ({"do": "set", "unit_price": "NaN"}, "finite"),
        ({"do": "set", "unit_price": "0"}, "0 means unknown"), ({"do": "set"}, "no number"),
        ({"do": "accept", "point": "99999"}, "gone"), ({"do": "accept", "point": "²"}, "gone"),
        ({"do": "free"}, "Only a current price of 0"), ({"do": "release"}, "neither set by hand"),
        ({"do": "explode"}, "No such decision"), ({}, "No such decision"),
    ],
)  # fmt: skip
def test_what_cannot_be_decided_is_said_and_changes_nothing(root, model, typed, words):
    hold(model)
    page = page_of(decide(root, model, **typed))
    assert any(words in message for message in page.messages), page.messages
    assert said(FLUX) == ("0.1", "images")
    assert held(FLUX) is not None


def test_held_prices_are_accepted_together(root, model):
    other = make_model("fal-ai/other")
    points = [hold(model), hold(other)]
    typed = {"action": "accept_selected", "_selected_action": [point.pk for point in points]}
    page = page_of(root.post("/admin/pricing/pricepoint/", typed, follow=True))
    assert page.messages == ["2 accepted."]
    assert PricePoint.objects.filter(standing="held").count() == 0


@pytest.mark.once
def test_who_only_looks_sees_prices_and_decides_nothing(staff, model):
    point = hold(model)
    viewer = staff("viewer")
    page = read(viewer, f"/admin/pricing/pricepoint/model/{model.pk}/")
    assert not page.has("button", data_testid="accept-price")
    assert not page.has("button", data_testid="set-price")
    assert decide(viewer, model, do="accept", point=point.pk).status_code == 403
    assert said(FLUX) == ("0.1", "images")


@pytest.mark.once
def test_a_decision_is_a_post_and_needs_a_login(root, model):
    address = f"/admin/pricing/pricepoint/model/{model.pk}/decide/"
    assert root.get(address).status_code == 405
    assert HttpClient().post(address, {"do": "free"}).status_code == 302
    assert root.post("/admin/pricing/pricepoint/model/99999/decide/", {}).status_code == 404


def test_the_list_of_prices_costs_the_same_however_many(root, django_assert_max_num_queries):
    for number in range(30):
        hold(make_model(f"fal-ai/m/{number}"))
    with django_assert_max_num_queries(10):
        root.get("/admin/pricing/pricepoint/")


# --- rules ---


def page_for(client: HttpClient, model: AIModel, **typed: Any) -> Page:
    address = f"/admin/pricing/pricerule/model/{model.pk}/"
    return page_of(client.post(address, typed, follow=True))


@pytest.mark.once
def test_a_rule_is_shown_in_words_with_its_text_and_problems(root, model):
    ModelPricing.objects.create(model=model, price_note="It costs **$0.09** per image, or so.")
    rule = PriceRule.objects.create(
        model=model, source="note", state="proposed", body=RULE, problems=["not understood: 'or so'"],
        contradicts_row=True,
    )  # fmt: skip
    page = read(root, f"/admin/pricing/pricerule/{rule.pk}/change/")
    for words in ("Images: 0.09 USD per outputs.", "or so", "not understood", "speaks of something else"):
        assert words in page.text


def test_the_list_can_be_narrowed_to_what_waits_and_what_contradicts(root, model):
    PriceRule.objects.create(model=model, source="note", state="proposed", body={}, problems=["odd"])
    other = make_model("fal-ai/other")
    PriceRule.objects.create(model=other, source="note", state="active", body=RULE, contradicts_row=True)
    waiting = read(root, "/admin/pricing/pricerule/?state__exact=proposed").text
    assert (FLUX in waiting, "fal-ai/other" in waiting) == (True, False)
    contradicting = read(root, "/admin/pricing/pricerule/?contradicts_row__exact=1").text
    assert (FLUX in contradicting, "fal-ai/other" in contradicting) == (False, True)


@pytest.mark.once
def test_an_input_is_tried_out_and_says_this_costs_this_because(root, model):
    page = page_for(root, model, do="try", body=pretty(RULE), input='{"prompt": "a cat", "num_images": 2}')
    answer = page.one(data_testid="trial-answer").text
    assert "This input costs 0.18 USD" in answer
    assert "because price rule: images: 0.09 USD × 2" in answer
    assert "Clients pay 0.6 USD" in answer
    assert not PriceRule.objects.exists()


@pytest.mark.once
def test_a_rule_that_was_typed_is_saved_and_counts(root, model):
    page = page_for(root, model, do="save", body=pretty(RULE), reason="ours")
    assert page.messages == ["The rule is saved and active."]
    model.refresh_from_db()
    assert model.price["amount"] == "0.3"


@pytest.mark.once
def test_a_rule_that_is_wrong_stays_in_the_form_with_what_is_wrong(root, model):
    typed = '{"version": 1, "charges": [{"name": "x", "price": "-1"}]}'
    page = page_for(root, model, do="save", body=typed)
    assert "price" in page.one("ul", "errorlist").text
    assert page.one("textarea", name="body").text == typed
    assert not PriceRule.objects.exists()


@pytest.mark.once
def test_a_proposed_rule_is_activated_and_retired_on_its_page(root, model):
    rule = PriceRule.objects.create(model=model, source="note", state="proposed", body=RULE)
    address = f"/admin/pricing/pricerule/{rule.pk}/change/"
    root.post(address, {"do": "activate"})
    rule.refresh_from_db()
    assert (rule.state, rule.decided_by) == ("active", "root")
    root.post(address, {"do": "retire"})
    rule.refresh_from_db()
    assert rule.state == "retired"


@pytest.mark.once
def test_who_only_looks_may_try_and_not_save(staff, model):
    viewer = staff("viewer")
    page = page_for(viewer, model, do="try", body=pretty(RULE), input='{"prompt": "a cat"}')
    assert page.has(data_testid="trial-answer")
    assert not page.has("button", data_testid="save-rule")
    answer = viewer.post(f"/admin/pricing/pricerule/model/{model.pk}/", {"do": "save", "body": pretty(RULE)})
    assert answer.status_code == 403
    assert not PriceRule.objects.exists()


@pytest.mark.once
@pytest.mark.parametrize("address", ["/admin/pricing/pricerule/", "/admin/pricing/pricepoint/"])
def test_the_pages_are_for_staff(address):
    assert HttpClient().get(address).status_code == 302
