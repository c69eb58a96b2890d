"""What a sync reads a catalog from: a provider, or whatever tells the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from catalog.providers.base import FetchedSchema, ListingPage, PriceRow, PriceText


class CatalogReader(Protocol):
    """The reading half of `ProviderInterface`; each function promises what it promises there."""

    slug: str
    name: str
    needs_key_for_catalog: bool

    @property
    def source(self) -> str: ...

    def is_configured(self) -> bool: ...

    def list_models(
        self, *, category: str | None = None, status: str | None = None, query: str | None = None
    ) -> Iterator[ListingPage]: ...

    def fetch_schemas(self, endpoint_ids: Sequence[str]) -> list[FetchedSchema]: ...

    def fetch_prices(
        self, endpoint_ids: Sequence[str], *, apart: bool = False, progress: Callable[[int], None] | None = None
    ) -> dict[str, PriceRow]: ...

    def fetch_price_texts(self) -> Iterator[PriceText]: ...

    def fetch_price_text(self, endpoint_id: str) -> PriceText | None: ...

    def close(self) -> None: ...
