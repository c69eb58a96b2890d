"""Settlements whose bill can't be right: told, and decided by a person. Two in a row take the model off sale."""

from __future__ import annotations

from decimal import Decimal

from django.db import transaction

from catalog.availability import stop_selling
from genfeed.journal.alerts import raise_alert, resolve
from genfeed.journal.audit import Actor, Change, record
from genfeed.journal.models import Alert
from jobs.models import Job
from pricing.ledger.afterwards import correct
from pricing.models import Bill, UsageRecord
from pricing.money import format_usd
from pricing.settling.charging import Billed, charge_of
from pricing.settling.frozen import read_frozen

ALERT = "bill_quarantined"
DECISIONS = {
    "accepted": "the billed units are right: the charge follows them, up to the hold",
    "kept": "the client pays what was settled",
}


class DecisionError(ValueError):
    """A decision that can't be taken; the message says why and what to do."""


def tell_quarantine(job: Job) -> None:
    """After the end of a job is certain: its bill waits, and where it is the second in a row, its model is not sold."""
    is_second = _follows_another(job)
    if is_second:
        stop_selling(job.model_id, reason="bill_anomaly", why=f"two bills in a row: {job.quarantine}"[:500])
    raise_alert(
        ALERT,
        job.pk,
        f"Job {job.pk}: its bill waits for a decision",
        f"{job.endpoint_id}: {job.quarantine}. The client was charged the quote. Decide on the job's page."
        + (" It is the second in a row: the model is not sold until a person switches it on." if is_second else ""),
        level=Alert.Level.CRITICAL if is_second else Alert.Level.WARNING,
        url=f"/admin/jobs/job/{job.pk}/change/",
    )


def decide(key: str, decision: str, *, actor: Actor, reason: str) -> Job:
    """Decides about a quarantined settlement: one of DECISIONS, booked and audited in one transaction.

    Raises DecisionError: no reason, another decision, a job that waits for none, or one whose bill has come: that bill
    is decided instead.
    """
    reason = reason.strip()
    if not reason:
        raise DecisionError("Say why: the reason stays beside the job for good.")
    if decision not in DECISIONS:
        raise DecisionError(f"Decide one of {', '.join(DECISIONS)}.")
    with transaction.atomic():
        job = Job.objects.select_for_update().get(pk=key)
        if not job.quarantine:
            raise DecisionError(f"{job.pk} waits for no decision.")
        if bill := bill_of(job):
            raise DecisionError(f"The provider's bill of {bill.request_id} has come. Decide about that one.")
        before = {"quarantine": job.quarantine, "charge": format_usd(job.charge or 0)}
        after = {"decision": decision}
        if decision == "accepted":
            charge = billed_charge(job)
            why = f"accepted by {actor.name}: {reason}"
            correct(job.pk, charge=charge, cost=job.cost or 0, reference="quarantine", reason=why[:500])
            after["charge"] = format_usd(charge)
        _end_wait(job)
        record(f"job.bill_{decision}", [Change(job, before, after)], actor=actor, reason=reason)
    return job


def billed_charge(job: Job) -> int:
    """What the billed units would have the client charged by the job's own terms, in nano-USD, up to the hold."""
    usage = UsageRecord.objects.get(job=job.pk)
    billed = Billed(subtotal=job.cost or 0, units=Decimal(job.billed_units) if job.billed_units else None)
    charge = charge_of(
        read_frozen(job.terms),
        outcome=usage.outcome,
        quoted_cost=usage.quoted_cost,
        quoted_price=usage.quoted_price,
        billed=billed,
    )
    return min(charge, job.hold_amount)


def bill_of(job: Job) -> Bill | None:
    """The provider's bill of the job, once it was read."""
    return Bill.objects.filter(usage__job=job.pk).first()


def end_wait(job_id: str) -> None:
    """A bill of the job counts, or was decided about: its settlement waits no more. In the caller's transaction."""
    for job in Job.objects.filter(pk=job_id).exclude(quarantine=""):
        _end_wait(job)


def _end_wait(job: Job) -> None:
    # Not a change of the job that its client sees: no event, no new version.
    Job.objects.filter(pk=job.pk).update(quarantine="")
    job.quarantine = ""
    resolve(ALERT, job.pk)


def _follows_another(job: Job) -> bool:
    """Whether the job of the model that was billed just before waits too."""
    billed = UsageRecord.objects.filter(model_id=job.model_id).exclude(units="").exclude(job=job.pk)
    before = billed.order_by("-created_at", "-pk").values_list("job", flat=True).first()
    return before is not None and Job.objects.filter(pk=before).exclude(quarantine="").exists()
