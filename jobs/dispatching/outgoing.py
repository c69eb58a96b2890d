"""What is sent to a provider of what a client asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

# Its outputs would come as data URIs inside of the answer, and the request would not be kept by the provider.
_NEVER = "sync_mode"
SAFETY = "enable_safety_checker"


def outgoing_input(given: Mapping[str, Any], inputs: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The input without `sync_mode`, and with the provider's safety checker on unless the client may switch it off.

    Whether a client may was checked before: what it says of the checker is sent as it is.
    """
    sent = {name: value for name, value in given.items() if name != _NEVER}
    if any(item["name"] == SAFETY for item in inputs):
        sent.setdefault(SAFETY, True)
    return sent


def digest_of(value: Any) -> str:
    """SHA-256 of the canonical JSON of an input: the same for equal inputs, whatever the order of their fields."""
    return hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).hexdigest()
