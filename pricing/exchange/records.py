"""What an export says of each model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import orjson
from django.db.models import F

from catalog.models import AIModel, SchemaVersion
from catalog.providers import base
from pricing.exchange.list_prices import Bills, list_price, read_bills
from pricing.models import ModelPricing, PricePoint, PriceRule

_AT_ONCE = 200


@dataclass(frozen=True)
class Made:
    """One model's line, and the digest of what it says."""

    key: int
    provider: str
    endpoint_id: str
    line: bytes

    @property
    def digest(self) -> str:
        return sha256(self.line).hexdigest()


def make_records() -> list[Made]:
    """A record of every model that a provider lists, in the order of provider and id.

    Not of models added by hand or retired, nor of a collection's models that no provider has shown.
    """
    slugs = [entry.slug for entry in base.registered()]
    rows = (
        AIModel.objects.filter(provider__slug__in=slugs)
        .exclude(origin=AIModel.Origin.MANUAL)
        .exclude(status=AIModel.Status.RETIRED)
        .exclude(origin=AIModel.Origin.EXISTING, metadata={})
        .select_related("provider")
        .order_by("pk")
    )
    bills: dict[int, Bills] = {}
    made: list[Made] = []
    batch: list[AIModel] = []
    for row in rows.iterator(chunk_size=_AT_ONCE):
        if row.provider_id not in bills:
            bills[row.provider_id] = read_bills(row.provider)
        batch.append(row)
        if len(batch) == _AT_ONCE:
            made += _of_batch(batch, bills)
            batch = []
    made += _of_batch(batch, bills)
    return sorted(made, key=lambda one: (one.provider, one.endpoint_id))


def _of_batch(rows: list[AIModel], bills: dict[int, Bills]) -> Iterator[Made]:
    keys = [row.pk for row in rows]
    current = SchemaVersion.objects.filter(model__in=keys, number=F("model__schema_version"))
    contents = dict(current.values_list("model_id", "content"))
    texts = {row.model_id: row for row in ModelPricing.objects.filter(model__in=keys)}
    points: dict[int, list[PricePoint]] = {}
    for point in PricePoint.objects.filter(model__in=keys, source=PricePoint.Source.ADVERTISED):
        points.setdefault(point.model_id, []).append(point)
    rules = {row.model_id: row for row in PriceRule.objects.filter(model__in=keys, state=PriceRule.State.ACTIVE)}
    for row in rows:
        content = contents.get(row.pk)
        document = SchemaVersion.unpack(bytes(content))["document"] if content else None
        of_account = bills[row.provider_id]
        said = (
            _described(row, document)
            | _price(row, points.get(row.pk, []), texts.get(row.pk), of_account)
            | {"rule": _rule(rules.get(row.pk), of_account)}
        )
        yield Made(row.pk, row.provider.slug, row.endpoint_id, orjson.dumps(said))


def _described(row: AIModel, document: dict[str, Any] | None) -> dict[str, Any]:
    kind = row.metadata.get("kind")
    return {
        "provider": row.provider.slug,
        "id": row.endpoint_id,
        "name": row.name,
        "category": row.category,
        "description": row.description,
        "status": row.status,
        "kind": kind if isinstance(kind, str) else None,
        "tags": row.tags,
        "thumbnail_url": row.thumbnail_url,
        "updated_at": row.upstream_updated_at,
        "version": row.upstream_version,
        "metadata": row.metadata,
        "document": document,
        "problem": "" if document else row.schema_problem,
    }


def _price(row: AIModel, points: list[PricePoint], texts: ModelPricing | None, bills: Bills) -> dict[str, Any]:
    # A price that the list no longer has is remembered here, but is no list price any more.
    is_listed = texts is None or texts.has_row is not False
    told = list_price(points if is_listed else [], row.endpoint_id, bills)
    price = {"unit": told.unit, "unit_price": told.unit_price, "currency": told.currency} if told.unit_price else None
    return {
        "price": price,
        "withholds_price": told.withheld,
        "price_note": texts.price_note if texts else "",
        "billing_message": texts.billing_message if texts else "",
        "machine_type": texts.machine_type if texts else "",
    }


def _rule(rule: PriceRule | None, bills: Bills) -> dict[str, Any] | None:
    """A rule that others would not make of the texts by themselves, unless it may hold prices of our own."""
    if rule is None or rule.source == PriceRule.Source.OBSERVED:
        return None
    if rule.source == PriceRule.Source.NOTE:
        # Read from a public text; by others too, but that a person made it active.
        return {"body": rule.body, "billed_in": rule.billed_in} if rule.decided_by else None
    return None if bills.needs_proof else {"body": rule.body, "billed_in": rule.billed_in}
