"""The published catalog as one caller sees it: without what its lists bar, and without other clients' own models."""

import threading
from collections import OrderedDict

from catalog import published
from catalog.published import Entry, Published
from genfeed.clients.keys import Caller
from genfeed.clients.restrictions import Restriction, may_use

# Distinct views whose catalogs are kept at a time, and rendered pages kept of each: lists are as many as clients like
# to make, memory is not.
_KEPT_AT_MOST = 32
_RENDERED_AT_MOST = 32

_kept: "OrderedDict[tuple[str, Restriction | None, int | None], tuple[Published, Published]]" = OrderedDict()
_lock = threading.Lock()


def seen_by(caller: Caller | None) -> Published:
    """The catalog with the prices and the models of one caller; None: all models at everybody's prices."""
    return narrowed(published.for_client(caller.live_id if caller else None), caller)


def narrowed(catalog: Published, caller: Caller | None) -> Published:
    """The catalog without the models that the caller's lists bar and those of other clients; made once a revision."""
    if caller is None:
        return catalog
    owner = _owner(catalog, caller)
    if caller.restriction is None and owner is None:
        return catalog
    key = (catalog.scope, caller.restriction, owner)
    with _lock:
        held = _kept.get(key)
        if held is not None and held[0] is catalog:
            _kept.move_to_end(key)
            return held[1]
    entries = tuple(entry for entry in catalog.entries if _is_seen(entry, caller, owner))
    barred = f".{caller.restriction.fingerprint}" if caller.restriction else ""
    made = Published(
        catalog.revision,
        catalog.published_at,
        entries,
        published.by_id(entries),
        scope=f"{catalog.scope}{barred}{'' if owner is None else f'.o{owner}'}",
        own_prices=catalog.own_prices,
        rendered_at_most=_RENDERED_AT_MOST,
    )
    with _lock:
        # Those of callers that are not asking any more would hold on to the revisions that they saw last.
        for stale in [kept for kept, (seen, _) in _kept.items() if seen.revision != catalog.revision]:
            del _kept[stale]
        _kept[key] = (catalog, made)
        if len(_kept) > _KEPT_AT_MOST:
            _kept.popitem(last=False)
    return made


def _owner(catalog: Published, caller: Caller) -> int | None:
    """Whose own models are seen beside everybody's: 0 nobody's, None all. Clients without any share one view."""
    if not catalog.owners or caller.may("admin"):
        return None
    return caller.live_id if caller.live_id in catalog.owners else 0


def _is_seen(entry: Entry, caller: Caller, owner: int | None) -> bool:
    is_own = owner is None or entry.client_id in (None, owner)
    return is_own and may_use(caller, entry.provider, entry.id)
