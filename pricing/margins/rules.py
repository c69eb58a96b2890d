"""Making and ending margin rules: checked, audited, and every selling price brought up to date in one transaction."""

from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from catalog.models import AIModel, Provider
from catalog.revisions import publish
from genfeed.clients.models import Client
from genfeed.journal.audit import SYSTEM, Actor, Change, record
from pricing.margins.book import Applied, RuleBook, describe, load_book, make_book, terms_of
from pricing.margins.check import BadRule, Draft, check_draft, check_target
from pricing.models import MarginClock, MarginRule
from pricing.money import format_usd
from pricing.selling.offers import lock, reprice

__all__ = [
    "Applied", "BadRule", "Draft", "RuleBook", "apply_clock", "check_rule", "end_rule", "load_book", "make_book",
    "save_rule",
]  # fmt: skip


def check_rule(draft: Draft, *, now: datetime | None = None) -> MarginRule:
    """The rule that a draft means, checked against what exists, not saved. Raises BadRule."""
    now = now or timezone.now()
    check_target(draft)
    for name, table in (("client", Client), ("model", AIModel), ("provider", Provider)):
        key = getattr(draft, f"{name}_id")
        if key is not None and not table.objects.filter(pk=key).exists():
            raise BadRule(f"There is no {name} {key}.", name)
    if draft.category and not AIModel.objects.filter(category=draft.category).exists():
        raise BadRule(f"No model is of the category {draft.category!r}; the rule would never apply.", "category")
    standing = MarginRule.objects.filter(Q(ends_at=None) | Q(ends_at__gt=now), scope=draft.scope, is_active=True)
    return check_draft(draft, standing, now=now)


def save_rule(draft: Draft, *, actor: Actor, reason: str = "") -> MarginRule:
    """Adds a rule, brings selling prices up to date and publishes them, all or nothing. Raises BadRule."""
    with transaction.atomic():
        _lock()
        rule = check_rule(draft)
        rule.created_by = actor.name[:200]
        rule.save()
        record("margin_rule.added", [Change(rule, after=_values(rule))], actor=actor, reason=reason)
        _publish(f"margin rule {rule.pk} added by {actor.name}")
    return rule


def end_rule(rule: MarginRule, *, actor: Actor, reason: str = "") -> bool:
    """Ends a rule now, also one that has not started; False where it had ended. Rules are never edited or deleted."""
    with transaction.atomic():
        _lock()
        now = timezone.now()
        standing = MarginRule.objects.filter(Q(ends_at=None) | Q(ends_at__gt=now), pk=rule.pk, is_active=True)
        if not standing.update(is_active=False, ends_at=now):
            return False
        before = {"is_active": True, "ends_at": rule.ends_at}
        rule.is_active, rule.ends_at = False, now
        after = {"is_active": False, "ends_at": now}
        record("margin_rule.ended", [Change(rule, before, after)], actor=actor, reason=reason)
        _publish(f"margin rule {rule.pk} ended by {actor.name}")
    return True


def apply_clock(now: datetime | None = None) -> int:
    """Publishes what rules change that have started or ended by the clock since the last call; returns how many did.

    Also where the installation was switched between cloud and core mode. Calling it again changes nothing.
    """
    now = now or timezone.now()
    with transaction.atomic():
        clock = _lock()
        since = clock.applied_until
        if now <= since and clock.mode == settings.GENFEED_MODE:
            return 0
        due = MarginRule.objects.filter(
            Q(starts_at__gt=since, starts_at__lte=now) | Q(ends_at__gt=since, ends_at__lte=now), is_active=True
        )
        rules = list(due)
        switched = clock.mode != settings.GENFEED_MODE
        clock.applied_until, clock.mode = max(now, since), settings.GENFEED_MODE
        clock.save()
        if not rules and not switched:
            return 0
        changes = [Change(rule, after=_values(rule)) for rule in rules]
        record("margin_rule.reached_its_date", changes, actor=SYSTEM)
        names = ", ".join(str(rule.pk) for rule in rules[:10])
        _publish(f"margin rules {names} started or ended" if rules else f"switched to {settings.GENFEED_MODE} mode")
    return len(rules) + switched


def _lock() -> MarginClock:
    """Puts changes of margin rules in order, and keeps every computation of a price waiting for this one."""
    lock()
    row = MarginClock.objects.select_for_update().filter(pk=1).first()
    if row is None:
        MarginClock.objects.get_or_create(pk=1, defaults={"mode": settings.GENFEED_MODE})
        row = MarginClock.objects.select_for_update().get(pk=1)
    return row


def _publish(reason: str) -> None:
    """One new revision, also where only the prices of single clients have changed: their lists follow it too."""
    if not reprice(reason=reason):
        publish(reason)


def _values(rule: MarginRule) -> dict[str, Any]:
    """A rule for the audit, in words that outlive its target."""
    return {
        "scope": rule.scope,
        "client": rule.client.name if rule.client else None,
        "model": rule.model.endpoint_id if rule.model else None,
        "category": rule.category,
        "provider": rule.provider.slug if rule.provider else None,
        "terms": describe(terms_of(rule)),
        "rate": rule.rate,
        "fixed_price": format_usd(rule.fixed_price),
        "fee": format_usd(rule.fee),
        "minimum": format_usd(rule.minimum),
        "starts_at": rule.starts_at,
        "ends_at": rule.ends_at,
        "note": rule.note,
    }
