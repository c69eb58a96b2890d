"""The account of a client as the acceptance of its jobs reads it."""

from typing import Any

import pytest

from genfeed.clients.models import Client
from pricing.ledger.accounts import account_of, terms_account_of
from pricing.models import Account

pytestmark = pytest.mark.django_db


def test_the_terms_are_read_in_one_statement_and_as_they_are_stored(django_assert_num_queries: Any) -> None:
    client = Client.objects.create(name="Acme")
    account_of(client.pk)
    Account.objects.update(billing=Account.Billing.QUOTED, charges_failures=True, charges_cancels=False)

    with django_assert_num_queries(1):
        found = terms_account_of(client.pk)
        assert (found.billing, found.charges_failures, found.charges_cancels) == ("quoted", True, False)

    assert found == Account.objects.get()


def test_an_account_is_opened_where_there_is_none() -> None:
    client = Client.objects.create(name="Acme")

    assert terms_account_of(client.pk).client_id == client.pk
    assert Account.objects.count() == 1
