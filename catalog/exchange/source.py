"""One provider's part of an export, read as a provider is read: a sync makes no difference between the two."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import orjson

from catalog.exchange.contents import Contents, Record
from catalog.models import AIModel, Provider
from catalog.providers.base import FetchedSchema, ListedModel, ListingPage, PriceRow, PriceText


class ExportSource:
    """What a sync reads instead of a provider. Models that did not change are told as this installation has them."""

    needs_key_for_catalog = False

    def __init__(self, provider: Provider, contents: Contents, *, source: str) -> None:
        self.slug = provider.slug
        self.name = provider.name
        self.source = source
        self.records = contents.records
        self._documents = contents.documents
        self._ids = contents.ids
        unchanged = [one for one in contents.ids if one not in contents.records]
        self._rows = {
            row.endpoint_id: row
            for row in AIModel.objects.filter(provider=provider).exclude(status=AIModel.Status.RETIRED)
        } if unchanged else {}  # fmt: skip

    @property
    def lacking(self) -> list[str]:
        """Models that the file takes for known and that are not: it builds on another catalog than the one here."""
        return [one for one in self._ids if one not in self.records and one not in self._rows]

    @property
    def withheld(self) -> set[str]:
        """Models whose price the cloud does not tell."""
        return {one for one, record in self.records.items() if record.withholds_price}

    def is_configured(self) -> bool:
        return True

    def close(self) -> None:
        """There is no connection."""

    def list_models(
        self, *, category: str | None = None, status: str | None = None, query: str | None = None
    ) -> Iterator[ListingPage]:
        """All models on one page."""
        listed = [
            _listed(self.records[one]) if one in self.records else _as_known(self._rows[one]) for one in self._ids
        ]
        yield ListingPage(1, listed, [])

    def fetch_schemas(self, endpoint_ids: Sequence[str]) -> list[FetchedSchema]:
        return [
            FetchedSchema(
                one, orjson.loads(self._documents[one]) if one in self._documents else None, self.records[one].problem
            )
            for one in endpoint_ids
            if one in self.records
        ]

    def fetch_prices(
        self, endpoint_ids: Sequence[str], *, apart: bool = False, progress: Callable[[int], None] | None = None
    ) -> dict[str, PriceRow]:
        found = {}
        for one in endpoint_ids:
            price = self.records[one].price if one in self.records else None
            if price:
                found[one] = PriceRow(one, price.unit, price.unit_price, price.currency)
        return found

    def fetch_price_texts(self) -> Iterator[PriceText]:
        """Also the empty ones: a text that is gone at the cloud goes here too."""
        for one, record in self.records.items():
            yield PriceText(one, record.price_note, record.billing_message, record.machine_type)

    def fetch_price_text(self, endpoint_id: str) -> PriceText | None:
        return None


def _listed(record: Record) -> ListedModel:
    return ListedModel(
        endpoint_id=record.id,
        name=record.name,
        category=record.category,
        description=record.description,
        status=record.status,
        kind=record.kind,
        tags=list(record.tags),
        thumbnail_url=record.thumbnail_url,
        updated_at=record.updated_at,
        metadata=record.metadata,
        version=record.version,
    )


def _as_known(row: AIModel) -> ListedModel:
    return ListedModel(
        endpoint_id=row.endpoint_id,
        name=row.name,
        category=row.category,
        description=row.description,
        status=row.status,
        kind=row.metadata.get("kind"),
        tags=row.tags,
        thumbnail_url=row.thumbnail_url,
        updated_at=row.upstream_updated_at,
        metadata=row.metadata,
        version=row.upstream_version,
    )
