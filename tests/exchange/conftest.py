"""A small catalog with prices, and its export."""

from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from catalog import published
from pricing.exchange import rendering
from tests import kept_rows


@pytest.fixture
def small(small_fal: Any, db: None, settings: Any) -> Any:
    """Four models with prices and texts, synced from their provider at list prices; the sandbox that has them."""
    settings.PRICES_ARE_LIST_PRICES = True
    kept_rows.once(
        ("four at list prices", settings.GENFEED_MODE), lambda: call_command("sync_models", stdout=StringIO())
    )
    published.forget()
    return small_fal


@pytest.fixture
def export(small: Any) -> Callable[..., bytes]:
    """Makes the export of the catalog as it is now."""

    def make(since: int = 0) -> bytes:
        newest = rendering.refresh()
        assert newest is not None
        body = rendering.body_of(newest, since=since)
        assert body is not None
        return body

    return make
