"""What people decide about prices: each decision audited, and through to the selling price in one transaction."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils import timezone

from catalog.models import AIModel
from genfeed.journal.audit import Actor, Change, record
from pricing.models import PricePoint
from pricing.money import format_decimal
from pricing.prices import alerts as price_alerts
from pricing.prices.guards import FIXED_SOURCES, offered
from pricing.selling.publishing import lock_models, settle


class DecisionError(ValueError):
    """A decision about a price that can't be carried out; the message says why and what to do."""


def accept(point: PricePoint, *, actor: Actor, reason: str = "") -> PricePoint:
    """Makes a held price the current one; raises DecisionError where it no longer waits or is not in USD."""
    with transaction.atomic():
        point = _held(point)
        if point.currency != "USD":
            raise DecisionError(
                f"This price is in {point.currency}, and all amounts here are USD. Set a price in USD by hand instead."
            )
        before = _end_current(point.model)
        _decide(point, PricePoint.Standing.CURRENT, actor, reason, effective_from=timezone.now())
        record("price.accepted", [Change(point.model, before, _said(point))], actor=actor, reason=reason)
        settle([point.model_id], reason=f"price of {point.model} accepted by {actor.name}")
    return point


def reject(point: PricePoint, *, actor: Actor, reason: str) -> PricePoint:
    """Says no to a held price: the old one stays, and the same one is not asked about again. Raises DecisionError."""
    with transaction.atomic():
        point = _held(point)
        _decide(point, PricePoint.Standing.REJECTED, actor, reason)
        record("price.rejected", [Change(point.model, after=_said(point))], actor=actor, reason=reason)
    return point


def set_manual(
    model: AIModel, *, unit: str, unit_price: object, actor: Actor, reason: str, is_free: bool = False
) -> PricePoint:
    """Sets a price by hand, which no sync touches; raises NotMoney for a price that makes no sense.

    A price of 0 needs `is_free`, else it would be unknown: DecisionError.
    """
    new = offered(unit, unit_price)
    if (new.unit_price == 0) != is_free:
        raise DecisionError("A price of 0 means unknown. Tick that it is free, or name a price above 0.")
    return _replace(
        model, "price.set", actor, reason,
        source=PricePoint.Source.MANUAL, raw_unit=new.raw_unit, unit=new.unit,
        unit_price=format_decimal(new.unit_price), is_free=is_free,
    )  # fmt: skip


def set_observed(model: AIModel, *, unit: str, unit_price: object, actor: Actor, reason: str) -> PricePoint:
    """Sets the price that our own bills show, which a person has accepted; raises NotMoney, DecisionError for a 0."""
    new = offered(unit, unit_price)
    if new.unit_price == 0:
        raise DecisionError("A price of 0 means unknown. Confirm that the model is free instead.")
    return _replace(
        model, "price.observed", actor, reason,
        source=PricePoint.Source.OBSERVED, raw_unit=new.raw_unit, unit=new.unit,
        unit_price=format_decimal(new.unit_price),
    )  # fmt: skip


def confirm_free(model: AIModel, *, actor: Actor, reason: str = "") -> PricePoint:
    """Confirms that a current price of 0 means free; raises DecisionError where there is none."""
    current = PricePoint.objects.filter(model=model, standing=PricePoint.Standing.CURRENT).first()
    if current is None or current.unit_price != "0":
        raise DecisionError("Only a current price of 0 can be confirmed as free.")
    if current.is_free:
        raise DecisionError(f"That it is free was confirmed by {current.decided_by} already.")
    return _replace(
        model, "price.confirmed_free", actor, reason,
        source=current.source, raw_unit=current.raw_unit, unit=current.unit, unit_price="0", is_free=True,
        keeps_held=True,
    )  # fmt: skip


def release_manual(model: AIModel, *, actor: Actor, reason: str = "") -> PricePoint:
    """Gives a price set by hand or learned from bills back to the provider: the last one of its list counts again."""
    current = PricePoint.objects.filter(model=model, standing=PricePoint.Standing.CURRENT).first()
    if current is None or current.source not in FIXED_SOURCES:
        raise DecisionError("The provider's own price counts already: this one was neither set by hand nor learned.")
    last = (
        PricePoint.objects.filter(model=model, source=PricePoint.Source.ADVERTISED, effective_from__isnull=False)
        .order_by("-effective_from", "-pk")
        .first()
    )
    if last is None:
        raise DecisionError("The provider never named a price for this model, so there is none to go back to.")
    return _replace(
        model, "price.released", actor, reason,
        source=last.source, raw_unit=last.raw_unit, unit=last.unit, unit_price=last.unit_price, is_free=last.is_free,
    )  # fmt: skip


def _replace(
    model: AIModel, action: str, actor: Actor, reason: str, *, keeps_held: bool = False, **values: Any
) -> PricePoint:
    with transaction.atomic():
        lock_models([model.pk])
        before = _end_current(model)
        now = timezone.now()
        if not keeps_held:
            _drop_held(model, actor)
        point = PricePoint.objects.create(
            model=model, standing=PricePoint.Standing.CURRENT, why=reason[:300], seen_at=now, effective_from=now,
            decided_by=actor.name[:200], decided_at=now, **values,
        )  # fmt: skip
        price_alerts.resolve_gone([model.provider_id])
        record(action, [Change(model, before, _said(point))], actor=actor, reason=reason)
        settle([model.pk], reason=f"price of {model} set by {actor.name}")
    return point


def _held(point: PricePoint) -> PricePoint:
    lock_models([point.model_id])
    found = PricePoint.objects.select_related("model__provider").get(pk=point.pk)
    if found.standing != PricePoint.Standing.HELD:
        raise DecisionError(f"This price no longer waits for a decision; it is {found.get_standing_display()}.")
    return found


def _end_current(model: AIModel) -> dict[str, Any]:
    """Ends the current price; returns what it said, for the audit."""
    current = PricePoint.objects.filter(model=model, standing=PricePoint.Standing.CURRENT).first()
    if current is None:
        return {}
    PricePoint.objects.filter(pk=current.pk).update(standing=PricePoint.Standing.PAST, effective_to=timezone.now())
    return _said(current)


def _drop_held(model: AIModel, actor: Actor) -> None:
    for point in PricePoint.objects.filter(model=model, standing=PricePoint.Standing.HELD):
        _decide(point, PricePoint.Standing.REJECTED, actor, "Another price was set.")


def _decide(point: PricePoint, standing: str, actor: Actor, reason: str, **values: Any) -> None:
    point.standing, point.decided_by, point.decided_at = standing, actor.name[:200], timezone.now()
    point.why = (reason or point.why)[:300]
    for name, value in values.items():
        setattr(point, name, value)
    point.save(update_fields=["standing", "decided_by", "decided_at", "why", *values])
    price_alerts.resolve_held([point])


def _said(point: PricePoint) -> dict[str, Any]:
    return {
        "unit_price": point.unit_price,
        "unit": point.unit,
        "currency": point.currency,
        "source": str(point.source),
        "is_free": point.is_free,
    }
