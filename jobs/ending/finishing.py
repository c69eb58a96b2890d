"""The end of a job: status, money, usage record and event in one transaction, whoever brings the news and how often."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from itertools import groupby
from typing import Any

from django.db import transaction
from django.utils import timezone

from catalog.models import SchemaVersion
from catalog.providers.queue import Answer, KeyRefusedError, Result
from jobs import calibrating, failures
from jobs.accepting import own_keys
from jobs.assets.finding import Found, files_in
from jobs.assets.models import Asset
from jobs.assets.writing import make_assets, named
from jobs.batches.ending import end_if_last
from jobs.ending.answers import kept
from jobs.ending.ended_log import log_ended
from jobs.ending.outputs import has_expected_media, warnings_of, with_whole_texts
from jobs.ending.quarantine import tell_quarantine
from jobs.failures import Failure
from jobs.metrics import observe_ended
from jobs.models import Job, Status
from jobs.testmode.mode import is_test
from jobs.transitions import Change, Earlier, change_all
from jobs.workflows.waking import wake
from pricing.estimates.facts import facts_of
from pricing.ledger.settling import Settlement, at_most, release, settle_each
from pricing.models import UsageOfTest, UsageRecord
from pricing.money import format_decimal
from pricing.settling.amounts import Amounts, amounts_at_end
from pricing.settling.frozen import read_frozen
from pricing.usage.recording import Outcome, Usage, usage_of_test, usage_record

_TRIES = 5
# Writes in the transaction that ends the job.
Beside = Callable[[], None]
OUTCOMES = {
    Status.SUCCEEDED: Outcome.SUCCEEDED,
    Status.FAILED: Outcome.FAILED,
    Status.CANCELED: Outcome.CANCELED,
}


@dataclass(frozen=True, slots=True)
class End:
    """How a job is to end. `after`: what came before the end and is told with it; `beside` writes with it."""

    job: Job
    status: Status
    units: Decimal | None = None
    answer: Answer | None = None
    failure: Failure | None = None
    output: Any = None
    files: Sequence[Found] = ()
    after: Earlier | None = None
    beside: Beside | None = None


@dataclass(frozen=True, slots=True)
class _Bill:
    """An end with what follows from it. `charge`: what the ledger takes at most; `is_ours`: a run of a calibration."""

    end: End
    at: datetime
    amounts: Amounts
    charge: int
    quarantine: str
    is_ours: bool
    assets: list[Asset]

    @property
    def is_charged(self) -> bool:
        """Whether the ledger takes a charge, be it none; the hold of any other is released."""
        return not is_test(self.end.job) and (self.end.status == Status.SUCCEEDED or bool(self.amounts.charge))

    @property
    def is_plain(self) -> bool:
        """Whether only the client's own rows are written: no loss of ours is told, no calibration goes on."""
        is_covered = max(self.amounts.cost, self.amounts.charge) <= self.end.job.hold_amount
        return self.end.status == Status.SUCCEEDED and is_covered and not self.is_ours


def finish(job: Job, result: Result, *, after: Earlier | None = None) -> bool:
    """Ends a job by the provider's result; False, and nothing written, where it changed meanwhile.

    `after`: what came before the end and is told with it.
    """
    return _write(end_by(job, result, after=after))


def finish_all(ends: Sequence[End]) -> set[str]:
    """Ends many jobs in one transaction; the ids of those that did end, for each of the others must be seen by itself.

    Failures and losses are such others: what they tell staff has locks of its own.
    Raises DatabaseError, and then nothing is written, but the jobs at hand are not as they were.
    """
    bills = [bill for bill in map(_bill, ends) if bill.is_plain]
    return {bill.end.job.pk for bill in _write_all(bills)} if bills else set()


def end_by(job: Job, result: Result, *, after: Earlier | None = None) -> End:
    """How a job ends by the provider's result."""
    units, answer = result.units_of(job.quote["unit"]), result.answer
    if result.succeeded:
        outputs = _outputs(job)
        if not has_expected_media(result.output, outputs):
            return End(job, Status.FAILED, units, answer, failures.NO_MEDIA, after=after)
        output = with_whole_texts(result.output, outputs)
        files = files_in(output, outputs)
        return End(job, Status.SUCCEEDED, units, answer, output=output, files=files, after=after)
    if failures.is_cancellation(result) and job.status == Status.CANCELING:
        return _as_canceled(End(job, Status.CANCELED, units, answer, after=after))
    failure = failures.failure_of(result)
    if failure is failures.OUR_ACCOUNT and job.key_source:
        failure = own_keys.failure_of(job, KeyRefusedError("refused with the result"))
    return End(job, Status.FAILED, units, answer, failure, after=after)


def insist(job: Job, end: Callable[[Job], bool]) -> bool:
    """Ends a job by news that stay true whatever changed meanwhile: a cancel, a webhook, another look.

    `end` is tried again on the job as it is now; False where somebody else has ended it.
    """
    for _ in range(_TRIES):
        if end(job):
            return True
        job.refresh_from_db()
        if job.has_ended:
            return False
    return False


def fail(job: Job, failure: Failure, *, answer: Answer | None = None) -> bool:
    """Ends a job as failed. It costs the client nothing, unless it was billed and the client's terms say so (M8)."""
    return _write(End(job, Status.FAILED, answer=answer, failure=failure))


def canceled(job: Job, *, beside: Beside | None = None) -> bool:
    """Ends a job as canceled; one that the deadline canceled has failed. `beside` writes in the same transaction."""
    return _write(_as_canceled(End(job, Status.CANCELED, beside=beside)))


def _as_canceled(end: End) -> End:
    if end.job.cancel_reason == "deadline":
        return replace(end, status=Status.FAILED, failure=failures.DEADLINE, beside=None)
    return end


def _write(end: End) -> bool:
    return bool(_write_all([_bill(end)]))


def _bill(end: End) -> _Bill:
    job, now = end.job, timezone.now()
    amounts = amounts_at_end(
        read_frozen(job.terms),
        outcome=OUTCOMES[end.status],
        quoted_cost=job.quote["cost"],
        quoted_price=job.quote["price"],
        units=end.units,
    )
    # Runs of a calibration are to find out what is right: no bill of theirs is strange. That of a test is no bill.
    ours = calibrating.is_ours(job)
    quarantine = "" if ours or is_test(job) else amounts.quarantine[:300]
    # The ledger is told the whole, so that it books what is above as our loss.
    charge = at_most(amounts.charge, job.hold_amount)
    return _Bill(end, now, amounts, charge, quarantine, ours, make_assets(job, end.files, now=now))


def _write_all(bills: Sequence[_Bill]) -> list[_Bill]:
    """Writes ends down, all in one transaction; those whose jobs had not changed meanwhile."""
    with transaction.atomic(durable=True):
        # Everybody who locks several jobs takes them in this order.
        ordered = sorted(bills, key=lambda bill: bill.end.job.pk)
        made = change_all([_change_of(bill) for bill in ordered])
        moved = [bill for bill, is_made in zip(ordered, made, strict=True) if is_made]
        for bill in moved:
            if bill.end.beside:
                bill.end.beside()
            if bill.is_ours:
                calibrating.observe_end(bill.end.job)
        # Before the accounts, as whoever brings a workflow forward takes the two in this order.
        for workflow_id in sorted({bill.end.job.workflow_id for bill in moved if bill.end.job.workflow_id}):
            wake(workflow_id)
        # Last: other jobs of the clients wait for these rows until this transaction ends.
        _settle_all(sorted(moved, key=lambda bill: bill.end.job.client_id))
    for bill in moved:
        observe_ended(bill.end.job)
        log_ended(bill.end.job)
        if bill.quarantine:
            tell_quarantine(bill.end.job)
    return moved


def _change_of(bill: _Bill) -> Change:
    end, job, failure = bill.end, bill.end.job, bill.end.failure
    columns = {
        "finished_at": bill.at,
        "cancel_reason": job.cancel_reason,
        "output": end.output,
        "error": failure.as_json() if failure else None,
        "charge": bill.charge,
        "cost": bill.amounts.cost,
        "cost_source": bill.amounts.source,
        "billed_units": "" if end.units is None else format_decimal(end.units)[:40],
        "quarantine": bill.quarantine,
        "queue_position": None,
    }
    return Change(
        job,
        end.status,
        columns,
        event=f"job_{end.status}",
        data=failure.as_json() if failure else _delivered(job, end.output) | named(bill.assets, end.files),
        after=end.after,
        rows=[*kept(job, end.answer), *bill.assets, _usage(bill)],
    )


def _settle_all(bills: Sequence[_Bill]) -> None:
    """Closes the holds in this order, and tells of the batches whose last jobs these were."""
    for is_charged, few in groupby(bills, key=lambda bill: bill.is_charged):
        if is_charged:
            settle_each([_settlement(bill) for bill in few])
        else:
            for bill in few:
                _release(bill)
    for bill in bills:
        if bill.end.job.batch_id:
            end_if_last(bill.end.job.batch_id)


def _settlement(bill: _Bill) -> Settlement:
    return Settlement(bill.end.job.pk, bill.amounts.charge, bill.amounts.cost, tells_loss=not bill.is_ours)


def _release(bill: _Bill) -> None:
    job, failure = bill.end.job, bill.end.failure
    if is_test(job):
        # What is shown as charged was never held: only the job's place is given back.
        release(job.pk, reason="test")
    else:
        release(job.pk, cost=bill.amounts.cost, reason=failure.code if failure else "canceled")


def _usage(bill: _Bill) -> UsageRecord | UsageOfTest:
    """What usage shows of the job, and what of a live one reports and learned prices read."""
    job, failure = bill.end.job, bill.end.failure
    begun = job.submitted_at or job.sent_at
    record = usage_of_test if is_test(job) else usage_record
    return record(
        Usage(
            job=job.pk,
            client_id=job.client_id,
            key_id=job.key_id,
            model_id=job.model_id,
            outcome=OUTCOMES[bill.end.status],
            cost=bill.amounts.cost,
            charge=bill.charge,
            cost_source=bill.amounts.source,
            unit=job.quote["unit"],
            units=bill.end.units,
            quoted_cost=job.quote["cost"],
            quoted_price=job.quote["price"],
            terms=job.terms,
            features=job.features,
            error_code=failure.code if failure else "",
            request_id=job.request_id,
            seconds=(bill.at - begun).total_seconds() if begun else None,
        ),
        now=bill.at,
    )


def _delivered(job: Job, output: Any) -> dict[str, Any]:
    """What the event tells of a success that is none in full."""
    found = warnings_of(job.features, output)
    return {"warnings": found} if found else {}


def _outputs(job: Job) -> list[dict[str, Any]]:
    """The outputs that the model's schema promised when the job was accepted."""
    facts = facts_of(job.model_id)
    if facts.schema_version == job.schema_version:
        return facts.outputs
    version = SchemaVersion.objects.filter(model_id=job.model_id, number=job.schema_version).first()
    outputs: list[dict[str, Any]] = version.unpacked["outputs"] if version else []
    return outputs
