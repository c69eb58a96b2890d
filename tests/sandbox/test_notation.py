"""The notation of the built-in tables becomes JSON Schema."""

from typing import Any

import pytest

from genfeed.sandbox.builtin.notation import Field, NotationError, parse_field, parse_type, tokens

KNOWN = {"seed": Field("seed", False, {"type": "integer"}), "size": Field("size", False, {"type": "string"}, True, "s")}


@pytest.mark.parametrize(
    ("text", "schema"),
    [
        ("str", {"type": "string"}),
        ("any", {}),
        ("obj", {"type": "object", "additionalProperties": True}),
        ("str(1..5000)", {"type": "string", "minLength": 1, "maxLength": 5000}),
        ("int(1..)", {"type": "integer", "minimum": 1}),
        ("num(>0..<2.5)", {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 2.5}),
        ("int(16..512,16)", {"type": "integer", "minimum": 16, "maximum": 512, "multipleOf": 16}),
        ("(a|16:9|5)", {"type": "string", "enum": ["a", "16:9", "5"]}),
        ('("two words"|"a|b"|"(c)")', {"type": "string", "enum": ["two words", "a|b", "(c)"]}),
        ("int(5|10)", {"type": "integer", "enum": [5, 10]}),
        ("[str](1..4)", {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 4}),
        (
            "[[num]?]",
            {"type": "array", "items": {"anyOf": [{"type": "array", "items": {"type": "number"}}, {"type": "null"}]}},
        ),
        ("{num}", {"type": "object", "additionalProperties": {"type": "number"}}),
        ("Image", {"$ref": "#/components/schemas/Image"}),
        ("int?", {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
        (
            "Size/(a|b)?",
            {
                "anyOf": [
                    {"$ref": "#/components/schemas/Size"},
                    {"type": "string", "enum": ["a", "b"]},
                    {"type": "null"},
                ]
            },
        ),
    ],
)
def test_a_type_becomes_a_schema(text: str, schema: dict[str, Any]) -> None:
    assert parse_type(text) == schema


@pytest.mark.parametrize("text", ["", "str str", "[str", "{num", "(a|b", "str)"])
def test_a_type_that_is_not_finished_is_refused(text: str) -> None:
    with pytest.raises(NotationError):
        parse_type(text)


@pytest.mark.parametrize(
    ("token", "field"),
    [
        ("n:int=5", Field("n", False, {"type": "integer"}, True, 5)),
        ("n!:int", Field("n", True, {"type": "integer"})),
        ("n:(5|10)=5", Field("n", False, {"type": "string", "enum": ["5", "10"]}, True, "5")),
        ('n:str="a = b"', Field("n", False, {"type": "string"}, True, "a = b")),
        ('n:("a=b"|c)=c', Field("n", False, {"type": "string", "enum": ["a=b", "c"]}, True, "c")),
        ("n:[str]=[]", Field("n", False, {"type": "array", "items": {"type": "string"}}, True, [])),
        ("n:int?=null", Field("n", False, {"anyOf": [{"type": "integer"}, {"type": "null"}]}, True, None)),
        ("n:bool=false", Field("n", False, {"type": "boolean"}, True, False)),
        ("seed", Field("seed", False, {"type": "integer"})),
        ("seed=7", Field("seed", False, {"type": "integer"}, True, 7)),
        ("size", Field("size", False, {"type": "string"}, True, "s")),
        ("size!", Field("size", True, {"type": "string"})),
        ("size=~", Field("size", False, {"type": "string"})),
        ("size:int", Field("size", False, {"type": "integer"})),
    ],
)
def test_a_field_becomes_a_property(token: str, field: Field) -> None:
    assert parse_field(token, KNOWN) == field


def test_a_field_without_a_type_must_be_known() -> None:
    with pytest.raises(NotationError, match=r"nothing has no type and no entry in fields\.txt"):
        parse_field("nothing", KNOWN)


def test_spaces_in_quotes_do_not_part_fields() -> None:
    assert tokens('a:("b c"|d)  e="f g"') == ['a:("b c"|d)', 'e="f g"']
