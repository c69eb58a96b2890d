"""Fields of an input that are secrets, such as a key of somebody else's service: sealed as soon as they are accepted.

Schemas mark them with the format `password`, Replicate's all of theirs. The job names the fields that were sealed, so
that nothing a client writes is ever taken for one. They are opened for the provider alone, and erased when
the job ends; pages show that there is one. A job that has any is not looked for by its input when its submit is lost
(jobs.recovering).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from genfeed.clients.sealing import seal, unseal

SHOWN = "(secret)"
_PURPOSE = "input of a job"


def secret_names(given: Mapping[str, Any], inputs: Iterable[Mapping[str, Any]]) -> list[str]:
    """The fields that are secrets; `inputs`: the fields of the schema that the input was checked against."""
    secret = {item["name"] for item in inputs if item.get("format") == "password"}
    return [name for name, value in given.items() if name in secret and isinstance(value, str)]


def with_sealed(given: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """The input as it is kept."""
    return {name: seal(value, purpose=_PURPOSE) if name in names else value for name, value in given.items()}


def with_opened(kept: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """The input as the provider must get it. Raises CannotUnsealError where the operator lost the key of a secret."""
    return {name: unseal(value, purpose=_PURPOSE) if name in names else value for name, value in kept.items()}


def with_hidden(kept: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """The input as it may be shown, and as it stays when the job has ended."""
    return {name: SHOWN if name in names else value for name, value in kept.items()}
