"""The cheapest other model for the same request, with a price that is known: of the same kind of task, or confirmed to
be the same model under another id or provider."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from pricing.choosing.fitting import fit
from pricing.counting.requests import Request
from pricing.equivalents import offered_equivalents
from pricing.estimates.asking import Asking
from pricing.estimates.facts import Facts, facts_of_many
from pricing.estimates.history import may_change_price
from pricing.estimates.quotes import Quote, quote_checked
from pricing.money import format_usd
from pricing.selling.defaults import default_prices

# Of the models of a task, so many of the cheapest by their default price are priced for the request itself.
MOST_TRIED = 12
SURE = ("exact", "derived")


class Alternatives:
    """Cheapest alternatives within one API request; what was found for equal steps is remembered."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking
        self._by_task: dict[tuple[str, str], list[int]] = {}
        self._found: dict[bytes, dict[str, Any] | None] = {}

    def cheapest(self, facts: Facts, request: Request, own: Quote, input: Mapping[str, Any]) -> dict[str, Any] | None:
        """`{"model", "name", "provider", "price", "saves", "leaves_out", "same_model"}` for one run, amounts in USD;
        None where no other model takes this request for less."""
        given = {name: request.given.get(name) for name in input}
        key = orjson.dumps([facts.pk, given, {name: str(value) for name, value in request.media.items()}])
        if key not in self._found:
            self._found[key] = self._search(facts, request, own, given)
        return self._found[key]

    def _search(self, facts: Facts, request: Request, own: Quote, given: Mapping[str, Any]) -> dict[str, Any] | None:
        same = {entry.pk for entry in offered_equivalents(facts.pk, kind=facts.kind, within=self._asking.catalog)}
        keys = [key for key in self._candidates(facts) if key != facts.pk and key not in same][:MOST_TRIED]
        # What has another length or size is no alternative.
        decisive = {item["name"] for item in facts.inputs if item["name"] in given and may_change_price(item)}
        decisive -= {item["name"] for item in facts.inputs if item.get("type") == "boolean"}
        best: tuple[int, Facts, tuple[str, ...]] | None = None
        for other in facts_of_many([*same, *keys]).values():
            fitted = fit(other, given, facts.inputs)
            if fitted is None or set(fitted.left_out) & decisive:
                continue
            quote = quote_checked(
                other,
                fitted.input,
                media=request.media,
                book=self._asking.book,
                client_id=self._asking.client_id,
                history=False,
            )
            if quote.price is None or quote.confidence not in SURE:
                continue
            # At one price the same model goes before another one.
            place = (quote.price, other.pk not in same, other.endpoint_id)
            if best is None or place < (best[0], best[1].pk not in same, best[1].endpoint_id):
                best = (quote.price, other, fitted.left_out)
        if best is None or (own.price is not None and best[0] >= own.price):
            return None
        price, other, left_out = best
        return {
            "model": other.endpoint_id,
            "name": other.name,
            "provider": other.provider,
            "price": format_usd(price),
            "saves": None if own.price is None else format_usd(own.price - price),
            "leaves_out": list(left_out),
            "same_model": other.pk in same,
        }

    def _candidates(self, facts: Facts) -> list[int]:
        """Offered models of the same category, the cheapest by their default request first."""
        task = (facts.category, facts.kind)
        if task not in self._by_task:
            entries = {
                entry.pk: entry
                for entry in self._asking.catalog.entries
                if entry.enabled and (entry.category, entry.kind) == task
            }
            prices = default_prices(self._asking.book, self._asking.client_id, category=facts.category)
            known = {key: found.price for key, found in prices.items() if key in entries and found.confidence in SURE}
            self._by_task[task] = sorted(known, key=lambda key: (known[key], entries[key].id))
        return self._by_task[task]
