"""What is tried again, after which waits, and what never is."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httpx
import pytest
from django.conf import settings as project
from django.utils import timezone

from catalog.providers.fal_queue import open_fal_queue
from catalog.providers.queue import NotAcceptedError, RefusedError, Request, UnreachableError
from catalog.providers.reading import Backoff
from catalog.providers.retrying import Retrying
from jobs import failures
from jobs.models import ProviderGate, Status
from tests.jobs.doubles import Provider, make_job, result, set_job, submit

REQUEST = Request("fal-ai/flux/dev", "req-1")


def answering(*answers: Any) -> tuple[Callable[[], httpx.Response], list[int]]:
    """A call that gives one answer after the other (an exception is raised), and how often it was made."""
    made: list[int] = []

    def once() -> httpx.Response:
        answer = answers[min(len(made), len(answers) - 1)]
        made.append(1)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return once, made


def waits_of(once: Callable[[], httpx.Response], *, base: float = 1.0) -> list[float]:
    waits: list[float] = []
    retrying = Retrying(Backoff(3, base), sleep=waits.append)
    with suppress(UnreachableError):
        retrying.send(once, call="status")
    return waits


@pytest.mark.parametrize(
    "passing",
    [
        httpx.Response(500),
        httpx.Response(503),
        httpx.Response(429),
        httpx.Response(408),
        httpx.ReadTimeout("late"),
        httpx.ConnectError("away"),
    ],
)
def test_a_read_is_tried_four_times_and_then_told(passing: Any) -> None:
    once, made = answering(passing)

    with pytest.raises(UnreachableError, match="4 tries"):
        Retrying(Backoff(3, 0)).send(once, call="status")

    assert len(made) == 4


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422])
def test_a_4xx_is_never_tried_again(status: int) -> None:
    once, made = answering(httpx.Response(status))

    Retrying(Backoff(3, 0)).send(once, call="status")

    assert len(made) == 1


def test_waits_are_random_below_a_bound_that_doubles_up_to_eight_seconds() -> None:
    many = [waits_of(answering(httpx.Response(500))[0]) for _ in range(200)]

    for attempt, bound in enumerate((1.0, 2.0, 4.0)):
        seen = [waits[attempt] for waits in many]
        assert all(0 <= wait <= bound for wait in seen)
        assert max(seen) > bound * 0.8
        assert min(seen) < bound * 0.2
    assert all(Backoff(9, 1.0).seconds(attempt) <= 8.0 for attempt in range(9) for _ in range(20))


def test_the_provider_s_own_wait_is_kept_to() -> None:
    once, _ = answering(httpx.Response(429, headers={"Retry-After": "2"}), httpx.Response(200))

    assert waits_of(once) == [2.0]


def test_a_submit_is_sent_once_even_where_the_network_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []

    def lost(request: httpx.Request) -> httpx.Response:
        sent.append(request.method)
        raise httpx.ReadTimeout("late")

    fal = open_fal_queue("k")
    fal._connections._idle.append(httpx.Client(transport=httpx.MockTransport(lost)))

    with pytest.raises(Exception, match="was lost"):
        fal.submit("fal-ai/flux/dev", {})

    assert sent == ["POST"]


def test_each_try_has_the_time_limit_of_its_call(settings: Any) -> None:
    settings.STATUS_TIMEOUT_SECONDS, settings.SUBMIT_TIMEOUT_SECONDS = 1.5, 7.5
    limits: list[Any] = []

    def note(request: httpx.Request) -> httpx.Response:
        limits.append(request.extensions["timeout"]["read"])
        return httpx.Response(200, json={"status": "IN_QUEUE", "request_id": "req-1"})

    fal = open_fal_queue("k")
    with fal._connections.one() as own:
        time_limit = own.timeout
    fal._connections._idle.append(httpx.Client(transport=httpx.MockTransport(note), timeout=time_limit))

    fal.progress(REQUEST)
    fal.submit("fal-ai/flux/dev", {})

    assert limits == [1.5, 7.5]


def test_retries_and_their_waits_are_settings(settings: Any) -> None:
    assert (project.FAL_MAX_RETRIES, project.FAL_TIMEOUT_IMAGE, project.FAL_TIMEOUT_VIDEO) == (3, 60, 300)
    settings.FAL_MAX_RETRIES, settings.FAL_RETRY_DELAY = 7, 0.5

    assert open_fal_queue("k")._retrying.backoff == Backoff(7, 0.5)


@pytest.mark.django_db
def test_a_submit_that_was_not_accepted_waits_a_random_while_before_it_is_sent_again() -> None:
    provider = Provider()
    provider.on_submit = NotAcceptedError("429")
    waits = []
    for _ in range(8):
        job = submit(provider, make_job())
        assert (job.status, job.attempts) == (Status.QUEUED, 1)
        waits.append((job.next_at - timezone.now()).total_seconds())
        set_job(job, status=Status.FAILED)
        ProviderGate.objects.all().delete()

    assert max(waits) <= 1
    assert max(waits) - min(waits) > 0.1


# --- classed by status and type, not by text ---


@pytest.mark.parametrize("text", ["rate limit exceeded", "401 Unauthorized", "content_policy_violation", "timeout"])
def test_what_a_failure_is_follows_from_its_status_whatever_its_text_says(text: str) -> None:
    said = result(status=422, detail=[{"msg": text, "type": "value_error", "loc": ["body", "prompt"]}])

    assert failures.failure_of(said).code == "provider_rejected_input"
    assert failures.failure_of(result(status=500, detail=text)).code == "provider_error"


def test_a_refusal_of_our_key_is_no_refusal_of_the_input() -> None:
    assert failures.failure_of(result(status=403, detail="prompt not allowed")).code == "provider_unavailable"
    assert failures.refused_submit(RefusedError("no", 422, "x")).code == "provider_rejected_input"
