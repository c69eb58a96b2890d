"""The published catalog as a caller with lists of models sees it: what the lists bar is not there at all."""

import threading
from collections import OrderedDict

from catalog import published
from catalog.published import Published
from genfeed.clients.keys import Caller
from genfeed.clients.restrictions import Restriction, may_use

# Distinct restrictions whose catalogs are kept at a time, and rendered pages kept of each: lists are as many as
# clients like to make, memory is not.
_KEPT_AT_MOST = 32
_RENDERED_AT_MOST = 32

_kept: "OrderedDict[tuple[str, Restriction], tuple[Published, Published]]" = OrderedDict()
_lock = threading.Lock()


def seen_by(caller: Caller | None) -> Published:
    """The catalog with the prices and the models of one caller; None: all models at everybody's prices."""
    return narrowed(published.for_client(caller.client_id if caller else None), caller)


def narrowed(catalog: Published, caller: Caller | None) -> Published:
    """The catalog without the models that the caller's lists bar; made once a revision and restriction."""
    if caller is None or caller.restriction is None:
        return catalog
    key = (catalog.scope, caller.restriction)
    with _lock:
        held = _kept.get(key)
        if held is not None and held[0] is catalog:
            _kept.move_to_end(key)
            return held[1]
    entries = tuple(entry for entry in catalog.entries if may_use(caller, entry.provider, entry.id))
    made = Published(
        catalog.revision,
        catalog.published_at,
        entries,
        published.by_id(entries),
        scope=f"{catalog.scope}.{caller.restriction.fingerprint}",
        own_prices=catalog.own_prices,
        rendered_at_most=_RENDERED_AT_MOST,
    )
    with _lock:
        _kept[key] = (catalog, made)
        if len(_kept) > _KEPT_AT_MOST:
            _kept.popitem(last=False)
    return made
