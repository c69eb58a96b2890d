"""The end of accepting: no item comes to a batch any more, and what was not accepted is written down."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from django.db import transaction
from django.utils import timezone

from genfeed.clients.errors import ApiError
from jobs.batches.ending import end_if_last
from jobs.batches.models import Batch, BatchRefusal
from jobs.batches.refusing import Refused
from jobs.models import Job
from pricing.ledger.accounts import lock_account


def close(batch: Batch, refused: Iterable[Refused], *, beside: Callable[[Batch], None] | None = None) -> None:
    """Closes a batch in the caller's transaction, and ends it where no job of it is open; once, whoever comes again."""
    lock_account(batch.client_id)
    quoted = sum(price or 0 for price in Job.objects.filter(batch=batch).values_list("quote__price", flat=True))
    if Batch.objects.filter(pk=batch.pk, closed_at=None).update(closed_at=timezone.now(), quoted=quoted):
        BatchRefusal.objects.bulk_create([one.as_row(batch.pk) for one in refused])
        end_if_last(batch.pk)
    batch.refresh_from_db()
    if beside:
        beside(batch)


def close_cut_off(batch: Batch) -> None:
    """Closes a batch whose request was cut off and never repeated: what it had not come to is told as refused."""
    with transaction.atomic(durable=True):
        close(batch, not_reached(batch, []))


def not_reached(batch: Batch, refused: Iterable[Refused]) -> list[Refused]:
    """The items that the request never came to: neither jobs nor refused."""
    told = set(Job.objects.filter(batch=batch).values_list("batch_index", flat=True))
    told |= {one.index for one in refused}
    return [Refused(index, _cut_off()) for index in range(batch.size) if index not in told]


def _cut_off() -> ApiError:
    return ApiError(
        "internal_error",
        "The request was cut off before this item was accepted; nothing is charged for it.",
        "Send it in another batch.",
    )
