"""The published catalog in memory: what the API's lists are answered from.

Each process holds the newest revision that it has seen, rendered to bytes once, and asks the database for the number
of the newest at most every second. A list costs no query in between, however many models there are.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import cached_property
from typing import Any

import orjson

from catalog import revisions
from catalog.legacy import convert_to_existing_schema
from catalog.models import AIModel
from catalog.reporting import held_words

CHECK_EVERY_SECONDS = 1.0
# Rendered answers kept a revision: the pages that clients really ask for, over and over.
_RENDERED_AT_MOST = 256


@dataclass(frozen=True, slots=True)
class Entry:
    """One model as lists show it; `body` and `legacy` are its JSON."""

    pk: int
    id: str
    provider: str
    name: str
    category: str
    media_type: str
    kind: str
    status: str
    enabled: bool
    held_reason: str
    capabilities: frozenset[str]
    changed_at: str
    schema_version: int
    haystack: str
    body: bytes
    legacy: bytes


@dataclass
class Published:
    """One revision of the catalog. Entries are in the order of their ids."""

    revision: int
    published_at: datetime | None
    entries: tuple[Entry, ...]
    by_id: dict[str, tuple[Entry, ...]]
    _rendered: "OrderedDict[Any, bytes]" = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def rendered(self, key: Any, render: Callable[[], bytes]) -> bytes:
        """The bytes kept under `key`, made by `render` at first need."""
        with self._lock:
            if key in self._rendered:
                self._rendered.move_to_end(key)
                return self._rendered[key]
        body = render()
        with self._lock:
            self._rendered[key] = body
            if len(self._rendered) > _RENDERED_AT_MOST:
                self._rendered.popitem(last=False)
        return body


class ModelNotFoundError(LookupError):
    """No such model among those with the ids `known`."""

    def __init__(self, address: str, known: list[str]) -> None:
        # Cut: an address may be as long as a request line.
        super().__init__(f"There is no model {address[:120]!r}.")
        self._wanted = address.partition(":")[2] or address
        self._known = known

    @cached_property
    def nearest(self) -> list[str]:
        """Known ids that look like it. Found when it is asked for: that takes 40 ms with 1,400 models."""
        return get_close_matches(self._wanted, self._known, n=3, cutoff=0.6)


class ModelAmbiguousError(LookupError):
    """Several providers have a model of this id; `candidates` are the full addresses."""

    def __init__(self, address: str, candidates: list[str]) -> None:
        super().__init__(f"More than one provider has a model {address!r}.")
        self.candidates = candidates


_current: Published | None = None
_checked_at = 0.0
_lock = threading.Lock()


def current() -> Published:
    """The published catalog; at most one second behind the database, and always a whole revision."""
    global _current, _checked_at
    found = _current
    if found is not None and time.monotonic() - _checked_at < CHECK_EVERY_SECONDS:
        return found
    # While one thread rebuilds, the others go on with the revision before.
    if not _lock.acquire(blocking=found is None):
        return found or current()
    try:
        newest = revisions.current()
        number = newest.number if newest else 0
        if _current is None or _current.revision != number:
            _current = _build(number, newest.at if newest else None)
        _checked_at = time.monotonic()
        return _current
    finally:
        _lock.release()


def forget() -> None:
    """Makes the next look ask the database; for the process that has just published, and for tests."""
    global _current, _checked_at
    # Not while a thread rebuilds: it would publish to this process what it began to read before.
    with _lock:
        _current, _checked_at = None, 0.0


def find(address: str, *, offered_only: bool = True) -> Entry:
    """The model at `provider:endpoint_id`, or at a bare endpoint id that only one provider has.

    Raises ModelNotFoundError with the nearest known ids, ModelAmbiguousError with the candidates.
    With `offered_only`, models that clients are not offered count as unknown.
    """
    catalog = current()
    entries = catalog.by_id.get(address, ())
    if not entries:
        provider, separator, endpoint_id = address.partition(":")
        if separator:
            entries = tuple(entry for entry in catalog.by_id.get(endpoint_id, ()) if entry.provider == provider)
    if offered_only:
        entries = tuple(entry for entry in entries if entry.enabled)
    if len(entries) == 1:
        return entries[0]
    if entries:
        raise ModelAmbiguousError(address, sorted(f"{entry.provider}:{entry.id}" for entry in entries))
    known = [entry.id for entry in catalog.entries if entry.enabled or not offered_only]
    raise ModelNotFoundError(address, known)


def _build(number: int, at: datetime | None) -> Published:
    # Sorted here, as cursors compare: a database's collation may see letters and punctuation otherwise.
    entries = tuple(sorted(_entries(), key=lambda entry: (entry.id, entry.provider)))
    by_id: dict[str, tuple[Entry, ...]] = {}
    for entry in entries:
        by_id[entry.id] = (*by_id.get(entry.id, ()), entry)
    return Published(number, at, entries, by_id)


def _entries() -> Iterator[Entry]:
    rows = AIModel.objects.select_related("provider").defer("metadata", "limits").order_by()
    for row in rows.iterator(chunk_size=2000):
        yield Entry(
            pk=row.pk,
            id=row.endpoint_id,
            provider=row.provider.slug,
            name=row.name,
            category=row.category,
            media_type=row.media_type,
            kind=row.kind,
            status=row.status,
            enabled=row.enabled,
            held_reason=row.held_reason,
            capabilities=frozenset(row.capabilities),
            changed_at=rfc3339(row.changed_at),
            schema_version=row.schema_version,
            haystack=f"{row.endpoint_id} {row.name} {row.category} {row.description} {' '.join(row.tags)}".casefold(),
            body=orjson.dumps(render_model(row)),
            legacy=orjson.dumps(convert_to_existing_schema(row)),
        )


def render_model(row: AIModel) -> dict[str, Any]:
    """A model as the API's lists show it."""
    return {
        "id": row.endpoint_id,
        "name": row.name,
        "provider": row.provider.slug,
        "category": row.category,
        "media_type": row.media_type,
        "kind": row.kind,
        "description": row.description,
        "status": row.status,
        "enabled": row.enabled,
        "held_reason": held_words(row) or None,
        "tags": row.tags,
        "capabilities": row.capabilities,
        "thumbnail_url": row.thumbnail_url or None,
        "price": {"amount": None, "unit": None, "currency": "USD", "state": "unknown", "varies": False},
        "schema_version": row.schema_version or None,
        "updated_at": rfc3339(row.changed_at),
    }


def rfc3339(moment: datetime) -> str:
    """`2026-11-20T16:00:00.123Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
