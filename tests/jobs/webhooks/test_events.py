"""What clients read of events: jobs as they were, models that they may use at their own prices."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from genfeed.clients.models import Client
from genfeed.journal.models import OutboxEvent
from jobs.ending.finishing import fail
from jobs.failures import QUEUE_TIMEOUT
from jobs.models import Job, Status
from jobs.webhooks.fan_out import fan_out
from jobs.webhooks.models import WebhookDelivery
from jobs.webhooks.secrets import rotate, secret_of_jobs, secrets_of
from pricing.models import ModelPricing
from tests.jobs.doubles import make_caller, make_job
from tests.jobs.webhooks.conftest import Listen, tell
from tests.jobs.webhooks.test_delivering import is_signed_with
from tests.pricing.estimates.sold import make_sold
from tests.pricing.selling.priced import add_rule, make_priced
from tests.sandbox.receiver import Receiver

pytestmark = pytest.mark.django_db
Work = Callable[[], None]


@pytest.fixture
def caller() -> Any:
    make_sold()
    return make_caller()


def client_of(caller: Any) -> Client:
    return Client.objects.get(pk=caller.client_id)


def told(receiver: Receiver, kind: str) -> dict[str, Any]:
    (body,) = [came.body for came in receiver.deliveries if came.body["type"] == kind]
    return body["data"]


def test_a_job_is_told_as_it_was_with_each_event(listen: Listen, receiver: Receiver, work: Work, caller: Any) -> None:
    listen(client_of(caller), "job.*")
    job = make_job(caller)
    fail(job, QUEUE_TIMEOUT)

    work()

    queued, failed = told(receiver, "job.queued"), told(receiver, "job.failed")
    assert (queued["id"], queued["status"], queued["error"], queued["finished_at"]) == (job.pk, "queued", None, None)
    assert (failed["id"], failed["status"], failed["error"]["code"]) == (job.pk, "failed", "queue_timeout")
    assert "cost" not in failed


@pytest.mark.once
def test_a_jobs_own_address_gets_its_events_signed_with_the_clients_secret(
    receiver: Receiver, work: Work, caller: Any
) -> None:
    job = make_job(caller, webhook_url=receiver.url)
    make_job(caller)
    secret = secrets_of(secret_of_jobs(caller.client_id), timezone.now())[0]
    fail(job, QUEUE_TIMEOUT)

    work()

    (came,) = receiver.deliveries
    assert (came.body["type"], came.body["data"]["id"]) == ("job.failed", job.pk)
    assert is_signed_with(secret, came)


@pytest.mark.once
def test_a_jobs_own_address_that_says_it_is_gone_is_not_tried_again(
    receiver: Receiver, work: Work, caller: Any
) -> None:
    receiver.statuses = [410]
    fail(make_job(caller, webhook_url=receiver.url), QUEUE_TIMEOUT)

    work()

    assert WebhookDelivery.objects.get().status == "failed"


def test_an_endpoint_and_the_jobs_own_address_get_the_same_message(
    listen: Listen, receiver: Receiver, work: Work, caller: Any
) -> None:
    listen(client_of(caller), "job.failed")
    fail(make_job(caller, webhook_url=receiver.url), QUEUE_TIMEOUT)

    work()

    first, second = receiver.deliveries
    assert (first.raw, first.headers["webhook-id"]) == (second.raw, second.headers["webhook-id"])


def test_the_event_is_written_in_the_transaction_of_the_change(listen: Listen, caller: Any) -> None:
    listen(client_of(caller), "job.*")
    job = make_job(caller)
    fan_out()

    assert fail(job, QUEUE_TIMEOUT) is not False
    assert OutboxEvent.objects.filter(delivered_at=None, kind="job.failed", subject=job.pk).count() == 1


@pytest.mark.once
def test_an_output_that_is_too_large_for_a_webhook_is_left_out(
    listen: Listen, receiver: Receiver, work: Work, caller: Any
) -> None:
    listen(client_of(caller), "job.succeeded")
    job = make_job(caller)
    Job.objects.filter(pk=job.pk).update(status=Status.SUCCEEDED, output={"text": "x" * 300_000})
    tell(caller.client_id, "job.succeeded", job=job.pk, number=9)

    work()

    said = told(receiver, "job.succeeded")
    assert (said["id"], said["output"], said["output_omitted"]) == (job.pk, None, True)


def model_payload(endpoint_id: str = "a/b", **more: Any) -> dict[str, Any]:
    return {"id": endpoint_id, "provider": "fal", "name": "B", "status": "active", "enabled": True, **more}


def test_news_of_models_reach_every_client_that_has_chosen_them(listen: Listen, receiver: Receiver, work: Work) -> None:
    for name, events in (("One", "model.*"), ("Two", "model.retired"), ("Three", "job.*")):
        listen(Client.objects.create(name=name), events)
    tell(None, "model.retired", **model_payload())

    work()

    assert len(receiver.deliveries) == 2
    assert {came.body["data"]["id"] for came in receiver.deliveries} == {"a/b"}


def test_a_client_hears_only_of_models_that_it_may_use(listen: Listen, receiver: Receiver, work: Work) -> None:
    listen(Client.objects.create(name="Narrow", denied_models=["a/*"]), "model.*")
    tell(None, "model.changed", **model_payload("a/b"))
    tell(None, "model.changed", **model_payload("c/d"))

    work()

    assert [came.body["data"]["id"] for came in receiver.deliveries] == ["c/d"]


@pytest.mark.once
def test_models_that_are_not_offered_are_not_told(listen: Listen, receiver: Receiver, work: Work) -> None:
    listen(None, "model.*")
    tell(None, "model.changed", **model_payload() | {"enabled": False})

    work()

    assert receiver.deliveries == []


def test_a_model_is_told_as_added_when_its_first_price_puts_it_on_sale(
    listen: Listen, receiver: Receiver, work: Work
) -> None:
    listen(None, "model.added")
    make_priced("a/b", "0.025")

    work()

    assert told(receiver, "model.added")["price"]["amount"] == "0.083333333"


@pytest.mark.parametrize(("confidence", "expected"), [("historical", 0), ("derived", 1)])
def test_what_requests_took_lately_is_no_new_price_but_another_rule_is(
    listen: Listen, receiver: Receiver, work: Work, confidence: str, expected: int
) -> None:
    model = make_priced("a/b", "0.025")
    ModelPricing.objects.update(default_confidence=confidence)
    OutboxEvent.objects.all().delete()
    listen(None, "model.*")
    tell(None, "model.price_changed", **model_payload(price=model.price, previous=model.price))

    work()

    assert len(receiver.deliveries) == expected


def test_a_price_change_is_told_at_the_clients_own_price_and_without_our_reasons(
    listen: Listen, receiver: Receiver, work: Work
) -> None:
    model = make_priced("a/b", "0.025")
    OutboxEvent.objects.all().delete()
    client = Client.objects.create(name="Acme")
    listen(client, "model.price_changed")
    listen(Client.objects.create(name="Other"), "model.price_changed")
    add_rule("client", mode="markup", rate="1", client_id=client.pk)
    add_rule("model", mode="markup", rate="3", model_id=model.pk)

    work()

    said = [came.body["data"] for came in receiver.deliveries]
    assert sorted(one["price"]["amount"] for one in said) == ["0.1", "0.1"]
    assert all("reason" not in one for one in said)


def test_telling_more_clients_of_their_own_prices_takes_no_more_queries(listen: Listen) -> None:
    model = make_priced("a/b", "0.025")
    was = model.price | {"amount": "9"}
    counts = []
    for more in (2, 8):
        for _ in range(more):
            client = Client.objects.create(name=f"Client {Client.objects.count()}")
            listen(client, "model.price_changed")
            add_rule("client", mode="markup", rate="1", client_id=client.pk)
        OutboxEvent.objects.all().delete()
        tell(None, "model.price_changed", **model_payload(price=model.price, previous=was))
        with CaptureQueriesContext(connection) as queries:
            fan_out()
        counts.append(len(queries))

    assert WebhookDelivery.objects.count() == 2 + 10
    assert counts[0] == counts[1]


@pytest.mark.once
def test_rotating_the_secret_of_jobs_signs_with_both_for_a_while(caller: Any) -> None:
    from datetime import timedelta

    from genfeed.journal.audit import SYSTEM

    row = secret_of_jobs(caller.client_id)
    old = secrets_of(row, timezone.now())[0]
    new = rotate(row, overlap=timedelta(hours=1), actor=SYSTEM)
    row.refresh_from_db()

    assert secrets_of(row, timezone.now()) == [new, old]
    assert secrets_of(row, timezone.now() + timedelta(hours=2)) == [new]
