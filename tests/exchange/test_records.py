"""What goes out: the provider's catalog and list prices, and nothing that is the operator's own."""

from datetime import timedelta
from decimal import Decimal

import orjson
import pytest
from django.utils import timezone

from catalog.exchange import file_format
from catalog.exchange.contents import read_contents
from catalog.exchange.signing import own_public_key
from catalog.models import AIModel, Provider, SchemaVersion
from genfeed.clients.models import Client
from genfeed.journal.audit import SYSTEM
from pricing.models import BillingEvent, PricePoint, PriceRule, ReconciliationRun
from pricing.prices.decisions import set_manual, set_observed
from pricing.rules.editing import save_rule
from pricing.selling.publishing import settle

FLUX = "fal-ai/flux/dev"
RULE = {"version": 1, "charges": [{"name": "images", "price": "0.09", "per": {"of": "outputs"}}]}


def record_of(content: bytes, endpoint_id: str):
    return read_contents(file_format.read(content, public_key=own_public_key()))["fal"].records[endpoint_id]


def advertised(endpoint_id: str = FLUX) -> str:
    return PricePoint.objects.get(model__endpoint_id=endpoint_id, source="advertised", standing="current").unit_price


def bill(endpoint_id: str, *, unit_price: str, percent: str, days_ago: int = 0) -> None:
    provider = Provider.objects.get(slug="fal")
    now = timezone.now()
    run, _ = ReconciliationRun.objects.get_or_create(
        provider=provider, status="succeeded", defaults={"read_from": now, "read_until": now, "lease_until": now}
    )
    count = BillingEvent.objects.count()
    BillingEvent.objects.create(
        provider=provider, identity=str(count), request_id=str(count), endpoint_id=endpoint_id,
        at=now - timedelta(days=days_ago), units="1", unit=PricePoint.objects.filter(
            model__endpoint_id=endpoint_id, source="advertised").values_list("unit", flat=True)[0],
        unit_price=unit_price, percent_discount=percent, subtotal=100, discount=0, total=100, raw={},
        first_run=run, last_run=run,
    )  # fmt: skip


def test_the_documents_go_out_as_the_provider_wrote_them(export):
    contents = read_contents(file_format.read(export(), public_key=own_public_key()))["fal"]
    version = SchemaVersion.objects.get(model__endpoint_id=FLUX)
    assert orjson.loads(contents.documents[FLUX]) == version.unpacked["document"]
    assert set(contents.ids) == set(AIModel.objects.values_list("endpoint_id", flat=True))


@pytest.mark.once
def test_list_prices_and_price_texts_go_out(export):
    record = record_of(export(), FLUX)
    assert record.price.unit_price == Decimal(advertised())
    assert record.price_note or record.billing_message


@pytest.mark.once
def test_nothing_of_clients_margins_or_selling_prices_goes_out(export, make_key):
    Client.objects.create(name="Somebody Secret", email="secret@example.com")
    make_key("models:read", client="Somebody Secret")
    selling = AIModel.objects.get(endpoint_id=FLUX).price["amount"]
    assert selling
    assert selling != advertised()
    raw = b"".join(orjson.dumps(line) for line in file_format.read(export(), public_key=own_public_key()).lines())
    for text in ("Secret", "secret@", "margin", "gf_", f'"{selling}"', "legacy_pricing", "held_reason"):
        assert text.encode() not in raw, text


def test_prices_set_by_hand_or_learned_from_bills_stay_here(export):
    listed = advertised()
    flux = AIModel.objects.get(endpoint_id=FLUX)
    set_observed(flux, unit="images", unit_price="0.0111", actor=SYSTEM, reason="bills")
    assert record_of(export(), FLUX).price.unit_price == Decimal(listed)
    set_manual(flux, unit="images", unit_price="0.0112", actor=SYSTEM, reason="ours")
    assert record_of(export(), FLUX).price.unit_price == Decimal(listed)


@pytest.mark.once
def test_a_discounted_price_of_the_account_is_grossed_up_to_the_list_price(export):
    listed = Decimal(advertised()) / Decimal("0.8")
    bill(FLUX, unit_price=str(listed), percent="20")
    assert record_of(export(), FLUX).price.unit_price == listed


def test_once_bills_show_a_discount_prices_without_a_proof_are_withheld(export):
    bill(FLUX, unit_price="7.77", percent="20")
    content = export()
    for endpoint_id in (FLUX, "fal-ai/flux/schnell"):
        record = record_of(content, endpoint_id)
        assert (record.price, record.withholds_price) == (None, True)


@pytest.mark.once
@pytest.mark.parametrize(
    ("what", "goes_out"), [("nothing is known", False), ("the operator says so", True), ("bills show it", True)]
)
def test_a_price_goes_out_only_where_it_is_known_to_be_everybodys(export, settings, what, goes_out):
    settings.PRICES_ARE_LIST_PRICES = what == "the operator says so"
    save_rule(AIModel.objects.get(endpoint_id=FLUX), RULE, activate=True, actor=SYSTEM)
    if what == "bills show it":
        bill("fal-ai/flux/schnell", unit_price="0.003", percent="")
    record = record_of(export(), FLUX)
    assert (record.price is not None, record.withholds_price, record.rule is not None) == (
        goes_out, not goes_out, goes_out,
    )  # fmt: skip


@pytest.mark.once
def test_a_discount_that_is_over_withholds_nothing(export):
    bill(FLUX, unit_price="7.77", percent="20", days_ago=9)
    bill(FLUX, unit_price=advertised(), percent="")
    assert record_of(export(), FLUX).price.unit_price == Decimal(advertised())


@pytest.mark.once
def test_a_rule_written_by_hand_goes_out_and_one_learned_from_bills_does_not(export):
    flux = AIModel.objects.get(endpoint_id=FLUX)
    save_rule(flux, RULE, activate=True, actor=SYSTEM)
    assert record_of(export(), FLUX).rule.body == RULE
    PriceRule.objects.filter(model=flux, state="active").update(source="observed")
    AIModel.objects.filter(pk=flux.pk).update(description="changed")
    settle([flux.pk], reason="test")
    assert record_of(export(), FLUX).rule is None


@pytest.mark.once
def test_models_added_by_hand_stay_here(export):
    AIModel.objects.filter(endpoint_id=FLUX).update(origin="manual")
    with pytest.raises(KeyError):
        record_of(export(), FLUX)
