"""The recorded rows as pricing sees them: price row, texts, mapped fields; estimates made from them as an API would."""

from decimal import Decimal
from functools import cache
from typing import Any

from pricing.counting.requests import Field
from pricing.estimates.costs import Estimate, estimate_cost
from pricing.notes.reading import NoteReading, PriceRow, read_note
from tests.recorded import JUNE, mapped, rows


@cache
def recorded() -> dict[str, dict[str, Any]]:
    """Every recorded row by endpoint id. Shared between tests: do not change it."""
    return {row["endpoint_id"]: row for row in rows(JUNE)}


def fields_of(endpoint_id: str) -> list[Field]:
    """The mapped input fields, none where there is no usable document."""
    return mapped_june().get(endpoint_id, [])


@cache
def mapped_june() -> dict[str, list[Field]]:
    """Input fields by endpoint id."""
    return {endpoint_id: schema.inputs for endpoint_id, schema in mapped(JUNE).items()}


def price_row(row: dict[str, Any]) -> PriceRow | None:
    """The flat row with its price as an exact decimal."""
    price = row["price"]
    return PriceRow(Decimal(str(price["unit_price"])), price["unit"]) if price else None


@cache
def reading(endpoint_id: str) -> NoteReading:
    """What the texts of a recorded endpoint say."""
    row = recorded()[endpoint_id]
    return read_note([row["price_note"], row["billing_message"]], fields_of(endpoint_id), price_row(row))


def estimate(endpoint_id: str, given: dict[str, Any], media: dict[str, Any] | None = None) -> Estimate:
    """An estimate as the API makes it: the active rule, else the row, a proposed rule beside it."""
    row = recorded()[endpoint_id]
    flat, texts = price_row(row), reading(endpoint_id)
    return estimate_cost(
        unit=texts.billed_in or (flat.unit if flat else None),
        unit_price=flat.unit_price if flat else None,
        rule=texts.rule if texts.state == "active" else None,
        proposed=texts.rule if texts.state == "proposed" else None,
        inputs=fields_of(endpoint_id),
        input=given,
        media=media,
        machine_type=row["machine_type"],
    )


def tolerance(case: dict[str, Any]) -> Decimal:
    """How far an estimate may be off: 1 %, 3 % for tokens and the families whose texts round their price."""
    rough = case["class"] == "tokens" or any(word in case["endpoint_id"] for word in ("nano-banana", "gemini-25"))
    return Decimal("0.03") if rough else Decimal("0.01")


def is_right(case: dict[str, Any], answer: Estimate) -> bool:
    """Whether an answer meets a hand-worked case; where no honest estimate exists, one must not be claimed."""
    if case["cost_usd"] is None:
        return answer.confidence not in ("exact", "derived")
    truth = Decimal(case["cost_usd"])
    return answer.cost is not None and abs(answer.cost - truth) <= tolerance(case) * truth
