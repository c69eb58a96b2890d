"""Fields of an input that are secrets, such as a key of somebody else's service: sealed as soon as they are accepted.

Schemas mark them with the format `password`, Replicate's all of theirs. They are opened for the provider alone; pages
show that there is one, and digests, which find a lost request again, leave them out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from genfeed.clients.sealing import CannotUnsealError, seal, unseal
from jobs.outgoing import digest_of

SHOWN = "(secret)"
_SEALED = "gf-sealed:"


def with_sealed(given: Mapping[str, Any], inputs: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The input as it is kept; `inputs`: the fields of the schema that it was checked against."""
    secret = {item["name"] for item in inputs if item.get("format") == "password"}
    return {
        name: f"{_SEALED}{seal(value)}" if name in secret and isinstance(value, str) else value
        for name, value in given.items()
    }


def with_opened(kept: Mapping[str, Any]) -> dict[str, Any]:
    """The input as the provider must get it. What can't be opened stays as it is, for the provider to refuse."""
    return {name: _opened(value) if _is_sealed(value) else value for name, value in kept.items()}


def with_hidden(kept: Mapping[str, Any]) -> dict[str, Any]:
    """The input as it may be shown."""
    return {name: SHOWN if _is_sealed(value) else value for name, value in kept.items()}


def names_of(kept: Mapping[str, Any]) -> list[str]:
    """The fields that are sealed."""
    return [name for name, value in kept.items() if _is_sealed(value)]


def digest_without(given: Mapping[str, Any], secret: Collection[str]) -> str:
    """The digest of an input without its secrets: a provider may tell them, hide them or leave them out."""
    return digest_of({name: value for name, value in given.items() if name not in secret})


def _is_sealed(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(_SEALED)


def _opened(value: str) -> str:
    try:
        return unseal(value.removeprefix(_SEALED))
    except CannotUnsealError:
        # The operator lost the key of it, or a client wrote a text that only looks so.
        return value
