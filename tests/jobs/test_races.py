"""Real processes at one account, and competing writes at the exact point where they hurt."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction

from genfeed.clients.errors import ApiError
from genfeed.clients.keys import revoke_key
from genfeed.clients.models import ApiKey
from genfeed.journal.audit import SYSTEM
from jobs.canceling import cancel
from jobs.dispatching.claiming import claim_queued
from jobs.ending import finishing
from jobs.models import Job, Status
from pricing.ledger import holds
from pricing.ledger.accounts import MoneyRefusedError, top_up
from pricing.ledger.afterwards import charged_for, refund
from pricing.ledger.checking import check_ledger
from pricing.models import Account, Budget, Hold
from tests.clients.limits.test_processes import in_processes
from tests.jobs.doubles import PRICE, USD, look, make_caller, make_job, money, submitted

pytestmark = pytest.mark.django_db(transaction=True)


def test_m5_processes_with_money_for_seven_jobs_accept_exactly_seven() -> None:
    caller = make_caller(0)
    make_funded(caller.client_id, 7 * PRICE + PRICE - 1)
    make_warm(caller)

    def work() -> int:
        accepted = 0
        for _ in range(5):
            try:
                make_job(caller)
            except ApiError as error:
                if error.code != "insufficient_funds":
                    return 100
            else:
                accepted += 1
        return accepted

    assert in_processes(work) == 7
    account = Account.objects.get(client_id=caller.client_id)
    assert (account.available, account.held) == (PRICE - 1, 7 * PRICE)
    assert check_ledger() == []


def make_funded(client_id: int, amount: int) -> None:
    top_up(client_id, amount, actor=SYSTEM, reason="paid")


def make_warm(caller: Any) -> None:
    """The model that all want is made before they start."""
    with pytest.raises(ApiError):
        make_job(caller, max_price=1)


def test_a_budget_that_is_lowered_meanwhile_is_never_passed_by_more_than_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caller = make_caller()
    budget = Budget.objects.create(client_id=caller.client_id, period="total", limit=2 * PRICE)
    make_job(caller)
    before(monkeypatch, holds, "reserve", lambda: Budget.objects.filter(pk=budget.pk).update(limit=PRICE))

    make_job(caller)
    with pytest.raises(ApiError, match="budget"):
        make_job(caller)

    assert check_ledger() == []


def test_a_key_that_is_revoked_meanwhile_leaves_its_job_to_its_end() -> None:
    provider, job = submitted()
    revoke_key(ApiKey.objects.get(pk=job.key_id), actor=SYSTEM)

    look(provider, job)

    assert (job.status, charged_for(job.pk)) == (Status.SUCCEEDED, PRICE)


def test_a_cancel_between_choosing_and_claiming_is_not_overruled() -> None:
    job = make_job()
    stale = Job.objects.get(pk=job.pk)
    claim_queued(1)

    cancel(stale)

    job.refresh_from_db()
    assert (job.status, job.cancel_requested_at is not None) == (Status.SUBMITTING, True)
    assert money(job) == (10 * USD - PRICE, PRICE, 0)


def test_a_cancel_right_before_the_end_is_booked_leaves_one_end(monkeypatch: pytest.MonkeyPatch) -> None:
    provider, job = submitted()
    before(monkeypatch, finishing, "amounts_at_end", lambda: cancel(Job.objects.get(pk=job.pk)))

    look(provider, job)

    assert (job.status, money(job)) == (Status.SUCCEEDED, (10 * USD - PRICE, 0, PRICE))
    assert job.events.filter(kind__in=["job_succeeded", "job_canceled", "job_failed"]).count() == 1


def test_a_refund_before_the_settlement_is_refused_and_after_it_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    provider, job = submitted()
    with pytest.raises(MoneyRefusedError):
        refund(job.pk, 1, actor=SYSTEM, reason="sorry", reference="r")
    look(provider, job)

    def work() -> int:
        with transaction.atomic():
            refund(job.pk, PRICE, actor=SYSTEM, reason="sorry", reference="r")
        return 1

    assert in_processes(work) == 4
    assert (charged_for(job.pk), Hold.objects.get(job=job.pk).closed_at is not None) == (0, True)
    assert check_ledger() == []


def before(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, other: Callable[[], Any]) -> None:
    """Does something else once, right before a function of a module goes on."""
    real, todo = getattr(module, name), [other]

    def both(*args: Any, **more: Any) -> Any:
        if todo:
            todo.pop()()
        return real(*args, **more)

    monkeypatch.setattr(module, name, both)
