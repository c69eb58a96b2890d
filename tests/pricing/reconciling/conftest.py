"""fal's bill, as a test writes it, and a client with money; after every test the ledger must be proven."""

from collections.abc import Iterator

import pytest

from catalog.providers import base
from genfeed.clients.models import Client
from pricing.ledger.checking import check_ledger
from tests.pricing.ledger.books import make_client
from tests.pricing.reconciling.bills import Bills


@pytest.fixture
def bills(monkeypatch: pytest.MonkeyPatch) -> Bills:
    """What fal bills, in place of fal."""
    made = Bills()
    monkeypatch.setattr(base, "_registry", dict(base._registry))
    base.register("fal", "fal.ai", lambda: made)
    return made


@pytest.fixture
def client(db: None) -> Iterator[Client]:
    yield make_client(usd=100)
    assert check_ledger() == []
