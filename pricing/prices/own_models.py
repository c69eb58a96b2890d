"""An own model with its price: previewed by doing what saving would do and undoing it, and saved in one transaction."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.db import transaction

from catalog import own_models
from catalog.changes.comparing import readable_diff
from catalog.models import AIModel, SchemaVersion
from catalog.own_models import OwnModel, OwnModelError
from catalog.reporting import held_words
from catalog.schemas.examples import example_input
from genfeed.journal.audit import Actor
from pricing.estimates.facts import load_facts
from pricing.estimates.quotes import InputRefusedError, Quote, quote
from pricing.margins.book import load_book
from pricing.models import PricePoint, PriceRule
from pricing.money import NotMoney
from pricing.prices.decisions import DecisionError, set_manual
from pricing.rules.check import BadRule
from pricing.rules.editing import save_rule


@dataclass(frozen=True)
class OwnPrice:
    """What a model costs: a price of one unit, and a rule where that alone does not say; or `as_base`, both as the
    model has them that it is built on. Without any it has no price yet."""

    unit: str = ""
    unit_price: str = ""
    is_free: bool = False
    rule: dict[str, Any] | None = None
    as_base: bool = False


@dataclass(frozen=True)
class Preview:
    """What saving would make: fields, remarks on the schema, changes since the last version, and an example's price.

    `held`: why it would not be offered, "" where it would be. `refused`: why the example has no estimate.
    """

    row: AIModel
    inputs: list[dict[str, Any]]
    outputs: list[dict[str, Any]]
    flags: list[str]
    changes: list[str]
    is_new_version: bool
    example: dict[str, Any]
    estimate: Quote | None
    refused: str = ""
    held: str = ""
    fixed: dict[str, Any] = field(default_factory=dict)


class _Undone(Exception):
    """Ends a preview's transaction without leaving anything."""


def save(
    wanted: OwnModel, price: OwnPrice | None, *, row: AIModel | None = None, actor: Actor, reason: str = ""
) -> AIModel:
    """Adds a model, or changes `row`, with its price (None: the price stays); all or nothing. Raises OwnModelError."""
    with transaction.atomic():
        if row is None:
            made = own_models.add(wanted, actor=actor, reason=reason)
        else:
            made = own_models.change(row, wanted, actor=actor, reason=reason)
        if price:
            _set_price(made, wanted.base, price, actor=actor, reason=reason)
        return AIModel.objects.select_related("provider").get(pk=made.pk)


def preview(wanted: OwnModel, price: OwnPrice | None, *, row: AIModel | None = None, actor: Actor) -> Preview:
    """What `save` would make, with nothing left of it. Raises OwnModelError."""
    before = row.schema_version if row else 0
    found: Preview | None = None
    try:
        # No other process sees anything of it; and nothing here may ask for the published catalog, which would
        # remember a revision that never was.
        with transaction.atomic():
            made = save(wanted, price, row=row, actor=actor, reason="preview")
            found = _look(made, before)
            raise _Undone
    except _Undone:
        assert found is not None  # noqa: S101 - it was made before the end
        return found


def _look(row: AIModel, before: int) -> Preview:
    version = SchemaVersion.objects.get(model=row, number=row.schema_version)
    facts = next(load_facts([row.pk]))
    inputs = [item for item in facts.inputs if item["name"] not in row.fixed_input]
    example = example_input(inputs)
    estimate, refused = None, ""
    try:
        estimate = quote(facts, example, book=load_book(), client_id=row.client_id, history=False)
    except InputRefusedError as error:
        refused = f"An example that the schema itself suggests is refused: {error}"
    return Preview(
        row=row,
        inputs=inputs,
        outputs=facts.outputs,
        flags=version.flags,
        changes=readable_diff(version.changes) if version.number != before else [],
        is_new_version=version.number != before,
        example=example,
        estimate=estimate,
        refused=refused,
        held=held_words(row),
        fixed=row.fixed_input,
    )


def _set_price(row: AIModel, base: AIModel | None, price: OwnPrice, *, actor: Actor, reason: str) -> None:
    if price.as_base:
        price = _price_of(base)
    place = "unit_price"
    try:
        if price.unit or price.unit_price:
            words = reason or "given when the model was added"
            set_manual(
                row, unit=price.unit, unit_price=price.unit_price, is_free=price.is_free, actor=actor, reason=words
            )
        if price.rule is not None:
            place = "rule"
            save_rule(row, price.rule, activate=True, actor=actor, reason=reason)
    except BadRule as error:
        raise OwnModelError(place, f"The price rule does not fit: {error}.") from None
    except (DecisionError, NotMoney) as error:
        raise OwnModelError(place, str(error)) from None


def _price_of(base: AIModel | None) -> OwnPrice:
    if base is None:
        raise OwnModelError("as_base", "Only a model that is built on another one can cost what that one does.")
    point = PricePoint.objects.filter(model=base, standing=PricePoint.Standing.CURRENT).first()
    rule = PriceRule.objects.filter(model=base, state=PriceRule.State.ACTIVE).first()
    if point is None and rule is None:
        raise OwnModelError("as_base", f"{base} has no price itself yet. Give this one its own.")
    unit = (point.raw_unit or point.unit) if point else ""
    unit_price = point.unit_price if point else ""
    if point and point.unit_price == "0" and not point.is_free:
        unit = unit_price = ""
    return OwnPrice(unit, unit_price, bool(point and point.is_free), rule.body if rule else None)
