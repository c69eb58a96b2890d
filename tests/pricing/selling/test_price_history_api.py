"""`GET /models/{id}/price-history`: what a model sold for, to each client its own, costs to staff only."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client as HttpClient

from catalog.models import AIModel
from genfeed.clients.models import Client
from pricing.margins.rules import end_rule
from pricing.models import PricePoint
from tests.pricing.selling.priced import FINANCE, add_rule, make_priced, recompute

pytestmark = pytest.mark.django_db

ADDRESS = "/api/v1/models/fal-ai/flux/dev/price-history"


@pytest.fixture
def flux() -> AIModel:
    """A model that sold for 0.0833, then for 0.05, then for 0.06."""
    model = make_priced("fal-ai/flux/dev", "0.025", "images")
    add_rule(rate="0.5")
    PricePoint.objects.filter(model=model).update(unit_price="0.03")
    recompute(model)
    return model


def amounts(browser: HttpClient, query: str = "") -> list[str | None]:
    return [item["price"]["amount"] for item in browser.get(ADDRESS + query).json()["items"]]


def test_the_newest_price_comes_first_and_ends_where_the_next_begins(flux: AIModel, api: HttpClient) -> None:
    body = api.get(ADDRESS).json()

    assert (body["model"], body["provider"], body["currency"]) == ("fal-ai/flux/dev", "fal", "USD")
    assert [item["price"]["amount"] for item in body["items"]] == ["0.06", "0.05", "0.083333333"]
    assert [item["effective_to"] for item in body["items"]] == [
        None, *(item["effective_from"] for item in body["items"][:-1]),
    ]  # fmt: skip


@pytest.mark.once
def test_moments_are_rfc_3339_in_utc(flux: AIModel, api: HttpClient) -> None:
    text = api.get(ADDRESS).json()["items"][0]["effective_from"]

    assert text.endswith("Z")
    assert datetime.fromisoformat(text).tzinfo == UTC


@pytest.mark.once
def test_clients_see_no_cost(flux: AIModel, api: HttpClient) -> None:
    assert all(set(item) == {"effective_from", "effective_to", "price"} for item in api.get(ADDRESS).json()["items"])


@pytest.mark.once
def test_the_admin_scope_sees_what_it_cost(flux: AIModel, admin_api: HttpClient) -> None:
    items = admin_api.get(ADDRESS).json()["items"]

    assert [(item["unit_price"], item["cost"]) for item in items] == [("0.03", "0.03"), *[("0.025", "0.025")] * 2]


@pytest.mark.once
def test_core_mode_shows_the_cost_to_all(flux: AIModel, api: HttpClient, settings: Any) -> None:
    settings.GENFEED_MODE = "core"

    assert api.get(ADDRESS).json()["items"][0]["cost"] == "0.03"


def test_pages_hold_every_price_once(flux: AIModel, api: HttpClient) -> None:
    found, cursor = [], None
    while True:
        query = f"?limit=1{f'&cursor={cursor}' if cursor else ''}"
        body = api.get(ADDRESS + query).json()
        found += [item["price"]["amount"] for item in body["items"]]
        cursor = body["next_cursor"]
        if cursor is None:
            break

    assert found == ["0.06", "0.05", "0.083333333"]


def test_a_client_with_its_own_rule_sees_its_own_history(flux: AIModel, make_key: Callable[..., str]) -> None:
    acme = HttpClient(headers={"Authorization": f"Bearer {make_key(client='Acme')}"})
    rule = add_rule("client", client_id=Client.objects.get(name="Acme").pk, mode="markup", rate="1", fee="5")
    PricePoint.objects.filter(model=flux).update(unit_price="0.1")
    recompute(flux)
    assert amounts(acme) == ["0.2", "0.06", "0.05", "0.083333333"]

    end_rule(rule, actor=FINANCE)
    assert amounts(acme) == ["0.2", "0.06", "0.05", "0.083333333"]


def test_the_own_history_has_the_moments_of_the_own_rules(flux: AIModel, make_key: Callable[..., str]) -> None:
    acme = HttpClient(headers={"Authorization": f"Bearer {make_key(client='Acme')}"})
    beta = HttpClient(headers={"Authorization": f"Bearer {make_key(client='Beta')}"})
    rule = add_rule("client", client_id=Client.objects.get(name="Acme").pk, mode="markup", rate="2")
    end_rule(rule, actor=FINANCE)

    assert amounts(acme) == ["0.06", "0.09", "0.06", "0.05", "0.083333333"]
    assert amounts(beta) == ["0.06", "0.05", "0.083333333"]


@pytest.mark.once
def test_a_model_that_never_had_a_price_has_an_empty_history(api: HttpClient) -> None:
    make_priced("fal-ai/flux/dev", "0.1", "images")
    AIModel.objects.get().selling_prices.all().delete()

    assert api.get(ADDRESS).json()["items"] == []


@pytest.mark.once
def test_a_model_that_is_not_sold_has_no_history_for_clients(flux: AIModel, api: HttpClient) -> None:
    PricePoint.objects.filter(model=flux).update(unit_price="0")
    recompute(flux)

    assert api.get(ADDRESS).status_code == 404


@pytest.mark.once
def test_staff_sees_the_history_of_a_held_model(flux: AIModel, admin_api: HttpClient) -> None:
    PricePoint.objects.filter(model=flux).update(unit_price="0")
    recompute(flux)

    first = admin_api.get(ADDRESS).json()["items"][0]
    assert (first["price"]["amount"], first["price"]["state"], first["unit_price"]) == (None, "unknown", None)


@pytest.mark.once
def test_a_foreign_cursor_is_refused(flux: AIModel, api: HttpClient) -> None:
    for cursor in ("x", "!!!", "LTE", "4oiS", "YWJj"):
        answer = api.get(ADDRESS, {"cursor": cursor})
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


@pytest.mark.once
def test_an_unknown_parameter_is_refused_by_name(flux: AIModel, api: HttpClient) -> None:
    answer = api.get(f"{ADDRESS}?since=2026")

    assert answer.status_code == 400
    assert "since" in answer.json()["message"]


@pytest.mark.once
def test_an_unknown_model_is_not_found_with_the_nearest_ids(flux: AIModel, api: HttpClient) -> None:
    answer = api.get("/api/v1/models/fal-ai/flux/dve/price-history")

    assert (answer.status_code, answer.json()["code"]) == (404, "model_not_found")
    assert "fal-ai/flux/dev" in answer.json()["hint"]


@pytest.mark.once
def test_it_needs_a_key() -> None:
    assert HttpClient().get(ADDRESS).status_code == 401
