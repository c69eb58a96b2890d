"""What is frozen with a job: the row's unit and price, the margin of that moment, the terms of the client."""

from decimal import Decimal
from typing import Any

import pytest

from pricing.estimates.quotes import quote
from pricing.ledger.accounts import account_of
from pricing.margins.terms import DEFAULT_TERMS
from pricing.settling.frozen import Frozen, freeze, read_frozen
from tests.pricing.estimates.sold import facts_about, make_sold
from tests.pricing.ledger.books import USD, make_client

pytestmark = pytest.mark.django_db


BY_THE_REQUEST = {"version": 1, "charges": [{"name": "requests", "price": "0.04"}]}


def frozen_now(**sold: Any) -> Frozen:
    facts = facts_about(make_sold(**sold))
    client = make_client(billing="quoted")
    return freeze(quote(facts, {"prompt": "a cat"}), facts, account_of(client.pk), hold=USD)


def test_the_rows_unit_and_price_and_the_clients_terms_are_frozen() -> None:
    frozen = frozen_now()

    assert (frozen.units, frozen.unit_prices) == (("images",), (Decimal("0.025"),))
    assert (frozen.billing, frozen.hold, frozen.margin) == ("quoted", USD, DEFAULT_TERMS)
    assert read_frozen(frozen.as_json()) == frozen


def test_a_rule_in_another_unit_than_the_row_stands_for_itself() -> None:
    frozen = frozen_now(rule=BY_THE_REQUEST)

    assert frozen.by_rule
    assert frozen.unit_prices == ()
    assert frozen.units[0] == "images"
