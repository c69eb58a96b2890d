"""Conditions that no value of their field meets are found, wherever in a rule they stand; others are not."""

from typing import Any

import pytest

from pricing.rules.matching import never_met

FIELDS: list[dict[str, Any]] = [
    {"name": "resolution", "type": "string", "enum": ["480p", "720p"]},
    {"name": "duration", "type": "string", "enum": ["5", "10"], "nullable": True},
    {"name": "audio", "type": "boolean"},
    {"name": "steps", "type": "integer", "minimum": 1, "maximum": 50},
    {"name": "size", "type": "object", "presets": ["square"]},
    {"name": "prompt", "type": "string"},
]


def never(*conditions: dict[str, Any]) -> list[str]:
    return never_met({"version": 1, "charges": [{"name": "x", "price": "1", "when": list(conditions)}]}, FIELDS)


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ({"field": "resolution", "is": ["8k"]}, "resolution is never '8k'; it can be '480p', '720p'"),
        ({"field": "resolution", "is": [None]}, "resolution is never None; it can be '480p', '720p'"),
        ({"field": "duration", "is": ["5s", 7]}, "duration is never '5s', 7; it can be '5', '10', None"),
        ({"field": "audio", "is": ["yes"]}, "audio is never 'yes'; it can be True, False"),
        ({"field": "steps", "above": "50"}, "steps is never above 50; 50 is its maximum"),
        ({"field": "steps", "at_most": "0.5"}, "steps is never at most 0.5; 1 is its minimum"),
    ],
)
def test_a_condition_that_no_value_meets_is_said_with_the_values_that_there_are(
    condition: dict[str, Any], words: str
) -> None:
    assert never(condition) == [words]


@pytest.mark.parametrize(
    "condition",
    [
        {"field": "resolution", "is": ["720P", "8k"]},
        {"field": "resolution", "is_not": ["8k"]},
        {"field": "resolution", "given": False},
        {"field": "duration", "is": [5]},
        {"field": "duration", "is": [None]},
        {"field": "audio", "is": [True]},
        {"field": "steps", "above": "49"},
        {"field": "steps", "at_least": "50"},
        {"field": "steps", "below": "2"},
        {"field": "steps", "at_most": "1"},
        {"field": "size", "is": ["portrait"]},
        {"field": "prompt", "is": ["anything"]},
        {"fields": ["resolution", "audio"], "given": True},
        {"quantity": {"of": "seconds"}, "above": "1000000"},
    ],
)
def test_a_condition_that_some_value_may_meet_is_left_alone(condition: dict[str, Any]) -> None:
    assert never(condition) == []


def test_tiers_and_multipliers_are_looked_through_too() -> None:
    wrong = [{"field": "resolution", "is": ["8k"]}]
    rule = {
        "version": 1,
        "charges": [{"name": "x", "price": [{"price": "1", "when": wrong}, {"price": "2"}]}],
        "multipliers": [{"name": "y", "factor": "2", "when": [{"field": "audio", "is": ["yes"]}]}],
    }
    assert len(never_met(rule, FIELDS)) == 2
