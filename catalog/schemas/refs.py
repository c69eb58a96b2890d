"""Make one self-contained, valid JSON Schema out of a schema that points into a larger OpenAPI document.

References are rewritten to "#/$defs/<Name>", OpenAPI 3.0's own words become draft 2020-12, and what no validator
would accept (an unknown type, a keyword with an unusable value, a reference to nothing) is left out and flagged. The
rest stays as the provider wrote it.
"""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import jsonschema_rs

JSON_TYPES = frozenset({"string", "integer", "number", "boolean", "array", "object", "null"})

_ONE_SCHEMA = frozenset(
    (
        *("items", "additionalProperties", "not", "contains", "propertyNames", "if", "then", "else"),
        *("unevaluatedItems", "unevaluatedProperties", "contentSchema"),
    )
)
_LIST_OF_SCHEMAS = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_MAP_OF_SCHEMAS = frozenset({"properties", "patternProperties", "dependentSchemas"})
# They would change how references are resolved, or mean something else in draft 2020-12.
_LEFT_OUT = frozenset(
    (
        *("$id", "id", "$schema", "$anchor", "$vocabulary", "$defs", "definitions", "discriminator", "dependencies"),
        *("$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor"),
    )
)
# Up to here each integer is a number of its own in all software that reads JSON (RFC 8259, section 6).
MOST_EXACT = 2**53 - 1
# Bounds that pydantic writes down under its own names when a union hides the number.
_PYTHON_BOUNDS = {"ge": "minimum", "le": "maximum", "gt": "exclusiveMinimum", "lt": "exclusiveMaximum"}


def self_contained(document: dict[str, Any], schema: Any) -> tuple[dict[str, Any], set[str]]:
    """`schema` (a part of `document`) with all it refers to under "$defs", and flags of what was odd about it."""
    rewriter = _Rewriter(document)
    root = rewriter.schema(_without_root_ref(document, schema, rewriter.flags))
    defs: dict[str, Any] = {}
    while rewriter.waiting:
        name, target = rewriter.waiting.pop()
        defs[name] = rewriter.schema(target)
    if not isinstance(root, dict):
        root = {} if root else {"not": {}}
    return ({**root, "$defs": defs} if defs else root), rewriter.flags


def resolve(document: dict[str, Any], value: Any) -> Any:
    """`value`, or what its "$ref" leads to; None when that leads nowhere or in a circle."""
    seen: set[str] = set()
    while isinstance(value, dict) and isinstance(value.get("$ref"), str):
        pointer = value["$ref"]
        if pointer in seen:
            return None
        seen.add(pointer)
        value = _at_pointer(document, pointer)
    return value


def _at_pointer(document: dict[str, Any], pointer: str) -> Any:
    if not pointer.startswith("#/"):
        return None
    value: Any = document
    for part in unquote(pointer[2:]).split("/"):
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict):
            value = value.get(key)
        elif isinstance(value, list) and key.isascii() and key.isdigit() and len(key) < 6 and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return value


def _without_root_ref(document: dict[str, Any], schema: Any, flags: set[str]) -> Any:
    """A root that is only a reference is replaced by what it refers to, so that its properties are there to read."""
    if not isinstance(schema, dict) or not isinstance(schema.get("$ref"), str):
        return schema
    target = resolve(document, schema)
    beside = {key: value for key, value in schema.items() if key != "$ref"}
    if isinstance(target, bool) and not beside:
        return target
    if not isinstance(target, dict):
        flags.add(f"dangling_ref:{_last_part(schema['$ref'])}")
        return beside
    return {**target, **beside}


def _last_part(pointer: str) -> str:
    return pointer.rsplit("/", 1)[-1][:100]


class _Rewriter:
    """One pass over one schema: remembers which names were given to which references and what is still to be copied."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.flags: set[str] = set()
        self.waiting: list[tuple[str, Any]] = []
        self.names: dict[str, str] = {}
        self.taken: dict[str, int] = {}

    def schema(self, schema: Any) -> dict[str, Any] | bool:
        if isinstance(schema, bool):
            return schema
        if not isinstance(schema, dict):
            self.flags.add("ignored:schema")
            return {}
        result: dict[str, Any] = {}
        for key, value in schema.items():
            if key in _LEFT_OUT:
                continue
            if key in _ONE_SCHEMA:
                result[key] = self._one(key, value, result)
            elif key in _LIST_OF_SCHEMAS:
                self._list(key, value, result)
            elif key in _MAP_OF_SCHEMAS:
                self._map(key, value, result)
            elif key == "$ref":
                self._reference(value, result)
            elif key in _KEYWORDS:
                self._keyword(key, value, result)
            else:
                result[key] = value
        _modernise(result)
        return result

    def _one(self, key: str, value: Any, result: dict[str, Any]) -> dict[str, Any] | bool:
        if key == "items" and isinstance(value, list):  # the tuple form of older drafts
            self._list("prefixItems", value, result)
            return True
        return self.schema(value)

    def _list(self, key: str, value: Any, result: dict[str, Any]) -> None:
        if isinstance(value, list) and value:
            result[key] = [self.schema(item) for item in value]
        else:
            self.flags.add(f"ignored:{key}")

    def _map(self, key: str, value: Any, result: dict[str, Any]) -> None:
        if not isinstance(value, dict):
            self.flags.add(f"ignored:{key}")
            return
        result[key] = {
            name: self.schema(item) for name, item in value.items() if key != "patternProperties" or _is_pattern(name)
        }

    def _keyword(self, key: str, value: Any, result: dict[str, Any]) -> None:
        if _KEYWORDS[key](value):
            result[key] = value
            return
        mended = _mend(key, value)
        if mended is not None:
            result[key] = mended
        if mended is None or key == "type":
            self.flags.add(f"ignored:{key}")

    def _reference(self, pointer: Any, result: dict[str, Any]) -> None:
        if not isinstance(pointer, str):
            self.flags.add("ignored:$ref")
            return
        if pointer not in self.names:
            target = _at_pointer(self.document, pointer)
            if not isinstance(target, dict | bool):
                self.flags.add(f"dangling_ref:{_last_part(pointer)}")
                return
            self.names[pointer] = self._free_name(pointer)
            self.waiting.append((self.names[pointer], target))
        result["$ref"] = f"#/$defs/{self.names[pointer]}"

    def _free_name(self, pointer: str) -> str:
        name = re.sub(r"[^A-Za-z0-9_.-]+", "_", _last_part(pointer)) or "_"
        free = name
        while free in self.taken:
            # Where many are named alike, each begins where the one before has ended.
            self.taken[name] += 1
            free = f"{name}_{self.taken[name]}"
        self.taken[free] = 1
        return free


def _modernise(schema: dict[str, Any]) -> None:
    """OpenAPI 3.0 and pydantic spellings to draft 2020-12, in place."""
    for old, new in _PYTHON_BOUNDS.items():
        if old in schema and new not in schema and _is_number(schema[old]):
            schema[new] = schema[old]
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if isinstance(schema.get(exclusive), bool):
            is_exclusive = schema.pop(exclusive)
            if is_exclusive and bound in schema:
                schema[exclusive] = schema.pop(bound)
    if schema.pop("nullable", False) is True:
        _allow_null(schema)


def _allow_null(schema: dict[str, Any]) -> None:
    kinds = schema.get("type")
    if isinstance(kinds, str) and kinds != "null":
        schema["type"] = [kinds, "null"]
    elif isinstance(kinds, list) and "null" not in kinds:
        schema["type"] = [*kinds, "null"]
    if "enum" in schema and None not in schema["enum"]:
        schema["enum"] = [*schema["enum"], None]
    if "const" in schema and schema["const"] is not None:
        schema["enum"] = [schema.pop("const"), None]
    if "anyOf" in schema:
        if {"type": "null"} not in schema["anyOf"]:
            schema["anyOf"] = [*schema["anyOf"], {"type": "null"}]
    elif "$ref" in schema:
        schema["anyOf"] = [{"$ref": schema.pop("$ref")}, {"type": "null"}]
    for key in ("allOf", "oneOf"):
        if key in schema:
            rest = {key: schema.pop(key)}
            schema["anyOf"] = [*schema.get("anyOf", []), rest, {"type": "null"}]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


def _is_bound_or_bool(value: Any) -> bool:
    return isinstance(value, int | float)


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value) and len(set(value)) == len(value)


def _is_type(value: Any) -> bool:
    if isinstance(value, str):
        return value in JSON_TYPES
    return _is_names(value) and bool(value) and set(value) <= JSON_TYPES


def _is_enum(value: Any) -> bool:
    return isinstance(value, list) and bool(value)


def _is_pattern(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        jsonschema_rs.Draft202012Validator({"pattern": value}, offline=True)
    except (jsonschema_rs.ValidationError, ValueError):
        return False
    return True


def _mend(key: str, value: Any) -> Any:
    """What can be kept of a keyword with an unusable value; None for nothing."""
    if key == "required" and isinstance(value, list):
        return list(dict.fromkeys(name for name in value if isinstance(name, str)))
    if key == "type" and isinstance(value, list):
        return [kind for kind in dict.fromkeys(filter(_is_text, value)) if kind in JSON_TYPES] or None
    if key in _COUNTS and isinstance(value, float) and 0 <= value <= MOST_EXACT and value.is_integer():
        return int(value)
    return None


_COUNTS = frozenset(
    ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "minContains", "maxContains")
)
_KEYWORDS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(_COUNTS, _is_count),
    **dict.fromkeys(("title", "description", "format", "$comment", "contentEncoding", "contentMediaType"), _is_text),
    **dict.fromkeys(("deprecated", "readOnly", "writeOnly", "uniqueItems", "nullable"), _is_bool),
    **dict.fromkeys(("minimum", "maximum"), _is_number),
    **dict.fromkeys(("exclusiveMinimum", "exclusiveMaximum"), _is_bound_or_bool),
    "multipleOf": lambda value: _is_number(value) and value > 0,
    "type": _is_type,
    "enum": _is_enum,
    "required": _is_names,
    "pattern": _is_pattern,
    "examples": _is_list,
    "dependentRequired": lambda value: isinstance(value, dict) and all(map(_is_names, value.values())),
}
