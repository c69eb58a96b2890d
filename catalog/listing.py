"""Filtering, sorting and paging the published catalog."""

import base64
import binascii
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from decimal import Decimal

import orjson

from catalog.published import Entry, Published

SORTS = ("id", "name", "-updated_at", "updated_at", "price", "-price")


class BadCursorError(ValueError):
    """A cursor that this list did not give out."""


@dataclass(frozen=True)
class Query:
    """What a list is asked for. `enabled` None: both. `offered_only`: whoever asks may see enabled models alone.

    `max_price` compares the selling price of one unit, whatever the unit; models of an unknown price are left out.
    """

    provider: str | None = None
    category: str | None = None
    media_type: str | None = None
    kind: str | None = None
    capability: str | None = None
    status: str | None = None
    q: str | None = None
    enabled: bool | None = True
    max_price: Decimal | None = None
    sort: str = "id"
    offered_only: bool = False


def select(catalog: Published, query: Query) -> list[Entry]:
    """The entries that match, sorted; every word of `q` must appear in id, name, category, description or tags."""
    words = query.q.casefold().split() if query.q else []
    wanted = [
        entry
        for entry in catalog.entries
        if (entry.enabled or not query.offered_only)
        and (query.enabled is None or entry.enabled == query.enabled)
        and (query.provider is None or entry.provider == query.provider)
        and (query.category is None or entry.category == query.category)
        and (query.media_type is None or entry.media_type == query.media_type)
        and (query.kind is None or entry.kind == query.kind)
        and (query.status is None or entry.status == query.status)
        and (query.capability is None or query.capability in entry.capabilities)
        and (query.max_price is None or (entry.amount is not None and entry.amount <= query.max_price))
        and all(word in entry.haystack for word in words)
    ]
    if query.sort != "id":
        wanted.sort(key=lambda entry: _key(entry, query.sort), reverse=query.sort.startswith("-"))
    return wanted


def page(catalog: Published, query: Query, *, limit: int, cursor: str | None) -> bytes:
    """`{"items": […], "next_cursor": …}` as JSON bytes; raises BadCursorError.

    A cursor names the last model of its page, not a position, so that models which come and go between two pages
    neither repeat nor hide others.
    """
    render = lambda: _render(select(catalog, query), query.sort, limit, cursor)  # noqa: E731
    return catalog.rendered((astuple(query), limit, cursor), render) if is_kept(query) else render()


def is_kept(query: Query) -> bool:
    """Whether pages of it are kept. Free text is different every time: it would only push out the pages that come
    back. So are amounts."""
    return not query.q and query.max_price is None


def legacy_list(catalog: Published, provider: str) -> bytes:
    """`{"models", "count", "lastUpdated"}` of a provider's enabled models in the legacy shape, as JSON bytes."""

    def render() -> bytes:
        entries = select(catalog, Query(provider=provider))
        updated = catalog.published_at.isoformat().replace("+00:00", "Z") if catalog.published_at else None
        tail = orjson.dumps({"count": len(entries), "lastUpdated": updated})[1:]
        return b'{"models":' + _join(entry.legacy for entry in entries) + b"," + tail

    return catalog.rendered(("legacy", provider), render)


def _render(entries: list[Entry], sort: str, limit: int, cursor: str | None) -> bytes:
    if cursor is not None:
        after = _decode(cursor, sort)
        if sort.startswith("-"):
            entries = [entry for entry in entries if _key(entry, sort) < after]
        else:
            entries = [entry for entry in entries if _key(entry, sort) > after]
    shown = entries[:limit]
    more = len(entries) > limit
    next_cursor = orjson.dumps(_encode(shown[-1], sort) if more else None)
    return b'{"items":' + _join(entry.body for entry in shown) + b',"next_cursor":' + next_cursor + b"}"


def _join(bodies: Iterable[bytes]) -> bytes:
    return b"[" + b",".join(bodies) + b"]"


def _key(entry: Entry, sort: str) -> tuple[str, str, str]:
    """The sort key, made unique by id and provider."""
    if sort.removeprefix("-") == "price":
        return _price_key(entry, sort), entry.id, entry.provider
    first = {"id": entry.id, "name": entry.name.casefold()}.get(sort, entry.changed_at)
    return first, entry.id, entry.provider


def _price_key(entry: Entry, sort: str) -> str:
    """The amount as text that sorts as numbers do; unknown ones come last in both directions."""
    if entry.amount is None:
        return "" if sort.startswith("-") else "~"
    return f"{entry.amount:040.15f}"


def _encode(entry: Entry, sort: str) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([sort, *_key(entry, sort)])).decode().rstrip("=")


def _decode(cursor: str, sort: str) -> tuple[str, str, str]:
    try:
        parts = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError) as error:
        raise BadCursorError("The cursor is not one that this list gave out.") from error
    well_formed = isinstance(parts, list) and len(parts) == 4 and all(isinstance(part, str) for part in parts)
    if not well_formed or parts[0] != sort:
        raise BadCursorError("The cursor belongs to a list with another order.")
    return parts[1], parts[2], parts[3]
