"""Enablement by profitability: applies recommendations by itself, where a person has allowed that.

It never touches a model that a person switched, and whatever it does can be undone like any recommendation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils import timezone

from catalog.models import AIModel
from genfeed.journal.alerts import raise_alert
from genfeed.journal.audit import Actor, Change, record
from genfeed.journal.models import Alert
from pricing.models import EnablementPolicy, Recommendation
from pricing.reports.recommendations import DecisionError, apply, recommend

POLICY = Actor(name="enablement policy")
Kind = Recommendation.Kind
_ALLOWED_BY = {
    Kind.DISABLE_LOSING: "disables_losing",
    Kind.DISABLE_FAILING: "disables_failing",
    Kind.ENABLE_AGAIN: "enables_again",
}
FIELDS = ("is_on", "disables_losing", "disables_failing", "enables_again", "most_a_day")


@dataclass(frozen=True, slots=True)
class Step:
    """What the policy does about a recommendation, or why it leaves it alone."""

    recommendation: Recommendation
    left: str = ""


def policy() -> EnablementPolicy:
    """The policy; off until somebody turned it on."""
    return EnablementPolicy.objects.get_or_create(pk=1)[0]


def set_policy(values: dict[str, Any], *, actor: Actor, reason: str = "") -> EnablementPolicy:
    """Changes the policy, audited."""
    policy()
    with transaction.atomic():
        row = EnablementPolicy.objects.select_for_update().get(pk=1)
        before = {name: getattr(row, name) for name in FIELDS}
        for name in FIELDS:
            setattr(row, name, values[name])
        row.save()
        after = {name: getattr(row, name) for name in FIELDS}
        if before != after:
            record("enablement_policy.changed", [Change(row, before, after)], actor=actor, reason=reason)
    return row


def plan(row: EnablementPolicy) -> list[Step]:
    """What the policy would do now, as if it were on, the most effective first: the dry run."""
    allowed = [kind for kind, name in _ALLOWED_BY.items() if getattr(row, name)]
    rows = Recommendation.objects.filter(state=Recommendation.State.OPEN, kind__in=allowed).select_related("model")
    today = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    done = Recommendation.objects.filter(by_policy=True, decided_at__gte=today).count()
    left_today = max(row.most_a_day - done, 0)
    steps = []
    for one in rows:
        left = _why_left(one)
        if not left and not left_today:
            left = f"{row.most_a_day} models a day are the most that it may switch."
        if not left:
            left_today -= 1
        steps.append(Step(one, left))
    return steps


def run() -> str:
    """Once a day: makes recommendations anew, and applies what the policy allows; what happened, in words."""
    found = recommend()
    row = policy()
    if not row.is_on:
        return f"{found} recommendations are open; the policy is off"
    done = []
    for step in plan(row):
        if step.left:
            continue
        try:
            done.append(apply(step.recommendation.pk, actor=POLICY, by_policy=True))
        except DecisionError:
            # Somebody was faster.
            continue
    if done:
        raise_alert(
            "enablement_policy",
            "models",
            f"The enablement policy has switched {len(done)} model{'s' * (len(done) > 1)}",
            "\n".join(one.title for one in done),
            level=Alert.Level.INFO,
            url="/admin/pricing/recommendation/?by_policy__exact=1",
        )
    return f"{found} recommendations were open; the policy has applied {len(done)}"


def _why_left(one: Recommendation) -> str:
    if one.blocked:
        return one.blocked
    model = one.model
    if model is None:
        return "It is about no single model."
    if one.kind == Kind.ENABLE_AGAIN:
        ours = Recommendation.objects.filter(model=model, kind=Kind.DISABLE_LOSING, state=Recommendation.State.APPLIED)
        newest = ours.order_by("-decided_at").first()
        return "" if newest and newest.by_policy else "A person switched it off."
    return "" if model.switch == AIModel.Switch.AUTO else "A person has switched it; that stands."
