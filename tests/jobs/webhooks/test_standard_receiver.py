"""A receiver written with the official package `standardwebhooks` takes what we send, and nothing else."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from standardwebhooks import Webhook, WebhookVerificationError

from genfeed.journal.audit import SYSTEM
from genfeed.net.signing import new_secret, signed_headers
from jobs.ending.finishing import fail
from jobs.failures import QUEUE_TIMEOUT
from jobs.webhooks.models import WebhookDelivery, WebhookEndpoint
from jobs.webhooks.secrets import rotate, secret_of_jobs, secrets_of
from tests.jobs.doubles import make_caller, make_job
from tests.jobs.webhooks.conftest import Listen, tell
from tests.pricing.estimates.sold import make_sold
from tests.sandbox.receiver import Receiver

pytestmark = [pytest.mark.django_db, pytest.mark.once]
Work = Callable[[], None]


class StandardReceiver(Receiver):
    """Answers 200 to what the package verifies with its secret, else 401; `taken` are the bodies that it read."""

    def __init__(self) -> None:
        super().__init__()
        self.secret = ""
        self.taken: list[dict[str, Any]] = []

    def status(self) -> int:
        came = self.deliveries[-1]
        try:
            self.taken.append(Webhook(self.secret).verify(came.raw, came.headers))
        except WebhookVerificationError:
            return 401
        return 200


@contextmanager
def running(settings: Any) -> Iterator[StandardReceiver]:
    with StandardReceiver() as one:
        settings.SSRF_ALLOW = [*settings.SSRF_ALLOW, one.url.split("/")[2]]
        yield one


@pytest.fixture
def standard(settings: Any) -> Iterator[StandardReceiver]:
    with running(settings) as one:
        yield one


def test_the_package_takes_what_we_send(listen: Listen, standard: StandardReceiver, work: Work) -> None:
    endpoint = listen(url=standard.url)
    standard.secret = endpoint.told_secret
    tell(endpoint.client_id, words="Füchse 🦊 \u2028 </script>")

    work()

    (body,) = standard.taken
    assert (body["type"], body["data"]) == ("balance.low", {"words": "Füchse 🦊 \u2028 </script>"})
    assert WebhookDelivery.objects.get().status == "delivered"


def test_the_package_refuses_what_is_signed_with_another_secret(
    listen: Listen, standard: StandardReceiver, work: Work
) -> None:
    standard.secret = new_secret()
    tell(listen(url=standard.url).client_id)

    work()

    assert (standard.taken, WebhookDelivery.objects.get().error) == ([], "answered 401")


def test_the_package_takes_a_late_attempt_as_it_is_signed_anew(
    listen: Listen, standard: StandardReceiver, work: Work
) -> None:
    endpoint = listen(url=standard.url)
    standard.secret = new_secret()
    tell(endpoint.client_id)
    work()
    WebhookDelivery.objects.update(next_at=timezone.now(), created_at=timezone.now() - timedelta(hours=20))

    standard.secret = endpoint.told_secret
    work()

    assert len(standard.taken) == 1


def test_while_a_rotation_lasts_receivers_with_the_old_and_the_new_secret_take_it(
    listen: Listen, standard: StandardReceiver, work: Work
) -> None:
    endpoint = listen(url=standard.url)
    standard.secret = endpoint.told_secret
    new = rotate(endpoint, overlap=timedelta(hours=1), actor=SYSTEM)
    tell(endpoint.client_id, moment="during")
    work()
    standard.secret = new
    tell(endpoint.client_id, moment="during")
    work()

    assert [body["data"]["moment"] for body in standard.taken] == ["during", "during"]


def test_after_a_rotation_only_receivers_with_the_new_secret_take_it(
    listen: Listen, standard: StandardReceiver, work: Work
) -> None:
    endpoint = listen(url=standard.url)
    standard.secret = endpoint.told_secret
    new = rotate(endpoint, overlap=timedelta(hours=1), actor=SYSTEM)
    WebhookEndpoint.objects.update(previous_until=timezone.now())
    tell(endpoint.client_id)
    work()
    assert standard.taken == []

    standard.secret = new
    WebhookDelivery.objects.update(next_at=timezone.now())
    work()

    assert len(standard.taken) == 1


def test_the_package_takes_the_webhook_of_a_single_job(standard: StandardReceiver, work: Work) -> None:
    make_sold()
    caller = make_caller()
    job = make_job(caller, webhook_url=standard.url)
    standard.secret = secrets_of(secret_of_jobs(caller.client_id), timezone.now())[0]
    fail(job, QUEUE_TIMEOUT)

    work()

    assert [body["data"]["id"] for body in standard.taken] == [job.pk]


@pytest.mark.parametrize("body", ["", "{}", '{"test": 2432232314}', "ü 🦊\n\r\n\x00", "x" * 300_000])
def test_the_package_signs_as_we_do(body: str) -> None:
    secret, at = new_secret(), 1614265330
    ours = signed_headers([secret], message_id="msg_1", at=at, body=body.encode())

    theirs = Webhook(secret).sign("msg_1", datetime.fromtimestamp(at, tz=UTC), body)

    assert ours["webhook-signature"] == theirs
