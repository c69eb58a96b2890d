"""Clients with margin rules of their own see their prices, everywhere; all others share one rendering."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client as HttpClient
from django.test.utils import CaptureQueriesContext

from catalog import published
from catalog.models import AIModel
from genfeed.clients.limits import reads
from genfeed.clients.models import Client
from pricing.margins.rules import end_rule
from pricing.models import MarginRule
from tests.pricing.selling.priced import FINANCE, add_rule, make_priced

pytestmark = pytest.mark.django_db

LIST, LEGACY, DETAIL = "/api/v1/models", "/api/v1/models/fal", "/api/v1/models/fal-ai/flux/dev"


@pytest.fixture
def flux() -> AIModel:
    return make_priced("fal-ai/flux/dev", "0.025", "images")


@pytest.fixture
def acme(make_key: Callable[..., str], flux: AIModel) -> HttpClient:
    """The key of a client that pays a markup of 100 % for everything."""
    key = make_key(client="Acme")
    add_rule("client", client_id=Client.objects.get(name="Acme").pk, mode="markup", rate="1")
    return HttpClient(headers={"Authorization": f"Bearer {key}"})


@pytest.fixture
def beta(make_key: Callable[..., str]) -> HttpClient:
    """The key of an ordinary client."""
    return HttpClient(headers={"Authorization": f"Bearer {make_key(client='Beta')}"})


def shown(browser: HttpClient) -> list[Any]:
    """What the list, the detail and the legacy list say one image costs."""
    return [
        browser.get(LIST).json()["items"][0]["price"]["amount"],
        browser.get(DETAIL).json()["price"]["amount"],
        browser.get(LEGACY).json()["models"][0]["pricing"]["image"],
    ]


def test_a_client_with_its_own_rule_sees_its_price_in_every_list(acme: HttpClient, beta: HttpClient) -> None:
    assert shown(acme) == ["0.05", "0.05", 0.05]
    assert shown(beta) == ["0.083333333", "0.083333333", 0.083333333]


@pytest.mark.once
def test_neither_sees_the_other_s_price_whoever_asks_first(acme: HttpClient, beta: HttpClient) -> None:
    assert [shown(browser)[0] for browser in (beta, acme, beta, acme)] == ["0.083333333", "0.05"] * 2


@pytest.mark.once
def test_all_else_that_lists_say_is_the_same(acme: HttpClient, beta: HttpClient) -> None:
    theirs, others = (browser.get(DETAIL).json() for browser in (acme, beta))

    assert {name for name in theirs if theirs[name] != others[name]} == {"price"}


@pytest.mark.once
def test_the_etag_differs_by_scope_so_that_no_cache_mixes_prices(acme: HttpClient, beta: HttpClient) -> None:
    for address in (LIST, LEGACY, DETAIL):
        etag = beta.get(address).headers["ETag"]
        assert acme.get(address).headers["ETag"] != etag
        assert acme.get(address, headers={"If-None-Match": etag}).status_code == 200
        assert beta.get(address, headers={"If-None-Match": etag}).status_code == 304


@pytest.mark.once
def test_a_client_s_own_list_is_a_304_too(acme: HttpClient) -> None:
    etag = acme.get(LIST).headers["ETag"]

    assert acme.get(LIST, headers={"If-None-Match": etag}).status_code == 304


def test_when_the_rule_ends_everybody_s_price_comes_back(acme: HttpClient) -> None:
    assert shown(acme)[0] == "0.05"
    end_rule(MarginRule.objects.get(scope="client"), actor=FINANCE)
    published.forget()

    assert shown(acme) == ["0.083333333", "0.083333333", 0.083333333]


@pytest.mark.once
def test_a_new_rule_changes_the_etag_of_everybody_so_that_its_client_asks_again(acme: HttpClient) -> None:
    etag = acme.get(LIST).headers["ETag"]
    add_rule("client", client_id=Client.objects.get(name="Acme").pk, mode="markup", rate="2")
    answer = acme.get(LIST, headers={"If-None-Match": etag})

    assert answer.status_code == 200
    assert answer.json()["items"][0]["price"]["amount"] == "0.075"


@pytest.mark.once
def test_staff_and_the_admin_list_see_everybody_s_price(acme: HttpClient, staff: Callable[[str], HttpClient]) -> None:
    assert staff("viewer").get(LIST).json()["items"][0]["price"]["amount"] == "0.083333333"


@pytest.mark.once
def test_core_mode_knows_no_prices_of_single_clients(acme: HttpClient, settings: Any) -> None:
    settings.GENFEED_MODE = "core"
    published.forget()

    assert acme.get(LIST).headers["ETag"].count("-") == 1


@pytest.mark.parametrize("who", ["acme", "beta"])
def test_later_answers_cost_no_query(
    who: str, request: pytest.FixtureRequest, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The first request leases tokens enough for all that follow.
    settings.READS_PER_MINUTE = 600_000
    monkeypatch.setattr(reads, "_LEASE_SECONDS", 3600.0)
    request.getfixturevalue("acme")
    browser = request.getfixturevalue(who)
    for address in (LIST, LEGACY, DETAIL):
        browser.get(address)
        with CaptureQueriesContext(connection) as captured:
            assert browser.get(address).status_code == 200
        assert len(captured) == 0


# --- filter and order by price ---------------------------------------------------------------------------------------


@pytest.fixture
def shelf(flux: AIModel) -> None:
    make_priced("fal-ai/cheap", "0.003", "images")
    make_priced("fal-ai/dear", "3", "videos")
    make_priced("fal-ai/tiered", "1", "units", rule=_TIERED)


_TIERED = {
    "version": 1,
    "charges": [{"name": "steps", "price": "0.1", "per": {"of": "steps"}}, {"name": "base", "price": "1"}],
}


def ids(browser: HttpClient, query: str) -> list[str]:
    return [item["id"].removeprefix("fal-ai/") for item in browser.get(f"{LIST}?{query}").json()["items"]]


def test_lists_sort_by_price_as_numbers_with_unknown_ones_last(shelf: None, api: HttpClient) -> None:
    assert ids(api, "sort=price") == ["cheap", "flux/dev", "dear", "tiered"]
    assert ids(api, "sort=-price") == ["dear", "flux/dev", "cheap", "tiered"]


@pytest.mark.once
def test_pages_follow_the_order_by_price(shelf: None, api: HttpClient) -> None:
    for sort in ("price", "-price"):
        whole, pages, cursor = ids(api, f"sort={sort}"), [], ""
        while cursor is not None:
            body = api.get(f"{LIST}?sort={sort}&limit=1{cursor and f'&cursor={cursor}'}").json()
            pages += [item["id"].removeprefix("fal-ai/") for item in body["items"]]
            cursor = body["next_cursor"]
        assert pages == whole


@pytest.mark.once
def test_max_price_keeps_what_costs_at_most_that_and_leaves_unknown_prices_out(shelf: None, api: HttpClient) -> None:
    assert ids(api, "max_price=0.083333333") == ["cheap", "flux/dev"]
    assert ids(api, "max_price=0.083333332") == ["cheap"]
    assert ids(api, "max_price=1000000") == ["cheap", "dear", "flux/dev"]


@pytest.mark.once
def test_max_price_means_the_price_of_the_client_who_asks(shelf: None, acme: HttpClient, beta: HttpClient) -> None:
    assert (ids(acme, "max_price=0.05"), ids(beta, "max_price=0.05")) == (["cheap", "flux/dev"], ["cheap"])


@pytest.mark.once
@pytest.mark.parametrize("value", ["-1", "nan", "inf", "-inf", "cheap", "", "1e400", "9" * 40, "0." + "1" * 40])
def test_a_max_price_that_is_no_amount_is_refused(value: str, api: HttpClient) -> None:
    answer = api.get(LIST, {"max_price": value})

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert "max_price" in answer.json()["message"]
