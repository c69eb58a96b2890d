"""Jobs in the admin: found, read, and acted on by those who may."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client as HttpClient
from django.utils import timezone

from catalog.models import AIModel
from genfeed.clients.keys import revoke_key
from genfeed.clients.models import ApiKey
from genfeed.journal.audit import SYSTEM
from genfeed.journal.models import Alert, AuditEvent
from jobs.dispatching import gate
from jobs.ending.bills import bill_counts
from jobs.ending.quarantine import decide
from jobs.models import Job, ProviderGate, Status
from jobs.webhooks.models import WebhookDelivery, WebhookMessage
from pricing.ledger.afterwards import charged_for
from pricing.ledger.checking import check_ledger
from pricing.models import LedgerTransaction
from tests.admin.pages import page_of, read
from tests.jobs.doubles import PRICE, Provider, look, make_caller, make_job, money, result, submitted

pytestmark = pytest.mark.django_db

Staff = Callable[[str], HttpClient]
LIST = "/admin/jobs/job/"
SECRET = "a fox that nobody may know of"


@pytest.fixture
def root(staff: Staff) -> HttpClient:
    return staff("superuser")


def page_url(job: Job, what: str = "change") -> str:
    return f"{LIST}{job.pk}/{what}/"


def at_provider(**wanted: Any) -> tuple[Provider, Job]:
    """A job at a provider that has not given its number of request before."""
    provider = Provider()
    provider.sent = [{}] * Job.objects.count()
    return submitted(provider, **wanted)


def done(**wanted: Any) -> Job:
    provider, job = at_provider(**wanted)
    return look(provider, job)


def listed(client: HttpClient, query: str = "") -> list[str]:
    return [one.text for one in read(client, f"{LIST}{query}").all("span", "gf-id")]


def quarantined(units: str = "11", **wanted: Any) -> Job:
    provider, job = at_provider(**wanted)
    provider.on_result = result(units=units)
    return look(provider, job)


# --- the list ---


@pytest.mark.once
def test_the_list_shows_status_model_client_times_and_money(root: HttpClient) -> None:
    job = done()

    (row,) = [row for row in read(root, LIST).rows if job.pk in " ".join(row)]

    assert row[0] == "succeeded"
    assert row[1].startswith("fal-ai/flux/dev")
    assert row[2] == "Acme"
    assert row[4:] == ["0.083333333", "0.025 billable units"]


def test_the_list_is_narrowed_by_status_client_model_day_and_bill(root: HttpClient) -> None:
    other = done(caller=make_caller(name="Other"))
    strange = quarantined()
    waiting = make_job()
    today, tomorrow = timezone.now().date(), timezone.now().date() + timedelta(days=1)

    assert listed(root, "?status=queued") == [waiting.pk]
    assert listed(root, "?status=open") == [waiting.pk]
    assert listed(root, "?client=othe") == [other.pk]
    assert listed(root, "?model=nothing") == []
    assert set(listed(root, "?model=flux%2Fdev")) == {other.pk, strange.pk, waiting.pk}
    assert set(listed(root, f"?day={today}")) == {other.pk, strange.pk, waiting.pk}
    assert listed(root, f"?day={tomorrow}") == []
    assert listed(root, "?day=nonsense") == []
    assert listed(root, "?bill=waits") == [strange.pk]


def test_a_job_is_found_by_its_id_and_by_the_providers(root: HttpClient) -> None:
    first, second = done(), make_job()

    assert listed(root, f"?q={second.pk}") == [second.pk]
    assert listed(root, f"?q={first.request_id}") == [first.pk]


def test_a_long_list_is_counted_to_a_bound_only(root: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.admin.filters.MOST_COUNTED", 2)
    monkeypatch.setattr("jobs.admin.jobs.MOST_COUNTED", 2)
    caller = make_caller()
    for _ in range(3):
        make_job(caller)

    assert "The newest 2 are paged" in read(root, LIST).text


def test_the_list_takes_as_many_queries_for_many_jobs_as_for_one(
    root: HttpClient, django_assert_max_num_queries: Any
) -> None:
    caller = make_caller()
    for _ in range(12):
        make_job(caller)

    with django_assert_max_num_queries(9):
        root.get(LIST)


# --- a job's page ---


@pytest.mark.once
def test_a_page_tells_what_happened_and_what_it_cost(root: HttpClient) -> None:
    job = done()

    page = read(root, page_url(job))

    assert page.one(data_testid="job-status").text == "succeeded"
    assert page.row("Charge at settlement") == ["0.083333333 USD"]
    assert page.row("Cost at settlement") == ["0.025 USD"]
    assert [row[0] for row in page.rows if row and row[0] in ("Accepted", "Accepted by the provider")]
    linked = {link.attributes["href"] for link in page.all("a")}
    rows = LedgerTransaction.objects.filter(job=job.pk)
    assert {f"/admin/pricing/ledgertransaction/{row.pk}/change/" for row in rows} <= linked
    assert rows.count() == 2


@pytest.mark.once
def test_input_output_and_raw_answers_are_hidden_from_those_who_may_not_see_them(staff: Staff) -> None:
    job = done(input={"prompt": SECRET})
    job.answers.create(call="result", status=200, body=SECRET)

    page = read(staff("finance"), page_url(job))

    assert SECRET not in page.html
    assert "v3.fal.media" not in page.html
    name, kind, length, digest = next(row for row in page.rows if row and row[0] == "prompt")
    assert (kind, length, len(digest)) == ("text", str(len(SECRET)), 16), name


@pytest.mark.once
def test_who_may_see_inputs_sees_them(staff: Staff) -> None:
    job = done(input={"prompt": SECRET})
    client = staff("viewer")
    user = User.objects.get(username="a viewer")
    user.user_permissions.add(Permission.objects.get(codename="view_job_input"))

    page = read(client, page_url(job))

    assert SECRET in page.html
    assert "v3.fal.media" in page.html


@pytest.mark.once
def test_a_failure_hides_the_providers_words_which_may_quote_the_input(staff: Staff) -> None:
    provider, job = submitted()
    provider.on_result = result(status=422, detail=[{"msg": SECRET, "type": "x", "loc": ["body", "prompt"]}])
    look(provider, job)

    page = read(staff("viewer"), page_url(job))

    assert "provider_rejected_input" in page.text
    assert SECRET not in page.html


# --- cancel ---


def test_staff_cancel_a_queued_job_and_the_audit_says_who(staff: Staff) -> None:
    job = make_job()

    staff("finance").post(page_url(job, "cancel"), {"reason": "asked by mail"})

    job.refresh_from_db()
    assert (job.status, job.cancel_reason) == (Status.CANCELED, "staff")
    event = AuditEvent.objects.get(action="job.canceled")
    assert (event.object_id, event.reason, event.actor_name) == (job.pk, "asked by mail", "a finance")


@pytest.mark.once
def test_a_job_at_the_provider_is_asked_to_cancel(root: HttpClient) -> None:
    _, job = submitted()

    page = page_of(root.post(page_url(job, "cancel"), follow=True))

    job.refresh_from_db()
    assert job.status == Status.CANCELING
    assert page.messages == ["The provider is asked to cancel; its outcome decides."]


@pytest.mark.once
def test_what_has_ended_is_not_canceled_and_leaves_no_audit(root: HttpClient) -> None:
    job = done()

    page = page_of(root.post(page_url(job, "cancel"), follow=True))

    assert "has ended" in page.messages[0]
    assert not AuditEvent.objects.filter(action="job.canceled").exists()


# --- retry ---


def failed() -> Job:
    provider, job = submitted()
    provider.on_result = result(status=500, units="0")
    return look(provider, job)


def test_a_failed_job_is_run_again_as_a_new_one_that_its_client_pays_for(staff: Staff) -> None:
    job = failed()
    before = money(job)

    staff("catalog manager").post(page_url(job, "retry"), {"reason": "the provider was down"})

    made = Job.objects.exclude(pk=job.pk).get()
    assert (made.client_id, made.input, made.status) == (job.client_id, job.input, Status.QUEUED)
    assert money(made) == (before[0] - PRICE, PRICE, 0)
    retried = AuditEvent.objects.get(action="job.retried")
    assert (retried.object_id, retried.after) == (job.pk, {"new_job": made.pk})


@pytest.mark.once
def test_only_failed_and_canceled_jobs_are_run_again(root: HttpClient) -> None:
    job = done()

    page = page_of(root.post(page_url(job, "retry"), {"reason": "why not"}, follow=True))

    assert "Only failed and canceled jobs" in page.messages[0]
    assert Job.objects.count() == 1


@pytest.mark.once
def test_a_job_is_not_run_again_by_a_key_that_was_revoked(root: HttpClient) -> None:
    job = failed()
    revoke_key(ApiKey.objects.get(), actor=SYSTEM)

    page = page_of(root.post(page_url(job, "retry"), {"reason": "again"}, follow=True))

    assert "not in use any more" in page.messages[0]
    assert Job.objects.count() == 1


@pytest.mark.once
def test_a_refused_retry_says_why_and_writes_nothing(root: HttpClient) -> None:
    job = failed()
    AIModel.objects.update(enabled=False, switch="off")
    from catalog import published

    published.forget()
    events = AuditEvent.objects.count()

    page = page_of(root.post(page_url(job, "retry"), {"reason": "again"}, follow=True))

    assert page.messages
    assert Job.objects.count() == 1
    assert AuditEvent.objects.count() == events


# --- refund ---


def test_a_refund_is_asked_twice_and_booked_once(staff: Staff) -> None:
    job, client = done(), staff("finance")
    typed = {"amount": "0.05", "reason": "a black picture", "reference": "ticket-7"}

    shown = page_of(client.post(page_url(job, "refund"), typed))
    assert charged_for(job.pk) == PRICE
    assert shown.one(data_testid="what").text.startswith("0.05 USD of 0.083333333 USD")
    seal = shown.one("input", name="seal").attributes["value"]
    for _ in range(2):
        client.post(page_url(job, "refund"), typed | {"seal": seal})

    assert charged_for(job.pk) == PRICE - 50_000_000
    assert AuditEvent.objects.filter(action="account.refund").count() == 1
    assert check_ledger() == []


@pytest.mark.once
def test_no_more_is_refunded_than_was_charged(staff: Staff) -> None:
    job, client = done(), staff("finance")
    typed = {"amount": "1", "reason": "much", "reference": "ticket-8"}

    seal = page_of(client.post(page_url(job, "refund"), typed)).one("input", name="seal").attributes["value"]
    page = page_of(client.post(page_url(job, "refund"), typed | {"seal": seal}))

    assert "no more can be given back" in page.text
    assert charged_for(job.pk) == PRICE


# --- bills that can't be right ---


def test_accepting_a_quarantined_bill_charges_the_billed_units_up_to_the_hold(staff: Staff) -> None:
    job = quarantined(units="0.05")
    assert charged_for(job.pk) == PRICE

    staff("finance").post(page_url(job, "decide"), {"do": "accepted", "reason": "a discount"})

    job.refresh_from_db()
    assert (job.quarantine, charged_for(job.pk)) == ("", 4_166_667)
    assert not Alert.objects.filter(code="bill_quarantined", resolved_at=None).exists()
    assert AuditEvent.objects.get(action="job.bill_accepted").reason == "a discount"
    assert check_ledger() == []


def test_keeping_the_quote_leaves_the_charge(staff: Staff) -> None:
    job = quarantined()

    staff("finance").post(page_url(job, "decide"), {"do": "kept", "reason": "their mistake"})

    job.refresh_from_db()
    assert (job.quarantine, charged_for(job.pk)) == ("", PRICE)
    assert AuditEvent.objects.filter(action="job.bill_kept").exists()


@pytest.mark.once
@pytest.mark.parametrize("posted", [{"do": "kept"}, {"do": "burned", "reason": "x"}])
def test_a_decision_takes_a_reason_and_one_of_the_two(root: HttpClient, posted: dict[str, str]) -> None:
    job = quarantined()

    root.post(page_url(job, "decide"), posted)

    job.refresh_from_db()
    assert job.quarantine


def test_the_second_quarantined_bill_in_a_row_takes_the_model_off_sale() -> None:
    caller = make_caller()
    quarantined(caller=caller)
    assert AIModel.objects.get(endpoint_id="fal-ai/flux/dev").enabled

    second = quarantined(caller=caller)

    model = AIModel.objects.get(endpoint_id="fal-ai/flux/dev")
    assert (model.enabled, model.held_reason) == (False, "bill_anomaly")
    assert Alert.objects.get(code="bill_quarantined", subject=second.pk).level == Alert.Level.CRITICAL


@pytest.mark.once
def test_a_good_bill_or_a_decision_in_between_keeps_the_model_on_sale() -> None:
    caller = make_caller()
    quarantined(caller=caller)
    done(caller=caller)
    third = quarantined(caller=caller)
    decide(third.pk, "kept", actor=SYSTEM, reason="looked at it")

    quarantined(caller=caller)

    assert AIModel.objects.get(endpoint_id="fal-ai/flux/dev").enabled


@pytest.mark.once
def test_a_bill_that_counts_ends_the_wait_of_its_job() -> None:
    job = quarantined()

    bill_counts(job.pk)

    job.refresh_from_db()
    assert job.quarantine == ""
    assert not Alert.objects.filter(code="bill_quarantined", resolved_at=None).exists()


# --- roles ---


@pytest.mark.once
@pytest.mark.parametrize(
    ("what", "allowed"),
    [
        ("cancel", {"catalog manager", "finance", "superuser"}),
        ("retry", {"catalog manager", "superuser"}),
        ("refund", {"finance", "superuser"}),
        ("decide", {"finance", "superuser"}),
    ],
)
@pytest.mark.parametrize("role", ["viewer", "catalog manager", "finance", "superuser"])
def test_only_some_roles_act_on_jobs(staff: Staff, what: str, allowed: set[str], role: str) -> None:
    job = make_job()

    answer = staff(role).post(page_url(job, what), {})

    assert (answer.status_code != 403) is (role in allowed)


# --- the live queue ---

QUEUE = "/admin/jobs/queue/"


def test_the_queue_shows_who_waits_and_what_runs(root: HttpClient) -> None:
    at_provider(caller=make_caller(name="Busy"))
    make_job(make_caller(name="Patient"))

    page = read(root, QUEUE)

    assert page.one(data_testid="queued").text == "1"
    assert page.one(data_testid="in-flight").text == "1"
    assert page.row("Busy")[:2] == ["0", "1"]
    assert page.row("Patient")[:2] == ["1", "0"]


@pytest.mark.once
def test_the_part_that_refreshes_is_no_whole_page(root: HttpClient) -> None:
    answer = root.get(f"{QUEUE}live/")

    assert answer.status_code == 200
    assert b"<html" not in answer.content
    assert "no-store" in answer.headers["Cache-Control"]


@pytest.mark.once
def test_a_shut_gate_is_shown_with_its_reason_and_opened_by_hand(staff: Staff) -> None:
    for _ in range(gate.FAILURES):
        gate.note_failure("fal", "connection refused")
    client = staff("catalog manager")
    shown = read(client, QUEUE)
    assert "connection refused" in shown.text
    assert shown.has(data_testid="reopen-fal")

    client.post(f"{QUEUE}reopen/", {"provider": "fal"})

    assert (ProviderGate.objects.get().failures, ProviderGate.objects.get().open_until) == (0, None)
    assert AuditEvent.objects.get(action="provider_gate.reopened").before["failures"] == gate.FAILURES
    assert not read(client, QUEUE).has(data_testid="reopen-fal")


@pytest.mark.once
@pytest.mark.parametrize("role", ["viewer", "finance"])
def test_not_everybody_opens_a_gate(staff: Staff, role: str) -> None:
    gate.block("fal", "provider_locked", "Our balance is exhausted", "Top it up.")

    assert staff(role).post(f"{QUEUE}reopen/", {"provider": "fal"}).status_code == 403
    assert ProviderGate.objects.get().open_until is not None


@pytest.mark.once
def test_a_page_lists_the_webhooks_about_its_job(root: HttpClient) -> None:
    job, other = done(), make_job()
    for about in (job, other):
        message = WebhookMessage.objects.create(
            id=f"msg_{about.pk}", client_id=job.client_id, kind="job.succeeded", subject=about.pk, body="{}"
        )
        WebhookDelivery.objects.create(
            id=f"whd_{about.pk[-20:]}", message=message, client_id=job.client_id, url="https://example.com/hook",
            give_up_at=timezone.now(),
        )  # fmt: skip

    page = read(root, page_url(job))

    assert page.row("job.succeeded")[:2] == ["pending", "0"]
