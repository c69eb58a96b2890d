"""Estimates as clients ask for them: one, or many of which a bad one spoils no other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings

from catalog import narrowing, published
from genfeed.clients.auth import Identity
from genfeed.clients.errors import ApiError
from pricing.estimates import own_files
from pricing.estimates.addressing import find_model
from pricing.estimates.assumed import of_usual_length
from pricing.estimates.facts import Facts, facts_of, facts_of_many
from pricing.estimates.history import look_up
from pricing.estimates.probing import Budget, Probed, probe
from pricing.estimates.quotes import InputRefusedError, check_request, current_book, quote_checked
from pricing.estimates.rendering import input_error, render_assumed, render_error, render_quote
from pricing.margins.book import RuleBook


@dataclass(frozen=True)
class Asked:
    """One question: a model's id, its input, media facts, and whether to look at the input files."""

    model: str
    input: Mapping[str, Any]
    media: Mapping[str, Any] | None = None
    probe: bool = False


@dataclass
class Asking:
    """Who asks, by which margin rules, and what looking at files may still spend in this request.

    `client_id`: whose prices are asked for. `files_of`: whose files may be named; those of a test key are others.
    """

    is_admin: bool
    client_id: int | None
    files_of: int | None = None
    is_test: bool = False
    book: RuleBook = field(default_factory=current_book)
    budget: Budget = field(default_factory=Budget.start)
    # The models that there are for whoever asks.
    catalog: published.Published = field(default_factory=published.current)

    @classmethod
    def of(cls, identity: Identity) -> Asking:
        """The caller of an API request."""
        return cls(
            identity.is_admin,
            identity.key.live_id if identity.key else None,
            identity.key.client_id if identity.key else None,
            identity.key is not None and identity.key.is_test,
            catalog=narrowing.narrowed(published.current(), identity.key),
        )

    @property
    def shows_cost(self) -> bool:
        """Costs are for staff; in core mode the cost is the caller's own."""
        return self.is_admin or settings.GENFEED_MODE == "core"


def estimate(asked: Asked, asking: Asking) -> dict[str, Any]:
    """One estimate as JSON. Raises ApiError."""
    return _estimate(asked, facts_of(find_asked(asked.model, asking).pk), asking)


def find_asked(address: str, asking: Asking) -> published.Entry:
    """The model that somebody asks about. Raises ApiError."""
    return find_model(
        address,
        within=asking.catalog,
        is_admin=asking.is_admin,
        client_id=asking.client_id,
        counts=not asking.is_test,
    )


def estimate_many(items: list[Asked | ApiError], asking: Asking) -> list[dict[str, Any]]:
    """An estimate or `{"model", "error"}` for each item, in their order; items that are no questions come as errors."""
    entries = [_found(item, asking) for item in items]
    facts = facts_of_many(entry.pk for entry in entries if isinstance(entry, published.Entry))
    look_up(facts)
    return [_answer(item, entry, facts, asking) for item, entry in zip(items, entries, strict=True)]


def _answer(
    item: Asked | ApiError, entry: published.Entry | ApiError, facts: Mapping[int, Facts], asking: Asking
) -> dict[str, Any]:
    if isinstance(item, ApiError):
        return {"model": None, "error": render_error(item)}
    if isinstance(entry, ApiError):
        return {"model": item.model, "error": render_error(entry)}
    try:
        return _estimate(item, facts[entry.pk], asking)
    except ApiError as error:
        return {"model": item.model, "error": render_error(error)}


def _found(item: Asked | ApiError, asking: Asking) -> published.Entry | ApiError:
    if isinstance(item, ApiError):
        return item
    try:
        return find_asked(item.model, asking)
    except ApiError as error:
        return error


def _estimate(asked: Asked, facts: Facts, asking: Asking) -> dict[str, Any]:
    own = own_files.look_up(asked.input, asking.files_of)
    try:
        filled = check_request(facts, own.input, asked.media)
    except InputRefusedError as error:
        raise input_error(error) from None
    media = own_files.with_known(facts, filled, asked.media, own)
    probed: Probed | None = None
    if asked.probe:
        probed = probe(facts, filled, media, asking.budget)
        media = probed.media
    quote = quote_checked(facts, filled, media=media, book=asking.book, client_id=asking.client_id)
    answer = render_quote(quote, shows_cost=asking.shows_cost)
    usual = of_usual_length(facts, filled, quote, book=asking.book, client_id=asking.client_id)
    if usual is not None:
        answer |= {"assumed": render_assumed(usual, shows_cost=asking.shows_cost)}
    if probed is not None:
        answer |= {"media": quote.media, "probe_problems": probed.problems}
    return answer
