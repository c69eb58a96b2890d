"""A model's fields as rows of a table for people."""

from typing import Any

import orjson

_BOUNDS = (
    ("minimum", "≥ {}"), ("exclusive_minimum", "> {}"), ("maximum", "≤ {}"), ("exclusive_maximum", "< {}"),
    ("multiple_of", "a multiple of {}"),
    ("min_length", "at least {} characters"), ("max_length", "at most {} characters"),
    ("min_items", "at least {} items"), ("max_items", "at most {} items"), ("pattern", "like {}"),
)  # fmt: skip


def field_rows(fields: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """`{name, required, type, media, default, allowed, description}` for each mapped field, as text."""
    return [
        {
            "name": field["name"],
            "required": field.get("required", False),
            "type": _type(field),
            "media": field.get("media", ""),
            "default": _json(field["default"]) if "default" in field else "",
            "allowed": "; ".join(_allowed(field)),
            "description": field.get("description") or field.get("title", ""),
        }
        for field in fields
    ]


def _type(field: dict[str, Any]) -> str:
    element = field.get("items", {}).get("type")
    return f"{field['type']}{f' of {element}' if element else ''}{' or null' if field.get('nullable') else ''}"


def _allowed(field: dict[str, Any]) -> list[str]:
    choices = field.get("enum") or field.get("presets") or []
    found = [", ".join(value if isinstance(value, str) else _json(value) for value in choices)] if choices else []
    found += [words.format(field[name]) for name, words in _BOUNDS if name in field]
    inner = field.get("fields") or field.get("items", {}).get("fields") or []
    if inner:
        found.append(f"fields {', '.join(item['name'] for item in inner)}")
    return found


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()[:200]
