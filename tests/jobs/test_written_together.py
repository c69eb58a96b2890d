"""What is written in one go: how few statements a job takes, and that nothing of many at once spoils another."""

from collections.abc import Sequence
from typing import Any

import pytest
from django.db import DataError, IntegrityError, OperationalError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from catalog.providers import queue
from genfeed.journal.models import Alert, OutboxEvent
from jobs.canceling import cancel
from jobs.dispatching import submitting, watching
from jobs.dispatching.claiming import claim_queued
from jobs.dispatching.dispatcher import SUBMIT, WATCH, Dispatcher, _Came
from jobs.ending import finishing
from jobs.models import Job, JobEvent, ProviderAnswer, ProviderGate, Status
from jobs.transitions import Change
from pricing import sql
from pricing.ledger.checking import check_ledger
from pricing.models import Budget, BudgetPeriod, Hold, LedgerTransaction
from tests.jobs.doubles import PRICE, USD, Provider, kinds, look, make_caller, make_job, money, result, submitted

pytestmark = pytest.mark.django_db(transaction=True)

LINE = {"timestamp": "2026-01-01T00:00:00Z", "level": "INFO", "message": "warming up"}


def statements(seen: CaptureQueriesContext) -> int:
    """What was sent to the database but for the ends of transactions."""
    ends = ("BEGIN", "COMMIT")
    return sum(not query["sql"].startswith(ends) for query in seen.captured_queries)


def claimed(count: int) -> list[tuple[Job, queue.Submitted]]:
    """Jobs that are being sent, with what their provider said."""
    provider, caller = Provider(), make_caller(100, max_queued=100)
    for _ in range(count):
        make_job(caller)
    came = []
    for job in claim_queued(count):
        outcome = submitting.ask(provider, job)
        assert isinstance(outcome, queue.Submitted)
        came.append((job, outcome))
    return came


def looked_at(count: int, **answers: Any) -> list[tuple[Job, watching.Watched]]:
    """Jobs that have run, with what their provider said; `answers` of the provider."""
    provider, caller = Provider(), make_caller(100, max_queued=100)
    vars(provider).update(answers)
    jobs = [make_job(caller) for _ in range(count)]
    for number, job in enumerate(claim_queued(count)):
        outcome = submitting.ask(provider, job)
        assert isinstance(outcome, queue.Submitted)
        submitting.adopt(job, job.request_of(f"run-{number}"))
    rows = list(Job.objects.filter(pk__in=[job.pk for job in jobs]).order_by("pk"))
    return [(job, watched) for job in rows if isinstance(watched := watching.ask(provider, job), watching.Watched)]


def statuses(came: Sequence[tuple[Job, Any]]) -> list[str]:
    return list(Job.objects.filter(pk__in=[job.pk for job, _ in came]).order_by("pk").values_list("status", flat=True))


def written_down(came: Sequence[tuple[Job, Any]]) -> None:
    """A round of a dispatcher to which all of it came at once."""
    one = Dispatcher(threads=1)
    for job, outcome in came:
        step = SUBMIT if isinstance(outcome, queue.Submitted) else WATCH
        one._done.put(_Came(step, job, outcome, is_asked=False))
        one._under_way[step] += 1
    try:
        # What can't be written together is put back, and comes again.
        one._apply_all()
        one._apply_all()
    finally:
        one.drain()


# --- how many statements ---


def test_the_end_of_a_job_with_a_log_line_and_a_file_takes_few_statements() -> None:
    provider, job = submitted()
    provider.logs = [LINE]
    outcome = watching.ask(provider, job)

    with CaptureQueriesContext(connection) as seen:
        watching.apply(job, outcome)

    assert kinds(job) == ["job_queued", "job_progress", "job_succeeded"]
    # On SQLite each row is a statement: two events with their news, the answer, the file, the usage record.
    assert statements(seen) <= (4 if connection.vendor == "postgresql" else 11)


def test_accepting_a_job_takes_few_statements() -> None:
    caller = make_caller()
    make_job(caller)

    with CaptureQueriesContext(connection) as seen:
        make_job(caller)

    assert statements(seen) <= (8 if connection.vendor == "postgresql" else 11)


def test_others_of_the_client_wait_for_two_statements_and_the_commit() -> None:
    caller = make_caller()
    make_job(caller)
    with CaptureQueriesContext(connection) as seen:
        make_job(caller)

    texts = [query["sql"] for query in seen.captured_queries]
    first = next(place for place, text in enumerate(texts) if "INTO clients_ratebucket" in text)
    after = [text for text in texts[first:] if not text.startswith("COMMIT")]

    assert any("INTO pricing_hold" in text for text in texts[:first])
    # On SQLite the account and its ledger are two.
    assert len(after) == (2 if connection.vendor == "postgresql" else 3)


def test_a_period_of_a_budget_is_opened_after_the_locks_that_all_take_first() -> None:
    caller = make_caller()
    Budget.objects.create(client_id=caller.client_id, limit=100 * USD, period="day")
    with CaptureQueriesContext(connection) as seen:
        make_job(caller)

    texts = [query["sql"] for query in seen.captured_queries]
    opened = next(place for place, text in enumerate(texts) if 'INTO "pricing_budgetperiod"' in text)
    locked = next(place for place, text in enumerate(texts) if "INTO clients_ratebucket" in text)

    assert locked < opened
    assert Hold.objects.get().budget_periods == [BudgetPeriod.objects.get().pk]
    assert BudgetPeriod.objects.get().reserved == Hold.objects.get().amount


def test_submits_that_came_together_go_to_postgresql_in_two_statements() -> None:
    came = claimed(5)

    with CaptureQueriesContext(connection) as seen:
        assert submitting.apply_all(came) == set()

    assert statuses(came) == [Status.SUBMITTED] * 5
    assert ProviderAnswer.objects.filter(call="submit").count() == 5
    assert [query["sql"] for query in seen.captured_queries].count("COMMIT") <= 1
    # And one that looks at the gate.
    assert statements(seen) <= (3 if connection.vendor == "postgresql" else 11)


def test_results_that_came_together_are_written_and_settled_in_one_transaction() -> None:
    came = looked_at(5)

    with CaptureQueriesContext(connection) as seen:
        assert watching.apply_all(came) == set()

    assert statuses(came) == [Status.SUCCEEDED] * 5
    assert money(came[0][0]) == (100 * USD - 5 * PRICE, 0, 5 * PRICE)
    assert [query["sql"] for query in seen.captured_queries].count("COMMIT") <= 1
    # And now and then one that looks whether the catalog is as it was.
    assert statements(seen) <= 1 + (4 if connection.vendor == "postgresql" else 5 * 9)


# --- that they spoil nothing ---


def test_log_lines_and_the_end_have_numbers_of_their_own_and_the_job_has_the_last() -> None:
    provider, job = submitted()
    provider.logs = [LINE]

    look(provider, job)

    numbers = list(job.events.order_by("pk").values_list("number", "kind"))
    assert numbers == [(1, "job_queued"), (job.version - 1, "job_progress"), (job.version, "job_succeeded")]
    news = OutboxEvent.objects.filter(subject=job.pk).order_by("pk").values_list("kind", "payload")
    assert [(kind, payload["number"]) for kind, payload in news] == [
        ("job.queued", 1),
        ("job.progress", job.version - 1),
        ("job.succeeded", job.version),
    ]


def test_a_job_that_was_canceled_meanwhile_is_looked_at_by_itself_and_the_others_go_on() -> None:
    came = claimed(3)
    cancel(Job.objects.get(pk=came[1][0].pk))

    written_down(came)

    assert statuses(came) == [Status.SUBMITTED, Status.CANCELING, Status.SUBMITTED]
    assert check_ledger() == []


def test_a_request_that_another_job_has_already_takes_no_other_down() -> None:
    _, other = submitted()
    came = claimed(3)
    # The first request id of every provider of these tests.
    assert came[0][1].request.request_id == other.request_id

    written_down(came)

    assert statuses(came)[1:] == [Status.SUBMITTED] * 2
    assert statuses(came)[0] == Status.SUBMITTING


def test_a_result_whose_job_changed_meanwhile_is_looked_at_by_itself_and_the_others_go_on() -> None:
    came = looked_at(3)
    cancel(Job.objects.get(pk=came[1][0].pk))

    written_down(came)

    assert statuses(came) == [Status.SUCCEEDED] * 3
    assert check_ledger() == []


def test_a_submit_and_results_that_came_mixed_are_each_written_down() -> None:
    submits, results = claimed(2), looked_at(2)

    written_down([submits[0], results[0], submits[1], results[1]])

    assert statuses(submits) == [Status.SUBMITTED] * 2
    assert statuses(results) == [Status.SUCCEEDED] * 2


def test_a_result_that_can_not_be_kept_fails_its_job_and_the_others_succeed(monkeypatch: pytest.MonkeyPatch) -> None:
    came = looked_at(3)
    real = finishing.change_all

    def change_all(changes: Sequence[Change]) -> list[bool]:
        if (came[1][0].pk, Status.SUCCEEDED) in {(one.job.pk, one.to) for one in changes}:
            raise DataError("no such value")
        return real(changes)

    monkeypatch.setattr(finishing, "change_all", change_all)

    written_down(came)

    assert statuses(came) == [Status.SUCCEEDED, Status.FAILED, Status.SUCCEEDED]
    assert money(came[0][0]) == (100 * USD - 2 * PRICE, 0, 2 * PRICE)
    assert check_ledger() == []


def test_results_whose_database_went_away_are_written_down_when_it_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    came = looked_at(3)
    real = finishing.settle_each
    errors = [OperationalError("the server is gone")]

    def settle_each(*given: Any, **named: Any) -> Any:
        if errors and Job.objects.filter(status=Status.SUCCEEDED).count() == 3:
            raise errors.pop()
        return real(*given, **named)

    monkeypatch.setattr(finishing, "settle_each", settle_each)
    one = Dispatcher(threads=1)
    for job, outcome in came:
        one._done.put(_Came(WATCH, job, outcome, is_asked=False))
        one._under_way[WATCH] += 1
    with pytest.raises(OperationalError):
        one._apply_all()

    assert statuses(came) == [Status.SUBMITTED] * 3
    one.drain()
    assert statuses(came) == [Status.SUCCEEDED] * 3
    assert money(came[0][0]) == (100 * USD - 3 * PRICE, 0, 3 * PRICE)


def test_a_result_that_costs_more_than_is_held_is_settled_by_itself_and_its_loss_told() -> None:
    came = looked_at(2, on_result=result(units="9"))

    assert watching.apply_all(came) == {job.pk for job, _ in came}
    written_down(came)

    assert statuses(came) == [Status.SUCCEEDED] * 2
    assert Alert.objects.get(code="operator_loss").times == 2


def test_jobs_of_several_clients_that_end_together_take_the_accounts_in_one_order() -> None:
    came = looked_at(1)
    for name in ("Beta", "Alpha"):
        provider, job = Provider(), make_job(make_caller(100, name))
        submitting.adopt(claim_queued(1)[0], job.request_of(f"run-{name}"))
        job.refresh_from_db()
        outcome = watching.ask(provider, job)
        assert isinstance(outcome, watching.Watched)
        came.append((job, outcome))

    assert watching.apply_all(came[::-1]) == set()

    settled = (
        LedgerTransaction.objects.filter(kind="settle").order_by("pk").values_list("account__client_id", flat=True)
    )
    assert list(settled) == sorted(settled)
    assert len(set(settled)) == 3


@pytest.mark.parametrize("error", [DataError("no such value"), OperationalError("the server is gone")])
def test_submits_whose_transaction_broke_are_written_down_one_by_one(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    came = claimed(3)
    real = submitting._tie

    def broken(job: Job, *given: Any, **named: Any) -> Change:
        if job.pk == came[2][0].pk and job.status == Status.SUBMITTING:
            monkeypatch.setattr(submitting, "_tie", real)
            raise error
        return real(job, *given, **named)

    monkeypatch.setattr(submitting, "_tie", broken)
    if isinstance(error, OperationalError):
        with pytest.raises(OperationalError):
            submitting.apply_all([(Job.objects.get(pk=job.pk), outcome) for job, outcome in came])
        assert statuses(came) == [Status.SUBMITTING] * 3
        monkeypatch.setattr(submitting, "_tie", real)

    written_down(came)

    assert statuses(came) == [Status.SUBMITTED] * 3
    assert ProviderAnswer.objects.filter(call="submit").count() == 3


def test_submits_that_came_together_close_the_gate_that_failures_had_begun_to_open() -> None:
    came = claimed(2)
    ProviderGate.objects.update_or_create(name="fal", defaults={"failures": 4})

    written_down(came)

    assert ProviderGate.objects.get(name="fal").failures == 0


def test_an_end_that_can_not_be_written_whole_is_not_written_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    provider, job = submitted()
    provider.logs = [LINE]
    outcome = watching.ask(provider, job)
    monkeypatch.setattr("jobs.ending.finishing.settle_each", lambda *given, **named: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        watching.apply(job, outcome)

    job.refresh_from_db()
    assert (job.status, kinds(job), job.log_mark) == (Status.SUBMITTED, ["job_queued"], [])
    assert (money(job), job.assets.count()) == ((10 * USD - PRICE, PRICE, 0), 0)


# --- rows of several tables ---


def test_rows_of_several_tables_are_written_in_their_order_and_told_their_keys() -> None:
    job = make_job()
    first = JobEvent(job=job, number=7, kind="job_progress", data={"a": "100 %s; '"})
    answer = ProviderAnswer(job=job, call="status", status=200, body="a;b 'c' %s")
    second = JobEvent(job=job, number=8, kind="job_progress")

    sql.insert_all([first, answer, second])

    assert first.pk < second.pk
    assert JobEvent.objects.get(pk=first.pk).data == {"a": "100 %s; '"}
    assert ProviderAnswer.objects.get(pk=answer.pk).body == "a;b 'c' %s"
    assert not second._state.adding


def test_of_rows_that_break_a_rule_none_is_written() -> None:
    job = make_job()
    rows = [JobEvent(job=job, number=number, kind="job_progress", at=timezone.now()) for number in (7, 1)]

    with pytest.raises(IntegrityError), transaction.atomic():
        sql.insert_all(rows)

    assert kinds(job) == ["job_queued"]
