"""Deliveries: signed, attempted until they are taken, and by one sender at a time."""

import base64
import hashlib
import hmac
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.db import OperationalError
from django.utils import timezone

from genfeed.clients.mails import mail_clients
from genfeed.clients.models import Client
from genfeed.journal.audit import SYSTEM
from genfeed.journal.models import Alert, OutboxEvent
from jobs.webhooks import sender as sender_module
from jobs.webhooks import sending, tasks
from jobs.webhooks.endpoints import DISABLE_FAILURES, change_endpoint, resend
from jobs.webhooks.fan_out import fan_out
from jobs.webhooks.models import WebhookDelivery, WebhookEndpoint, WebhookMessage
from jobs.webhooks.secrets import rotate
from jobs.webhooks.sending import claim, wait_after
from tests.jobs.webhooks.conftest import Listen, tell
from tests.net.servers import raw_server, serving, whole
from tests.sandbox.receiver import Delivery, Receiver

pytestmark = pytest.mark.django_db
Work = Callable[[], None]
Status = WebhookDelivery.Status


def is_signed_with(secret: str, came: Delivery) -> bool:
    """What a receiver does, written anew from the specification."""
    key = base64.b64decode(secret.split("_", 1)[1])
    content = f"{came.headers['webhook-id']}.{came.headers['webhook-timestamp']}.".encode() + came.raw
    wanted = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    return any(part == f"v1,{wanted}" for part in came.headers["webhook-signature"].split(" "))


def make_due() -> None:
    WebhookDelivery.objects.filter(status=Status.PENDING).update(next_at=timezone.now())


def the_delivery() -> WebhookDelivery:
    return WebhookDelivery.objects.select_related("message", "endpoint").get()


def test_an_event_is_sent_once_signed_with_the_endpoints_secret(listen: Listen, receiver: Receiver, work: Work) -> None:
    endpoint = listen()
    event = tell(endpoint.client_id)

    work()
    work()

    (came,) = receiver.deliveries
    assert (came.body["type"], came.body["data"]) == ("balance.low", {"threshold": "1"})
    assert is_signed_with(endpoint.told_secret, came)
    assert came.headers["webhook-id"] == the_delivery().message_id
    event.refresh_from_db()
    assert (the_delivery().status, the_delivery().attempts, event.delivered_at is not None) == ("delivered", 1, True)


def test_what_was_taken_while_the_database_was_away_is_not_sent_again(
    listen: Listen, receiver: Receiver, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell(listen().client_id)
    failed: list[int] = []

    def apply(*given: Any) -> bool:
        if not failed:
            failed.append(1)
            raise OperationalError("the connection is lost")
        return sending.apply(*given)

    monkeypatch.setattr(sender_module, "apply", apply)
    with pytest.raises(OperationalError):
        work()
    make_due()

    work()

    assert (len(receiver.deliveries), the_delivery().status, the_delivery().attempts) == (1, "delivered", 1)


@pytest.mark.once
def test_the_secret_is_stored_sealed(listen: Listen) -> None:
    endpoint = listen()

    assert endpoint.told_secret.removeprefix("whsec_") not in WebhookEndpoint.objects.get().secret


def test_only_chosen_events_are_sent(listen: Listen, receiver: Receiver, work: Work) -> None:
    endpoint = listen(None, "budget.*", "api_key.rotation_due")
    for kind in ("balance.low", "budget.threshold_reached", "api_key.rotation_due"):
        tell(endpoint.client_id, kind)

    work()

    kinds = {came.body["type"] for came in receiver.deliveries}
    assert kinds == {"budget.threshold_reached", "api_key.rotation_due"}


def test_another_clients_events_are_not_sent(listen: Listen, receiver: Receiver, work: Work) -> None:
    listen()
    tell(Client.objects.create(name="Other").pk)

    work()

    assert (receiver.deliveries, WebhookMessage.objects.count()) == ([], 0)


def test_what_fails_is_sent_again_with_the_same_id_and_body_until_it_is_taken(
    listen: Listen, receiver: Receiver, work: Work
) -> None:
    receiver.statuses = [500, 302, 404]
    tell(listen().client_id)

    for _ in range(5):
        work()
        make_due()

    assert len(receiver.deliveries) == 4
    assert len({(came.headers["webhook-id"], came.raw) for came in receiver.deliveries}) == 1
    assert (the_delivery().status, the_delivery().attempts) == ("delivered", 4)


def test_a_failed_attempt_says_what_was_answered_and_waits(listen: Listen, receiver: Receiver, work: Work) -> None:
    receiver.statuses = [503]
    tell(listen().client_id)

    work()

    row = the_delivery()
    assert (row.status, row.response_status, row.error) == ("pending", 503, "answered 503")
    assert row.next_at > timezone.now()
    assert row.endpoint is not None
    assert (row.endpoint.failures, row.endpoint.error) == (1, "answered 503")


@pytest.mark.once
def test_a_redirect_is_not_followed(listen: Listen, settings: Any, work: Work) -> None:
    with serving(whole(b"", status=307, Location="/elsewhere")) as served:
        settings.SSRF_ALLOW = [*settings.SSRF_ALLOW, served.pair]
        tell(listen(url=served.url()).client_id)
        work()

    assert the_delivery().error == "answered 307; redirects are not followed"
    assert (the_delivery().status, len(served.requests)) == ("pending", 1)


@pytest.mark.once
def test_an_address_that_has_become_private_is_never_called(
    listen: Listen, receiver: Receiver, work: Work, settings: Any
) -> None:
    tell(listen().client_id)
    settings.SSRF_ALLOW = []

    work()

    assert receiver.deliveries == []
    assert "port" in the_delivery().error or "public" in the_delivery().error


@pytest.mark.once
def test_a_name_that_leads_inside_is_never_called(
    listen: Listen, receiver: Receiver, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    from genfeed.net import guarded

    tell(listen(url="https://hooks.example.com/x").client_id)
    monkeypatch.setattr(guarded, "public_addresses", _inside(guarded.public_addresses))

    work()

    assert the_delivery().error == "the host is not on the public internet"


def _inside(real: Any) -> Any:
    def addresses(host: str, port: int, **options: Any) -> list[str]:
        return real(host, port, **options | {"resolver": lambda *_: ["10.0.0.7"]})

    return addresses


@pytest.mark.once
def test_a_receiver_that_never_answers_costs_one_attempt_within_the_time(
    listen: Listen, settings: Any, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "SECONDS", 0.3)
    with raw_server(lambda connection: connection.recv(1) and None) as served:
        settings.SSRF_ALLOW = [*settings.SSRF_ALLOW, served.pair]
        tell(listen(url=served.url()).client_id)
        work()

    assert (the_delivery().status, the_delivery().attempts, the_delivery().response_status) == ("pending", 1, None)


@pytest.mark.once
def test_a_huge_answer_is_cut(listen: Listen, settings: Any, work: Work) -> None:
    with serving(whole(b"x" * 5_000_000)) as served:
        settings.SSRF_ALLOW = [*settings.SSRF_ALLOW, served.pair]
        tell(listen(url=served.url()).client_id)
        work()

    assert the_delivery().status == "delivered"
    assert the_delivery().response_body == "x" * 500


@pytest.mark.once
def test_waits_grow_to_hours_and_the_day_holds_about_a_dozen_attempts() -> None:
    waits = [wait_after(attempt) for attempt in range(1, 15)]

    assert timedelta(seconds=4) <= waits[0] <= timedelta(seconds=6)
    assert max(waits) <= timedelta(hours=4.8)
    assert timedelta(hours=18) < sum(waits, timedelta()) < timedelta(hours=32)


def test_after_a_day_it_is_given_up(listen: Listen, receiver: Receiver, work: Work) -> None:
    receiver.statuses = [500, 500]
    tell(listen().client_id)
    work()
    WebhookDelivery.objects.update(give_up_at=timezone.now(), next_at=timezone.now())

    work()

    assert (the_delivery().status, the_delivery().attempts) == ("failed", 2)


def test_two_senders_never_attempt_the_same_at_once(listen: Listen) -> None:
    tell(listen().client_id)
    fan_out()

    first, second = claim(4, Counter()), claim(4, Counter())

    assert ([attempt.delivery.attempts for attempt in first], second) == ([1], [])


def test_a_sender_that_saw_the_delivery_before_another_claimed_it_gets_nothing(
    listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell(listen().client_id)
    fan_out()
    seen = list(sending._due(timezone.now(), [], 4))
    assert len(claim(4, Counter())) == 1

    assert sending._claim(seen[0], timezone.now()) is None


def test_a_delivery_whose_sender_died_is_attempted_again_after_the_lease(
    listen: Listen, receiver: Receiver, work: Work
) -> None:
    tell(listen().client_id)
    fan_out()
    claim(1, Counter())
    work()
    assert receiver.deliveries == []

    make_due()
    work()

    assert (len(receiver.deliveries), the_delivery().attempts) == (1, 2)


def test_what_a_late_attempt_brings_does_not_overwrite_a_later_one(listen: Listen) -> None:
    tell(listen().client_id)
    fan_out()
    (late,) = claim(1, Counter())
    make_due()
    (newer,) = claim(1, Counter())

    assert sending.apply(newer.delivery, sending.Outcome(status=200)) is True
    assert sending.apply(late.delivery, sending.Outcome(error="too late")) is False
    assert the_delivery().status == "delivered"


def test_two_processes_hand_out_an_event_once(listen: Listen) -> None:
    tell(listen().client_id)

    assert (fan_out(), fan_out(), WebhookDelivery.objects.count()) == (1, 0, 1)


def test_an_event_that_can_not_be_told_holds_back_no_other(listen: Listen, receiver: Receiver, work: Work) -> None:
    endpoint = listen()
    tell(endpoint.client_id, "job.succeeded", job="job_gone", number=1)
    tell(endpoint.client_id)

    work()

    assert [came.body["type"] for came in receiver.deliveries] == ["balance.low"]
    assert not OutboxEvent.objects.filter(delivered_at=None).exists()


@pytest.mark.once
def test_a_slow_endpoint_leaves_senders_for_others(listen: Listen) -> None:
    slow, quick = listen(), listen(Client.objects.create(name="Other"))
    for _ in range(20):
        tell(slow.client_id)
    tell(quick.client_id)
    fan_out()

    lanes = Counter(attempt.delivery.lane for attempt in claim(8, Counter()))

    assert lanes == {slow.pk: 4, quick.pk: 1}


def test_both_secrets_sign_while_a_rotation_lasts(listen: Listen, receiver: Receiver, work: Work) -> None:
    endpoint = listen()
    new = rotate(endpoint, overlap=timedelta(hours=1), actor=SYSTEM)
    tell(endpoint.client_id)
    work()
    WebhookEndpoint.objects.update(previous_until=timezone.now())
    tell(endpoint.client_id)
    work()

    during, after = receiver.deliveries
    assert is_signed_with(new, during)
    assert is_signed_with(endpoint.told_secret, during)
    assert is_signed_with(new, after)
    assert not is_signed_with(endpoint.told_secret, after)


def failing(endpoint: WebhookEndpoint, days: int) -> None:
    since = timezone.now() - timedelta(days=days)
    WebhookEndpoint.objects.filter(pk=endpoint.pk).update(failing_since=since, failures=DISABLE_FAILURES)


def test_an_endpoint_that_fails_for_days_is_switched_off_and_client_and_staff_are_told(
    listen: Listen, receiver: Receiver, work: Work
) -> None:
    receiver.statuses = [500]
    endpoint = listen()
    failing(endpoint, days=6)
    tell(endpoint.client_id)

    work()

    endpoint.refresh_from_db()
    assert (endpoint.is_active, the_delivery().status) == (False, "failed")
    assert Alert.objects.get(code="webhook_disabled").subject == endpoint.pk
    told = OutboxEvent.objects.get(kind="webhook.disabled")
    assert (told.client_id, told.payload["url"], told.payload["error"]) == (
        endpoint.client_id, endpoint.url, "answered 500",
    )  # fmt: skip


def test_an_endpoint_that_fails_for_a_short_time_stays_on(listen: Listen, receiver: Receiver, work: Work) -> None:
    receiver.statuses = [500]
    endpoint = listen()
    failing(endpoint, days=4)
    tell(endpoint.client_id)

    work()

    assert WebhookEndpoint.objects.get().is_active


def test_an_endpoint_that_says_it_is_gone_is_switched_off_at_once(
    listen: Listen, receiver: Receiver, work: Work
) -> None:
    receiver.statuses = [410]
    tell(listen().client_id)

    work()

    assert not WebhookEndpoint.objects.get().is_active
    assert (the_delivery().status, the_delivery().error) == ("failed", "answered 410")


@pytest.mark.once
def test_the_client_is_mailed_which_endpoint_was_switched_off_and_what_to_do(
    listen: Listen, receiver: Receiver, work: Work, settings: Any
) -> None:
    settings.SENDS_MAIL = True
    receiver.statuses = [410]
    endpoint = listen(Client.objects.create(name="Acme", email="ops@acme.example"))
    tell(endpoint.client_id, threshold="1", currency="USD", available="0.5", held="0")
    work()

    mail_clients()

    sent = mail.outbox[-1]
    assert (sent.to, sent.subject) == (["ops@acme.example"], "One of your webhook endpoints was switched off")
    assert endpoint.url in sent.body
    assert "answered 410" in sent.body
    assert f"PATCH /api/v1/webhook-endpoints/{endpoint.pk}" in sent.body


def test_a_success_forgets_the_failures(listen: Listen, receiver: Receiver, work: Work) -> None:
    endpoint = listen()
    failing(endpoint, days=4)
    tell(endpoint.client_id)

    work()

    endpoint.refresh_from_db()
    assert (endpoint.failures, endpoint.failing_since, endpoint.error) == (0, None, "")


def test_switched_on_again_it_is_told_of_new_events_and_the_alert_is_resolved(
    listen: Listen, receiver: Receiver, work: Work
) -> None:
    receiver.statuses = [410]
    endpoint = listen()
    tell(endpoint.client_id)
    work()

    change_endpoint(endpoint, {"is_active": True}, actor=SYSTEM)
    tell(endpoint.client_id)
    work()

    assert len(receiver.deliveries) == 2
    assert Alert.objects.get(code="webhook_disabled").state == "resolved"


def test_a_delivery_is_sent_again_with_the_same_id(listen: Listen, receiver: Receiver, work: Work) -> None:
    tell(listen().client_id)
    work()

    resend(the_delivery(), actor=SYSTEM)
    work()

    first, second = receiver.deliveries
    assert (first.headers["webhook-id"], first.raw) == (second.headers["webhook-id"], second.raw)
    assert the_delivery().status == "delivered"


def test_old_events_and_messages_are_forgotten_and_what_is_pending_stays(listen: Listen) -> None:
    endpoint = listen()
    for _ in range(3):
        tell(endpoint.client_id)
    fan_out()
    old = timezone.now() - timedelta(days=31)
    OutboxEvent.objects.update(delivered_at=old)
    ended, waiting, new = WebhookDelivery.objects.order_by("pk")
    WebhookDelivery.objects.filter(pk__in=[ended.pk, new.pk]).update(status=Status.DELIVERED)
    WebhookMessage.objects.exclude(pk=new.message_id).update(created_at=old)

    assert tasks.forget() == 4

    assert set(WebhookDelivery.objects.values_list("pk", flat=True)) == {waiting.pk, new.pk}
    assert OutboxEvent.objects.count() == 0
