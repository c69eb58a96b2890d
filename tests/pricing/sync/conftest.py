"""A few models that the sandbox knows too, and price syncs over them."""

from collections.abc import Callable
from typing import Any

import pytest

from catalog import published
from catalog.models import AIModel
from catalog.providers import base
from catalog.providers.base import PriceRow
from genfeed.journal.audit import Actor
from pricing.models import PricePoint
from pricing.prices.report import PriceSyncResult
from pricing.prices.sync import sync_prices
from tests.factories import make_model

FLUX, SCHNELL, VEO, UNPRICED = "fal-ai/flux/dev", "fal-ai/flux/schnell", "fal-ai/veo3.1", "fal-ai/aura-sr"
PERSON = Actor("a person")


@pytest.fixture
def models(db: None) -> dict[str, AIModel]:
    """Four models that are not priced yet, the last of which the price list does not know."""
    return {one: make_model(one, priced=False) for one in (FLUX, SCHNELL, VEO, UNPRICED)}


@pytest.fixture
def sync_now(models: dict[str, AIModel]) -> Callable[..., PriceSyncResult]:
    """Runs one price sync in this process."""

    def run(**options: Any) -> PriceSyncResult:
        done = sync_prices(None, **options)
        published.forget()
        return done

    return run


class PriceList:
    """fal with a price list of our own making; everything else is the real thing."""

    def __init__(self, rows: dict[str, PriceRow] | Exception) -> None:
        self.rows = rows
        self.asked: list[str] = []
        self._fal = _open_fal()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._fal, name)

    def fetch_prices(self, endpoint_ids: Any, **_: Any) -> dict[str, PriceRow]:
        self.asked += endpoint_ids
        if isinstance(self.rows, Exception):
            raise self.rows
        return self.rows


_open_fal = base._registry["fal"].open


@pytest.fixture
def price_list(monkeypatch: pytest.MonkeyPatch) -> Callable[..., PriceList]:
    """Makes fal's price list answer these rows, or fail with this error."""

    def answer(rows: dict[str, PriceRow] | Exception) -> PriceList:
        made = PriceList(rows)
        monkeypatch.setattr(base, "_registry", dict(base._registry))
        base.register("fal", "fal.ai", lambda: made)
        return made

    return answer


def current(endpoint_id: str) -> PricePoint | None:
    return PricePoint.objects.filter(model__endpoint_id=endpoint_id, standing="current").first()


def held(endpoint_id: str) -> PricePoint | None:
    return PricePoint.objects.filter(model__endpoint_id=endpoint_id, standing="held").first()


def said(endpoint_id: str) -> tuple[str, str] | None:
    """Unit price and unit of the current price."""
    point = current(endpoint_id)
    return (point.unit_price, point.unit) if point else None
