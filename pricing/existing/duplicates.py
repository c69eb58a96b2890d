"""The same model under another id or provider: recognised, linked, reported; never merged, never overwritten.

A pair is suggested by `likeness` and stands for nothing until a person confirms it. What a person decided stays.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone

from catalog.models import AIModel
from genfeed.journal.audit import Actor, Change, record
from pricing.existing.costs import save_standing, set_costs
from pricing.existing.likeness import Candidate, Likeness, find_likenesses
from pricing.models import Equivalence, ExistingModel

State = Equivalence.State


class DecisionError(ValueError):
    """A decision that can't stand; the message says why and what to do."""


@dataclass(frozen=True)
class Refreshed:
    """What a new look found: pairs that are new, all that are suggested or confirmed now, and how many fell away."""

    new: list[Likeness]
    standing: list[Likeness]
    gone: int


def candidates() -> list[Candidate]:
    """Every row that is not retired, as it is compared; an existing one that its provider lists is like any other."""
    rows = AIModel.objects.exclude(status=AIModel.Status.RETIRED).select_related("provider", "existing")
    return [
        Candidate(
            pk=row.pk,
            provider=row.provider.slug,
            endpoint_id=row.endpoint_id,
            name=row.name,
            category=row.category,
            media_type=row.media_type,
            is_existing=hasattr(row, "existing") and not row.metadata,
        )
        for row in rows.only(
            "endpoint_id", "name", "category", "media_type", "metadata", "provider__slug", "existing__id"
        ).order_by("pk")
    ]


def refresh_suggestions(*, more: Iterable[Candidate] = (), dry_run: bool = False) -> Refreshed:
    """Looks for pairs among all rows. New ones are stored as suggested, suggested ones that no longer look alike fall
    away, decided ones stay as they are. `more`: rows that a dry run plans; one with the key of a known row replaces it.
    """
    planned = {row.pk: row for row in more}
    if planned and not dry_run:
        raise ValueError("rows that are only planned have no key to store")
    found = find_likenesses([*(row for row in candidates() if row.pk not in planned), *planned.values()])
    with transaction.atomic():
        known = {(row.left_id, row.right_id): row for row in Equivalence.objects.all()}
        seen = {(pair.left.pk, pair.right.pk) for pair in found}
        new = [pair for pair in found if (pair.left.pk, pair.right.pk) not in known]
        gone = [row.pk for key, row in known.items() if row.state == State.SUGGESTED and key not in seen]
        if not dry_run:
            Equivalence.objects.filter(pk__in=gone).delete()
            Equivalence.objects.bulk_create(
                [Equivalence(left_id=p.left.pk, right_id=p.right.pk, score=p.score, reason=p.reason) for p in new],
                batch_size=200,
                ignore_conflicts=True,  # another process may look at the same time
            )
            _rescore(found, known)
    rejected = {key for key, row in known.items() if row.state == State.REJECTED}
    standing = [pair for pair in found if (pair.left.pk, pair.right.pk) not in rejected]
    return Refreshed(new, standing, len(gone))


def _rescore(found: list[Likeness], known: dict[tuple[int, int], Equivalence]) -> None:
    changed = []
    for pair in found:
        row = known.get((pair.left.pk, pair.right.pk))
        if row and row.state == State.SUGGESTED and (row.score, row.reason) != (pair.score, pair.reason):
            row.score, row.reason = pair.score, pair.reason
            changed.append(row)
    Equivalence.objects.bulk_update(changed, ["score", "reason"], batch_size=200)


def confirm(pair: Equivalence, *, actor: Actor) -> Equivalence:
    """Says that both rows are one model. An existing model gets the other as its counterpart, whose cost is put beside.

    Raises DecisionError where it is confirmed already, or where the existing model has another counterpart.
    """
    return _decide(pair, State.CONFIRMED, actor=actor)


def reject(pair: Equivalence, *, actor: Actor, reason: str = "") -> Equivalence:
    """Says that they are not one model; it is not suggested again. Undoes an earlier confirmation."""
    return _decide(pair, State.REJECTED, actor=actor, reason=reason)


def link(one: AIModel, other: AIModel, *, actor: Actor, reason: str) -> Equivalence:
    """Confirms a pair that a person names, suggested or not; raises DecisionError."""
    if one.pk == other.pk:
        raise DecisionError("A model can't be linked with itself.")
    if not reason.strip():
        raise DecisionError("Say in a few words why they are the same model.")
    left, right = sorted((one, other), key=lambda row: row.pk)
    with transaction.atomic():
        values = {"score": 100, "reason": reason.strip()[:300]}
        pair, _ = Equivalence.objects.get_or_create(left=left, right=right, defaults=values)
        if pair.state == State.CONFIRMED:
            raise DecisionError("They are linked already.")
        pair.score, pair.reason = 100, reason.strip()[:300]
        return _decide(pair, State.CONFIRMED, actor=actor, reason=reason)


def _decide(pair: Equivalence, state: str, *, actor: Actor, reason: str = "") -> Equivalence:
    with transaction.atomic():
        locked = Equivalence.objects.select_for_update(of=("self",)).select_related("left", "right").get(pk=pair.pk)
        if locked.state == state:
            raise DecisionError(f"This pair is {locked.get_state_display().lower()} already.")
        before = {"state": locked.state}
        locked.state, locked.decided_by, locked.decided_at = state, actor.name[:200], timezone.now()
        locked.score, locked.reason = pair.score, pair.reason
        locked.save()
        for row, other in ((locked.left, locked.right), (locked.right, locked.left)):
            _set_counterpart(row, other, locked)
        action = "equivalence.confirmed" if state == State.CONFIRMED else "equivalence.rejected"
        record(action, [Change(locked, before, {"state": state})], actor=actor, reason=reason)
    return locked


def _set_counterpart(row: AIModel, other: AIModel, pair: Equivalence) -> None:
    existing = ExistingModel.objects.select_for_update().filter(model=row).first()
    if existing is None or existing.match == ExistingModel.Match.SAME or row.metadata:
        return
    if pair.state == State.CONFIRMED:
        if existing.counterpart_id not in (None, other.pk):
            raise DecisionError(
                f"{existing} is linked with {existing.counterpart} already. Reject that pair first if it was wrong."
            )
        existing.match, existing.counterpart = ExistingModel.Match.EQUIVALENT, other
        existing.reason = pair.reason
    elif existing.counterpart_id == other.pk:
        existing.match, existing.counterpart, existing.reason = ExistingModel.Match.NONE, None, ""
    else:
        return
    set_costs([existing])
    save_standing([existing])
