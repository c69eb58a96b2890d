"""The end of a job: status, money, usage record and event in one transaction, whoever brings the news and how often."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import Model
from django.utils import timezone

from catalog.models import SchemaVersion
from catalog.providers.queue import Answer, KeyRefusedError, Result
from jobs import calibrating, failures
from jobs.accepting import own_keys
from jobs.assets.finding import Found, files_in
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
from jobs.transitions import Earlier, move
from jobs.workflows.waking import wake
from pricing.estimates.facts import facts_of
from pricing.ledger.settling import at_most, release, settle
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


def finish(job: Job, result: Result, *, after: Earlier | None = None) -> bool:
    """Ends a job by the provider's result; False, and nothing written, where it changed meanwhile.

    `after`: what came before the end and is told with it.
    """
    units = result.units_of(job.quote["unit"])
    if result.succeeded:
        outputs = _outputs(job)
        if has_expected_media(result.output, outputs):
            output = with_whole_texts(result.output, outputs)
            files = files_in(output, outputs)
            return _end(
                job,
                Status.SUCCEEDED,
                units=units,
                answer=result.answer,
                output=output,
                files=files,
                after=after,
            )
        return fail(job, failures.NO_MEDIA, units=units, answer=result.answer, after=after)
    if failures.is_cancellation(result) and job.status == Status.CANCELING:
        return canceled(job, units=units, answer=result.answer, after=after)
    failure = failures.failure_of(result)
    if failure is failures.OUR_ACCOUNT and job.key_source:
        failure = own_keys.failure_of(job, KeyRefusedError("refused with the result"))
    return fail(job, failure, units=units, answer=result.answer, after=after)


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


def fail(
    job: Job,
    failure: Failure,
    *,
    units: Decimal | None = None,
    answer: Answer | None = None,
    after: Earlier | None = None,
) -> bool:
    """Ends a job as failed. It costs the client nothing, unless it was billed and the client's terms say so (M8)."""
    return _end(job, Status.FAILED, units=units, failure=failure, answer=answer, after=after)


def canceled(
    job: Job,
    *,
    units: Decimal | None = None,
    answer: Answer | None = None,
    after: Earlier | None = None,
    beside: Beside | None = None,
) -> bool:
    """Ends a job as canceled; one that the deadline canceled has failed. `beside` writes in the same transaction."""
    if job.cancel_reason == "deadline":
        return fail(job, failures.DEADLINE, units=units, answer=answer, after=after)
    return _end(job, Status.CANCELED, units=units, answer=answer, after=after, beside=beside)


def _end(
    job: Job,
    status: Status,
    *,
    units: Decimal | None,
    answer: Answer | None,
    failure: Failure | None = None,
    output: Any = None,
    after: Earlier | None = None,
    beside: Beside | None = None,
    files: Sequence[Found] = (),
) -> bool:
    succeeded = status == Status.SUCCEEDED
    quoted_cost, quoted_price = job.quote["cost"], job.quote["price"]
    amounts = amounts_at_end(
        read_frozen(job.terms),
        outcome=OUTCOMES[status],
        quoted_cost=quoted_cost,
        quoted_price=quoted_price,
        units=units,
    )
    # What the ledger will charge at most; it is told the whole, so that it books what is above as our loss.
    charge = at_most(amounts.charge, job.hold_amount)
    # Runs of a calibration are to find out what is right: no bill of theirs is strange. That of a test is no bill.
    ours, test = calibrating.is_ours(job), is_test(job)
    quarantine = "" if ours or test else amounts.quarantine[:300]
    now = timezone.now()
    assets = make_assets(job, files, now=now)
    usage = _usage(job, status, amounts, charge=charge, units=units, failure=failure, now=now)
    rows: list[Model] = [*kept(job, answer), *assets, usage]
    with transaction.atomic(durable=True):
        moved = move(
            job,
            status,
            event=f"job_{status}",
            data=failure.as_json() if failure else _delivered(job, output) | named(assets, files),
            after=after,
            rows=rows,
            finished_at=now,
            cancel_reason=job.cancel_reason,
            output=output,
            error=failure.as_json() if failure else None,
            charge=charge,
            cost=amounts.cost,
            cost_source=amounts.source,
            billed_units="" if units is None else format_decimal(units)[:40],
            quarantine=quarantine,
            queue_position=None,
        )
        if not moved:
            return False
        if beside:
            beside()
        if ours:
            calibrating.observe_end(job)
        if job.workflow_id:
            # Before the account, as whoever brings the workflow forward takes the two in this order.
            wake(job.workflow_id)
        # Last: other jobs of the client wait for these rows until this transaction ends.
        if test:
            # What is shown as charged was never held: only the job's place is given back.
            release(job.pk, reason="test")
        elif succeeded or amounts.charge:
            settle(job.pk, charge=amounts.charge, cost=amounts.cost, tells_loss=not ours)
        else:
            release(job.pk, cost=amounts.cost, reason=failure.code if failure else "canceled")
        if job.batch_id:
            end_if_last(job.batch_id)
    observe_ended(job)
    log_ended(job)
    if quarantine:
        tell_quarantine(job)
    return True


def _usage(
    job: Job,
    status: Status,
    amounts: Amounts,
    *,
    charge: int,
    units: Decimal | None,
    failure: Failure | None,
    now: datetime,
) -> UsageRecord | UsageOfTest:
    """What usage shows of the job, and what of a live one reports and learned prices read."""
    begun = job.submitted_at or job.sent_at
    record = usage_of_test if is_test(job) else usage_record
    return record(
        Usage(
            job=job.pk,
            client_id=job.client_id,
            key_id=job.key_id,
            model_id=job.model_id,
            outcome=OUTCOMES[status],
            cost=amounts.cost,
            charge=charge,
            cost_source=amounts.source,
            unit=job.quote["unit"],
            units=units,
            quoted_cost=job.quote["cost"],
            quoted_price=job.quote["price"],
            terms=job.terms,
            features=job.features,
            error_code=failure.code if failure else "",
            request_id=job.request_id,
            seconds=(now - begun).total_seconds() if begun else None,
        ),
        now=now,
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
