"""Setting budgets: the operator's one by one, a client's own as one set; what is counted already stays counted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from django.db import transaction
from django.utils import timezone

from catalog.models import AIModel
from genfeed.clients.models import ApiKey, Client
from genfeed.journal.audit import Actor, Change, record
from pricing.budgets.periods import period_at
from pricing.budgets.thresholds import reached_of
from pricing.models import Budget, BudgetPeriod
from pricing.models.budgets import THRESHOLDS
from pricing.money import NANO_PER_USD, format_usd

LARGEST = 10_000_000 * NANO_PER_USD
MOST_OWN = 100
MOST_THRESHOLDS = 10


class BadBudgetError(ValueError):
    """A budget that can't be set; `field` names what is wrong with it, `place` which one of several it is."""

    def __init__(self, field: str, message: str, *, place: int | None = None) -> None:
        super().__init__(message)
        self.field = field
        self.place = place


@dataclass(frozen=True, slots=True)
class Draft:
    """A budget as somebody wants it. `limit` in nano-USD, thresholds in percent; ids are primary keys."""

    period: str
    limit: int
    key_id: int | None = None
    model_id: int | None = None
    category: str = ""
    is_hard: bool = True
    thresholds: tuple[int, ...] = field(default=tuple(THRESHOLDS))

    @property
    def scope(self) -> tuple[Any, ...]:
        """What makes it the same budget as another: what it counts, and in which periods."""
        return (self.period, self.key_id, self.model_id, self.category)


def check(draft: Draft, client_id: int) -> None:
    """Raises BadBudgetError for what no budget of this client can be."""
    if draft.period not in Budget.Period.values:
        raise BadBudgetError("period", f"The period is {', '.join(Budget.Period.values)}; not {draft.period!r}.")
    if isinstance(draft.limit, bool) or not 0 <= draft.limit <= LARGEST:
        raise BadBudgetError("limit", f"The limit must be 0 to {format_usd(LARGEST)} USD.")
    if draft.model_id and draft.category:
        raise BadBudgetError("category", "A budget is for a model or for a category, not for both.")
    if draft.category and not AIModel.objects.filter(category=draft.category).exists():
        raise BadBudgetError("category", f"There is no category {draft.category!r}.")
    if draft.key_id and not ApiKey.objects.filter(pk=draft.key_id, client_id=client_id).exists():
        raise BadBudgetError("key", "The client has no such key.")
    if len(draft.thresholds) > MOST_THRESHOLDS or any(not 1 <= one <= 100 for one in draft.thresholds):
        raise BadBudgetError("thresholds", f"Thresholds are at most {MOST_THRESHOLDS} whole numbers from 1 to 100.")


def add_budget(client_id: int, draft: Draft, *, actor: Actor, reason: str = "") -> Budget:
    """Adds a budget of the operator's. Raises BadBudgetError where it sets the very same one already."""
    check(draft, client_id)
    with transaction.atomic(durable=True):
        _lock(client_id)
        same = [row for row in _budgets(client_id, Budget.Origin.OPERATOR) if _scope(row) == draft.scope]
        if any(row.is_active for row in same):
            raise BadBudgetError("period", "There is a budget for the same already; change that one.")
        if same:
            return _change(same[0], draft, actor=actor, reason=reason)
        return _add(client_id, draft, Budget.Origin.OPERATOR, actor=actor, reason=reason)


def change_budget(budget: Budget, draft: Draft, *, actor: Actor, reason: str = "") -> Budget:
    """Changes limit, hardness and thresholds; what a budget counts and when stays, else it is another budget."""
    check(draft, budget.client_id)
    with transaction.atomic(durable=True):
        _lock(budget.client_id)
        row = Budget.objects.get(pk=budget.pk)
        if _scope(row) != draft.scope:
            raise BadBudgetError("period", "What a budget counts is never changed; end it, and add another.")
        return _change(row, draft, actor=actor, reason=reason)


def end_budget(budget: Budget, *, actor: Actor, reason: str = "") -> bool:
    """Ends a budget; jobs that are reserved in it stay so until they end. False where it had ended before."""
    with transaction.atomic(durable=True):
        if not Budget.objects.filter(pk=budget.pk, is_active=True).update(is_active=False):
            return False
        record("budget.ended", [Change(budget)], actor=actor, reason=reason)
    return True


def replace_own_budgets(client_id: int, drafts: Sequence[Draft], *, actor: Actor) -> list[Budget]:
    """Makes `drafts` the client's own budgets, all or none; those of the operator stay as they are.

    One that counts the same in the same periods stays the same budget, with what it counted. Repeating it changes
    nothing. Raises BadBudgetError, with the place of the draft, and then nothing is written.
    """
    if len(drafts) > MOST_OWN:
        raise BadBudgetError("budgets", f"{len(drafts)} budgets are more than {MOST_OWN}.")
    _check_all(drafts, client_id)
    with transaction.atomic(durable=True):
        _lock(client_id)
        known = {_scope(row): row for row in _budgets(client_id, Budget.Origin.CLIENT)}
        wanted = {draft.scope for draft in drafts}
        gone = [row for scope, row in known.items() if scope not in wanted and row.is_active]
        if gone:
            Budget.objects.filter(pk__in=[row.pk for row in gone]).update(is_active=False)
            record("budget.ended", [Change(row) for row in gone], actor=actor)
        return [
            _change(known[draft.scope], draft, actor=actor)
            if draft.scope in known
            else _add(client_id, draft, Budget.Origin.CLIENT, actor=actor)
            for draft in drafts
        ]


def _check_all(drafts: Iterable[Draft], client_id: int) -> None:
    seen: set[tuple[Any, ...]] = set()
    for place, draft in enumerate(drafts):
        try:
            check(draft, client_id)
        except BadBudgetError as error:
            raise BadBudgetError(error.field, str(error), place=place) from None
        if draft.scope in seen:
            raise BadBudgetError("period", "There are two budgets for the same; send one.", place=place)
        seen.add(draft.scope)


def _lock(client_id: int) -> None:
    # Two at once must not both find a budget missing. Not the lock that rows which refer to the client wait for.
    Client.objects.select_for_update(no_key=True).get(pk=client_id)


def _budgets(client_id: int, origin: str) -> list[Budget]:
    """Active ones last, so that in a dict by scope they win over ended ones."""
    rows = Budget.objects.filter(client_id=client_id, origin=origin).select_related("client", "key", "model__provider")
    return list(rows.order_by("is_active", "pk"))


def _scope(row: Budget) -> tuple[Any, ...]:
    return (row.period, row.key_id, row.model_id, row.category)


def _add(client_id: int, draft: Draft, origin: str, *, actor: Actor, reason: str = "") -> Budget:
    values = asdict(draft) | {"thresholds": sorted(set(draft.thresholds))}
    row = Budget.objects.create(client_id=client_id, origin=origin, **values)
    record("budget.added", [Change(row, after=_shown(row))], actor=actor, reason=reason)
    return row


def _change(row: Budget, draft: Draft, *, actor: Actor, reason: str = "") -> Budget:
    before = _shown(row)
    row.limit, row.is_hard, row.is_active = draft.limit, draft.is_hard, True
    row.thresholds = sorted(set(draft.thresholds))
    after = _shown(row)
    if after == before:
        return row
    row.save(update_fields=["limit", "is_hard", "is_active", "thresholds"])
    _tell_again(row)
    changed = [name for name in after if after[name] != before[name]]
    change = Change(row, {name: before[name] for name in changed}, {name: after[name] for name in changed})
    record("budget.changed", [change], actor=actor, reason=reason)
    return row


def _tell_again(row: Budget) -> None:
    """Thresholds above what is reached under the new limit are news again."""
    starts_at, _ = period_at(row.period, timezone.now(), row.client.timezone)
    for period in BudgetPeriod.objects.filter(budget=row, starts_at=starts_at):
        reached = reached_of(row.thresholds, spent=period.spent, limit=row.limit)
        BudgetPeriod.objects.filter(pk=period.pk, told__gt=reached).update(told=reached)


def _shown(row: Budget) -> dict[str, Any]:
    return {
        "limit": format_usd(row.limit),
        "hard": row.is_hard,
        "thresholds": list(row.thresholds),
        "active": row.is_active,
    }
