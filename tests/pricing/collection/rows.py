"""Rows, files and facts that the tests of the existing collection share."""

import json
from decimal import Decimal
from typing import Any

from django.db import connection, transaction

from catalog.models import AIModel
from genfeed.journal.audit import Actor
from pricing.existing.importing import ImportResult, import_rows
from pricing.existing.reading import read_file
from pricing.existing.rows import Adapter, BadRow, LegacyRow, check_rows
from pricing.models import PricePoint
from pricing.selling.offers import recompute

TESTER = Actor(name="tester")
COLUMNS = "id,name,provider,category,pricing.image,enabled"


def legacy(id: str = "fal-ai/flux/dev", **fields: Any) -> dict[str, Any]:
    """A model in the legacy shape, as a JSON file has it."""
    shape = {
        "id": id,
        "name": "Flux",
        "provider": "fal",
        "category": "image",
        "pricing": {"image": 0.05},
        "enabled": True,
    }
    return shape | fields


def checked(*rows: dict[str, Any], adapter: Adapter | None = None) -> tuple[list[LegacyRow], list[BadRow]]:
    return check_rows(read_file(json.dumps(rows).encode()), adapter)


def reasons(*rows: dict[str, Any]) -> list[str]:
    """Why the bad ones of these rows are bad."""
    return [bad.reason for bad in checked(*rows)[1]]


def imported(*rows: dict[str, Any], **options: Any) -> ImportResult:
    good, bad = checked(*rows)
    assert not bad
    return import_rows(good, actor=TESTER, **options)


def give_price(row: AIModel, price: str = "0.025", unit: str = "images") -> AIModel:
    """The provider's price of a model, through to its offer."""
    with transaction.atomic():
        PricePoint.objects.create(
            model=row, source="advertised", standing="current", unit=unit, raw_unit=unit, unit_price=str(Decimal(price))
        )
        recompute([row.pk], reason="test")
    row.refresh_from_db()
    return row


def whole_database() -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, to compare before with after."""
    content = {}
    with connection.cursor() as cursor:
        for table in sorted(connection.introspection.table_names(cursor)):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            content[table] = sorted(cursor.fetchall(), key=repr)
    return content
