"""What may be told of a client's input and output to those who may not see it: names, lengths and keyed digests.

The digest is keyed, so that nobody can find a short prompt by trying; equal texts have equal digests.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from django.utils.crypto import salted_hmac

_SALT = "jobs.redaction"
_DIGITS = 16


def keyed_digest(text: str) -> str:
    """The first digits of an HMAC-SHA-256 of a text, keyed by SECRET_KEY."""
    return salted_hmac(_SALT, text, algorithm="sha256").hexdigest()[:_DIGITS]


def redacted(value: Any) -> list[tuple[str, str, int, str]]:
    """Name, kind, length and keyed digest of each field of an object; numbers and booleans too, as their JSON."""
    if value is None:
        return []
    fields = value if isinstance(value, Mapping) else {"": value}
    return [(str(name), _kind(inner), len(_text(inner)), keyed_digest(_text(inner))) for name, inner in fields.items()]


def prompt_marks(value: Mapping[str, Any]) -> dict[str, Any]:
    """Length and keyed digest of the prompt of an input, for logs; nothing where it has none."""
    prompt = value.get("prompt")
    if not isinstance(prompt, str):
        return {}
    return {"prompt_characters": len(prompt), "prompt_hmac": keyed_digest(prompt)}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def _kind(value: Any) -> str:
    kinds = {str: "text", bool: "boolean", int: "number", float: "number", list: "list", dict: "object"}
    return kinds.get(type(value), "null")
