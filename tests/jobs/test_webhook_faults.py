"""Webhooks of a provider that do not come as they should: late, aged, reordered, of other accounts; and lists that lag.

The sandbox signs and sends them; each is handed to the application as it came.
"""

import base64
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import orjson
import pytest
from cryptography.exceptions import InvalidSignature
from django.test import Client as HttpClient
from django.utils import timezone

from catalog.providers import fal_keys
from jobs.models import Job, JobEvent, Status
from pricing.models import LedgerTransaction
from tests.jobs.conftest import Run
from tests.jobs.doubles import make_caller, make_job
from tests.net.servers import serving, whole
from tests.sandbox.receiver import Delivery, Receiver
from tests.sandbox_server import RunningSandbox

pytestmark = [pytest.mark.django_db, pytest.mark.once]


@pytest.fixture
def door(sandbox: RunningSandbox, settings: Any) -> Iterator[Receiver]:
    """Where the provider calls us back; what comes is kept until a test hands it on."""
    with Receiver() as receiver:
        settings.PUBLIC_URL = receiver.url.removesuffix("/hook")
        yield receiver


def hand_on(delivery: Delivery) -> int:
    """Brings a webhook to the application; the status of its answer."""
    headers = {name: value for name, value in delivery.headers.items() if name.startswith("x-fal-")}
    return HttpClient().post(
        delivery.path, delivery.raw, content_type="application/json", headers=headers
    ).status_code  # fmt: skip


def at_the_provider(job: Job) -> bool:
    return job.status in (Status.SUBMITTED, Status.RUNNING)


def put_off(job: Job) -> None:
    """Nobody looks at the job by itself for an hour."""
    Job.objects.filter(pk=job.pk).update(next_at=timezone.now() + timedelta(hours=1))


def ends_of(job: Job) -> int:
    return JobEvent.objects.filter(job=job, kind__in=["job_succeeded", "job_failed", "job_canceled"]).count()


def charges_of(job: Job) -> int:
    return LedgerTransaction.objects.filter(job=job.pk, kind="settle").count()


def test_a_webhook_that_is_an_hour_old_is_refused(run: Run, sandbox: RunningSandbox, door: Receiver) -> None:
    sandbox.faults(jobs=[{"webhook_age": 3600}])
    job = run(at_the_provider)
    put_off(job)

    assert hand_on(door.wait(1)[0]) == 401
    assert Job.objects.get(pk=job.pk).next_at > timezone.now()


def test_a_webhook_of_another_account_brings_nothing_but_a_look_with_our_own_key(
    run: Run, sandbox: RunningSandbox, door: Receiver
) -> None:
    sandbox.faults(jobs=[{"webhook_account": "somebody"}])
    job = run(at_the_provider)
    put_off(job)

    assert hand_on(door.wait(1)[0]) == 200
    job.refresh_from_db()
    job = run(job=job)

    assert (job.status, ends_of(job), charges_of(job)) == ("succeeded", 1, 1)


def test_a_webhook_that_says_ok_without_a_payload_has_the_result_fetched(
    run: Run, sandbox: RunningSandbox, door: Receiver
) -> None:
    sandbox.faults(jobs=[{"webhook_payload_error": True}])
    job = run(at_the_provider)
    put_off(job)

    assert hand_on(door.wait(1)[0]) == 200
    job.refresh_from_db()
    job = run(job=job)

    assert job.status == "succeeded"
    assert job.output is not None


def test_a_webhook_that_is_lost_is_made_up_for_by_polling(run: Run, sandbox: RunningSandbox, door: Receiver) -> None:
    sandbox.faults(jobs=[{"webhook_lost": True}])
    job = run(at_the_provider)
    assert job.next_at < timezone.now() + timedelta(seconds=6)
    Job.objects.filter(pk=job.pk).update(next_at=timezone.now())

    job = run(job=job)

    assert (job.status, ends_of(job), charges_of(job), door.deliveries) == ("succeeded", 1, 1, [])


def test_a_webhook_that_comes_after_the_end_changes_nothing(run: Run, sandbox: RunningSandbox, door: Receiver) -> None:
    sandbox.faults(jobs=[{"webhook_after": 1.0}])
    job = run()
    before = Job.objects.filter(pk=job.pk).values().get()

    assert hand_on(door.wait(1)[0]) == 200
    assert Job.objects.filter(pk=job.pk).values().get() == before
    assert (ends_of(job), charges_of(job)) == (1, 1)


def test_webhooks_in_the_opposite_order_end_each_job_once(run: Run, sandbox: RunningSandbox, door: Receiver) -> None:
    sandbox.faults(webhook_shuffle=3)
    caller = make_caller()
    jobs = [run(at_the_provider, job=make_job(caller, input={"prompt": f"fox {n}"})) for n in range(3)]
    for job in jobs:
        put_off(job)

    came = door.wait(3)
    assert [hand_on(one) for one in came] == [200, 200, 200]
    assert [one.path.split("/")[3] for one in came] != sorted(one.path.split("/")[3] for one in came)
    for job in jobs:
        job.refresh_from_db()
        ended = run(job=job)
        assert (ended.status, ends_of(ended), charges_of(ended)) == ("succeeded", 1, 1)


def test_a_lost_submit_is_found_though_the_providers_list_lags(
    run: Run, sandbox: RunningSandbox, settings: Any
) -> None:
    settings.SUBMIT_GRACE_SECONDS = 30
    lost = {"match": "^/queue/", "method": "POST", "accepted": True, "drop": True, "times": 1}
    sandbox.faults(fail=[lost], jobs=[{"listed_after": 1.5}])

    job = run()

    assert (job.status, sandbox.queue()["accepted"]) == ("succeeded", 1)


def test_a_provider_that_fails_now_and_then_at_everything_delays_jobs_and_loses_none(
    run: Run, sandbox: RunningSandbox
) -> None:
    sandbox.faults(error_rate=0.2, error_status=503)
    caller = make_caller()

    jobs = [run(job=make_job(caller, input={"prompt": f"fox {n}"})) for n in range(5)]

    assert [(job.status, ends_of(job), charges_of(job)) for job in jobs] == [("succeeded", 1, 1)] * 5
    assert sandbox.queue()["accepted"] == 5


# --- the signature itself, against published vectors ---


# RFC 8032, section 7.1: public key, message and signature of the tests 1 to 3.
PUBLISHED = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe2465"
        "5141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb0"
        "0d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc0"
        "27beceea1ec40a",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("public", "message", "signature"), PUBLISHED)
def test_keys_of_the_key_set_verify_published_signatures(
    public: str, message: str, signature: str, settings: Any
) -> None:
    x = base64.urlsafe_b64encode(bytes.fromhex(public)).rstrip(b"=").decode()
    listed = orjson.dumps({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": x}]})
    with serving(whole(listed)) as served:
        settings.FAL_REST_URL = served.url("")
        (key,) = fal_keys.fetch()

    key.verify(bytes.fromhex(signature), bytes.fromhex(message))
    with pytest.raises(InvalidSignature):
        key.verify(bytes.fromhex(signature), bytes.fromhex(message) + b"x")
