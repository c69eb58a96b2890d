"""Accepting a batch: everything is checked and quoted before anything is written, then taken by a few statements.

`all_or_nothing` is one transaction. `best_effort` is one for each part of the items, so that others can write between
them; who comes again with the same Idempotency-Key after a crash goes on behind what was accepted. Without a key nobody
could come again: there the rest is refused.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import batched
from typing import Any

from django.db import transaction
from django.utils import timezone

from genfeed.clients.errors import ApiError
from genfeed.clients.keys import Caller
from genfeed.clients.limits.jobs import limit_jobs
from jobs.accepting import idempotency
from jobs.accepting.accept import Wanted, make_job, prepare, refuse_offline, reservation
from jobs.accepting.stored_results import charge_share, find_stored, finish_from, observe_answered
from jobs.assets.models import Handover
from jobs.batches.closing import close, not_reached
from jobs.batches.ending import tell
from jobs.batches.files import with_files
from jobs.batches.items import Ready
from jobs.batches.models import Batch
from jobs.batches.one_provider import refuse_key_for_several
from jobs.batches.refusing import Refused, none_of
from jobs.ids import new_id
from jobs.metrics import observe_accepted
from jobs.models import Job
from jobs.transitions import tell_all_queued
from pricing.ledger.accounts import account_of
from pricing.ledger.batch_holds import place_batch_holds
from pricing.models import Account
from pricing.money import format_usd

logger = logging.getLogger(__name__)

# Items of one transaction of a best_effort batch: others wait for it no longer than for a few single jobs.
AT_ONCE = 50
LEASE = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class WantedBatch:
    """What a client asks for. An item that can't even be read is its error. `max_total_price` in nano-USD."""

    items: Sequence[Wanted | ApiError]
    mode: str = Batch.Mode.BEST_EFFORT
    webhook_url: str = ""
    max_total_price: int | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    idempotency_key: str = ""
    body_digest: str = ""


class _NothingTakenError(Exception):
    """Undoes the transaction that would open a batch of nothing."""


def accept_batch(wanted: WantedBatch, caller: Caller, *, beside: Callable[[Batch], None] | None = None) -> Batch:
    """Accepts a batch, one hold and job an item. Raises ApiError where nothing was accepted, every failed item named.

    Where a later part of `best_effort` breaks, what was accepted before it stays. With an Idempotency-Key what broke is
    raised, and a repetition goes on from there; without one the rest is refused.
    `beside` writes in the transaction that closes the batch, e.g. the answer that repetitions get.
    A batch takes one token of the limit of jobs a minute, as it is one request; what it may have waiting and running
    has limits of its own.
    """
    batch = _taken_up(wanted, caller)
    done = dict(Job.objects.filter(batch=batch).values_list("batch_index", "hold_amount")) if batch else {}
    ready: list[Ready] = []
    refused: list[Refused] = []
    if batch is None or not batch.closed_at:
        ready, refused = _prepared(wanted, caller, done)
    if wanted.mode == Batch.Mode.ALL_OR_NOTHING:
        if refused:
            raise none_of(refused, len(wanted.items))
        return _all_or_nothing(wanted, caller, ready, beside)
    return _best_effort(wanted, caller, batch, ready, refused, beside)


def _taken_up(wanted: WantedBatch, caller: Caller) -> Batch | None:
    """The batch that the same request began before it was cut off, None for a new one; raises ApiError while at work.

    One that was closed meanwhile stays as it is.
    """
    begun = idempotency.begun(caller.client_id, wanted.idempotency_key)
    batch = Batch.objects.filter(pk=begun).first() if begun else None
    if batch is None or batch.closed_at:
        return batch
    now = timezone.now()
    free = Batch.objects.filter(pk=batch.pk, closed_at=None, accepting_until__lte=now)
    if not free.update(accepting_until=now + LEASE):
        raise idempotency.in_progress(retry_after=max(1, int((batch.accepting_until - now).total_seconds()) + 1))
    return batch


def _prepared(wanted: WantedBatch, caller: Caller, done: Mapping[int | None, int]) -> tuple[list[Ready], list[Refused]]:
    """The items that could be accepted, and those that can't; nothing is written."""
    refuse_key_for_several(wanted.items, caller)
    ready: list[Ready] = []
    refused: list[Refused] = []
    total = sum(done.values())
    for index, item in enumerate(wanted.items):
        if index in done:
            continue
        if isinstance(item, ApiError):
            refused.append(Refused(index, item))
            continue
        try:
            prepared = prepare(item, caller)
            stored = find_stored(prepared.cache_digest, caller) if prepared.may_reuse else None
            if not stored:
                refuse_offline(prepared.facts.provider, caller)
        except ApiError as error:
            refused.append(Refused(index, error))
            continue
        one = Ready(index, prepared, stored)
        if wanted.max_total_price is not None and total + one.needs > wanted.max_total_price:
            refused.append(Refused(index, _above_total(one.needs, total, wanted.max_total_price)))
            continue
        total += one.needs
        ready.append(one)
    return ready, refused


def _all_or_nothing(
    wanted: WantedBatch, caller: Caller, ready: Sequence[Ready], beside: Callable[[Batch], None] | None
) -> Batch:
    with with_files(ready, caller.client_id) as (able, refused), transaction.atomic(durable=True):
        batch = _open(wanted, caller)
        jobs, others = _take(batch, able, caller)
        if refused or others:
            raise none_of(refused + others, len(wanted.items))
        close(batch, [], beside=beside)
    _observe(jobs)
    return batch


def _best_effort(
    wanted: WantedBatch,
    caller: Caller,
    batch: Batch | None,
    ready: Sequence[Ready],
    refused: list[Refused],
    beside: Callable[[Batch], None] | None,
) -> Batch:
    for part in batched(ready, AT_ONCE):
        try:
            with with_files(part, caller.client_id) as (able, lost):
                batch, jobs = _take_part(wanted, caller, batch, able, lost)
        except Exception:
            if batch is None or wanted.idempotency_key:
                raise
            # Jobs of it run, and nobody could ask for them again: the answer must name them.
            logger.exception("batch %s was cut off", batch.pk)
            refused += not_reached(batch, refused)
            break
        refused += lost
        _observe(jobs)
    if batch is None:
        raise none_of(refused, len(wanted.items))
    with transaction.atomic(durable=True):
        close(batch, refused, beside=beside)
    return batch


def _take_part(
    wanted: WantedBatch, caller: Caller, batch: Batch | None, ready: Sequence[Ready], refused: list[Refused]
) -> tuple[Batch | None, list[Job]]:
    """The batch, opened by the first items that can be taken, and their jobs; adds to `refused`."""
    try:
        with transaction.atomic(durable=True):
            if batch is None:
                opened = _open(wanted, caller)
            elif _renewed(batch):
                opened = batch
            else:
                refused += [Refused(one.index, _canceled()) for one in ready]
                return batch, []
            jobs, others = _take(opened, ready, caller)
            refused += others
            if batch is None and not jobs:
                raise _NothingTakenError
    except _NothingTakenError:
        return None, []
    return opened, jobs


def _open(wanted: WantedBatch, caller: Caller) -> Batch:
    now = timezone.now()
    batch = Batch.objects.create(
        id=new_id("bat"),
        client_id=caller.client_id,
        key_id=caller.key_id or None,
        mode=wanted.mode,
        size=len(wanted.items),
        webhook_url=wanted.webhook_url,
        metadata=dict(wanted.metadata),
        max_total_price=wanted.max_total_price,
        created_at=now,
        accepting_until=now + LEASE,
    )
    idempotency.begin(caller.client_id, wanted.idempotency_key, wanted.body_digest, batch.pk)
    tell(batch, "created")
    limit_jobs(caller)
    return batch


def _renewed(batch: Batch) -> bool:
    """Prolongs the lease; False where the batch takes no more items, because it was canceled."""
    taking = Batch.objects.filter(pk=batch.pk, closed_at=None, cancel_requested_at=None)
    return bool(taking.update(accepting_until=timezone.now() + LEASE))


def _take(batch: Batch, ready: Sequence[Ready], caller: Caller) -> tuple[list[Job], list[Refused]]:
    """Writes jobs, holds and events of what can be paid; in the caller's transaction."""
    now = timezone.now()
    account = account_of(caller.live_id)
    answered, refused = _take_stored(batch, [one for one in ready if one.stored], caller, account, now)
    ready = [one for one in ready if not one.stored]
    if not ready:
        return answered, refused
    jobs = _make(batch, ready, caller, account, now)
    try:
        with transaction.atomic():
            _insert(jobs)
            # Last: other requests of the client wait for the account until this transaction ends.
            _hold(zip(jobs, ready, strict=True), caller, now)
    except ApiError:
        # Some can't be had: one by one, those that can.
        jobs, others = _take_each(jobs, ready, caller, now)
        refused += others
    return answered + jobs, refused


def _take_stored(
    batch: Batch, ready: Sequence[Ready], caller: Caller, account: Account, now: datetime
) -> tuple[list[Job], list[Refused]]:
    """Items that are answered by stored results; each ends at once."""
    taken: list[Job] = []
    refused: list[Refused] = []
    for job, one in zip(_make(batch, ready, caller, account, now), ready, strict=True):
        assert one.stored  # noqa: S101 - the caller chose those
        try:
            with transaction.atomic():
                finish_from(job, one.stored)
                charge_share(job, reservation(job, one.prepared, caller))
        except ApiError as error:
            refused.append(Refused(one.index, error))
        else:
            taken.append(job)
    return taken, refused


def _take_each(
    jobs: Sequence[Job], ready: Sequence[Ready], caller: Caller, now: datetime
) -> tuple[list[Job], list[Refused]]:
    taken, refused = [], []
    for job, one in zip(jobs, ready, strict=True):
        try:
            with transaction.atomic():
                _hold([(job, one)], caller, now)
        except ApiError as error:
            refused.append(Refused(one.index, error))
        else:
            taken.append(job)
    _insert(taken)
    return taken, refused


def _make(batch: Batch, ready: Sequence[Ready], caller: Caller, account: Account, now: datetime) -> list[Job]:
    jobs = [make_job(one.prepared, caller, account, now=now) for one in ready]
    # Ids of one moment are in no order: the first item gets the least, and so its turn first.
    for one, job, job_id in zip(ready, jobs, sorted(job.pk for job in jobs), strict=True):
        job.pk, job.batch_id, job.batch_index = job_id, batch.pk, one.index
    return jobs


def _insert(jobs: Sequence[Job]) -> None:
    Job.objects.bulk_create(jobs)
    Handover.objects.bulk_create(
        [Handover(job=job, next_at=job.created_at) for job in jobs if job.next_at > job.created_at]
    )
    tell_all_queued(jobs)


def _hold(pairs: Iterable[tuple[Job, Ready]], caller: Caller, now: datetime) -> None:
    wanted = [reservation(job, one.prepared, caller) for job, one in pairs]
    place_batch_holds(wanted, most_open=caller.max_open_in_batches, now=now)


def _observe(jobs: Iterable[Job]) -> None:
    for job in jobs:
        if job.is_cached:
            observe_answered(job)
        else:
            observe_accepted(job)


def _above_total(hold: int, total: int, most: int) -> ApiError:
    return ApiError(
        "price_above_max",
        f"The item may cost {format_usd(hold)} USD, the items before it {format_usd(total)} USD, and "
        f"{format_usd(most)} USD were allowed for the batch.",
        "Raise max_total_price, or ask for less.",
        details={"needed": format_usd(hold), "before": format_usd(total), "max_total_price": format_usd(most)},
    )


def _canceled() -> ApiError:
    return ApiError("conflict", "The batch was canceled before this item was accepted.", "Send it in another batch.")
