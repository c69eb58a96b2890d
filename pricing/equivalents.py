"""Models that a person has confirmed to be one model under another id or provider: what may stand in for what."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Q

from catalog import published
from pricing.models import Equivalence


def equivalents_of(keys: Iterable[int]) -> dict[int, list[int]]:
    """The confirmed equivalents of models, by key; models without any are not among them."""
    wanted = set(keys)
    found: dict[int, list[int]] = {}
    pairs = Equivalence.objects.filter(Q(left__in=wanted) | Q(right__in=wanted), state=Equivalence.State.CONFIRMED)
    for left, right in pairs.order_by("-score", "pk").values_list("left_id", "right_id"):
        for one, other in ((left, right), (right, left)):
            if one in wanted:
                found.setdefault(one, []).append(other)
    return found


def offered_equivalents(key: int, *, kind: str, within: published.Published) -> list[published.Entry]:
    """The offered models of a catalog and kind that are confirmed to be this one, the surest first."""
    keys = equivalents_of([key]).get(key)
    if not keys:
        return []
    entries = {entry.pk: entry for entry in within.entries if entry.enabled and entry.kind == kind}
    return [entries[other] for other in keys if other in entries]
