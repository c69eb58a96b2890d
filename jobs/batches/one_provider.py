"""A key that comes with a batch is one at a single provider, so no other must be asked about it."""

from __future__ import annotations

from collections.abc import Iterable

from catalog import narrowing, published
from genfeed.clients.errors import ApiError
from genfeed.clients.keys import Caller
from jobs.accepting.accept import Wanted
from jobs.accepting.own_keys import HEADER
from pricing.estimates.addressing import find_model


def refuse_key_for_several(items: Iterable[Wanted | ApiError], caller: Caller) -> None:
    """Raises ApiError where items that bring a key are models of more than one provider; asks none of them."""
    models = {item.model for item in items if isinstance(item, Wanted) and item.provider_key}
    if not models:
        return
    catalog = narrowing.narrowed(published.current(), caller)
    providers = set()
    for model in models:
        try:
            found = find_model(model, is_admin=False, within=catalog, client_id=caller.live_id, counts=False)
        except ApiError:
            # Its items are refused by themselves.
            continue
        providers.add(found.provider)
    if len(providers) > 1:
        raise ApiError(
            "invalid_request",
            f"{HEADER} is a key at one provider, and the items are models of {' and '.join(sorted(providers))}.",
            "Send a batch for each provider, or keep a key for each: PUT /api/v1/provider-keys/<provider>.",
        )
