"""Jobs on keys of the clients' own (core mode): each call with the job's key, and no key ever with another's job."""

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import orjson
import pytest
from django.test import Client as HttpClient
from django.utils import timezone

from catalog.own_keys import set_own_key
from catalog.providers import queue
from genfeed.clients.errors import ApiError
from genfeed.clients.keys import Caller
from genfeed.clients.models import Client, ProviderKey
from genfeed.clients.provider_keys import drop_key
from genfeed.journal.audit import SYSTEM, Actor
from genfeed.journal.models import Alert
from jobs.accepting import own_keys
from jobs.accepting.accept import Wanted
from jobs.canceling import cancel
from jobs.dispatching.dispatcher import Dispatcher
from jobs.models import Job, ProviderGate, Status
from jobs.retrying import retry
from pricing.models import Account, UsageRecord
from tests.jobs.conftest import Run
from tests.jobs.doubles import make_caller, make_job
from tests.pricing.estimates.sold import IMAGES_OUT, make_sold
from tests.sandbox_server import RunningSandbox

pytestmark = pytest.mark.django_db

ALICE = "alice:alice-secret-of-the-provider-4711"
BOB = "bob:bob-secret-of-the-provider-0815"
SUBMITS = {"match": "^/queue/", "method": "POST"}


@pytest.fixture(autouse=True)
def core(sandbox: RunningSandbox, settings: Any) -> Iterator[None]:
    """Core mode without a key of the installation's; Alice and Bob have accounts at the provider."""
    settings.GENFEED_MODE = "core"
    settings.FAL_KEY = ""
    sandbox.account(ALICE, "alice")
    sandbox.account(BOB, "bob")
    own_keys.forget()
    yield
    own_keys.forget()


def caller_with(key: str, name: str) -> Caller:
    """A client without money, whose own key is set."""
    caller = make_caller(0, name=name)
    set_own_key(Client.objects.get(pk=caller.client_id), "fal", key, actor=SYSTEM)
    return caller


def asked_by(sandbox: RunningSandbox) -> dict[str, set[str]]:
    """The public parts of keys by the request of the queue that they asked about, "" for submits."""
    seen: dict[str, set[str]] = {}
    for one in sandbox.requests():
        if one["path"].startswith("/queue/"):
            of = one["path"].partition("/requests/")[2].partition("/")[0]
            seen.setdefault(of, set()).add(one["key_id"])
    return seen


@pytest.mark.once
def test_secu_09_each_job_is_sent_seen_and_fetched_with_its_own_key(run: Run, sandbox: RunningSandbox) -> None:
    first = make_job(caller_with(ALICE, "Alice"))
    second = make_job(caller_with(BOB, "Bob"))

    jobs = [run(job=first), run(job=second)]

    assert [job.status for job in jobs] == [Status.SUCCEEDED] * 2
    seen = asked_by(sandbox)
    assert seen[jobs[0].request_id] == {"alice"}
    assert seen[jobs[1].request_id] == {"bob"}
    assert seen[""] == {"alice", "bob"}


@pytest.mark.once
def test_a_request_with_a_key_is_refused_where_a_sandbox_would_be_told_it(settings: Any) -> None:
    caller = caller_with(ALICE, "Alice")
    settings.SANDBOX_STANDS_FOR = ["fal"]

    for sent in (BOB, ""):
        with pytest.raises(ApiError, match="are not told to it") as refused:
            make_job(caller, provider_key=sent)
        assert refused.value.code == "not_configured"


@pytest.mark.once
def test_a_key_that_comes_with_the_request_serves_this_job_alone(run: Run, sandbox: RunningSandbox) -> None:
    caller = caller_with(ALICE, "Alice")

    once = run(job=make_job(caller, provider_key=BOB))
    then = run(job=make_job(caller))

    seen = asked_by(sandbox)
    assert (seen[once.request_id], seen[then.request_id]) == ({"bob"}, {"alice"})


def test_a_jobs_key_is_sealed_while_it_runs_and_erased_when_it_has_ended(run: Run) -> None:
    job = make_job(make_caller(0), provider_key=ALICE)
    assert job.own_key
    assert "secret-of-the-provider" not in repr(Job.objects.filter(pk=job.pk).values())

    ended = run(job=job)

    assert (ended.own_key, ended.key_hint, ended.key_source) == ("", "4711", "request")


@pytest.mark.once
def test_a_job_goes_on_with_the_key_that_it_was_sent_with(run: Run, sandbox: RunningSandbox) -> None:
    caller = caller_with(ALICE, "Alice")
    sandbox.faults(jobs=[{"seconds": 0.5}])
    job = run(lambda job: job.status == Status.SUBMITTED, job=make_job(caller))
    set_own_key(Client.objects.get(pk=caller.client_id), "fal", BOB, actor=SYSTEM)
    drop_key(ProviderKey.objects.get(), actor=SYSTEM)

    assert run(job=job).status == Status.SUCCEEDED
    assert asked_by(sandbox)[job.request_id] == {"alice"}


def test_a_lost_submit_is_looked_for_with_the_jobs_own_key(run: Run, sandbox: RunningSandbox) -> None:
    sandbox.faults(fail=[{**SUBMITS, "accepted": True, "drop": True, "times": 1}])

    job = run(job=make_job(caller_with(BOB, "Bob")))

    assert job.status == Status.SUCCEEDED
    looked = {one["key_id"] for one in sandbox.requests() if one["path"].endswith("/by-endpoint")}
    assert looked == {"bob"}


@pytest.mark.once
def test_a_job_is_canceled_with_its_own_key(run: Run, sandbox: RunningSandbox) -> None:
    sandbox.faults(jobs=[{"seconds": 30}])
    job = run(lambda job: job.status == Status.RUNNING, job=make_job(caller_with(ALICE, "Alice")))

    cancel(job)

    assert run(job=job).status == Status.CANCELED
    assert {one["key_id"] for one in sandbox.requests() if one["method"] == "PUT"} == {"alice"}


@pytest.mark.once
def test_a_refused_key_is_the_clients_to_mend_and_no_alert(run: Run, sandbox: RunningSandbox) -> None:
    job = make_job(caller_with(ALICE, "Alice"))
    sandbox.reset()  # The provider knows Alice's key no more.

    ended = run(job=job)

    assert (ended.status, ended.error["code"]) == (Status.FAILED, "not_configured")
    assert "ends in 4711" in ended.error["message"]
    assert not Alert.objects.filter(code__startswith="provider_").exists()
    assert ProviderKey.objects.get().state == "invalid"
    with pytest.raises(ApiError, match="ends in 4711") as refused:
        make_job(make_caller(0, name="Alice"))
    assert refused.value.code == "not_configured"


@pytest.mark.once
def test_an_account_without_credit_says_which_key_it_is(run: Run, sandbox: RunningSandbox) -> None:
    job = make_job(caller_with(ALICE, "Alice"))
    sandbox.account(ALICE, "alice", balance=0)

    ended = run(job=job)

    assert (ended.error["code"], ProviderKey.objects.get().state) == ("insufficient_funds", "exhausted")
    assert "ends in 4711" in ended.error["message"]
    assert not Alert.objects.filter(code="provider_locked").exists()
    assert Account.objects.get(client_id=job.client_id).held == 0


def test_trouble_with_one_key_holds_up_no_other(run: Run, sandbox: RunningSandbox) -> None:
    sandbox.account(ALICE, "alice", balance=0)
    run(job=make_job(caller_with(ALICE, "Alice")))
    alices = own_keys.gate_name("fal", ProviderKey.objects.get().fingerprint)
    assert ProviderGate.objects.get(name=alices).open_until > timezone.now()

    assert run(job=make_job(caller_with(BOB, "Bob"))).status == Status.SUCCEEDED


def test_the_places_at_a_provider_are_counted_by_key(
    sandbox: RunningSandbox, dispatcher: Dispatcher, settings: Any
) -> None:
    settings.FAL_MAX_CONCURRENT = 1
    sandbox.faults(jobs=[{"seconds": 30}], concurrency=10)
    alice, bob = caller_with(ALICE, "Alice"), caller_with(BOB, "Bob")
    jobs = [make_job(alice), make_job(alice), make_job(bob)]

    deadline = time.monotonic() + 10
    while Job.objects.exclude(request_id="").count() < 2 and time.monotonic() < deadline:
        dispatcher.tick()

    sent = set(Job.objects.exclude(request_id="").values_list("pk", flat=True))
    assert sent == {jobs[0].pk, jobs[2].pk}


@pytest.mark.once
def test_without_any_key_nothing_is_accepted_and_the_hint_says_how_to_set_one(sandbox: RunningSandbox) -> None:
    with pytest.raises(ApiError) as refused:
        make_job(make_caller(0))

    assert refused.value.code == "not_configured"
    assert "/api/v1/provider-keys/fal" in refused.value.hint
    assert not Job.objects.exists()


@pytest.mark.once
def test_a_client_without_a_key_of_its_own_runs_on_the_installations(
    run: Run, sandbox: RunningSandbox, settings: Any
) -> None:
    settings.FAL_KEY = "sandbox-key:sandbox-secret"

    job = run(job=make_job(make_caller(0)))

    assert (job.status, job.account) == (Status.SUCCEEDED, "")
    assert asked_by(sandbox)[job.request_id] == {"sandbox-key"}


@pytest.mark.once
def test_the_header_brings_a_key_and_a_wrong_one_is_told_at_once(
    sandbox: RunningSandbox, make_key: Callable[..., str]
) -> None:
    http = HttpClient(headers={"Authorization": f"Bearer {make_key('jobs:write', client='Alice')}"})
    body = orjson.dumps({"model": "fal-ai/flux/dev", "input": {"prompt": "a fox"}})

    def post(key: str) -> Any:
        return http.post("/api/v1/jobs", body, content_type="application/json", headers={"X-Provider-Key": key})

    accepted, refused = post(ALICE), post("mallory:not-a-key-at-all")
    assert accepted.status_code == 201, accepted.content
    assert Job.objects.get().key_hint == "4711"
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_request")
    assert b"not-a-key-at-all" not in refused.content


@pytest.mark.once
def test_the_header_brings_a_key_for_all_items_of_a_batch(
    sandbox: RunningSandbox, make_key: Callable[..., str]
) -> None:
    http = HttpClient(headers={"Authorization": f"Bearer {make_key('jobs:write', client='Alice')}"})
    body = orjson.dumps({"model": "fal-ai/flux/dev", "prompts": ["a fox", "a hare"]})

    answer = http.post("/api/v1/batches", body, content_type="application/json", headers={"X-Provider-Key": ALICE})

    assert answer.status_code == 201, answer.content
    assert [job.key_hint for job in Job.objects.all()] == ["4711", "4711"]


@pytest.mark.once
def test_the_key_of_a_batch_is_shown_to_one_provider_alone(
    sandbox: RunningSandbox, make_key: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[tuple[str, str]] = []
    monkeypatch.setattr(queue, "check_key", lambda provider, key: shown.append((provider, key)))
    monkeypatch.setitem(queue._registry, "second", lambda key: pytest.fail("opened"))
    make_sold("makers/flux", outputs=IMAGES_OUT, provider="second")
    http = HttpClient(headers={"Authorization": f"Bearer {make_key('jobs:write', client='Alice')}"})
    items = [{"model": model, "input": {"prompt": "a fox"}} for model in ("fal-ai/flux/dev", "makers/flux")]

    answer = http.post(
        "/api/v1/batches", {"items": items}, content_type="application/json", headers={"X-Provider-Key": ALICE}
    )

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert "fal and second" in answer.json()["message"]
    assert (shown, Job.objects.count()) == ([], 0)


@pytest.mark.once
def test_a_wrong_key_is_asked_about_once_for_all_items_of_a_batch(
    sandbox: RunningSandbox, make_key: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    http = HttpClient(headers={"Authorization": f"Bearer {make_key('jobs:write', client='Alice')}"})
    body = orjson.dumps({"model": "fal-ai/flux/dev", "prompts": ["a fox"] * 5})

    def refused() -> int:
        """How often the provider was asked about the key."""
        before = len(sandbox.requests())
        key = {"X-Provider-Key": "mallory:not-a-key-at-all"}
        answer = http.post("/api/v1/batches", body, content_type="application/json", headers=key)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
        return len(sandbox.requests()) - before

    asked_at_first = refused()
    monkeypatch.setattr(own_keys, "_TROUBLE_SECONDS", 0.0)

    # Every item asks where nothing is remembered.
    assert asked_at_first > 0
    assert refused() == 5 * asked_at_first


@pytest.mark.once
def test_in_cloud_mode_a_key_with_a_request_is_refused(settings: Any) -> None:
    settings.GENFEED_MODE = "cloud"

    with pytest.raises(ApiError, match="core mode"):
        make_job(make_caller(), provider_key=ALICE)


@pytest.mark.once
def test_what_ran_on_a_key_of_its_own_is_not_run_again_on_another(run: Run, sandbox: RunningSandbox) -> None:
    sandbox.faults(jobs=[{"error": {"status": 500}}])
    job = run(job=make_job(caller_with(BOB, "Bob"), provider_key=ALICE))

    with pytest.raises(ApiError, match="erased"):
        retry(job, actor=Actor("staff"), reason="again")


def test_a_job_in_core_mode_needs_no_balance_and_is_charged_its_cost(run: Run) -> None:
    job = run(job=make_job(caller_with(ALICE, "Alice")))

    assert job.charge == job.cost > 0
    assert UsageRecord.objects.get().cost == job.cost


@pytest.mark.once
def test_keys_are_in_no_record_of_what_providers_answered(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")

    job = run(job=make_job(make_caller(0), provider_key=ALICE))

    assert "secret-of-the-provider" not in caplog.text + repr(list(job.answers.values())) + repr(job)
    assert "secret-of-the-provider" not in repr(Wanted(model="m", input={}, provider_key=ALICE))


@pytest.mark.once
def test_a_sealed_key_that_cannot_be_read_fails_the_job_and_nothing_else(run: Run, sandbox: RunningSandbox) -> None:
    job = make_job(make_caller(0), provider_key=ALICE)
    Job.objects.filter(pk=job.pk).update(own_key="gAAAAAB-lost")

    ended = run(job=job)

    assert ended.error["code"] == "not_configured"
    assert not any(one["path"].startswith("/queue/") for one in sandbox.requests())


def test_old_gates_of_own_keys_are_forgotten() -> None:
    from jobs.clean_up import clean_up

    long_ago = timezone.now() - timedelta(days=30)
    ProviderGate.objects.create(name="fal:0123456789abcdef", changed_at=long_ago)
    ProviderGate.objects.create(name="fal", changed_at=long_ago)

    clean_up()

    assert list(ProviderGate.objects.values_list("name", flat=True)) == ["fal"]
