"""Alternatives run on the keys that were settled when the job was accepted, and on no other."""

from collections.abc import Iterator
from typing import Any

import pytest

from catalog.models import AIModel
from catalog.providers import queue
from catalog.providers.base import KeyCheck
from catalog.providers.queue import NotAcceptedError
from genfeed.clients.models import Client, ProviderKey
from genfeed.clients.provider_keys import keep_key
from genfeed.journal.audit import SYSTEM
from jobs.accepting import own_keys
from jobs.accepting.own_keys import key_of
from jobs.canceling import cancel
from jobs.models import Job, Status
from tests.jobs.doubles import Provider, make_caller, submit
from tests.jobs.fallback.conftest import FIRST, SECOND, make, set_model, tried
from tests.pricing.estimates.sold import IMAGES_OUT, make_sold

pytestmark = pytest.mark.django_db(transaction=True)

AGAIN = "fal-ai/flux/other"
MINE, KEPT = "mine:the-key-that-came-with-the-request", "kept:the-key-that-is-kept-for-the-client"


@pytest.fixture(autouse=True)
def core(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Core mode, where every key is good, and another model at the first provider."""
    settings.GENFEED_MODE = "core"
    monkeypatch.setattr(queue, "check_key", lambda provider, key: KeyCheck("valid", ""))
    make_sold(AGAIN, "0.025", outputs=IMAGES_OUT)
    own_keys.forget()
    yield
    own_keys.forget()


def refused(job: Job) -> Job:
    """The job, sent to a provider that could not be reached."""
    provider = Provider()
    provider.on_submit = NotAcceptedError("could not be reached")
    return submit(provider, job)


def keep(provider: str) -> ProviderKey:
    client = Client.objects.get(name="Acme")
    return keep_key(client, provider, KEPT, state=ProviderKey.State.VALID, detail="", actor=SYSTEM)


@pytest.mark.once
def test_secu_09_back_at_the_first_provider_a_job_runs_on_the_key_that_came_with_it() -> None:
    job = refused(make(SECOND, AGAIN, provider_key=MINE))
    assert (job.provider, job.key_source, key_of(job)) == ("second", "", None)

    job = refused(job)

    assert (job.endpoint_id, job.key_source, job.key_hint, key_of(job)) == (AGAIN, "request", MINE[-4:], MINE)


@pytest.mark.once
def test_a_key_that_came_with_a_request_waits_where_another_provider_goes_first() -> None:
    set_model(FIRST, enabled=False, status=AIModel.Status.RETIRED, held_reason="retired")
    job = make(SECOND, AGAIN, provider_key=MINE)
    assert (job.endpoint_id, key_of(job)) == (SECOND, None)

    job = refused(job)

    assert (job.endpoint_id, key_of(job)) == (AGAIN, MINE)


@pytest.mark.once
def test_another_provider_is_given_the_key_that_was_kept_for_it_though_it_is_gone_by_then() -> None:
    caller = make_caller()
    keep("second")
    job = make(SECOND, caller=caller, provider_key=MINE)
    ProviderKey.objects.all().delete()

    job = refused(job)

    assert (job.endpoint_id, job.key_source, key_of(job)) == (SECOND, "client", KEPT)


@pytest.mark.once
def test_an_alternative_whose_kept_key_was_refused_meanwhile_is_passed_over() -> None:
    caller = make_caller()
    keep("second")
    job = make(SECOND, AGAIN, caller=caller, provider_key=MINE)
    ProviderKey.objects.update(state=ProviderKey.State.INVALID)

    job = refused(job)

    assert tried(job)[1:] == [(SECOND, "passed_over", "not_configured"), (AGAIN, "chosen", None)]


def test_no_key_of_an_alternative_outlives_the_job() -> None:
    job = make(SECOND, AGAIN, provider_key=MINE)
    assert "own_key" in str(job.fallback)

    cancel(job)

    job.refresh_from_db()
    assert (job.status, job.has_spare, "own_key" in str(job.fallback)) == (Status.CANCELED, False, False)
    assert tried(job)[1:] == [(SECOND, "spare", None), (AGAIN, "spare", None)]
