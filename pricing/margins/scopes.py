"""Prices of single clients: who has margin rules of their own, and what their lists show instead of everybody's."""

from collections.abc import Mapping

from catalog import published
from catalog.published import OwnPrice
from pricing.margins.book import RuleBook, load_book
from pricing.selling.offers import load_sellables, offers_of

_held: tuple[published.Published, RuleBook] | None = None


def current_book() -> RuleBook:
    """The margin rules as the published catalog shows them: at most one second behind the database, and mostly free.

    Every change of a rule publishes a revision, so a book is read once a revision; rules that start or end by the
    clock count from the minute in which `apply_clock` publishes them.
    """
    global _held
    catalog = published.current()
    held = _held
    if held is None or held[0] is not catalog:
        held = _held = (catalog, load_book())
    return held[1]


def scope_of(client_id: int) -> str:
    """Names the prices that a client sees, "" for everybody's."""
    return current_book().own_scope(client_id)


def own_prices(scope: str) -> Mapping[int, OwnPrice]:
    """The prices of a client that differ from everybody's, by model key."""
    client_id = int(scope.removeprefix("c"))
    book = current_book()
    models = load_sellables()
    common, own = offers_of(models, book), offers_of(models, book, client_id=client_id)
    return {
        key: OwnPrice(offer.price, offer.legacy_pricing)
        for key, offer in own.items()
        if (offer.price, offer.legacy_pricing) != (common[key].price, common[key].legacy_pricing)
    }
