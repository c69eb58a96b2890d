"""Running a calibration's planned inputs as jobs of our own: at the operator's cost, to learn what a model costs.

They belong to an internal client and hold nothing, so whatever they cost is booked as a loss of ours, without an alert.
What was billed becomes an observation: at the end of the job where the price of a billed unit is known, else with the
provider's bill.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.db import transaction
from django.utils import timezone

from catalog.providers import queue
from genfeed.clients.keys import Caller
from genfeed.clients.models import Client
from genfeed.journal.audit import Actor, Change, record
from jobs.accepting.accept import Prepared, Wanted, hold, write
from jobs.dispatching.outgoing import outgoing_input
from jobs.ending.quarantine import bill_of
from jobs.models import OPEN, Job, Status
from pricing.calibration.runs import MOST_INPUTS, CalibrationError, record_observation, runs_left
from pricing.counting.requests import make_request
from pricing.estimates.deadlines import deadline_seconds
from pricing.estimates.facts import Facts, load_facts
from pricing.estimates.history import features_of
from pricing.estimates.observed import observed_p99
from pricing.estimates.quotes import InputRefusedError, check_request, quote_checked
from pricing.models import Calibration
from pricing.reconciling.matching import lines_of
from pricing.usage.recording import CostSource

CLIENT = "Calibration (our own runs)"
_OPEN_STATES = (Calibration.State.PLANNED, Calibration.State.RUNNING, Calibration.State.PROPOSED)
_KEY = "calibration"


def start(calibration: Calibration, *, actor: Actor) -> list[Job]:
    """Accepts a job for each planned input that neither was observed nor is under way; audited, all or none.

    Raises CalibrationError where nothing is left to run, or the provider can't be asked.
    """
    facts = next(load_facts([calibration.model_id]))
    if not queue.is_runnable(facts.provider):
        raise CalibrationError(f"Nothing can be run at {facts.provider}.")
    if not queue.has_key(facts.provider):
        raise CalibrationError(
            f"Nothing can be run at {facts.provider}: its key is not set ({queue.key_setting(facts.provider)})."
        )
    caller = _caller()
    now = timezone.now()
    with transaction.atomic(durable=True):
        row = Calibration.objects.select_for_update(of=("self",)).get(pk=calibration.pk)
        if row.state not in _OPEN_STATES:
            raise CalibrationError(f"This calibration is decided: {row.get_state_display().lower()}.")
        inputs = waiting_inputs(row)
        if not inputs:
            raise CalibrationError("Every planned input has run or is under way.")
        jobs = []
        for value in inputs:
            prepared = _prepare(row, facts, value, caller)
            job = write(prepared, caller, now=now)
            hold(job, prepared, caller)
            jobs.append(job)
        Calibration.objects.filter(pk=row.pk, state=Calibration.State.PLANNED).update(state=Calibration.State.RUNNING)
        record("calibration.started", [Change(row, after={"jobs": [job.pk for job in jobs]})], actor=actor)
    return jobs


def waiting_inputs(calibration: Calibration) -> list[dict[str, Any]]:
    """The planned inputs that were not observed and are not under way: what a start would run.

    A run that succeeded waits for its bill, and is not run twice for it; one that failed can be run again.
    """
    left = runs_left(calibration)
    seen = {run.get("job") for run in calibration.observations}
    for job in jobs_of(calibration):
        value = calibration.inputs[job.metadata["run"]]
        if job.pk not in seen and job.status in (*OPEN, Status.SUCCEEDED) and value in left:
            left.remove(value)
    return left


def jobs_of(calibration: Calibration) -> list[Job]:
    """The jobs of a calibration, oldest first."""
    ours = Job.objects.filter(client__name=CLIENT, model_id=calibration.model_id)
    return list(ours.filter(metadata__calibration=calibration.pk).order_by("id"))


def is_ours(job: Job) -> bool:
    """Whether a job is a calibration's. Clients may write what they like into their metadata: who they are decides."""
    return _KEY in job.metadata and job.client.name == CLIENT


def observe_end(job: Job) -> None:
    """Records what a run of ours was billed, where its end tells; in the transaction that ends it."""
    if job.status == Status.SUCCEEDED and job.cost_source == CostSource.BILLABLE_UNITS:
        unit = read_unit(job)
        _observe(job, units=job.billed_units, unit=unit, cost=job.cost or 0)


def observe_bill(job_id: str) -> None:
    """Records what the provider's bill says of a run of ours; in the transaction that books the bill."""
    job = Job.objects.select_related("client").filter(pk=job_id, client__name=CLIENT).first()
    bill = bill_of(job) if job else None
    if job is None or bill is None or _KEY not in job.metadata or job.status != Status.SUCCEEDED:
        return
    lines = lines_of(bill)
    names = {line.unit for line in lines}
    counted = len(names) == 1 and all(line.units for line in lines)
    units = sum((Decimal(line.units) for line in lines), Decimal(0)) if counted else Decimal(1)
    _observe(job, units=units, unit=names.pop() if len(names) == 1 else "", cost=bill.subtotal)


def read_unit(job: Job) -> str:
    """The unit that the provider bills the job in, as was frozen with it."""
    units: list[str] = job.terms["units"]
    return units[0] if units else str(job.quote["unit"])


def _observe(job: Job, *, units: object, unit: str, cost: int) -> None:
    row = Calibration.objects.filter(pk=job.metadata[_KEY]).select_related("model").first()
    if row is None:
        return
    value = row.inputs[job.metadata["run"]]
    try:
        record_observation(row, input=value, units=units, unit=unit, cost_nano=cost, job=job.pk)
    except CalibrationError:
        # Decided meanwhile: what comes later changes nothing.
        return


def _prepare(row: Calibration, facts: Facts, value: dict[str, Any], caller: Caller) -> Prepared:
    try:
        filled = check_request(facts, value)
    except InputRefusedError as error:
        raise CalibrationError(f"An input is not valid any more: {error}") from None
    request = make_request(facts.inputs, filled)
    run = row.inputs.index(value)
    return Prepared(
        wanted=Wanted(model=facts.endpoint_id, input=value, metadata={_KEY: row.pk, "run": run}),
        facts=facts,
        quote=quote_checked(facts, filled, client_id=caller.client_id),
        hold=0,
        features=features_of(facts.inputs, filled),
        deadline=int(deadline_seconds(facts, request, observed=observed_p99(facts.pk))),
        outgoing=outgoing_input(value | facts.fixed_input, facts.inputs),
    )


def _caller() -> Caller:
    client, _ = Client.objects.get_or_create(name=CLIENT)
    return Caller(
        key_id=0,
        key_name="",
        client_id=client.pk,
        client_name=CLIENT,
        scopes=frozenset(),
        is_test=False,
        expires_at=None,
        restriction=None,
        jobs_per_minute=0,
        reads_per_minute=0,
        client_jobs_per_minute=0,
        client_reads_per_minute=0,
        max_in_flight=MOST_INPUTS,
        max_queued=50 * MOST_INPUTS,
        max_open_in_batches=0,
    )
