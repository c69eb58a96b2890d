"""Which models a client and a key may use: allow and deny lists of ids, with `*` at the end for anything."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import Any, Protocol

# An id is a path at its provider, perhaps with the provider before a colon; a star only at the very end.
_PATTERN = re.compile(r"(?:[\w.\-]+:)?(?:[\w.\-/]+\*?|\*)", re.ASCII)
MOST_PATTERNS = 1000
_LONGEST = 300


class BadListError(ValueError):
    """A list of models that can't be one; the message says which entry and why."""


@dataclass(frozen=True)
class Patterns:
    """Some model ids, each `endpoint` or `provider:endpoint`, a `*` at the end standing for anything."""

    texts: tuple[str, ...]

    @cached_property
    def _exact(self) -> frozenset[str]:
        return frozenset(text for text in self.texts if not text.endswith("*"))

    @cached_property
    def _beginnings(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """What ids may begin with: bare ones, and those with their provider. A bare one says nothing of providers."""
        starts = [text[:-1] for text in self.texts if text.endswith("*")]
        return tuple(text for text in starts if ":" not in text), tuple(text for text in starts if ":" in text)

    def match(self, provider: str, endpoint_id: str) -> bool:
        """Whether one of them names this model."""
        full = f"{provider}:{endpoint_id}"
        bare, with_provider = self._beginnings
        return (
            endpoint_id in self._exact
            or full in self._exact
            or endpoint_id.startswith(bare)
            or full.startswith(with_provider)
        )

    def cover(self, text: str) -> bool:
        """Whether all that an entry names is named by one of these."""
        bare, with_provider = self._beginnings
        _provider, separator, endpoint = text.partition(":")
        if separator and (endpoint in self._exact or endpoint.startswith(bare)):
            return True
        return text in self._exact or text.startswith(with_provider if separator else bare)


@dataclass(frozen=True)
class Restriction:
    """What narrows a caller. Every list of `allowed` must name a model, and `denied` must not: denial wins."""

    allowed: tuple[Patterns, ...]
    denied: Patterns = field(default_factory=lambda: Patterns(()))

    def permits(self, provider: str, endpoint_id: str) -> bool:
        """Whether the model may be used."""
        return all(patterns.match(provider, endpoint_id) for patterns in self.allowed) and not self.denied.match(
            provider, endpoint_id
        )

    @cached_property
    def fingerprint(self) -> str:
        """Short name of this very restriction, for caches and ETags."""
        parts = [*(patterns.texts for patterns in self.allowed), self.denied.texts]
        return sha256(repr(parts).encode()).hexdigest()[:16]


class _Restricted(Protocol):
    @property
    def restriction(self) -> Restriction | None: ...


def may_use(caller: _Restricted | None, provider: str, endpoint_id: str) -> bool:
    """Whether a caller's lists let it see and use a model; None (staff) is bound by none."""
    restriction = caller.restriction if caller else None
    return restriction is None or restriction.permits(provider, endpoint_id)


def restriction_of(allowed: Iterable[list[str]], denied: Iterable[list[str]]) -> Restriction | None:
    """What the lists of a client and its key say together: an empty allow list allows all; None: nothing is barred."""
    allowing = tuple(Patterns(tuple(sorted(set(texts)))) for texts in allowed if texts)
    denying = Patterns(tuple(sorted({text for texts in denied for text in texts})))
    return Restriction(allowing, denying) if allowing or denying.texts else None


def check_list(entries: Any) -> list[str]:
    """A list of model ids as it is stored: trimmed, sorted, without doubles; raises BadListError."""
    if not isinstance(entries, list | tuple):
        raise BadListError("Send a list of model ids.")
    if len(entries) > MOST_PATTERNS:
        raise BadListError(f"{len(entries)} entries are too many; {MOST_PATTERNS} is the most. Use a * at the end.")
    found = set()
    for entry in entries:
        text = entry.strip() if isinstance(entry, str) else ""
        if not text or len(text) > _LONGEST or not _PATTERN.fullmatch(text):
            raise BadListError(
                f"{str(entry)[:80]!r} is no model id; write fal-ai/flux/dev, fal:fal-ai/flux/dev or fal-ai/flux/*."
            )
        found.add(text)
    return sorted(found)
