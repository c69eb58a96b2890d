"""M4: no path returns a price that is not f(cost, rule), however costs and rules fall out."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest
from django.test import Client as HttpClient
from hypothesis import given
from hypothesis import strategies as st

from catalog import published
from catalog.models import AIModel
from genfeed.clients.models import Client
from pricing.margins.book import load_book, unit_terms
from pricing.margins.preview import preview_save
from pricing.margins.rules import Draft, check_rule
from pricing.margins.terms import Terms, price_of, true_margin
from pricing.models import ModelPricing
from pricing.money import format_usd, parse_usd, to_nano, to_usd
from pricing.selling.prices import legacy_prices, shown_price
from pricing.selling.standing import Standing
from tests.pricing.selling.priced import add_rule, make_priced

costs = st.integers(min_value=1, max_value=10**12)  # up to 1,000 USD
rates = st.decimals(min_value=0, max_value=Decimal("0.99"), places=4)
modes = st.sampled_from(["margin", "markup"])
amounts = st.integers(min_value=0, max_value=10**9)


def standing(cost: int) -> Standing:
    usd = format_usd(cost)
    return Standing("advertised", True, "images", usd, True, cost, {"image": usd, "video": usd, "fixedPrice": usd})


@given(costs, rates, modes, amounts, amounts)
def test_m4_every_shown_price_is_the_margin_rule_s_of_its_cost(
    cost: int, rate: Decimal, mode: str, fee: int, minimum: int
) -> None:
    terms = Terms(mode, rate, fee=fee, minimum=minimum)  # type: ignore[arg-type]
    shown, legacy = shown_price(standing(cost), terms), legacy_prices(standing(cost), terms)

    assert shown["amount"] == format_usd(price_of(cost, replace(terms, fee=0, minimum=0)))
    assert legacy["image"] == legacy["fixedPrice"] == float(format_usd(price_of(cost, terms)))
    assert legacy["video"] == float(format_usd(price_of(cost, unit_terms(terms))))


@given(costs, costs, rates, modes, amounts, amounts)
def test_m4_a_dearer_cost_is_never_sold_cheaper(
    first: int, second: int, rate: Decimal, mode: str, fee: int, minimum: int
) -> None:
    terms = Terms(mode, rate, fee=fee, minimum=minimum)  # type: ignore[arg-type]
    low, high = sorted((first, second))

    assert parse_usd(shown_price(standing(low), terms)["amount"]) <= parse_usd(
        shown_price(standing(high), terms)["amount"]
    )
    assert legacy_prices(standing(low), terms)["image"] <= legacy_prices(standing(high), terms)["image"]


@given(costs, rates)
def test_m4_the_shown_price_holds_the_true_margin_to_the_nano(cost: int, rate: Decimal) -> None:
    price = parse_usd(shown_price(standing(cost), Terms("margin", rate))["amount"])
    share = true_margin(cost, price)

    assert share is not None
    # The price is rounded to the nano, and so may be off by half of one.
    assert abs(price * (1 - rate) - cost) <= Decimal("0.5")
    assert abs(share - rate) <= Decimal(1) / price


@given(st.decimals(min_value=Decimal("0.000000001"), max_value=100, places=11), rates)
def test_m4_a_unit_of_any_precision_is_priced_from_its_cost_rounded_once(cost: Decimal, rate: Decimal) -> None:
    stand = Standing("advertised", True, "frames", format(cost, "f"), True, 1, {})
    shown = shown_price(stand, Terms("margin", rate))["amount"]

    assert shown == format_usd(price_of(to_nano(cost), Terms("margin", rate)))


PATHS: dict[str, Callable[[HttpClient], object]] = {
    "list": lambda browser: browser.get("/api/v1/models").json()["items"][0]["price"]["amount"],
    "detail": lambda browser: browser.get("/api/v1/models/fal-ai/flux/dev").json()["price"]["amount"],
    "history": lambda browser: browser.get("/api/v1/models/fal-ai/flux/dev/price-history").json()["items"][0]["price"][
        "amount"
    ],
    "legacy": lambda browser: browser.get("/api/v1/models/fal").json()["models"][0]["pricing"].popitem()[1],
}


@pytest.mark.once
@pytest.mark.django_db
@pytest.mark.parametrize(
    ("scope", "mode", "rate"),
    [
        (scope, mode, rate)
        for scope in ("global", "provider", "category", "client", "model", "client_model")
        for mode, rate in (("margin", "0.35"), ("markup", "1.25"), ("fixed", "0"))
        if (scope, mode) != ("global", "fixed")  # refused: one fixed price for every model
    ],
)
@pytest.mark.parametrize("path", PATHS)
def test_m4_every_path_of_the_api_shows_the_price_of_the_rule_that_applies(
    scope: str, path: str, mode: str, rate: str, make_key: Callable[..., str]
) -> None:
    model = make_priced("fal-ai/flux/dev", "0.0371", "images")
    browser = HttpClient(headers={"Authorization": f"Bearer {make_key(client='Acme')}"})
    client = Client.objects.get(name="Acme")
    targets = {
        "client": {"client_id": client.pk},
        "model": {"model_id": model.pk},
        "client_model": {"client_id": client.pk, "model_id": model.pk},
        "category": {"category": model.category},
        "provider": {"provider_id": model.provider_id},
    }
    fixed = {"fixed_price": "0.5"} if mode == "fixed" else {}
    add_rule(scope, mode=mode, rate=rate, fee="0.002", minimum="0.06", **fixed, **targets.get(scope, {}))
    terms = load_book().applied(model, client.pk).terms
    assert terms.mode == mode

    cost = parse_usd("0.0371")
    charge = price_of(cost, terms)
    unit = charge if mode == "fixed" else price_of(cost, unit_terms(terms))
    expected: object = float(to_usd(charge)) if path == "legacy" else format_usd(unit)
    assert PATHS[path](browser) == expected


@pytest.mark.django_db
def test_m4_core_mode_sells_at_cost_on_every_path(settings: object, make_key: Callable[..., str]) -> None:
    settings.GENFEED_MODE = "core"  # type: ignore[attr-defined]
    make_priced("fal-ai/flux/dev", "0.0371", "images")
    browser = HttpClient(headers={"Authorization": f"Bearer {make_key(client='Acme')}"})

    assert [show(browser) for show in PATHS.values()] == ["0.0371", "0.0371", "0.0371", 0.0371]


@pytest.mark.django_db
def test_m4_a_preview_promises_what_the_saved_rule_then_does() -> None:
    model = make_priced("fal-ai/flux/dev", "0.0371", "images")
    draft = Draft("global", mode="margin", rate="0.35", fee=2_000_000, minimum=60_000_000)
    promised = preview_save(check_rule(draft)).biggest[0].after
    add_rule(rate="0.35", fee="0.002", minimum="0.06")
    model.refresh_from_db()

    assert model.legacy_pricing["image"] == float(promised)


@pytest.mark.django_db
def test_m4_whatever_is_stored_follows_from_the_stored_cost_and_the_rule_in_force() -> None:
    for number, (unit_price, unit) in enumerate([("0.4", "images"), ("0.0003", "compute seconds"), ("2", "requests")]):
        make_priced(f"fal-ai/made/{number}", unit_price, unit)
    add_rule("category", category="text-to-image", mode="markup", rate="0.37", minimum="0.5")
    published.forget()
    book = load_book()

    for row in AIModel.objects.all():
        stored = ModelPricing.objects.get(model=row).standing
        terms = unit_terms(book.applied(row).terms)
        assert row.price["amount"] == format_usd(price_of(parse_usd(stored["unit_cost"]), terms))
