"""What a model costs, as its default request tells it: the part of an offer that no margin rule changes."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any

from catalog.schemas.examples import example_input
from pricing.counting.counts import OUTPUT_FIELDS
from pricing.counting.requests import make_request
from pricing.counting.units import is_derivable, normalise_unit, unit_meaning
from pricing.estimates.costs import COMPUTE_SECONDS, Estimate, History, estimate_cost
from pricing.estimates.deadlines import deadline_seconds
from pricing.estimates.facts import Facts
from pricing.existing.legacy_costs import legacy_costs
from pricing.models import ModelPricing, PricePoint
from pricing.money import NotMoney, format_decimal, to_nano
from pricing.rules.check import Rule

State = ModelPricing.State
_PER_REQUEST = "requests"
_TRUSTED = (PricePoint.Source.MANUAL, PricePoint.Source.OBSERVED)


@dataclass(frozen=True, slots=True)
class Standing:
    """`unit_cost`: USD of one `unit`, None while unknown. `legacy`: costs in USD by the names of the legacy shape.

    `default_cost`: nano-USD of a default request. `priced`: whether what is known allows a sale.
    """

    state: str = State.UNKNOWN
    priced: bool = False
    unit: str | None = None
    unit_cost: str | None = None
    varies: bool = False
    default_cost: int | None = None
    legacy: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """What `read_standing` reads again."""
        return asdict(self)


def read_standing(stored: Mapping[str, Any]) -> Standing:
    """A standing from the database; nothing stored: nothing known."""
    return Standing(**stored)


def estimate_default(facts: Facts, history: History | None = None) -> Estimate:
    """The cost of a request with nothing but the required fields; never raises, whatever rule or price is stored."""
    unit = facts.billed_in or facts.unit
    if facts.rule is None and facts.is_free and facts.unit_price == 0:
        zero = Decimal(0)
        words = "a person has confirmed that it is free"
        return Estimate(zero, zero, zero, None, normalise_unit(unit or ""), zero, "exact", words)
    given = example_input(facts.inputs)
    answer = estimate_cost(
        unit=unit,
        unit_price=facts.unit_price,
        rule=facts.rule,
        proposed=facts.proposed,
        inputs=facts.inputs,
        input=given,
        machine_type=facts.machine_type or None,
        history=history,
        deadline_seconds=deadline_seconds(facts, make_request(facts.inputs, given)),
    )
    try:
        to_nano(answer.cost or Decimal(0))
    except NotMoney as error:
        return Estimate(None, None, None, None, answer.unit, None, "unknown", f"no sane price: {error}")
    return answer


def standing_of(facts: Facts, answer: Estimate) -> Standing:
    """What the default estimate means for selling the model."""
    unit, unit_cost = _one_unit(facts, answer)
    if facts.rule is None and unit_cost is None and answer.confidence != "historical":
        return Standing()
    return Standing(
        state=_state(facts),
        priced=_allows_sale(facts, unit),
        unit=_PER_REQUEST if unit == "request" else unit,
        unit_cost=None if unit_cost is None else format_decimal(unit_cost),
        varies=_varies(facts, unit),
        default_cost=None if answer.cost is None else to_nano(answer.cost),
        legacy={name: format_decimal(cost) for name, cost in legacy_costs(facts, answer, unit, unit_cost).items()},
    )


def _state(facts: Facts) -> str:
    if facts.rule is not None:
        return State.RULED
    # Without a price of the provider's or of ours, it is past jobs that tell.
    return State(facts.price_source) if facts.unit_price is not None else State.OBSERVED


def _one_unit(facts: Facts, answer: Estimate) -> tuple[str | None, Decimal | None]:
    """The unit that a price is shown for, and what one costs us."""
    if facts.rule is not None:
        return _one_unit_of_rule(facts.rule, answer)
    unit = facts.billed_in or facts.unit
    if unit is None or facts.unit_price is None:
        return (_PER_REQUEST, answer.cost) if answer.confidence == "historical" else (None, None)
    return normalise_unit(unit), facts.unit_price


def _one_unit_of_rule(rule: Rule, answer: Estimate) -> tuple[str, Decimal | None]:
    """A rule with one charge is shown by its unit, as it applies to the default request; others by the request."""
    counted = {charge["name"] for charge in rule["charges"] if "per" in charge}
    alone = len(rule["charges"]) == 1 and "minimum" not in rule
    if answer.cost is None:
        unsettled = alone and not rule.get("multipliers") and answer.unit in counted
        return (answer.unit, answer.unit_price) if unsettled else (answer.unit or _PER_REQUEST, None)
    if answer.unit not in counted or not answer.units:
        return _PER_REQUEST, answer.cost
    if answer.unit_price is not None and answer.unit_price * answer.units == answer.cost:
        return answer.unit, answer.unit_price
    return (answer.unit, answer.cost / answer.units) if alone else (_PER_REQUEST, answer.cost)


def _allows_sale(facts: Facts, unit: str | None) -> bool:
    """Whether a request's price can be told, or at least bounded, before it runs (DESIGN section 5)."""
    if facts.rule is not None:
        return True
    if unit is None or facts.unit_price is None:
        return False
    return is_derivable(unit) or unit == COMPUTE_SECONDS or facts.price_source in _TRUSTED


def _varies(facts: Facts, unit: str | None) -> bool:
    """Whether the input changes what a request costs: through tiers, or through the number of units."""
    if facts.rule is not None:
        charges = facts.rule["charges"]
        fixed = all(
            isinstance(charge["price"], str)
            and not charge.get("when")
            and not charge.get("times")
            and _is_constant(charge.get("per", {"of": _PER_REQUEST})["of"], facts)
            for charge in charges
        )
        return bool(facts.rule.get("multipliers")) or not fixed
    meaning = unit_meaning(unit) if unit is not None else None
    return not (meaning and meaning.quantity and _is_constant(meaning.quantity, facts))


def _is_constant(quantity: str, facts: Facts) -> bool:
    if quantity != "outputs":
        return quantity == "requests"
    names = make_request(facts.inputs, {}).fields
    return not any(name in names for name in (*OUTPUT_FIELDS, "max_images"))
