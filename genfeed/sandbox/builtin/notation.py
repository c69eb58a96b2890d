"""The compact notation of the built-in models, and how it becomes JSON Schema as fal writes it.

A field is `name[!][:type][=default]`; `!` means required. A field without a type has the type of its entry in
fields.txt, and that entry's default too, unless it is required; `=~` says that there is no default.

    str int num bool any obj        plain types; obj is an object with any members
    str(1..500) int(1..50) num(>0..<2)  bounds; `int(16..512,16)` in steps of 16
    (a|b|"c d")  int(1|2)           one of these values
    [T] [T](1..4)                   a list, with the least and most items
    {T}                             an object whose members are all T
    Name  Name~                     a component of objects.txt; with ~ one that is missing, as at fal
    A/B  T?                         either of them; T or null

Fields are parted by spaces. A value or default with special characters is written as JSON.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

Schema = dict[str, Any]
REF = "#/components/schemas/"
PLAIN: dict[str, Schema] = {
    "str": {"type": "string"},
    "int": {"type": "integer"},
    "num": {"type": "number"},
    "bool": {"type": "boolean"},
    "any": {},
    "obj": {"type": "object", "additionalProperties": True},
}
BOUNDS = {
    "string": ("minLength", "maxLength"),
    "array": ("minItems", "maxItems"),
    "integer": ("minimum", "maximum"),
    "number": ("minimum", "maximum"),
}
TOKEN = re.compile(r'(?:"(?:\\.|[^"\\])*"|[^\s"])+')
VALUE = re.compile(r'"(?:\\.|[^"\\])*"|[^|()]*')
NAME = re.compile(r"[A-Za-z0-9_]+~?")


class NotationError(ValueError):
    """A piece of the tables is not written as the notation says."""


@dataclass(frozen=True, slots=True)
class Field:
    """One property: `schema` is without title, description and default; `has_default` tells null from none."""

    name: str
    required: bool
    schema: Schema
    has_default: bool = False
    default: Any = None


def tokens(text: str) -> list[str]:
    """Cut a list of fields at the spaces outside quotes."""
    return TOKEN.findall(text)


def parse_field(token: str, known: dict[str, Field]) -> Field:
    """Read one field; `known` holds the entries of fields.txt."""
    name, required, type_text, default_text = _split(token)
    entry = known.get(name)
    if type_text is None and entry is None:
        raise NotationError(f"{name} has no type and no entry in fields.txt.")
    schema = entry.schema if type_text is None and entry else parse_type(type_text or "any")
    if default_text == "~":
        return Field(name, required, schema)
    if default_text is not None:
        return Field(name, required, schema, True, _parse_default(default_text, schema))
    if type_text is None and entry and entry.has_default and not required:
        return Field(name, required, schema, True, entry.default)
    return Field(name, required, schema)


def _split(token: str) -> tuple[str, bool, str | None, str | None]:
    """Name, whether required, type and default of a field. The default begins at the first = outside of quotes."""
    head, _, default = _partition(token, "=")
    name, _, type_text = head.partition(":")
    return name.removesuffix("!"), name.endswith("!"), type_text or None, default


def _partition(text: str, mark: str) -> tuple[str, str, str | None]:
    quoted = False
    for at, char in enumerate(text):
        if char == '"' and text[at - 1] != "\\":
            quoted = not quoted
        if char == mark and not quoted:
            return text[:at], mark, text[at + 1 :]
    return text, "", None


def _parse_default(text: str, schema: Schema) -> Any:
    if text[:1] in ('"', "[", "{") or text == "null":
        return orjson.loads(text)
    kinds = {one.get("type") for one in schema.get("anyOf", [schema])} - {"null"}
    if kinds == {"string"}:
        return text
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


@lru_cache(maxsize=4096)
def parse_type(text: str) -> Schema:
    """The JSON Schema of a type. It is shared: copy it before you change it."""
    schema, rest = _union(text)
    if rest:
        raise NotationError(f"{text}: {rest} is not understood.")
    return schema


def _union(text: str) -> tuple[Schema, str]:
    first, rest = _single(text)
    kinds = [first]
    while rest.startswith("/"):
        other, rest = _single(rest[1:])
        kinds.append(other)
    if rest.startswith("?"):
        kinds.append({"type": "null"})
        rest = rest[1:]
    return (first if len(kinds) == 1 else {"anyOf": kinds}), rest


def _single(text: str) -> tuple[Schema, str]:
    if text.startswith("("):
        return _enumeration({"type": "string"}, text)
    if text.startswith("["):
        items, rest = _union(text[1:])
        return _bounded({"type": "array", "items": items}, _after(rest, "]"))
    if text.startswith("{"):
        values, rest = _union(text[1:])
        return {"type": "object", "additionalProperties": values}, _after(rest, "}")
    name = NAME.match(text)
    if name is None:
        raise NotationError(f"A type is missing before {text or 'the end'}.")
    rest = text[name.end() :]
    if name[0] not in PLAIN:
        return {"$ref": REF + name[0]}, rest
    plain = dict(PLAIN[name[0]])
    if rest.startswith("(") and ".." not in rest[: rest.index(")")]:
        return _enumeration(plain, rest)
    return _bounded(plain, rest)


def _after(text: str, mark: str) -> str:
    if not text.startswith(mark):
        raise NotationError(f"{mark} is missing before {text or 'the end'}.")
    return text[1:]


def _enumeration(schema: Schema, text: str) -> tuple[Schema, str]:
    values: list[Any] = []
    while text[:1] in ("(", "|"):
        value = VALUE.match(text, 1)
        word = value[0] if value else ""
        is_text = schema.get("type") == "string" and not word.startswith('"')
        values.append(word if is_text else orjson.loads(word))
        text = text[1 + len(word) :]
    return {**schema, "enum": values}, _after(text, ")")


def _bounded(schema: Schema, text: str) -> tuple[Schema, str]:
    if not text.startswith("("):
        return schema, text
    inside, _, rest = text[1:].partition(")")
    span, _, step = inside.partition(",")
    low, _, high = span.partition("..")
    least, most = BOUNDS[schema["type"]]
    bounds = {**_bound(low, ">", least, "exclusiveMinimum"), **_bound(high, "<", most, "exclusiveMaximum")}
    if step:
        bounds["multipleOf"] = orjson.loads(step)
    return {**schema, **bounds}, rest


def _bound(text: str, mark: str, name: str, exclusive_name: str) -> dict[str, Any]:
    if not text:
        return {}
    exclusive = text.startswith(mark)
    return {exclusive_name if exclusive else name: orjson.loads(text.removeprefix(mark))}
