"""The price of one model, asked for now."""

from decimal import Decimal

import pytest

from catalog.models import AIModel
from catalog.providers.base import PriceRow, ProviderError, ProviderUnavailableError
from genfeed.journal.models import AuditEvent
from pricing.models import ModelPricing
from pricing.money import NotMoney
from pricing.prices.refresh import refresh_price
from tests.admin.pages import page_of
from tests.pricing.sync.conftest import FLUX, SCHNELL, UNPRICED, held, said

pytestmark = pytest.mark.django_db


def test_a_price_asked_for_now_sells_the_model_now(fal, models):
    assert refresh_price(models[SCHNELL]).kind == "first"
    assert AIModel.objects.get(endpoint_id=SCHNELL).price["amount"] == "0.01"
    assert [call["path"] for call in fal.requests()] == ["/v1/models/pricing"]


def test_a_price_that_changed_is_sold_at_once(fal, models):
    refresh_price(models[SCHNELL])
    fal.patch_model(SCHNELL, price={"unit_price": 0.0033})
    assert refresh_price(models[SCHNELL]).kind == "changed"
    assert AIModel.objects.get(endpoint_id=SCHNELL).price["amount"] == "0.011"


def test_the_guards_are_the_same(fal, models):
    refresh_price(models[SCHNELL])
    fal.patch_model(SCHNELL, price={"unit_price": 5})
    assert refresh_price(models[SCHNELL]).kind == "held"
    assert held(SCHNELL) is not None
    assert said(SCHNELL) == ("0.003", "megapixels")


def test_a_model_without_a_price_is_remembered_as_such(fal, models):
    assert refresh_price(models[UNPRICED]) is None
    assert ModelPricing.objects.get(model=models[UNPRICED]).has_row is False


@pytest.mark.once
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (ProviderUnavailableError("gone"), ProviderError),
        ({FLUX: PriceRow(FLUX, problem="the price is negative: -1")}, ProviderError),
        ({FLUX: PriceRow(FLUX, "images", Decimal(10) ** 9)}, NotMoney),
    ],
)
def test_trouble_changes_nothing(price_list, models, answer, error):
    price_list(answer)
    with pytest.raises(error):
        refresh_price(models[FLUX])
    assert said(FLUX) is None
    assert not ModelPricing.objects.filter(model=models[FLUX]).exists()


def test_the_button_asks_and_says_what_came(fal, models, staff):
    address = f"/admin/pricing/pricepoint/model/{models[FLUX].pk}/decide/"
    page = page_of(staff("catalog manager").post(address, {"do": "ask"}, follow=True))
    assert page.messages == ["Asked: this is its first price."]
    assert AuditEvent.objects.get(action="price.asked").after == {"outcome": "first"}
