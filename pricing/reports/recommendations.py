"""Recommendations over time: made anew daily, applied, dismissed, undone; each once, audited."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from catalog.availability import release_switches, switch_models
from catalog.models import AIModel
from genfeed.clients.models import Client
from genfeed.journal.audit import Actor, Change, record
from pricing.margins.rules import BadRule, Draft, end_rule, save_rule
from pricing.models import EnablementPolicy, MarginRule, Recommendation
from pricing.reports import refusals
from pricing.reports.finding import find_all

State = Recommendation.State
# What a person needs to be allowed to, for each thing that applying does.
PERMISSIONS = {"switch": "catalog.switch_aimodel", "margin": "pricing.add_marginrule", "limit": "clients.change_client"}


class DecisionError(ValueError):
    """A decision that can't be made now; the message says why."""


def recommend(*, now: datetime | None = None) -> int:
    """Makes the recommendations anew; returns how many are open. Those whose reason is gone are closed."""
    now = now or timezone.now()
    refusals.flush()
    found = {(one.kind, one.subject): one for one in find_all()}
    quiet = set(
        Recommendation.objects.filter(
            state__in=[State.DISMISSED, State.UNDONE],
            decided_at__gt=now - timedelta(days=settings.RECOMMEND_QUIET_DAYS),
        ).values_list("kind", "subject")
    )
    EnablementPolicy.objects.get_or_create(pk=1)
    with transaction.atomic():
        # Two runs at once would both find the same new ones; the lock of the one row puts them in order.
        EnablementPolicy.objects.select_for_update().get(pk=1)
        open_ones = {(one.kind, one.subject): one for one in _open()}
        for place, one in found.items():
            if place in quiet:
                continue
            values: dict[str, Any] = {
                "title": one.title[:300], "why": one.why[:600], "effect": one.effect[:400], "does": one.does,
                "effect_amount": one.effect_amount, "blocked": one.blocked[:300], "computed_at": now,
            }  # fmt: skip
            if place in open_ones:
                Recommendation.objects.filter(pk=open_ones[place].pk, state=State.OPEN).update(**values)
            else:
                Recommendation.objects.create(
                    kind=one.kind, subject=one.subject, model_id=one.model_id, client_id=one.client_id, **values
                )
        gone = [one.pk for place, one in open_ones.items() if place not in found or place in quiet]
        Recommendation.objects.filter(pk__in=gone, state=State.OPEN).update(state=State.GONE, decided_at=now)
    return Recommendation.objects.filter(state=State.OPEN).count()


def permission_of(one: Recommendation) -> str:
    """The permission that deciding about it takes."""
    return next(permission for what, permission in PERMISSIONS.items() if what in one.does)


def apply(pk: int, *, actor: Actor, reason: str = "", by_policy: bool = False) -> Recommendation:
    """Does what is recommended, and keeps what takes it back. Raises DecisionError, and then nothing is done."""
    with transaction.atomic():
        one = _locked(pk, State.OPEN, "It is not open any more.")
        if one.blocked:
            raise DecisionError(f"It can't be applied yet. {one.blocked}")
        why = f"recommendation {one.pk}: {one.title}. {reason}".strip()
        one.undoes = _do(one.does, actor, why)
        one.by_policy = by_policy
        _close(one, State.APPLIED, "recommendation.applied", actor, reason)
    return one


def dismiss(pk: int, *, actor: Actor, reason: str = "") -> Recommendation:
    """Says no; it is not recommended again for a while. Raises DecisionError."""
    with transaction.atomic():
        one = _locked(pk, State.OPEN, "It is not open any more.")
        _close(one, State.DISMISSED, "recommendation.dismissed", actor, reason)
    return one


def undo(pk: int, *, actor: Actor, reason: str = "") -> Recommendation:
    """Takes back what was applied, as far as nobody has changed it since, or opens what was dismissed again.

    Raises DecisionError, and then nothing is done.
    """
    with transaction.atomic():
        one = Recommendation.objects.select_for_update(of=("self",)).get(pk=pk)
        if one.state == State.DISMISSED:
            if Recommendation.objects.filter(kind=one.kind, subject=one.subject, state=State.OPEN).exists():
                raise DecisionError("The same is recommended again already.")
            _close(one, State.OPEN, "recommendation.opened_again", actor, reason)
            return one
        if one.state != State.APPLIED:
            raise DecisionError("Only what was applied or dismissed can be undone.")
        _undo(one.undoes, actor, f"recommendation {one.pk} undone: {one.title}. {reason}".strip())
        _close(one, State.UNDONE, "recommendation.undone", actor, reason)
    return one


def _open() -> list[Recommendation]:
    return list(Recommendation.objects.select_for_update(of=("self",)).filter(state=State.OPEN).order_by("pk"))


def _locked(pk: int, state: str, refusal: str) -> Recommendation:
    one = Recommendation.objects.select_for_update(of=("self",)).get(pk=pk)
    if one.state != state:
        raise DecisionError(refusal)
    return one


def _close(one: Recommendation, state: str, action: str, actor: Actor, reason: str) -> None:
    before = {"state": one.state}
    one.state = state
    one.decided_at, one.decided_by = (None, "") if state == State.OPEN else (timezone.now(), actor.name[:200])
    one.save(update_fields=["state", "decided_at", "decided_by", "undoes", "by_policy"])
    record(action, [Change(one, before, {"state": state, "does": one.does})], actor=actor, reason=reason)


def _do(does: dict[str, Any], actor: Actor, why: str) -> dict[str, Any]:
    if "switch" in does:
        models = list(AIModel.objects.filter(pk__in=does["models"]))
        before = {str(model.pk): model.switch for model in models}
        switch_models(models, on=does["switch"] == "on", actor=actor, reason=why)
        return {"switches": before, "to": does["switch"]}
    if "margin" in does:
        try:
            rule = save_rule(
                Draft(scope="model", rate=does["margin"], model_id=does["model"], note="recommended"),
                actor=actor,
                reason=why,
            )
        except BadRule as error:
            raise DecisionError(f"The margin rule was refused: {error}") from None
        return {"rule": rule.pk}
    client = Client.objects.select_for_update().get(pk=does["client"])
    was = _limit(client, does["limit"], does["value"], actor, why)
    return {"limit": does["limit"], "value": was, "was_set_to": does["value"], "client": client.pk}


def _undo(undoes: dict[str, Any], actor: Actor, why: str) -> None:
    if "switches" in undoes:
        before: dict[str, str] = undoes["switches"]
        # What a person has switched since is that person's decision.
        models = AIModel.objects.filter(pk__in=[int(key) for key in before], switch=undoes["to"])
        for switch in ("on", "off", "auto"):
            some = [model for model in models if before[str(model.pk)] == switch and switch != undoes["to"]]
            if not some:
                continue
            if switch == "auto":
                release_switches(some, actor=actor, reason=why)
            else:
                switch_models(some, on=switch == "on", actor=actor, reason=why)
    elif "rule" in undoes:
        end_rule(MarginRule.objects.get(pk=undoes["rule"]), actor=actor, reason=why)
    else:
        client = Client.objects.select_for_update().get(pk=undoes["client"])
        if getattr(client, undoes["limit"]) != undoes["was_set_to"]:
            raise DecisionError("The limit was changed since; set it at the client.")
        _limit(client, undoes["limit"], undoes["value"], actor, why)


def _limit(client: Client, name: str, value: int | None, actor: Actor, why: str) -> int | None:
    before: int | None = getattr(client, name)
    setattr(client, name, value)
    client.save(update_fields=[name])
    record("client.limit_changed", [Change(client, {name: before}, {name: value})], actor=actor, reason=why)
    return before
