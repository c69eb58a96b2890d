"""Secrets among the inputs of a job: sealed by the schema's word, and nothing else is ever taken for one."""

from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.utils import timezone

from catalog.providers.queue import FoundRequest, UnclearError
from genfeed.clients.errors import ApiError
from genfeed.clients.sealing import CannotUnsealError, seal, unseal
from genfeed.journal.audit import SYSTEM
from jobs.canceling import cancel
from jobs.models import Job, Status
from jobs.retrying import retry
from tests.jobs.doubles import Provider, look, make_job, submit
from tests.pricing.estimates.sold import IMAGES_OUT, PROMPT, field, make_sold

pytestmark = [pytest.mark.django_db, pytest.mark.once]

THEIRS = "sk-a-key-of-somebody-elses-service"


def with_secret() -> Job:
    """A job whose input has a secret, to be sent."""
    make_sold(inputs=[PROMPT, field("api_key", format="password")], outputs=IMAGES_OUT)
    return make_job(input={"prompt": "a fox", "api_key": THEIRS})


def test_a_secret_is_kept_sealed_and_sent_in_clear() -> None:
    job = with_secret()
    assert THEIRS not in str(Job.objects.values_list())

    provider = Provider()
    submit(provider, job)

    assert provider.sent == [{"prompt": "a fox", "api_key": THEIRS}]


@pytest.mark.parametrize("prefix", ["", "gf-sealed:"])
def test_what_was_sealed_here_is_opened_for_no_client_that_sends_it(prefix: str) -> None:
    stolen = prefix + seal("a-key-of-another-client")
    provider = Provider()

    submit(provider, make_job(input={"prompt": stolen}))

    assert provider.sent == [{"prompt": stolen}]


def test_what_was_sealed_for_one_purpose_is_opened_for_no_other() -> None:
    assert unseal(seal("a secret", purpose="this"), purpose="this") == "a secret"
    for sealed, purpose in ((seal("a secret"), "this"), (seal("a secret", purpose="that"), "this")):
        with pytest.raises(CannotUnsealError):
            unseal(sealed, purpose=purpose)
    with pytest.raises(CannotUnsealError):
        unseal(seal("a secret", purpose="this"))


def test_of_requests_that_differ_only_in_secrets_none_is_taken_for_a_lost_one(settings: Any) -> None:
    job, provider = with_secret(), Provider()
    provider.on_submit = UnclearError("lost")
    submit(provider, job)
    # As another client's looks, whose secret its provider does not tell.
    provider.found = [FoundRequest("req-of-another", job.endpoint_id, timezone.now(), {"prompt": "a fox"}, ended=False)]

    look(provider, job)
    assert (job.status, job.request_id) == (Status.SUBMITTING, "")
    settings.SUBMIT_GRACE_SECONDS = 0
    look(provider, job)

    assert (job.status, job.error["code"], job.request_id) == (Status.FAILED, "submit_unknown", "")


def test_secrets_do_not_outlive_the_job_and_staff_are_told_why_it_is_not_run_again() -> None:
    job = with_secret()

    cancel(job)

    job.refresh_from_db()
    assert (job.status, job.input) == (Status.CANCELED, {"prompt": "a fox", "api_key": "(secret)"})
    with pytest.raises(ApiError, match=r"api_key.*erased"):
        retry(job, actor=SYSTEM, reason="again")


def test_a_secret_that_cannot_be_opened_fails_the_job_and_is_sent_nowhere(settings: Any) -> None:
    job, provider = with_secret(), Provider()
    settings.ENCRYPTION_KEYS = Fernet.generate_key().decode()

    submit(provider, job)

    assert (job.status, job.error["code"], provider.calls) == (Status.FAILED, "not_configured", [])


def test_texts_that_look_sealed_are_told_apart_when_a_lost_request_is_looked_for() -> None:
    one, other = (make_job(input={"prompt": f"gf-sealed:{text}"}) for text in ("a fox", "a wolf"))

    assert one.input_digest != other.input_digest
