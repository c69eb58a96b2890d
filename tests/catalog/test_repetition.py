"""A few lines of a schema that ask for more looks than there are atoms are cut before any validator sees them."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from catalog.schemas.mapping import DEEPEST_INPUT, MOST_BYTES, SchemaNotUnderstood, map_openapi
from catalog.schemas.repetition import MOST_LOOKS, _count
from catalog.validating.checking import compile_validator, validate_input
from tests.catalog.openapi_documents import ENDPOINT, map_properties, openapi
from tests.cpu_bound import bounded_cpu
from tests.recorded import JUNE, mapped, requires_recorded

REF = "#/components/schemas/"


def doubling(levels: int, *, inside: bool = False) -> dict[str, Any]:
    """Each schema stands twice for the next: of the same value, or of what is in it."""

    def part(number: int) -> dict[str, Any]:
        below = {"$ref": f"{REF}U{number + 1}"}
        return {"type": "object", "properties": {"x": below}, "required": ["q"]} if inside else below

    return {f"U{number}": {"anyOf": [part(number), part(number)]} for number in range(levels)} | {
        f"U{levels}": {"type": "string"}
    }


FANS = {
    "alternatives of alternatives": doubling(40),
    "alternatives inside of each other": doubling(40, inside=True),
    "one that holds itself twice": {
        "U0": {"anyOf": [{"type": "object", "properties": {"x": {"$ref": f"{REF}U0"}}, "required": ["q"]}] * 2}
    },
    "circles that cross": {
        f"U{one}": {"anyOf": [{"$ref": f"{REF}U{other}"} for other in range(12) if other != one]} for one in range(12)
    },
}


@pytest.mark.parametrize("fan", FANS)
def test_a_property_that_multiplies_takes_any_value_and_the_others_are_checked(fan: str) -> None:
    bomb = {"description": "Whatever.", "$ref": f"{REF}U0"}
    made = map_properties({"bomb": bomb, "n": {"type": "integer"}}, schemas=FANS[fan])
    deep: Any = 1
    for _ in range(40):
        deep = {"x": deep}

    problems = validate_input(compile_validator(made.input_schema), {"bomb": deep, "n": "three"})

    assert "fields_cut" in made.flags
    assert made.input_schema["properties"]["bomb"] == {"description": "Whatever."}
    assert [problem.path for problem in problems] == ["n"]


def test_a_schema_that_multiplies_as_a_whole_is_not_understood() -> None:
    with pytest.raises(SchemaNotUnderstood, match="so many ways"):
        map_properties({}, schemas=doubling(40), allOf=[{"$ref": f"{REF}U0"}])


def test_what_holds_itself_once_is_checked_to_the_bottom() -> None:
    tree = {"type": "object", "properties": {"children": {"type": "array", "items": {"$ref": f"{REF}Tree"}}}}
    made = map_properties({"tree": {"$ref": f"{REF}Tree"}}, schemas={"Tree": tree})
    deep: Any = {"children": 1}
    for _ in range(20):
        deep = {"children": [deep]}

    assert "fields_cut" not in made.flags
    assert [one.code for one in validate_input(compile_validator(made.input_schema), {"tree": deep})] == ["type"]


@requires_recorded
def test_no_recorded_schema_comes_near_the_bound() -> None:
    most = max(max(_count(made.input_schema, DEEPEST_INPUT).values(), default=1) for made in mapped(JUNE).values())

    assert most < MOST_LOOKS / 10
    assert not [name for name, made in mapped(JUNE).items() if "fields_cut" in made.flags]


def test_a_schema_of_many_parts_takes_no_longer_than_its_length() -> None:
    many = 20_000
    same_name = {f"p{number}": {"$ref": f"#/components/x{number}/Same"} for number in range(many)}
    document = openapi(same_name)
    document["components"] |= {f"x{number}": {"Same": {"type": "string"}} for number in range(many)}
    parts = openapi({})
    parts["components"]["schemas"]["Output"] = {"allOf": [{"properties": {f"p{n}": {}}} for n in range(many)]}

    with bounded_cpu(10.0):
        assert len(map_openapi(document, ENDPOINT).inputs) == many
        map_openapi(parts, ENDPOINT)


def test_a_document_larger_than_any_is_not_understood() -> None:
    with pytest.raises(SchemaNotUnderstood, match="larger"):
        map_properties({"a": {"enum": ["x" * 100] * (MOST_BYTES // 100)}})


def test_a_huge_choice_is_told_in_few_words() -> None:
    choices = [f"choice {number}" for number in range(100_000)]
    made = map_properties({"a": {"type": "string", "enum": choices}})

    (problem,) = validate_input(compile_validator(made.input_schema), {"a": "none of them"})

    assert len(problem.hint) < 2_000
    assert len(orjson.dumps(made.inputs)) < MOST_BYTES


PATTERNS = ["^(a+)+$", "^(a|a)*$", "^(?=(a+)+b)", r"^(a+)+\1$", "(x+x+)+y", r"^((a+)+)(?<!b)$", "((a{100}){100}){100}"]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_that_backtracks_for_ever_does_not(pattern: str) -> None:
    made = map_properties({"a": {"type": "string", "pattern": pattern}})
    validator = compile_validator(made.input_schema)

    # Judged or given up, in the time of a request.
    with bounded_cpu():
        assert isinstance(validate_input(validator, {"a": "a" * 20_000 + "!"}), list)


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/schema", "file:///etc/hostname", "https://example.com/a"])
def test_nothing_that_a_schema_refers_to_is_fetched(address: str) -> None:
    made = map_properties({"a": {"$ref": address}})
    assert made.inputs[0]["type"] == "any"

    with pytest.raises(ValueError, match="Retrieval is disabled"):
        compile_validator({"properties": {"a": {"$ref": address}}})
