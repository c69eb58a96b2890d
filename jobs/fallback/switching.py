"""Going on with the next model where the one before certainly has not run a job, and can't be had.

Only a job that is nowhere changes its model: one in our own queue, or one whose submit was certainly not accepted. What
may have been accepted stays with its provider, whatever becomes of it.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from catalog import upstreams
from catalog.models import AIModel
from catalog.providers.queue import Answer
from genfeed.clients.errors import ApiError
from jobs.accepting.own_keys import check_key_still_good, gate_name
from jobs.assets.models import Handover
from jobs.assets.references import ids_in
from jobs.dispatching import gate
from jobs.dispatching.outgoing import digest_of
from jobs.ending.answers import kept
from jobs.fallback.attempts import Reason, away, choose, has_spare, spares
from jobs.metrics import observe_fallback
from jobs.models import Job, Status
from jobs.testmode.mode import TEST, is_test
from jobs.transitions import move, touch
from pricing.ledger.holds import Reservation
from pricing.ledger.reholding import rehold

logger = logging.getLogger(__name__)

_TRIES = 10


def switch(job: Job, why: Reason, *, answer: Answer | None = None) -> bool:
    """Puts a job back into the queue for the first of its alternatives that can be had; False where none can.

    `why` its model is given up, for the client; `answer` is what the provider said of it.

    1. Pass over what is not offered any more, whose provider takes nothing, for which there is no key.
    2. In one transaction: change the job on the version that was seen, tell it, and change hold and budgets; where the
       money is not there, pass over it as well.
    3. Where the job changed meanwhile, look again; a cancel, or anybody else who brought it further, goes before.

    Where it answers False nothing is written, and the alternatives are left as they were: they may be had later.
    """
    seen = (job.status, job.model_id, job.attempts)
    if job.status not in (Status.QUEUED, Status.SUBMITTING):
        return False
    passed: dict[int, Reason] = {}
    for _ in range(_TRIES):
        if not job.has_spare or job.cancel_requested_at or (job.status, job.model_id, job.attempts) != seen:
            return False
        place = next((one for one in spares(job.fallback) if one not in passed), None)
        if place is None:
            return False
        try:
            if _take(job, place, why, passed, answer):
                return True
        except ApiError as error:
            passed[place] = (error.code, error.message)
        # Another look, also at what was undone.
        job.refresh_from_db()
    return False


def _take(job: Job, place: int, why: Reason, passed: Mapping[int, Reason], answer: Answer | None) -> bool:
    """Changes the job to the alternative; False where the job changed meanwhile. Raises ApiError: it can't be had."""
    assert job.fallback is not None  # noqa: S101 - it has a spare
    wanted = job.fallback["attempts"][place]["columns"]
    model = AIModel.objects.only("enabled", "status", "category").filter(pk=wanted["model_id"]).first()
    if model is None or not model.enabled:
        raise ApiError(*not_offered(model))
    check_key_still_good(wanted["provider"], job.client_id, wanted["account"])
    _refuse_away(wanted["provider"], wanted["account"])
    before = f"{job.provider}:{job.endpoint_id}"
    after = f"{wanted['provider']}:{wanted['endpoint_id']}"
    plan = choose(job.fallback, place, why=why, passed=passed)
    now = timezone.now()
    waits_for_files = bool(ids_in(wanted["input"]))
    columns = {
        **wanted,
        "input_digest": digest_of(wanted["input"]),
        "fallback": plan,
        "has_spare": has_spare(plan),
        # Nobody who was told the old one speaks of what runs from now on.
        "token": secrets.token_urlsafe(32),
        "sent_at": None,
        "next_at": now + timedelta(seconds=settings.QUEUE_TIMEOUT_SECONDS) if waits_for_files else now,
    }
    told = {"fallback": {"from": before, "to": after, "code": why[0], "message": why[1]}}
    with transaction.atomic(durable=True):
        if job.status == Status.QUEUED:
            moved = touch(job, event="job_progress", data=told, rows=kept(job, answer), **columns)
        else:
            moved = move(job, Status.QUEUED, event="job_progress", data=told, rows=kept(job, answer), **columns)
        if not moved:
            return False
        Handover.objects.filter(job=job).delete()
        if waits_for_files:
            Handover.objects.create(job=job, next_at=now)
        amount = 0 if is_test(job) else wanted["hold_amount"]
        reservation = Reservation(job.client_id, job.key_id, job.pk, job.model_id, model.category, amount)
        # Last: other requests of the client wait for its rows until this transaction ends.
        rehold(reservation, reference=f"fallback {place}", reason=f"run by {after} in place of {before}")
    if not is_test(job):
        observe_fallback(before.partition(":")[0], why[0])
    logger.info("job %s goes on with %s in place of %s: %s", job.pk, after, before, why[0])
    return True


def not_offered(model: AIModel | None) -> Reason:
    """The reason where a model was taken off sale, or is not there at all."""
    if model is None or model.status == AIModel.Status.RETIRED:
        return "model_retired", "Its provider no longer has it."
    return "model_disabled", "It is not offered any more."


def _refuse_away(provider: str, account: str) -> None:
    if gate.is_shut(gate_name(provider, account)):
        raise ApiError(*away(provider))
    if settings.GENFEED_MODE == "core" and account != TEST and not upstreams.is_online(provider):
        raise ApiError("offline", f"{provider} can't be reached from here right now.")
