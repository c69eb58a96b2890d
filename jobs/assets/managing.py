"""What staff do with files: fetch one again, delete one before its time. Each is in the audit."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from genfeed.journal.audit import Actor, Change, record
from jobs.assets.models import Asset
from jobs.assets.retention import remove_file

State = Asset.State


def fetch_again(asset: Asset, *, actor: Actor) -> bool:
    """Has a file fetched that was given up or waits for its next attempt; False where there is nothing to fetch."""
    with transaction.atomic(durable=True):
        mine = Asset.objects.filter(pk=asset.pk, state__in=(State.FAILED, State.PENDING))
        # Without an address it is a data URI of its job's output, or came in parts, which are gone once it is given up.
        can = asset.source_url or asset.job_id or asset.state == State.PENDING
        if not can or not mine.update(state=State.PENDING, attempts=0, next_at=timezone.now()):
            return False
        record("asset.fetched_again", [Change(asset, {"state": asset.state}, {"state": State.PENDING})], actor=actor)
    return True


def delete_now(asset: Asset, *, actor: Actor, problem: str = "it was deleted by the operator") -> bool:
    """Deletes a file before its time; False where the storage fails, and once it is deleted already."""
    if asset.state == State.EXPIRED and not asset.storage_name:
        return False
    with transaction.atomic(durable=True):
        Asset.objects.filter(pk=asset.pk).update(state=State.EXPIRED, problem=problem)
        record("asset.deleted", [Change(asset, {"state": asset.state}, {"state": State.EXPIRED})], actor=actor)
    return remove_file(asset, problem=problem)
