"""From costs to offers: default requests estimated, priced by the margin rules, and told to the catalog."""

from collections.abc import Iterable


def recompute(keys: Iterable[int] | None, *, reason: str) -> int:
    """Estimates the default requests of these models anew (None: of all), prices them, and writes what changed.

    Call it last in the transaction of whatever changed points, rules, texts or schemas, and once: every call that
    changes a selling price writes a `model.price_changed` event for it. Returns how many offers changed.
    """
    raise NotImplementedError


def reprice(keys: Iterable[int] | None = None, *, reason: str) -> int:
    """Prices these models (None: all) by the margin rules in force, from the costs that are known already."""
    raise NotImplementedError
