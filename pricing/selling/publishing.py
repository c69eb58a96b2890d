"""The end of every transaction that changes what something costs: selling prices, and the catalog's revision."""

from __future__ import annotations

from collections.abc import Iterable

from catalog.models import AIModel
from catalog.revisions import publish
from pricing.selling.offers import recompute


def lock_models(keys: Iterable[int]) -> None:
    """Locks the models' rows until the transaction ends, in one order, so that writers of prices queue up."""
    list(AIModel.objects.select_for_update().filter(pk__in=list(keys)).order_by("pk").values_list("pk"))


def settle(keys: Iterable[int] | None, *, reason: str) -> int:
    """Brings the selling prices of these models (None: of all) up to date; returns how many changed.

    Call it last in the transaction of the change. A new revision is published even where no selling price changed:
    processes remember facts about a model by the revision, and a rule may matter for other inputs than the default.
    """
    changed = recompute(keys, reason=reason)
    if not changed:
        publish(reason)
    return changed
