"""Forgetting test jobs after TEST_DATA_DAYS: with their files, events, batches, workflows, usage and webhooks."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from genfeed.clients.models import Client
from genfeed.journal.models import OutboxEvent
from jobs.assets.models import Asset
from jobs.assets.retention import remove_file
from jobs.models import Batch, Job, WebhookMessage, WorkflowRun
from pricing.models import UsageOfTest

_AT_ONCE = 500
_GONE = "its time as test data has passed"


def forget_tests(*, now: datetime | None = None) -> int:
    """Deletes what test sides did more than TEST_DATA_DAYS ago and has ended; returns how many jobs."""
    until = (now or timezone.now()) - timedelta(days=settings.TEST_DATA_DAYS)
    sides = Client.objects.filter(test_of__isnull=False).values("pk")
    for asset in Asset.objects.filter(client__in=sides, created_at__lt=until).exclude(storage_name="").iterator():
        remove_file(asset, problem=_GONE)
    # A file that the storage has failed to delete keeps its row, and its job, until it does.
    kept = Asset.objects.exclude(storage_name="")
    used = Job.objects.filter(cached_from=OuterRef("pk"))
    old = Job.objects.filter(~Exists(kept.filter(job=OuterRef("pk"))), client__in=sides, finished_at__lt=until)
    # What a workflow still needs stays as long.
    old = old.filter(Q(workflow=None) | Q(workflow__finished_at__isnull=False))
    # First those that were answered by others' results, which can't go before them.
    count = _delete(old.filter(cached_from__isnull=False)) + _delete(old.filter(~Exists(used)))
    _delete(Asset.objects.filter(client__in=sides, created_at__lt=until, job=None, storage_name=""))
    empty = ~Exists(Job.objects.filter(batch=OuterRef("pk")))
    _delete(Batch.objects.filter(empty, client__in=sides, finished_at__lt=until))
    left = ~Exists(Job.objects.filter(workflow=OuterRef("pk")))
    _delete(WorkflowRun.objects.filter(left, client__in=sides, finished_at__lt=until))
    _delete(WebhookMessage.objects.filter(client__in=sides, created_at__lt=until))
    _delete(UsageOfTest.objects.filter(created_at__lt=until))
    _delete(OutboxEvent.objects.filter(client_id__in=sides, delivered_at__lt=until))
    return count


def _delete(rows: QuerySet) -> int:
    """Some at a time, so that nobody waits long for the table; returns how many."""
    count = 0
    while keys := list(rows.order_by("pk").values_list("pk", flat=True)[:_AT_ONCE]):
        rows.model._default_manager.filter(pk__in=keys).delete()
        count += len(keys)
    return count
