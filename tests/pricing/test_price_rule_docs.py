"""The rules that the documentation shows are good rules and cost what it says."""

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest

from pricing.counting.quantities import FIELD_QUANTITIES, QUANTITIES
from pricing.rules.check import SCHEMA_PATH, check_rule
from pricing.rules.interpreter import evaluate

PAGE = (Path(__file__).parents[2] / "docs" / "price-rules.md").read_text()
RULES = [orjson.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]


def field(name: str, default: Any) -> dict[str, Any]:
    return {"name": name, "type": "any", "required": False, "nullable": True, "default": default}


FIELDS = [
    field("num_images", 1),
    field("duration", "5"),
    field("resolution", "480p"),
    field("enable_web_search", False),
]


@pytest.mark.parametrize(
    ("number", "given", "fields", "cost"),
    [
        (0, {}, [field("num_frames", 81), field("resolution", "480p")], "0.2025"),
        (1, {"num_images": 4, "resolution": "4K", "enable_web_search": True}, FIELDS, "1.215"),
        (2, {"duration": "10"}, FIELDS, "2.80"),
    ],
)
def test_shown_rules_cost_what_the_page_says(
    number: int, given: dict[str, Any], fields: list[dict[str, Any]], cost: str
) -> None:
    assert evaluate(check_rule(RULES[number]), given, fields).cost == Decimal(cost)


def test_the_schema_knows_exactly_the_quantities_of_the_interpreter() -> None:
    schema = orjson.loads(SCHEMA_PATH.read_bytes())
    assert set(schema["$defs"]["quantity"]["properties"]["of"]["enum"]) == {*QUANTITIES, *FIELD_QUANTITIES}


def test_the_page_names_every_quantity() -> None:
    assert [name for name in (*QUANTITIES, *FIELD_QUANTITIES) if f"`{name}`" not in PAGE] == []
