"""Webhooks in the admin: endpoints with their deliveries, a test event, and sending again by those who may."""

from collections.abc import Callable

import pytest
from django.test import Client as HttpClient

from genfeed.journal.models import AuditEvent
from jobs.webhooks.models import WebhookDelivery
from tests.admin.pages import page_of, read
from tests.jobs.webhooks.conftest import Listen, tell
from tests.sandbox.receiver import Receiver

pytestmark = pytest.mark.django_db
ENDPOINTS, DELIVERIES = "/admin/jobs/webhookendpoint/", "/admin/jobs/webhookdelivery/"
Staff = Callable[[str], HttpClient]
Work = Callable[[], None]


def act(client: HttpClient, url: str, action: str, *keys: str) -> list[str]:
    data = {"action": action, "index": "0", "_selected_action": list(keys)}
    return page_of(client.post(url, data, follow=True)).messages


def test_an_endpoints_page_shows_its_deliveries_and_never_its_secret(
    listen: Listen,
    work: Work,
    receiver: Receiver,
    staff: Staff,
) -> None:
    receiver.statuses = [503]
    endpoint = listen()
    tell(endpoint.client_id)
    work()

    page = read(staff("viewer"), f"{ENDPOINTS}{endpoint.pk}/change/")

    assert WebhookDelivery.objects.get().pk in page.text
    assert "answered 503" in page.text
    assert endpoint.told_secret not in page.text
    assert endpoint.secret not in page.text


def test_staff_send_again_and_the_audit_says_who(
    listen: Listen,
    work: Work,
    receiver: Receiver,
    staff: Staff,
) -> None:
    tell(listen().client_id)
    work()
    key = WebhookDelivery.objects.get().pk

    said = act(staff("finance"), DELIVERIES, "resend", key)
    work()

    assert said == ["1 on their way again."]
    assert len(receiver.deliveries) == 2
    assert AuditEvent.objects.get(action="webhook_delivery.resent").actor_name == "a finance"


def test_a_viewer_sends_nothing_again(listen: Listen, work: Work, receiver: Receiver, staff: Staff) -> None:
    tell(listen().client_id)
    work()

    act(staff("viewer"), DELIVERIES, "resend", WebhookDelivery.objects.get().pk)
    work()

    assert len(receiver.deliveries) == 1


def test_staff_send_a_test_event(listen: Listen, work: Work, receiver: Receiver, staff: Staff) -> None:
    endpoint = listen(None, "job.*")

    assert act(staff("superuser"), ENDPOINTS, "send_test", endpoint.pk) == ["1 test event(s) on their way."]
    work()

    assert [came.body["type"] for came in receiver.deliveries] == ["webhook.test"]
