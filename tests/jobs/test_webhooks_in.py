"""fal calling back: what is genuine is noted at once, however often it comes; what is not changes nothing."""

import hashlib
import io
import logging
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, cast

import httpx
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.test import Client as HttpClient
from django.utils import timezone
from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.orjson import OrjsonFormatter

from catalog.providers import fal_keys, fal_webhooks, queue
from catalog.providers.fal_keys import KeySet
from catalog.providers.fal_webhooks import verify
from catalog.providers.webhooks import NotGenuineError, UndecidedError
from genfeed.journal.models import Alert
from genfeed.logs import without_token
from jobs import failures
from jobs.dispatching import watching
from jobs.dispatching.claiming import claim_due, claim_queued
from jobs.ending.finishing import fail
from jobs.models import Job, Status
from pricing.models import UsageRecord
from tests.jobs.conftest import Run
from tests.jobs.doubles import Provider, look, make_job, money, set_job, submit, submitted
from tests.sandbox.receiver import Delivery, Receiver
from tests.sandbox_server import RunningSandbox

pytestmark = pytest.mark.django_db

KEY = Ed25519PrivateKey.generate()


@pytest.fixture
def signed_by_fal(monkeypatch: pytest.MonkeyPatch) -> None:
    """fal's key set is the one key that these tests sign with, and is known."""
    keys = KeySet()
    monkeypatch.setattr(fal_keys, "key_set", keys)
    monkeypatch.setattr(fal_keys, "fetch", lambda: [KEY.public_key()])
    keys.refresh()


def headers_of(
    body: bytes, request_id: str = "req-1", *, user: str = "us", at: float | None = None, key: Ed25519PrivateKey = KEY
) -> dict[str, str]:
    """The headers that fal would send with a body."""
    stamp = str(int(time.time() if at is None else at))
    message = "\n".join([request_id, user, stamp, hashlib.sha256(body).hexdigest()]).encode()
    return {
        "X-Fal-Webhook-Request-Id": request_id,
        "X-Fal-Webhook-User-Id": user,
        "X-Fal-Webhook-Timestamp": stamp,
        "X-Fal-Webhook-Signature": key.sign(message).hex(),
    }


def body_of(request_id: str = "req-1", status: str = "OK", payload: Any = None) -> bytes:
    return orjson.dumps({"request_id": request_id, "status": status, "payload": payload})


def call(job: Job, body: bytes | None = None, token: str | None = None, **headers: str) -> Any:
    body = body_of() if body is None else body
    sent = headers or headers_of(body)
    path = f"/webhooks/fal/{job.pk}/{job.token if token is None else token}"
    return HttpClient().post(path, body, content_type="application/json", headers=sent)


def is_due(job: Job) -> bool:
    return Job.objects.get(pk=job.pk).next_at <= timezone.now()


@pytest.fixture
def waiting(signed_by_fal: None) -> tuple[Provider, Job]:
    """A job at the provider whose next look is far away."""
    provider, job = submitted()
    return provider, set_job(job, next_at=timezone.now() + timedelta(hours=1))


# --- what is genuine ---


def test_a_webhook_has_its_job_looked_at_now(waiting: tuple[Provider, Job]) -> None:
    provider, job = waiting

    assert call(job).status_code == 200

    assert is_due(job)
    assert look(provider, job).status == Status.SUCCEEDED


@pytest.mark.once
def test_the_body_is_only_a_hint_and_the_result_is_fetched_with_our_own_key(waiting: tuple[Provider, Job]) -> None:
    provider, job = waiting
    lie = body_of(payload={"images": [{"url": "https://evil.example.com/a.png"}]})

    call(job, lie)
    look(provider, job)

    assert job.output["images"][0]["url"].startswith("https://v3.fal.media/")
    assert provider.calls[-1] == "result"


@pytest.mark.once
def test_a_webhook_with_no_payload_is_no_failure(waiting: tuple[Provider, Job]) -> None:
    provider, job = waiting
    call(job, orjson.dumps({"request_id": "req-1", "status": "OK", "payload": None, "payload_error": "x"}))

    assert look(provider, job).status == Status.SUCCEEDED


def test_the_same_webhook_three_times_charges_once(waiting: tuple[Provider, Job]) -> None:
    provider, job = waiting
    for _ in range(3):
        assert call(job).status_code == 200
        look(provider, job)

    assert call(job).status_code == 200
    assert UsageRecord.objects.count() == 1
    assert money(job)[1] == 0


def test_a_webhook_that_comes_again_before_the_look_writes_nothing(waiting: tuple[Provider, Job]) -> None:
    _, job = waiting
    call(job)
    first = Job.objects.get(pk=job.pk)

    assert call(job).status_code == 200
    again = Job.objects.get(pk=job.pk)
    assert (again.version, again.next_at) == (first.version, first.next_at)


def test_a_webhook_during_a_look_has_the_job_looked_at_again(waiting: tuple[Provider, Job]) -> None:
    provider, job = waiting
    call(job)
    (seen,) = claim_due(1)
    before_the_end = watching.ask(provider, seen)

    call(job)
    watching.apply(seen, before_the_end)
    assert is_due(job)


def test_a_webhook_that_comes_before_the_answer_to_the_submit_adopts_the_request(signed_by_fal: None) -> None:
    from jobs.dispatching import submitting

    provider = Provider()
    job = make_job()
    claimed = claim_queued(1)[0]

    assert call(job).status_code == 200
    job.refresh_from_db()
    assert (job.status, job.request_id) == (Status.SUBMITTED, "req-1")
    assert is_due(job)

    # Now the answer comes as well: the same request, nothing changes.
    submitting.apply(claimed, submitting.ask(provider, claimed))
    job.refresh_from_db()
    assert (job.status, job.request_id) == (Status.SUBMITTED, "req-1")


def test_a_webhook_for_a_job_that_was_given_up_is_kept_for_its_bill_and_not_delivered(signed_by_fal: None) -> None:
    from catalog.providers.queue import UnclearError

    provider = Provider()
    provider.on_submit = UnclearError("lost")
    job = submit(provider, make_job())
    fail(job, failures.SUBMIT_UNKNOWN)

    assert call(job).status_code == 200

    job.refresh_from_db()
    assert (job.status, job.output) == (Status.FAILED, None)
    assert Alert.objects.filter(code="orphaned_request", subject=job.pk).exists()


# --- what is not ---


@pytest.mark.once
@pytest.mark.parametrize(
    "spoil",
    [
        lambda body: headers_of(body, key=Ed25519PrivateKey.generate()),
        lambda body: headers_of(body, at=time.time() - 301),
        lambda body: headers_of(body, at=time.time() + 301),
        lambda body: headers_of(body + b" "),
        lambda body: {**headers_of(body), "X-Fal-Webhook-Request-Id": "req-2"},
        lambda body: {**headers_of(body), "X-Fal-Webhook-User-Id": "them"},
        lambda body: {**headers_of(body), "X-Fal-Webhook-Signature": "zz"},
        lambda body: {**headers_of(body), "X-Fal-Webhook-Signature": ""},
        lambda body: {**headers_of(body), "X-Fal-Webhook-Timestamp": "now"},
        lambda body: {**headers_of(body), "X-Fal-Webhook-Timestamp": "-5"},
        lambda body: {**headers_of(body), "X-Fal-Webhook-Timestamp": "9" * 400},
        lambda body: {**headers_of(body), "X-Fal-Webhook-Timestamp": "9" * 5000},
        lambda body: {"X-Nothing": "1"},
        lambda body: headers_of(body, "req-2"),
    ],
)
def test_a_forged_webhook_is_refused_and_changes_nothing(waiting: tuple[Provider, Job], spoil: Any) -> None:
    _, job = waiting
    body = body_of()

    assert call(job, body, **spoil(body)).status_code == 401
    assert not is_due(job)


@pytest.mark.once
def test_another_accounts_valid_signature_knows_no_token(waiting: tuple[Provider, Job]) -> None:
    _, job = waiting
    body = body_of()

    answer = call(job, body, token="guess", **headers_of(body, user="them"))

    # As for an unknown job: who signs for another account learns nothing.
    assert (answer.status_code, answer.json()) == (200, {"detail": "unknown"})
    assert not is_due(job)


def test_an_unknown_job_is_answered_alike(waiting: tuple[Provider, Job]) -> None:
    _, job = waiting
    stranger = Job(id="job_unknown", token=job.token)

    assert (call(stranger).status_code, call(stranger).json()) == (200, {"detail": "unknown"})


@pytest.mark.parametrize(("job_id", "token"), [("job%00", "guess"), (None, "gu%C3%A9ss")])
def test_whatever_characters_an_address_holds_it_is_answered_alike(
    waiting: tuple[Provider, Job], job_id: str | None, token: str
) -> None:
    _, job = waiting
    body = body_of()

    answer = HttpClient().post(
        f"/webhooks/fal/{job_id or job.pk}/{token}", body, content_type="application/json", headers=headers_of(body)
    )

    assert (answer.status_code, answer.json()) == (200, {"detail": "unknown"})


def test_a_webhook_of_another_request_changes_nothing(waiting: tuple[Provider, Job]) -> None:
    _, job = waiting
    body = body_of("req-9")

    call(job, body, **headers_of(body, "req-9"))

    assert not is_due(job)


@pytest.mark.once
def test_only_posts_are_taken(waiting: tuple[Provider, Job]) -> None:
    _, job = waiting

    assert HttpClient().get(f"/webhooks/fal/{job.pk}/{job.token}").status_code == 405


# --- keys ---


@pytest.mark.once
def test_a_new_key_of_fal_is_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[int] = []
    answers = [[Ed25519PrivateKey.generate().public_key()], [KEY.public_key()]]

    def fetch() -> Any:
        fetched.append(1)
        return answers[min(len(fetched), 2) - 1]

    keys = KeySet()
    monkeypatch.setattr(fal_keys, "key_set", keys)
    monkeypatch.setattr(fal_keys, "fetch", fetch)
    body = body_of()
    keys.refresh()
    keys._asked -= 31

    with pytest.raises(UndecidedError):
        verify(headers_of(body), body)
    until(lambda: not keys._is_asking)
    assert verify(headers_of(body), body).request_id == "req-1"
    forged = headers_of(body, key=Ed25519PrivateKey.generate())
    for _ in range(5):
        with pytest.raises(NotGenuineError):
            verify(forged, body)
    assert len(fetched) == 2


@pytest.mark.once
def test_keys_that_can_t_be_fetched_leave_the_known_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = KeySet()
    monkeypatch.setattr(fal_keys, "fetch", lambda: [KEY.public_key()])
    keys.refresh()
    monkeypatch.setattr(fal_keys, "fetch", list)
    keys.refresh()

    assert len(keys.keys()) == 1


@pytest.mark.once
def test_keys_of_an_hour_ago_are_used_while_new_ones_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    keys, fetched = KeySet(), threading.Event()
    monkeypatch.setattr(fal_keys, "fetch", lambda: [KEY.public_key()])
    keys.refresh()
    monkeypatch.setattr(fal_keys, "fetch", lambda: fetched.set() or [])
    keys._asked -= 3601

    assert len(keys.keys()) == 1
    assert fetched.wait(10)


@pytest.fixture
def keys_on_their_way(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """fal has been asked for its keys, and answers once the event is set."""
    keys, goes_on = KeySet(), threading.Event()

    def fetch() -> Any:
        goes_on.wait(10)
        return [KEY.public_key()]

    monkeypatch.setattr(fal_keys, "key_set", keys)
    monkeypatch.setattr(fal_keys, "fetch", fetch)
    yield goes_on
    goes_on.set()
    until(lambda: not keys._is_asking)


@pytest.mark.once
def test_a_webhook_that_comes_before_the_keys_waits_for_nothing_and_has_its_job_looked_at(
    keys_on_their_way: threading.Event,
) -> None:
    provider, job = submitted()
    set_job(job, next_at=timezone.now() + timedelta(hours=1))

    # Were it to wait for the keys, it would be answered by 200.
    answer = call(job)

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert is_due(job)
    assert look(provider, job).status == Status.SUCCEEDED


def test_a_webhook_that_comes_before_the_keys_is_taken_when_fal_sends_it_again(
    keys_on_their_way: threading.Event,
) -> None:
    job = make_job()
    claim_queued(1)

    assert call(job).status_code == 503
    job.refresh_from_db()
    # Which request is its own is believed to nobody but fal.
    assert (job.status, job.request_id) == (Status.SUBMITTING, "")
    keys_on_their_way.set()
    until(lambda: bool(fal_keys.key_set.keys()))

    assert call(job).status_code == 200
    job.refresh_from_db()
    assert (job.status, job.request_id) == (Status.SUBMITTED, "req-1")


def test_a_webhook_with_a_wrong_token_changes_nothing_before_the_keys_either(
    keys_on_their_way: threading.Event,
) -> None:
    _, job = submitted()
    set_job(job, next_at=timezone.now() + timedelta(hours=1))

    call(job, token="guess", **headers_of(body_of()))

    assert not is_due(job)


def until(holds: Callable[[], bool]) -> None:
    """Waits for what another thread does."""
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# --- over HTTP ---


@pytest.mark.once
def test_what_the_sandbox_signs_is_accepted_and_what_it_forges_is_not(
    run: Run, sandbox: RunningSandbox, settings: Any
) -> None:
    with Receiver() as receiver:
        settings.PUBLIC_URL = receiver.url.removesuffix("/hook")
        good = run(lambda job: job.status == Status.SUBMITTED, input={"prompt": "good"})
        genuine = receiver.wait(1)[0]
        sandbox.faults(jobs=[{"webhook_forged": True}])
        bad = run(lambda job: job.status == Status.SUBMITTED, input={"prompt": "bad"})
        forged = receiver.wait(2)[1]

    assert genuine.path == f"/webhooks/fal/{good.pk}/{good.token}"
    assert replay(genuine).status_code == 200
    assert replay(forged).status_code == 401
    assert is_due(good)
    assert not is_due(bad)


def replay(delivery: Delivery) -> Any:
    return HttpClient().post(
        delivery.path,
        delivery.raw,
        content_type="application/json",
        headers={name: value for name, value in delivery.headers.items() if name.startswith("x-fal-")},
    )


@pytest.mark.once
def test_the_key_set_of_the_sandbox_can_be_read(sandbox: RunningSandbox) -> None:
    assert httpx.get(f"{sandbox.rest_url}/.well-known/jwks.json", trust_env=False).json()["keys"]
    assert fal_keys.fetch()


def undecided(*_: Any) -> Any:
    raise UndecidedError("not yet")


def crash(*_: Any) -> Any:
    raise RuntimeError("a mistake of ours")


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[io.StringIO]:
    """What is written to standard error, with all that its lines carry beside their text."""
    (found,) = (one for one in logging.getLogger().handlers if one.name == "stderr")
    handler, written = cast(logging.StreamHandler[Any], found), io.StringIO()
    stream, formatter = handler.setStream(written), handler.formatter
    handler.setFormatter(OrjsonFormatter("%(message)s", reserved_attrs=[*RESERVED_ATTRS, "request"]))
    with caplog.at_level("INFO"):
        yield written
    handler.setStream(stream)
    handler.setFormatter(formatter)


@pytest.mark.once
@pytest.mark.parametrize(
    ("status", "verifier", "longest", "more"),
    [
        (200, fal_webhooks.verify, 10_000, ""),
        (401, lambda *_: fal_webhooks.verify({}, b""), 10_000, ""),
        (404, fal_webhooks.verify, 10_000, "/"),
        (400, fal_webhooks.verify, 10, ""),
        (500, crash, 10_000, ""),
        (503, undecided, 10_000, ""),
    ],
)
def test_no_log_line_shows_the_token_of_a_job(
    waiting: tuple[Provider, Job], log: io.StringIO, monkeypatch: Any, settings: Any,
    status: int, verifier: Any, longest: int, more: str,
) -> None:  # fmt: skip
    _, job = waiting
    monkeypatch.setattr(queue, "verifier", lambda _: verifier)
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = longest

    answer = HttpClient(raise_request_exception=False).post(
        f"/webhooks/fal/{job.pk}/{job.token}{more}",
        body_of(),
        content_type="application/json",
        headers=headers_of(body_of()),
    )

    assert answer.status_code == status
    assert f"/webhooks/fal/{job.pk}" in log.getvalue()
    assert job.token not in log.getvalue()


@pytest.mark.once
def test_addresses_of_our_own_webhooks_are_told_whole() -> None:
    told = "GET /api/v1/webhooks/hook_1/deliveries/2 https://a.example/webhooks/1/2/3"

    assert without_token(told) == told
