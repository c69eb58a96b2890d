"""Calibration: a few runs at the operator's cost show what a model with an opaque unit really costs.

Plan the inputs, let them run (jobs call `record_observation`), read the proposal, accept or reject it. A proposal says
what the cost went with: requests, images, seconds, or whatever of a request explains all observations alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from django.db import transaction
from django.utils import timezone

from catalog.models import AIModel
from catalog.validating.checking import validate_input
from genfeed.journal.audit import Actor, Change, record
from pricing.calibration.reading import CalibrationError, Observation, Proposal, read_proposal
from pricing.counting.units import normalise_unit
from pricing.estimates.facts import Facts, load_facts
from pricing.models import Calibration, PricePoint
from pricing.money import NotMoney, format_decimal, parse_decimal
from pricing.prices.decisions import DecisionError, set_observed

MOST_INPUTS = 20
State = Calibration.State
_OPEN = (State.PLANNED, State.RUNNING, State.PROPOSED)

__all__ = [
    "CalibrationError", "accept", "plan", "proposal_of", "record_observation", "reject", "runs_left",
]  # fmt: skip


def plan(model: AIModel, inputs: Any, *, actor: Actor) -> Calibration:
    """Plans one run for each of `inputs` (1 to 20, each valid for the model's schema); raises CalibrationError."""
    if not isinstance(inputs, list) or not inputs:
        raise CalibrationError("Give a list of inputs to run, each a JSON object with the model's fields.")
    if len(inputs) > MOST_INPUTS:
        raise CalibrationError(f"{len(inputs)} runs are too many; {MOST_INPUTS} at most, because each one costs money.")
    if rb"\u0000" in orjson.dumps(inputs):
        raise CalibrationError("An input holds a null character, which can't be stored. Take it out.")
    facts = _facts(model)
    if not facts.input_schema:
        raise CalibrationError("This model's schema is not known, so no input can be checked.")
    for number, value in enumerate(inputs, 1):
        problems = validate_input(facts.validator, value)
        if problems:
            first = problems[0]
            where = f" in {first.path}" if first.path else ""
            raise CalibrationError(f"Input {number} is not valid{where}: {first.message}. {first.hint}".strip())
    with transaction.atomic():
        AIModel.objects.select_for_update().get(pk=model.pk)
        if Calibration.objects.filter(model=model, state__in=_OPEN).exists():
            raise CalibrationError("A calibration of this model is open already. Decide on that one first.")
        made = Calibration.objects.create(model=model, inputs=inputs, created_by=actor.name[:200])
        record("calibration.planned", [Change(made, after={"inputs": len(inputs)})], actor=actor)
    return made


def runs_left(calibration: Calibration) -> list[dict[str, Any]]:
    """The planned inputs of which no run is recorded yet; jobs take their work from here."""
    left = list(calibration.inputs)
    for observation in calibration.observations:
        if observation["input"] in left:
            left.remove(observation["input"])
    return left


def record_observation(
    calibration: Calibration,
    *,
    input: dict[str, Any],
    units: object,
    unit: str,
    cost_nano: int,
    job: str = "",
    actor: Actor | None = None,
) -> Calibration:
    """Adds what one run was billed: `units` of `unit` (as the provider counts), `cost_nano` in nano-USD.

    The same `job` is counted once; what a person types (`actor`) is audited. Once every planned input has run, a
    price is proposed where the runs allow it.
    Raises CalibrationError for a calibration that is decided, and for numbers that make no sense.
    """
    try:
        counted = parse_decimal(units, what="units")
    except NotMoney as error:
        raise CalibrationError(str(error)) from None
    if counted < 0:
        raise CalibrationError(f"The number of units can't be negative: {units}")
    if isinstance(cost_nano, bool) or not isinstance(cost_nano, int) or cost_nano < 0:
        raise CalibrationError(f"The cost must be whole nano-USD and not negative: {cost_nano!r}")
    with transaction.atomic():
        row = _lock(calibration)
        if job and any(seen.get("job") == job for seen in row.observations):
            return row
        seen = {"input": input, "units": format_decimal(counted), "unit": normalise_unit(unit), "cost": cost_nano}
        if actor:
            record("calibration.observed", [Change(row, after=seen)], actor=actor)
        row.observations.append(seen | {"job": job, "at": timezone.now().isoformat(timespec="seconds")})
        row.state = State.RUNNING
        row.proposed_unit = row.proposed_price = ""
        if not runs_left(row):
            _propose(row)
        row.save(update_fields=["observations", "state", "proposed_unit", "proposed_price"])
    return row


def proposal_of(calibration: Calibration) -> Proposal:
    """The price that the observations so far show; raises CalibrationError, in words, where they show none."""
    observations = [
        Observation(seen["input"], seen["units"], seen["unit"], seen["cost"]) for seen in calibration.observations
    ]
    return read_proposal(_facts(calibration.model), observations)


def accept(calibration: Calibration, *, actor: Actor) -> PricePoint:
    """Makes the proposed price the model's current one, through to its selling price; raises CalibrationError."""
    with transaction.atomic():
        row = _lock(calibration)
        if row.state != State.PROPOSED:
            raise CalibrationError("No price is proposed yet, so there is nothing to accept.")
        _decide(row, State.ACCEPTED, actor)
        reason = f"calibration {row.pk}: {len(row.observations)} runs"
        try:
            point = set_observed(
                row.model, unit=row.proposed_unit, unit_price=row.proposed_price, actor=actor, reason=reason
            )
        except (DecisionError, NotMoney) as error:
            raise CalibrationError(str(error)) from None
        after = {"unit": row.proposed_unit, "unit_price": row.proposed_price}
        record("calibration.accepted", [Change(row, after=after)], actor=actor)
    return point


def reject(calibration: Calibration, *, actor: Actor, reason: str = "") -> Calibration:
    """Ends a calibration without a price; what was observed stays on record."""
    with transaction.atomic():
        row = _lock(calibration)
        before = {"state": row.state}
        _decide(row, State.REJECTED, actor)
        record("calibration.rejected", [Change(row, before, {"state": row.state})], actor=actor, reason=reason)
    return row


def _propose(row: Calibration) -> None:
    try:
        found = proposal_of(row)
    except CalibrationError:
        return  # the page says why
    row.state, row.proposed_unit, row.proposed_price = State.PROPOSED, found.unit, format_decimal(found.unit_price)


def _decide(row: Calibration, state: str, actor: Actor) -> None:
    row.state, row.decided_by, row.decided_at = state, actor.name[:200], timezone.now()
    row.save(update_fields=["state", "decided_by", "decided_at"])


def _lock(calibration: Calibration) -> Calibration:
    # The model first, as everything that changes prices does.
    AIModel.objects.select_for_update().get(pk=calibration.model_id)
    row = Calibration.objects.select_for_update(of=("self",)).select_related("model__provider").get(pk=calibration.pk)
    if row.state not in _OPEN:
        raise CalibrationError(f"This calibration is decided: {row.get_state_display().lower()}.")
    return row


def _facts(model: AIModel) -> Facts:
    found: Sequence[Facts] = list(load_facts([model.pk]))
    return found[0]
