"""Starting runs of steps: each becomes a job as any other, accepted for whoever asked for the workflow."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import cached_property
from typing import Any

from django.conf import settings
from django.db import DataError, InterfaceError, OperationalError, transaction
from django.utils import timezone

from catalog import narrowing, published
from genfeed.clients.errors import ApiError
from genfeed.clients.keys import Caller, caller_of
from genfeed.clients.sealing import CannotUnsealError
from jobs.accepting.accept import Wanted, accept
from jobs.accepting.secret_inputs import with_opened
from jobs.assets.rendering import assets_of
from jobs.fallback.accepting import accept_with_fallback
from jobs.fallback.attempts import most_held
from jobs.models import ENDED, OPEN, Job
from jobs.workflows.board import Board
from jobs.workflows.instead import alternatives
from jobs.workflows.models import StepStatus, WorkflowRun, WorkflowStep
from jobs.workflows.plans import Planned
from jobs.workflows.resolving import FilesComingError, resolved
from jobs.workflows.turns import OvertakenError, hold
from pricing.estimates.addressing import find_model
from pricing.estimates.facts import facts_of

logger = logging.getLogger(__name__)

# These pass, or a person mends them: a run waits for that. All but the last three stand in every run's way.
_OF_THE_CLIENT = frozenset(
    {"rate_limited", "too_many_in_flight", "queue_full", "insufficient_funds", "budget_exceeded"}
)
_PASSING = _OF_THE_CLIENT | {"offline", "provider_unavailable", "internal_error"}
_RETRY_SECONDS = 15.0
_UNWRITABLE = ApiError(
    "invalid_request",
    "Its input holds a value that can't be kept: a number beyond all bounds, or characters that are none.",
    "See what the steps before it have made, and start the rest with other values.",
)
_REASONLESS = ApiError("internal_error", "It could not be started.", "It is tried again; if it stays, report it.")


class Starter:
    """Starts what is ready in one turn, and remembers what kept it from starting more."""

    def __init__(self, run: WorkflowRun, board: Board) -> None:
        self._run = run
        self._board = board
        self.is_stopped = False
        self.retry_seconds: float | None = None

    def start(self, row: WorkflowStep) -> bool:
        """Makes the job of a run, or writes down why not; whether the run is past waiting. Raises OvertakenError."""
        step = self._board.plan[row.name]
        try:
            self._accept(row, step)
        except FilesComingError:
            # It is news when one is here, or never will be.
            return False
        except ApiError as error:
            return self._refused(row, error)
        except (OvertakenError, OperationalError, InterfaceError):
            raise
        except (DataError, UnicodeError, OverflowError):
            # What can't be written now never can.
            logger.exception("run %s of step %s of workflow %s can't be kept", row.index, row.name, self._run.pk)
            return self._refused(row, _UNWRITABLE)
        except Exception:
            logger.exception("run %s of step %s of workflow %s could not be started", row.index, row.name, self._run.pk)
            return self._refused(row, _REASONLESS)
        return True

    def _accept(self, row: WorkflowStep, step: Planned) -> None:
        caller = self._caller
        most = self._most(step)
        wanted = Wanted(
            step.model,
            self._input(row, step, caller),
            step.media,
            max_price=most,
            cache=step.cache,
            metadata=step.metadata,
            low_priority=self._run.priority == "low",
            workflow=self._run.pk,
        )

        def beside(job: Job) -> None:
            hold(self._run, starts=True)
            waiting = WorkflowStep.objects.filter(pk=row.pk, status=StepStatus.WAITING)
            if not waiting.update(status=StepStatus.RUNNING, job=job, error=None, waits_since=None):
                raise OvertakenError(self._run.pk)

        try:
            job = _accept(wanted, step, caller, beside)
        except ApiError as error:
            if error.code != "model_unpriced" or not step.priced_media:
                raise
            # What is known of the files does not price it; what the steps before it promised does.
            job = _accept(replace(wanted, media=step.priced_media), step, caller, beside)
        row.status, row.job, row.error, row.waits_since = StepStatus.RUNNING, job, None, None

    def _input(self, row: WorkflowStep, step: Planned, caller: Caller) -> dict[str, object]:
        if not step.references:
            return _opened(step.input, step)
        sources = {name: source.job_id for name, source in self._board.sources(row).items()}
        jobs = Job.objects.in_bulk([key for key in sources.values() if key])
        catalog = narrowing.narrowed(published.current(), caller)
        counts = not caller.is_test
        entry = find_model(step.model, is_admin=False, within=catalog, client_id=caller.live_id, counts=counts)
        made = {name: jobs[key] for name, key in sources.items() if key}
        return _opened(resolved(step, made, assets_of(made.values()), facts_of(entry.pk).inputs), step)

    @cached_property
    def _caller(self) -> Caller:
        """Whom the key speaks for that the workflow came with, by its limits of now; raises ApiError for one that
        may not be used any more."""
        key = self._run.key
        if key is not None and key.revoked_at is None and key.client.is_active:
            caller = caller_of(key)
            is_expired = caller.expires_at is not None and caller.expires_at <= timezone.now()
            if caller.may("jobs:write") and not is_expired:
                return caller
        raise ApiError(
            "unauthorized",
            "The key that the workflow was started with may run nothing any more.",
            "Start the rest with another key.",
        )

    def _most(self, step: Planned) -> int | None:
        """What the next job may cost: of the step's own limit and what is left of the workflow's, the smaller."""
        limits = [] if step.max_price is None else [step.max_price]
        if self._run.max_price is not None:
            limits.append(max(0, self._run.max_price - self._spent()))
        return min(limits, default=None)

    def _spent(self) -> int:
        """What its jobs were charged, and what those that have not ended may come to hold."""
        jobs = Job.objects.filter(workflow=self._run)
        rows = jobs.values_list("pk", "status", "charge", "hold_amount")
        plans = dict(jobs.filter(has_spare=True, status__in=OPEN).values_list("pk", "fallback"))
        return sum(
            (charge or 0) if status in ENDED else most_held(held, plans.get(pk)) for pk, status, charge, held in rows
        )

    def _refused(self, row: WorkflowStep, error: ApiError) -> bool:
        """Lets a run wait for what may pass, WORKFLOW_PATIENCE_SECONDS at most; else it has failed. Whether it has."""
        now = timezone.now()
        since = row.waits_since or now
        waits = error.code in _PASSING or (error.code == "price_above_max" and self._may_get_cheaper())
        waits = waits and now < since + timedelta(seconds=settings.WORKFLOW_PATIENCE_SECONDS)
        before = (row.status, row.error, row.waits_since)
        row.error = {"code": error.code, "message": error.message, "hint": error.hint}
        row.status = StepStatus.WAITING if waits else StepStatus.FAILED
        row.waits_since = since if waits else None
        if waits:
            self.is_stopped = error.code in _OF_THE_CLIENT
            seconds = max(1.0, float(error.retry_after or _RETRY_SECONDS))
            self.retry_seconds = min(seconds, self.retry_seconds or seconds)
        if (row.status, row.error, row.waits_since) != before:
            with transaction.atomic(durable=True):
                hold(self._run)
                WorkflowStep.objects.filter(pk=row.pk, status=StepStatus.WAITING).update(
                    status=row.status, error=row.error, waits_since=row.waits_since
                )
        return not waits

    def _may_get_cheaper(self) -> bool:
        """Whether jobs of the workflow hold more than they may come to cost."""
        return self._run.max_price is not None and Job.objects.filter(workflow=self._run, status__in=OPEN).exists()


def _accept(wanted: Wanted, step: Planned, caller: Caller, beside: Callable[[Job], None]) -> Job:
    if step.fallback:
        return accept_with_fallback(wanted, alternatives(step.fallback), caller, beside=beside)
    return accept(wanted, caller, beside=beside)


def _opened(input: Mapping[str, Any], step: Planned) -> dict[str, Any]:
    try:
        return with_opened(input, step.secret)
    except CannotUnsealError:
        raise ApiError(
            "not_configured",
            "A secret of its input can't be read any more: the key that it was sealed with is gone.",
            "Send the workflow again.",
        ) from None
