"""A person's decision over a bill that could not be right."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from genfeed.journal.audit import Actor, Change, record
from pricing.models import Bill
from pricing.money import format_usd
from pricing.reconciling.matching import charge_for, correct_to, lines_of
from pricing.reconciling.telling import close_anomaly

State = Bill.State
DECISIONS = {
    State.ACCEPTED: "the bill is right: cost and charge follow it (the charge up to the hold)",
    State.KEPT: "the client pays what was settled; the cost is as billed",
    State.DISPUTED: "the bill is wrong: neither cost nor charge follow it",
}


class DecisionError(ValueError):
    """A decision that can't be taken; the message says why."""


def decide(key: int, decision: str, *, actor: Actor, reason: str) -> Bill:
    """Decides over a quarantined bill: one of DECISIONS, booked and audited in one transaction.

    Raises DecisionError: no reason, another decision, or a bill that waits for none (any more).
    """
    reason = reason.strip()
    if not reason:
        raise DecisionError("Say why: the reason stays beside the bill for good.")
    if decision not in DECISIONS:
        raise DecisionError(f"Decide one of {', '.join(DECISIONS)}.")
    with transaction.atomic():
        bill = Bill.objects.select_for_update(of=("self",)).get(pk=key)
        if bill.state != State.QUARANTINED or bill.usage is None:
            raise DecisionError(f"The bill of {bill.request_id} waits for no decision: it is {bill.state}.")
        usage, why = bill.usage, f"{decision} by {actor.name}: {reason}"
        before = {"state": bill.state}
        if decision == State.ACCEPTED:
            correct_to(bill, usage, charge=charge_for(bill, usage, lines_of(bill)), cost=bill.total, why=why)
        elif decision == State.KEPT:
            correct_to(bill, usage, charge=usage.charge, cost=bill.total, why=why)
        bill.state = decision
        bill.decided_by, bill.decided_at, bill.decision_reason = actor.name[:200], timezone.now(), reason[:500]
        bill.save()
        after = {"state": decision, "billed": format_usd(bill.total), "job": usage.job}
        record(f"bill.{decision}", [Change(bill, before, after)], actor=actor, reason=reason)
        close_anomaly(bill)
    return bill
