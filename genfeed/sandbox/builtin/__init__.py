"""The built-in models: 700 and more, from readable tables of facts.

The tables hold ids, names, dates, prices, units, field names, types, defaults, choices and bounds; every sentence
is made here.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from genfeed.sandbox.builtin.documents import build_document
from genfeed.sandbox.builtin.price_texts import price_text
from genfeed.sandbox.builtin.prices import Pricing, read_pricing
from genfeed.sandbox.builtin.tables import Sheet, read_tables
from genfeed.sandbox.builtin.wording import describe_model, tags_of

NOT_AVAILABLE = {"error": {"code": "expansion_failed", "message": "OpenAPI schema not available for this endpoint"}}
TIME_OF_DAY = "T09:00:00.000Z"


def builtin_rows() -> Iterator[dict[str, Any]]:
    """The built-in models as rows of a catalog file, sorted by id."""
    tables = read_tables()
    pricing = read_pricing()
    trainers: defaultdict[str, list[str]] = defaultdict(list)
    for sheet in tables.sheets:
        for trained in sheet.trains:
            trainers[trained].append(sheet.endpoint_id)
    for sheet in tables.sheets:
        about = describe_model(sheet)
        document = NOT_AVAILABLE if sheet.inputs is None else build_document(sheet, tables, about=about)
        yield {
            "endpoint_id": sheet.endpoint_id,
            "metadata": _metadata(sheet, about, trainers),
            "openapi": document,
            "price": sheet.price and {"unit_price": sheet.price[0], "unit": sheet.price[1], "currency": "USD"},
            "machine_type": sheet.machine_type,
            **_price_texts(sheet, pricing),
        }


def _price_texts(sheet: Sheet, pricing: Pricing) -> dict[str, str | None]:
    rule = pricing.rule_of(sheet.endpoint_id, sheet.price[1] if sheet.price else None)
    if rule is None:
        return {"price_note": None, "billing_message": None}
    text = price_text(rule)
    return {
        "price_note": None if rule.is_billing_message else text,
        "billing_message": text if rule.is_billing_message else None,
    }


def _metadata(sheet: Sheet, about: str, trainers: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "display_name": sheet.name,
        "category": sheet.category,
        "description": about,
        "status": "deprecated" if sheet.is_deprecated else "active",
        "tags": tags_of(sheet),
        "updated_at": sheet.updated + TIME_OF_DAY,
        "date": sheet.created + TIME_OF_DAY,
        "kind": "training" if sheet.is_training else "inference",
        "license_type": sheet.license_type,
        "duration_estimate": sheet.minutes,
    }
    if sheet.group:
        metadata["group"] = {"key": sheet.group, "label": sheet.category.replace("-", " ").title()}
    if sheet.has_stream:
        metadata["stream_url"] = f"https://fal.run/{sheet.endpoint_id}/stream"
    if sheet.trains:
        metadata["inference_endpoint_ids"] = list(sheet.trains)
    if trainers.get(sheet.endpoint_id):
        metadata["training_endpoint_ids"] = trainers[sheet.endpoint_id]
    return metadata
