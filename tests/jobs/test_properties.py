"""Jobs in any order of events: each ends once, is accepted by the provider at most once, and is paid for once."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from catalog.providers import queue
from catalog.providers.queue import (
    Answer,
    FoundRequest,
    NotAcceptedError,
    Progress,
    RefusedError,
    Request,
    Submitted,
    UnclearError,
    UnreachableError,
)
from genfeed.clients.errors import ApiError
from jobs import webhooks_in
from jobs.canceling import cancel
from jobs.dispatching.claiming import claim_due, claim_queued
from jobs.dispatching.dispatcher import SUBMIT, Step, step_for
from jobs.models import ENDED, Job, ProviderGate, Status
from pricing.ledger.checking import check_ledger
from pricing.models import Account, LedgerTransaction, UsageRecord
from tests.examples import examples
from tests.jobs.doubles import USD, make_caller, make_job, result

places = st.integers(0, 30)
names = iter(range(10**9))
ENDS = {
    "well": result,
    "badly": lambda: result(status=500, detail="boom", units=None),
    "billed and badly": lambda: result(status=422, detail="boom", error_type="no_media_generated"),
    "canceled": lambda: result(status=499, units=None),
}


@dataclass
class World:
    """A provider: what it accepted, by request id. `way` says what becomes of the next submit."""

    way: str = "accepted"
    prompts: dict[str, str] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    ends: dict[str, str] = field(default_factory=dict)

    slug = "fal"

    def submit(self, endpoint_id: str, input: dict[str, Any], **_: Any) -> Submitted:
        if self.way == "limited":
            raise NotAcceptedError("429", retry_after=0)
        if self.way == "refused":
            raise RefusedError("422", 422, "no")
        if self.way == "never arrived":
            raise UnclearError("cut off")
        request_id = f"req-{next(names)}"
        self.prompts[request_id], self.states[request_id] = input["prompt"], "queued"
        if self.way == "answer lost":
            raise UnclearError("no answer")
        return Submitted(Request(endpoint_id, request_id), 0, Answer("submit", 200))

    def progress(self, request: Request, *, logs: bool = False) -> Progress:
        state = self.states[request.request_id]
        return Progress(state, 1 if state == "queued" else None, [], "", "", Answer("status", 200))

    def result(self, request: Request) -> Any:
        return ENDS[self.ends[request.request_id]]()

    def cancel(self, request: Request) -> str:
        if self.states[request.request_id] == "completed":
            return "completed"
        if self.states[request.request_id] == "queued":
            self.end(request.request_id, "canceled")
        return "requested"

    def find(self, endpoint_id: str, *, since: datetime) -> list[FoundRequest]:
        return [
            FoundRequest(request_id, endpoint_id, timezone.now(), {"prompt": prompt}, False)
            for request_id, prompt in self.prompts.items()
        ]

    def end(self, request_id: str, how: str) -> None:
        if self.states[request_id] != "completed":
            self.states[request_id], self.ends[request_id] = "completed", how

    def is_configured(self) -> bool:
        return True

    def close(self) -> None: ...


class Running(RuleBasedStateMachine):
    """One client's jobs; `hands` is what dispatchers have at hand: claimed and not asked yet, or not written down."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.caller = make_caller(name=f"client {next(names)}", max_in_flight=100)
        self.jobs: list[str] = []
        self.unasked: list[tuple[Step, Job]] = []
        self.unwritten: list[tuple[Step, Job, Any]] = []
        self.ended: dict[str, tuple[Any, ...]] = {}
        ProviderGate.objects.all().delete()
        Job.objects.exclude(status__in=ENDED).update(status=Status.FAILED)

    def job(self, place: int) -> Job:
        return Job.objects.get(pk=self.jobs[place % len(self.jobs)])

    @rule()
    def accept(self) -> None:
        self.jobs.append(make_job(self.caller, input={"prompt": f"fox {next(names)}"}).pk)

    @precondition(lambda self: self.jobs)
    @rule(limit=st.integers(1, 3))
    def claim(self, limit: int) -> None:
        ProviderGate.objects.all().delete()
        Job.objects.filter(pk__in=self.jobs, status=Status.QUEUED).update(next_at=timezone.now())
        self.unasked += [(SUBMIT, job) for job in claim_queued(limit)]

    @precondition(lambda self: self.jobs)
    @rule(place=places)
    def lease_runs_out(self, place: int) -> None:
        """Time for a look; whoever had the job at hand may still come with what it knows."""
        self.job(place)
        Job.objects.filter(pk=self.job(place).pk).update(next_at=timezone.now())
        self.unasked += [(step_for(job), job) for job in claim_due(5)]

    @precondition(lambda self: self.unasked)
    @rule(place=places, way=st.sampled_from(["accepted"] * 4 + ["limited", "refused", "never arrived", "answer lost"]))
    def ask(self, place: int, way: str) -> None:
        self.world.way = way
        step, job = self.unasked.pop(place % len(self.unasked))
        self.unwritten.append((step, job, step.ask(self.world, job)))

    @precondition(lambda self: self.unwritten)
    @rule(place=places)
    def write_down(self, place: int) -> None:
        step, job, outcome = self.unwritten.pop(place % len(self.unwritten))
        step.apply(job, outcome)

    @precondition(lambda self: self.unwritten)
    @rule(place=places)
    def answer_is_lost_at_a_look(self, place: int) -> None:
        step, job, outcome = self.unwritten.pop(place % len(self.unwritten))
        self.unwritten.append((step, job, outcome if step is SUBMIT else UnreachableError("no")))

    @precondition(lambda self: self.unasked or self.unwritten)
    @rule()
    def kill_the_dispatcher(self) -> None:
        self.unasked.clear()
        self.unwritten.clear()

    @precondition(lambda self: self.world.states)
    @rule(place=places, how=st.sampled_from(sorted(ENDS)))
    def provider_ends(self, place: int, how: str) -> None:
        self.world.end(sorted(self.world.states)[place % len(self.world.states)], how)

    @precondition(lambda self: self.world.states)
    @rule(place=places)
    def provider_starts_or_puts_back(self, place: int) -> None:
        request_id = sorted(self.world.states)[place % len(self.world.states)]
        other = {"queued": "running", "running": "queued"}
        self.world.states[request_id] = other.get(self.world.states[request_id], "completed")

    @precondition(lambda self: self.world.states)
    @rule(place=places)
    def webhook(self, place: int) -> None:
        request_id = sorted(self.world.states)[place % len(self.world.states)]
        self.tell(request_id)

    def tell(self, request_id: str) -> None:
        job = Job.objects.get(client_id=self.caller.client_id, input__prompt=self.world.prompts[request_id])
        webhooks_in.note(job, request_id)

    @precondition(lambda self: self.jobs)
    @rule(place=places)
    def client_cancels(self, place: int) -> None:
        job = self.job(place)
        try:
            cancel(job)
        except ApiError:
            assert job.has_ended

    @precondition(lambda self: self.jobs)
    @rule(place=places)
    def deadline_passes(self, place: int) -> None:
        Job.objects.filter(pk=self.job(place).pk, deadline_at__isnull=False).update(deadline_at=timezone.now())

    @precondition(lambda self: self.jobs)
    @rule(place=places)
    def grace_passes(self, place: int) -> None:
        Job.objects.filter(pk=self.job(place).pk, sent_at__isnull=False).update(
            sent_at=timezone.now() - timedelta(seconds=1000)
        )

    @invariant()
    def no_job_is_accepted_twice(self) -> None:
        prompts = list(self.world.prompts.values())
        assert len(prompts) == len(set(prompts))

    @invariant()
    def what_has_ended_stays_as_it_is(self) -> None:
        columns = ("status", "charge", "cost", "output", "error", "version")
        for job in Job.objects.filter(pk__in=self.jobs, status__in=ENDED):
            end = tuple(getattr(job, name) for name in columns)
            assert self.ended.setdefault(job.pk, end) == end

    @invariant()
    def each_end_is_booked_once(self) -> None:
        ends = {"job_succeeded", "job_failed", "job_canceled"}
        for job in Job.objects.filter(pk__in=self.jobs):
            kinds = list(job.events.values_list("kind", flat=True))
            closed = LedgerTransaction.objects.filter(job=job.pk, kind__in=["settle", "release"]).count()
            records = UsageRecord.objects.filter(job=job.pk).count()
            assert (sum(kind in ends for kind in kinds), closed, records) == (job.has_ended,) * 3
            assert job.output is None or job.status == Status.SUCCEEDED

    @invariant()
    def the_account_is_what_the_jobs_say(self) -> None:
        account = Account.objects.get(client_id=self.caller.client_id)
        jobs = list(Job.objects.filter(pk__in=self.jobs))
        held = sum(job.hold_amount for job in jobs if not job.has_ended)
        spent = sum(job.charge or 0 for job in jobs)
        assert (account.held, account.spent, account.available) == (held, spent, 10 * USD - held - spent)

    def teardown(self) -> None:
        """Nothing is left open once the provider has ended everything and every lease has run out."""
        for request_id in self.world.states:
            self.world.end(request_id, "well")
        self.world.way = "accepted"
        for _ in range(6):
            Job.objects.filter(pk__in=self.jobs).exclude(status__in=ENDED).update(next_at=timezone.now())
            ProviderGate.objects.all().delete()
            for job in claim_queued(100):
                SUBMIT.apply(job, SUBMIT.ask(self.world, job))
            for request_id in self.world.states:
                self.world.end(request_id, "well")
            Job.objects.filter(pk__in=self.jobs, status=Status.SUBMITTING).update(
                next_at=timezone.now(), sent_at=timezone.now() - timedelta(seconds=1000)
            )
            Job.objects.filter(pk__in=self.jobs).exclude(status__in=ENDED).update(next_at=timezone.now())
            for job in claim_due(100):
                step = step_for(job)
                step.apply(job, step.ask(self.world, job))
        # What was at hand all the time comes last of all.
        for step, job, outcome in self.unwritten:
            step.apply(job, outcome)
        for request_id in self.world.states:
            self.tell(request_id)
        assert set(Job.objects.filter(pk__in=self.jobs).values_list("status", flat=True)) <= set(ENDED)
        self.what_has_ended_stays_as_it_is()
        self.each_end_is_booked_once()
        self.the_account_is_what_the_jobs_say()
        assert check_ledger() == []


@pytest.mark.django_db
def test_every_job_ends_exactly_once_in_any_order_of_events(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "_registry", {"fal": lambda key: World()})
    how_much = settings(
        max_examples=examples(8), stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(Running, settings=how_much)
