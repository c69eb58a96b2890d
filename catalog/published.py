"""The published catalog in memory: what the API's lists are answered from.

Each process holds the newest revision that it has seen, rendered to bytes once, and asks the database for the number
of the newest at most every second. A list costs no query in between, however many models there are.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Any

import orjson

from catalog import revisions
from catalog.guessing import nearest_ids
from catalog.legacy import convert_to_existing_schema
from catalog.models import AIModel
from catalog.reporting import held_words
from genfeed import heaps
from genfeed.journal.times import rfc3339 as rfc3339

CHECK_EVERY_SECONDS = 1.0
# In place of a provider: the default model of the category that follows.
DEFAULT = "default"
# Rendered answers kept a revision: the pages that clients really ask for, over and over.
_RENDERED_AT_MOST = 256
# Clients with prices of their own whose lists are kept at a time.
_SCOPES_AT_MOST = 32


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
    amount: Decimal | None
    body: bytes
    legacy: bytes
    client_id: int | None = None  # whom alone it is offered
    default_for: str = ""  # the category that it is the default of


@dataclass(frozen=True, slots=True)
class OwnPrice:
    """A model's selling price to one client, as lists show it and in the legacy shape."""

    price: dict[str, Any]
    legacy_pricing: dict[str, float]


@dataclass
class Published:
    """One revision of the catalog. Entries are in the order of their ids.

    `scope` is "" for the prices that everybody pays, else it names whose prices these are, which `own_prices` holds
    by model key where they differ.
    """

    revision: int
    published_at: datetime | None
    entries: tuple[Entry, ...]
    by_id: dict[str, tuple[Entry, ...]]
    scope: str = ""
    own_prices: Mapping[int, "OwnPrice"] = field(default_factory=dict)
    rendered_at_most: int = _RENDERED_AT_MOST
    _rendered: "OrderedDict[Any, bytes]" = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @cached_property
    def defaults(self) -> dict[str, Entry]:
        """The default model of each category that has one."""
        return {entry.default_for: entry for entry in self.entries if entry.default_for}

    @cached_property
    def owners(self) -> frozenset[int]:
        """The clients that have models of their own, which nobody else is offered."""
        return frozenset(entry.client_id for entry in self.entries if entry.client_id is not None)

    def rendered(self, key: Any, render: Callable[[], bytes]) -> bytes:
        """The bytes kept under `key`, made by `render` at first need."""
        with self._lock:
            if key in self._rendered:
                self._rendered.move_to_end(key)
                return self._rendered[key]
        body = render()
        with self._lock:
            self._rendered[key] = body
            if len(self._rendered) > self.rendered_at_most:
                self._rendered.popitem(last=False)
        return body


class ModelNotFoundError(LookupError):
    """No such model among those with the ids `known`; for `default:category`, no such default among the addresses."""

    def __init__(self, address: str, known: list[str]) -> None:
        provider, _, endpoint_id = address.partition(":")
        is_default = provider == DEFAULT
        # Cut: an address may be as long as a request line.
        what = f"default model for the category {endpoint_id[:120]!r}" if is_default else f"model {address[:120]!r}"
        super().__init__(f"There is no {what}.")
        self._wanted = address if is_default else endpoint_id or address
        self._known = known

    @cached_property
    def nearest(self) -> list[str]:
        """Known ids that look like it. Found when it is asked for: that takes 40 ms with 1,400 models."""
        return nearest_ids(self._wanted, self._known)


class ModelAmbiguousError(LookupError):
    """Several providers have a model of this id; `candidates` are the full addresses."""

    def __init__(self, address: str, candidates: list[str]) -> None:
        super().__init__(f"More than one provider has a model {address!r}.")
        self.candidates = candidates


_current: Published | None = None
_checked_at = 0.0
_lock = threading.Lock()
# Prices of single clients come from a floor above, which registers here how to tell and how to make them.
_scope_of: Callable[[int], str] = lambda _client_id: ""  # noqa: E731
_own_prices: Callable[[str], Mapping[int, OwnPrice]] = lambda _scope: {}  # noqa: E731
_scoped: "OrderedDict[str, tuple[Published, Published]]" = OrderedDict()


def register_scopes(*, scope_of: Callable[[int], str], own_prices: Callable[[str], Mapping[int, OwnPrice]]) -> None:
    """Tells how clients come to prices of their own.

    `scope_of(client id)` names the prices that the client sees, "" for everybody's; it is asked at every request and
    must be fast. `own_prices(scope)` makes those that differ, by model key; it is asked once a revision and scope.
    """
    global _scope_of, _own_prices
    _scope_of, _own_prices = scope_of, own_prices


def for_client(client_id: int | None) -> Published:
    """The published catalog as one client sees it; None: as everybody without prices of their own does."""
    catalog = current()
    scope = _scope_of(client_id) if client_id is not None else ""
    if not scope:
        return catalog
    with _lock:
        held = _scoped.get(scope)
        if held is not None and held[0] is catalog:
            _scoped.move_to_end(scope)
            return held[1]
    own = _own_prices(scope)
    made = Published(catalog.revision, catalog.published_at, (), {}, scope=scope, own_prices=own)
    made.entries = tuple(_repriced(entry, own[entry.pk]) if entry.pk in own else entry for entry in catalog.entries)
    made.by_id = by_id(made.entries)
    with _lock:
        _scoped[scope] = (catalog, made)
        if len(_scoped) > _SCOPES_AT_MOST:
            _scoped.popitem(last=False)
    return made


def _repriced(entry: Entry, own: OwnPrice) -> Entry:
    return replace(
        entry,
        amount=_amount(own.price),
        body=orjson.dumps(orjson.loads(entry.body) | {"price": own.price}),
        legacy=orjson.dumps(orjson.loads(entry.legacy) | {"pricing": own.legacy_pricing}),
    )


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
            # Of clients that are not asking any more, each would hold on to the revision that it saw last.
            _scoped.clear()
            heaps.give_back()
        _checked_at = time.monotonic()
        return _current
    finally:
        _lock.release()


def known_revision() -> int | None:
    """The number of the revision that `current` returns now; None where it would have to ask the database first."""
    found = _current
    if found is None or time.monotonic() - _checked_at >= CHECK_EVERY_SECONDS:
        return None
    return found.revision


def forget() -> None:
    """Makes the next look ask the database; for the process that has just published, and for tests."""
    global _current, _checked_at
    # Not while a thread rebuilds: it would publish to this process what it began to read before.
    with _lock:
        _current, _checked_at = None, 0.0
        _scoped.clear()


def find(address: str, *, offered_only: bool = True, within: Published | None = None) -> Entry:
    """The model at `provider:endpoint_id`, or at a bare endpoint id that only one provider has, or the default of a
    category at `default:category`.

    Raises ModelNotFoundError with the nearest known ids, ModelAmbiguousError with the candidates.
    With `offered_only`, models that clients are not offered count as unknown; with `within`, all that are not in it.
    """
    catalog = within or current()
    entries = catalog.by_id.get(address, ())
    if not entries:
        provider, separator, endpoint_id = address.partition(":")
        if provider == DEFAULT and endpoint_id in catalog.defaults:
            entries = (catalog.defaults[endpoint_id],)
        elif separator:
            entries = tuple(entry for entry in catalog.by_id.get(endpoint_id, ()) if entry.provider == provider)
    if offered_only:
        entries = tuple(entry for entry in entries if entry.enabled)
    if len(entries) == 1:
        return entries[0]
    if entries:
        raise ModelAmbiguousError(address, sorted(f"{entry.provider}:{entry.id}" for entry in entries))
    if address.startswith(f"{DEFAULT}:"):
        chosen = catalog.defaults.items()
        raise ModelNotFoundError(
            address, [f"{DEFAULT}:{category}" for category, entry in chosen if entry.enabled or not offered_only]
        )
    known = [entry.id for entry in catalog.entries if entry.enabled or not offered_only]
    raise ModelNotFoundError(address, known)


def _build(number: int, at: datetime | None) -> Published:
    # Sorted here, as cursors compare: a database's collation may see letters and punctuation otherwise.
    entries = tuple(sorted(_entries(), key=lambda entry: (entry.id, entry.provider)))
    return Published(number, at, entries, by_id(entries))


def by_id(entries: Iterable[Entry]) -> dict[str, tuple[Entry, ...]]:
    """The entries of each endpoint id; several where providers have one of the same id."""
    found: dict[str, tuple[Entry, ...]] = {}
    for entry in entries:
        found[entry.id] = (*found.get(entry.id, ()), entry)
    return found


# What an entry is made of: to read the rest too would take half as long again.
_READ = (
    "endpoint_id", "name", "description", "category", "media_type", "kind", "status", "tags", "capabilities",
    "thumbnail_url", "origin", "enabled", "held_reason", "schema_problem", "schema_version", "price", "legacy_pricing",
    "client", "changed_at", "provider__slug", "default__category",
)  # fmt: skip


def _entries() -> Iterator[Entry]:
    rows = AIModel.objects.select_related("provider", "default").only(*_READ).order_by()
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
            amount=_amount(row.price),
            body=orjson.dumps(render_model(row)),
            legacy=orjson.dumps(convert_to_existing_schema(row)),
            client_id=row.client_id,
            default_for=row.default.category if hasattr(row, "default") else "",
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
        "price": row.price,
        "schema_version": row.schema_version or None,
        "updated_at": rfc3339(row.changed_at),
    }


def _amount(price: dict[str, Any]) -> Decimal | None:
    return Decimal(price["amount"]) if price.get("amount") is not None else None
