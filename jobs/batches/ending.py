"""The end of a batch: told once, in the transaction of whatever was the last to happen, in whatever order it did."""

from __future__ import annotations

from django.db.models import Exists, OuterRef
from django.utils import timezone

from genfeed.journal.models import OutboxEvent
from jobs.batches.models import Batch
from jobs.models import OPEN, Job
from jobs.testmode.mode import mark_of


def end_if_last(batch_id: str) -> bool:
    """Ends a closed batch none of whose jobs is open, with its event; False where it is not so, or was told before.

    In the caller's transaction, after the change that may have been the last, and with the lock of the client's
    account: whoever settles, releases or closes has it, so that of two last jobs one sees the other's end.
    """
    now = timezone.now()
    is_open = Job.objects.filter(batch_id=OuterRef("pk"), status__in=OPEN)
    ending = Batch.objects.filter(~Exists(is_open), pk=batch_id, closed_at__isnull=False, finished_at=None)
    if not ending.update(finished_at=now):
        return False
    batch = Batch.objects.select_related("client").get(pk=batch_id)
    tell(batch, batch.status)
    return True


def tell(batch: Batch, what: str) -> None:
    """Writes `batch.<what>` to the outbox, in the caller's transaction."""
    OutboxEvent.objects.create(
        kind=f"batch.{what}",
        subject=batch.pk,
        client_id=batch.client_id,
        payload={"batch": batch.pk} | mark_of(is_test=batch.client.is_test),
        created_at=timezone.now(),
    )
