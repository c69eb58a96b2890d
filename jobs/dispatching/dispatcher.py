"""The dispatcher: chooses work, talks to providers in threads, and writes down what they said, one thing at a time.

Threads only do HTTP; all rows are read and written by the thread that loops. Any number of dispatchers may run: claims
are leases, and every change is conditional on what was seen.
"""

from __future__ import annotations

import logging
import queue as queues
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from threading import Event
from typing import Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError, close_old_connections, connection

from catalog import upstreams
from catalog.providers import queue
from catalog.providers.probing import probe
from catalog.providers.queue import QueueInterface
from genfeed.journal import request_ids
from jobs import canceling, failures
from jobs.assets.pool import FetchPool
from jobs.batches.sweeping import sweep_batches
from jobs.dispatching import recovering, submitting, watching
from jobs.dispatching.claiming import claim_due, claim_queued, overdue_in_queue
from jobs.dispatching.connections import Connections
from jobs.ending.finishing import fail
from jobs.fallback.sweeping import sweep_fallbacks
from jobs.models import Job, Status
from jobs.workflows.advancing import advance_due

logger = logging.getLogger(__name__)

# How often work is chosen: where much is to do, a round finds several jobs for the price of one.
ROUND_SECONDS = 0.05
# What is written down in one transaction: others of a client wait for its end.
MOST_TOGETHER = 16
_SWEEP_SECONDS = 1.0
# How long one that is told to stop waits for a database that is away.
_PATIENCE_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Step:
    """One piece of work: `ask` without the database in a thread, `apply` with it in the loop.

    `apply_all` does so for many jobs at once, where `is_alike` says it of what came, and names those that are left.
    """

    ask: Callable[[QueueInterface, Job], Any]
    apply: Callable[[Job, Any], None]
    is_alike: Callable[[Any], bool] = lambda outcome: False
    apply_all: Callable[[Sequence[tuple[Job, Any]]], set[str]] = lambda came: {job.pk for job, _ in came}


SUBMIT = Step(submitting.ask, submitting.apply, submitting.is_accepted, submitting.apply_all)
WATCH = Step(watching.ask, watching.apply, watching.is_ended, watching.apply_all)
CANCEL = Step(canceling.ask, canceling.apply)
RECOVER = Step(recovering.ask, recovering.apply)


def step_for(job: Job) -> Step:
    """What a job that is due needs."""
    if job.status == Status.SUBMITTING:
        return RECOVER
    if job.status == Status.CANCELING and job.cancel_sent_at is None:
        return CANCEL
    return WATCH


@dataclass(frozen=True, slots=True)
class _Came:
    """What a call brought; `again`: it could not be written down before; `is_asked`: there was a call at all."""

    step: Step
    job: Job
    outcome: Any
    again: bool = False
    is_asked: bool = True

    @property
    def is_alike(self) -> bool:
        """Whether it can be written down with others of its step."""
        return self.step.is_alike(self.outcome) and not self.again


def _groups(came: list[_Came]) -> list[list[_Came]]:
    """What is alike together, and everything else by itself."""
    alike = [[one for one in came if one.is_alike and one.step is step] for step in (SUBMIT, WATCH)]
    return [group for group in alike if group] + [[one] for one in came if not one.is_alike]


class Dispatcher:
    """One dispatcher. `run` loops until it is told to stop; `tick` does one round, for tests."""

    def __init__(self, *, threads: int | None = None) -> None:
        self._threads = threads or settings.DISPATCH_THREADS
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="provider")
        self._done: queues.SimpleQueue[_Came] = queues.SimpleQueue()
        self._connections = Connections()
        self._files = FetchPool()
        # Taken from what came, and not looked at yet.
        self._next: _Came | None = None
        self._under_way: Counter[Step] = Counter()
        self._swept = 0.0

    def run(self, stop: Event) -> None:
        """Works until `stop` is set, then lets what is under way come to its end."""
        try:
            while not stop.is_set():
                try:
                    close_old_connections()
                    # Before any moment is compared with another: a connection brings the time along.
                    connection.ensure_connection()
                    until = time.monotonic() + ROUND_SECONDS
                    self.tick()
                    while (left := until - time.monotonic()) > 0:
                        self._wait(left)
                except (DatabaseError, InterfaceError):
                    # A database that is away comes back; leases let every job go on then.
                    logger.exception("the dispatcher could not work with the database")
                    close_old_connections()
                    stop.wait(1.0)
        finally:
            self.drain()

    def tick(self) -> bool:
        """Writes down what has come, then starts what is to do; whether there was anything."""
        came = self._apply_all()
        # What has ended may be what others wait for, and what they start is claimed at once.
        came += advance_due()
        # Before anything is claimed: what is claimed is on its way at once, or a kill finds it claimed and unsent.
        self._connections.prepare()
        # First what may be at its end.
        begun = self._begin(claim_due(self._room(self._running - self._under_way[SUBMIT])))
        begun += self._begin(claim_queued(self._room(self._under_way[SUBMIT])), SUBMIT)
        files = self._files.tick()
        if time.monotonic() - self._swept > _SWEEP_SECONDS:
            self._swept = time.monotonic()
            self._look_out()
            for job in overdue_in_queue():
                fail(job, failures.QUEUE_TIMEOUT)
            sweep_fallbacks()
            sweep_batches()
        return bool(came or begun or files)

    def _look_out(self) -> None:
        """Writes down what calls found of the way to the providers; asks those that are away whether they are back."""
        upstreams.flush()
        for name, address in upstreams.claim_probes():
            self._pool.submit(probe, name, address)
        upstreams.catch_up()

    def until_quiet(self) -> None:
        """Rounds until nothing is under way and nothing is due at this moment; for whoever drives it by hand."""
        while self.tick() or self._running or self._files.is_busy:
            self._wait(0.01)

    def drain(self) -> None:
        """Waits for the calls under way and writes down what they bring; then closes all connections.

        A database that is away is waited for a while: what is not written down then, others find out.
        """
        until = time.monotonic() + _PATIENCE_SECONDS
        while self._running or self._files.is_busy:
            try:
                self._wait(0.1 if self._files.is_busy else 5.0)
                self._apply_all()
                self._files.write_down()
            except (DatabaseError, InterfaceError):
                if time.monotonic() > until:
                    raise
                close_old_connections()
                time.sleep(0.5)
        self._files.close()
        self._pool.shutdown()
        self._connections.close()

    @property
    def _running(self) -> int:
        return self._under_way.total()

    def _room(self, alike: int) -> int:
        """How many more calls may begin, of submits or of all others, of which `alike` are under way.

        Each of the two leaves the other a quarter of the threads, however many wait for a slow provider.
        """
        return min(self._threads - self._running, self._threads - self._threads // 4 - alike)

    def _begin(self, jobs: list[Job], step: Step | None = None) -> int:
        for job in jobs:
            chosen = step or step_for(job)
            self._under_way[chosen] += 1
            try:
                provider = self._connections.take(job)
            except Exception as error:
                self._done.put(_Came(chosen, job, error, is_asked=False))
                continue
            self._pool.submit(self._call, chosen, provider, job)
        return len(jobs)

    def _call(self, step: Step, provider: QueueInterface, job: Job) -> None:
        request_ids.begin()
        try:
            outcome = step.ask(provider, job)
        except Exception as error:
            outcome = error
        self._done.put(_Came(step, job, outcome))

    def _wait(self, seconds: float) -> None:
        """Until something comes, or the time is over."""
        try:
            self._next = self._next or self._done.get(timeout=seconds)
        except queues.Empty:
            return
        self._apply_all()

    def _apply_all(self) -> int:
        count = 0
        while came := self._come():
            count += len(came)
            for one in came:
                self._under_way[one.step] -= 1
                if one.is_asked and not one.again:
                    self._connections.give_back(one.job)
            groups = _groups(came)
            for place, group in enumerate(groups):
                try:
                    self._apply_group(group)
                except (OperationalError, InterfaceError):
                    for left in groups[place + 1 :]:
                        self._put_back(left)
                    raise
        return count

    def _come(self) -> list[_Came]:
        """What has come, as much as is written down in one go."""
        came = [self._next] if self._next else []
        self._next = None
        with suppress(queues.Empty):
            while len(came) < MOST_TOGETHER:
                came.append(self._done.get_nowait())
        return came

    def _apply_group(self, came: list[_Came]) -> None:
        """Writes down what is alike in one transaction; where it can't be, each by itself."""
        if len(came) == 1:
            self._apply(came[0])
            return
        request_ids.begin()
        try:
            left = came[0].step.apply_all([(one.job, one.outcome) for one in came])
        except (OperationalError, InterfaceError):
            self._put_back(came)
            raise
        except Exception:
            # One of them is not as it should be: now each is written down by itself.
            logger.exception("what came could not be written down together")
            self._put_back(came)
            return
        rest = [one for one in came if one.job.pk in left]
        for place, one in enumerate(rest):
            try:
                self._apply(one)
            except (OperationalError, InterfaceError):
                self._put_back(rest[place + 1 :])
                raise

    def _put_back(self, came: list[_Came]) -> None:
        """The provider has told it to nobody else: it is written down when the database is back."""
        for one in came:
            self._under_way[one.step] += 1
            self._done.put(replace(one, again=True))

    def _apply(self, came: _Came) -> None:
        step, job, outcome = came.step, came.job, came.outcome
        request_ids.begin()
        if isinstance(outcome, Exception) and not isinstance(outcome, queue.QueueError):
            # The lease ends by itself: the job is looked at again, and other jobs go on.
            logger.error("job %s: %s", job.pk, type(outcome).__name__, exc_info=outcome)
            self._end_if_old(job)
            return
        try:
            if came.again:
                # What was undone left its marks on the job at hand.
                sent = (job.model_id, job.attempts)
                job.refresh_from_db()
                if (job.model_id, job.attempts) != sent:
                    # It was not undone, and the job has gone on since.
                    return
            step.apply(job, outcome)
        except (OperationalError, InterfaceError):
            self._put_back([came])
            raise
        except Exception:
            logger.exception("job %s could not be brought forward", job.pk)
            self._end_if_old(job)

    def _end_if_old(self, job: Job) -> None:
        """What nobody foresaw may happen with every look at a job: it is not looked at for ever."""
        try:
            job.refresh_from_db()
            watching.give_up_if_old(job)
        except (OperationalError, InterfaceError):
            raise
        except Exception:
            logger.exception("job %s could not be given up", job.pk)
