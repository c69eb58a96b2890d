"""What providers still hold of erased clients: deleted there request by request, where our key may."""

from __future__ import annotations

import logging
from contextlib import closing
from datetime import timedelta

from django.utils import timezone

from catalog.providers import queue
from catalog.providers.queue import KeyRefusedError, QueueError
from genfeed.clients.models import Client
from jobs.models import Job, ProviderErasure

logger = logging.getLogger(__name__)

_AT_ONCE = 500
_LATER = timedelta(minutes=30)
# A key that may not delete today may tomorrow; after this time the provider has deleted payloads by itself.
_NEXT_DAY = timedelta(days=1)
KEPT_BY_PROVIDER = timedelta(days=31)


def plan(client: Client) -> int:
    """Notes the client's requests for deletion, in the caller's transaction; returns how many."""
    youngest = timezone.now() - KEPT_BY_PROVIDER
    # What ran on a key of the client's own lies in the client's own account, where ours has no business.
    sent = Job.objects.filter(client=client, account="", created_at__gte=youngest).exclude(request_id="")
    rows = [ProviderErasure(job_id=pk) for pk in sent.values_list("pk", flat=True).iterator()]
    ProviderErasure.objects.bulk_create(rows, batch_size=500, ignore_conflicts=True)
    return len(rows)


def erase_due(*, limit: int = _AT_ONCE) -> int:
    """Deletes at the providers what is due; returns how many requests were. A failure is tried again later."""
    now = timezone.now()
    ProviderErasure.objects.filter(job__created_at__lt=now - KEPT_BY_PROVIDER).delete()
    due = ProviderErasure.objects.filter(next_at__lte=now).select_related("job").order_by("next_at")[:limit]
    by_provider: dict[str, list[ProviderErasure]] = {}
    for one in due:
        by_provider.setdefault(one.job.provider, []).append(one)
    return sum(_erase(provider, ones) for provider, ones in by_provider.items() if queue.is_runnable(provider))


def _erase(provider: str, ones: list[ProviderErasure]) -> int:
    count = 0
    with closing(queue.open_queue(provider)) as opened:
        for one in ones:
            try:
                opened.erase(one.job.request_id)
            except KeyRefusedError:
                logger.warning("no key of ours may delete what %s holds of erased clients", provider)
                ids = [each.pk for each in ones]
                ProviderErasure.objects.filter(pk__in=ids).update(next_at=timezone.now() + _NEXT_DAY)
                break
            except QueueError as error:
                logger.warning("%s could not delete %s: %s", provider, one.job_id, error)
                ProviderErasure.objects.filter(pk=one.pk).update(next_at=timezone.now() + _LATER)
            else:
                one.delete()
                count += 1
    return count
