"""Deleting files in time, and everything of a client that may be deleted."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from catalog.own_models import erase_models_of
from genfeed.clients.keys import revoke_key
from genfeed.clients.models import ApiKey, Client, ProviderKey
from genfeed.journal.audit import Actor, Change, record
from jobs import provider_copies
from jobs.assets import parts
from jobs.assets.models import Asset, PartialUpload
from jobs.assets.storage import delete
from jobs.models import OPEN, Batch, BatchRefusal, IdempotentAnswer, Job, JobEvent, ProviderAnswer, WorkflowRun
from jobs.webhooks.models import WebhookEndpoint, WebhookMessage
from jobs.workflows.erasing import erase_workflows
from pricing.ledger.accounts import lock_account

logger = logging.getLogger(__name__)

_AT_ONCE = 500
_GONE = "its time has passed"
_ERASED = "it was erased"


class OpenJobsError(Exception):
    """The client has jobs whose outcome is not known yet."""


def expire_files(*, now: datetime | None = None) -> int:
    """Deletes files that are older than OUTPUT_DAYS and INPUT_DAYS say; returns how many. Rows stay and say so."""
    now = now or timezone.now()
    count = 0
    for origin, days in ((Asset.Origin.OUTPUT, settings.OUTPUT_DAYS), (Asset.Origin.UPLOAD, settings.INPUT_DAYS)):
        if not days:
            continue
        old = Asset.objects.filter(origin=origin, created_at__lt=now - timedelta(days=days))
        # What could not be fetched in all that time is not going to be.
        old.filter(storage_name="").exclude(state=Asset.State.EXPIRED).update(
            state=Asset.State.EXPIRED, problem=_GONE, source_url=""
        )
        failed: set[str] = set()
        while batch := list(old.exclude(storage_name="").exclude(pk__in=failed)[:_AT_ONCE]):
            for asset in batch:
                if remove_file(asset, problem=_GONE):
                    count += 1
                else:
                    failed.add(asset.pk)
    return count


def remove_file(asset: Asset, *, problem: str) -> bool:
    """Takes a file away: first nobody is sent there any more, then it is deleted. False where the storage fails."""
    Asset.objects.filter(pk=asset.pk).update(state=Asset.State.EXPIRED, problem=problem, source_url="")
    try:
        delete(asset.storage_name)
    except OSError:
        logger.exception("asset %s could not be deleted", asset.pk)
        return False
    Asset.objects.filter(pk=asset.pk).update(storage_name="")
    return parts.discard(asset)


def drop_parts(*, now: datetime | None = None) -> int:
    """Gives up uploads that were not completed in time, and deletes parts that are of no use; returns how many."""
    now = now or timezone.now()
    late = Asset.objects.filter(state=Asset.State.PARTIAL, partial__expires_at__lte=now)
    count = sum(remove_file(asset, problem="it was not completed in time") for asset in late.iterator())
    # What a process left that ended between the last word on a file and its parts.
    ended = PartialUpload.objects.exclude(asset__state__in=(Asset.State.PARTIAL, Asset.State.PENDING))
    return count + sum(parts.discard(upload.asset) for upload in ended.select_related("asset").iterator())


def sweep_incoming(*, now: datetime | None = None) -> int:
    """Deletes files on their way that nobody brings to an end any more: their process was killed. Returns how many."""
    oldest = ((now or timezone.now()) - timedelta(days=1)).timestamp() - settings.ASSET_DOWNLOAD_SECONDS
    count = 0
    for path in Path(settings.ASSET_TEMP_DIR).iterdir():
        try:
            if path.is_file() and path.stat().st_mtime < oldest:
                path.unlink()
                count += 1
        except FileNotFoundError:
            continue
    return count


def erase_client(client: Client, *, actor: Actor) -> dict[str, int]:
    """Erases what a client sent and got: files, inputs, outputs, notes, webhooks and what providers answered.

    Its keys are revoked. What was charged stays on record: amounts, models and times. Raises OpenJobsError while jobs
    are open. Can be run again where a job came in between, or a file could not be deleted. Returns what was erased, by
    name; `left` are files that could not be deleted, `at_provider` requests that the provider is asked to delete in the
    background. Its test side goes with it.
    """
    counts = _erase(client, actor=actor)
    for side in Client.objects.filter(test_of=client):
        for name, count in _erase(side, actor=actor).items():
            counts[name] += count
    return counts


def _erase(client: Client, *, actor: Actor) -> dict[str, int]:
    _switch_off(client, actor=actor)
    for key in ApiKey.objects.filter(client=client, revoked_at=None):
        revoke_key(key, actor=actor)
    files = left = 0
    for asset in Asset.objects.filter(client=client).iterator():
        if remove_file(asset, problem=_ERASED):
            files += 1
        else:
            left += 1
    with transaction.atomic(durable=True):
        # Again: a request that had begun before the client was switched off may have been accepted since.
        _refuse_open(client)
        jobs = Job.objects.filter(client=client)
        ProviderAnswer.objects.filter(job__client=client).delete()
        JobEvent.objects.filter(job__client=client).update(data={})
        IdempotentAnswer.objects.filter(client=client).delete()
        ProviderKey.objects.filter(client=client).delete()
        erase_models_of(client, actor=actor)
        Asset.objects.filter(client=client).update(name="erased", sha256="", places=[])
        Batch.objects.filter(client=client).update(metadata={}, webhook_url="")
        # Bodies hold outputs and notes; with them go the deliveries, also those that are still to be attempted.
        WebhookMessage.objects.filter(client=client).delete()
        WebhookEndpoint.objects.filter(client=client).delete()
        BatchRefusal.objects.filter(batch__client=client).update(message="", hint="", details=None)
        erase_workflows(client)
        erased = jobs.update(
            input={},
            input_digest="",
            fallback=None,
            has_spare=False,
            cache_digest=None,
            output=None,
            metadata={},
            webhook_url="",
            log_mark=[],
            features={},
        )
        counts = {"jobs": erased, "files": files, "left": left, "at_provider": provider_copies.plan(client)}
        record("client.erased", [Change(client, after=counts)], actor=actor)
    return counts


def _switch_off(client: Client, *, actor: Actor) -> None:
    """Before anything is deleted: from here on, nobody comes for the client any more."""
    with transaction.atomic(durable=True):
        _refuse_open(client)
        if Client.objects.filter(pk=client.pk, is_active=True).update(is_active=False):
            change = Change(client, before={"is_active": True}, after={"is_active": False})
            record("client.switched_off", [change], actor=actor)


def _refuse_open(client: Client) -> None:
    """Raises OpenJobsError; in the caller's transaction, until whose end no job of the client is accepted."""
    lock_account(client.pk)
    its = Q(client=client) | Q(client__test_of=client)
    for words, rows in (
        ("workflows", WorkflowRun.objects.filter(its, finished_at=None)),
        ("jobs", Job.objects.filter(its, status__in=OPEN)),
    ):
        if rows.exists():
            raise OpenJobsError(
                f"{client} has {words} that have not ended. Cancel them, and erase when they have ended."
            )
