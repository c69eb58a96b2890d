"""Webhooks in the admin: endpoints with their deliveries, a test event, and sending again by those who may."""

from collections.abc import Callable

import pytest
from django.test import Client as HttpClient

from genfeed.journal.models import AuditEvent
from jobs.webhooks.fan_out import fan_out
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


@pytest.mark.once
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

    assert page.has("a", title=WebhookDelivery.objects.get().pk)
    assert "answered 503" in page.text
    assert endpoint.told_secret not in page.text
    assert endpoint.secret not in page.text


@pytest.mark.once
def test_the_page_that_the_list_leads_to_shows_the_deliveries(
    listen: Listen, work: Work, receiver: Receiver, staff: Staff
) -> None:
    endpoint = listen()
    tell(endpoint.client_id)
    work()
    client = staff("viewer")
    (address,) = {
        link.attributes["href"]
        for link in read(client, ENDPOINTS).all("a")
        if endpoint.pk[4:] in link.attributes.get("href", "")
    }

    assert read(client, address).has("a", title=WebhookDelivery.objects.get().pk)


@pytest.mark.once
def test_the_page_of_an_ordered_endpoint_says_what_waits_behind_another(listen: Listen, staff: Staff) -> None:
    endpoint = listen(ordered=True)
    for _ in range(2):
        tell(endpoint.client_id)
    fan_out()

    page = read(staff("viewer"), f"{ENDPOINTS}{endpoint.pk}/change/")
    last = WebhookDelivery.objects.order_by("place").last()
    assert last is not None

    assert page.text.count("after those before it") == 1
    assert "when those before it have ended" in read(staff("superuser"), f"{DELIVERIES}{last.pk}/change/").text


def test_a_delivery_is_sent_again_from_its_own_page(
    listen: Listen, work: Work, receiver: Receiver, staff: Staff
) -> None:
    tell(listen().client_id)
    work()
    key = WebhookDelivery.objects.get().pk
    client = staff("finance")

    assert "Send again" in read(client, f"{DELIVERIES}{key}/change/").text
    said = page_of(client.post(f"{DELIVERIES}{key}/resend/", follow=True)).messages
    again = page_of(client.post(f"{DELIVERIES}{key}/resend/", follow=True)).messages
    work()

    assert said == ["It is on its way again."]
    assert again[0].startswith("This delivery is still being tried.")
    assert len(receiver.deliveries) == 2


@pytest.mark.once
def test_a_test_event_is_sent_from_the_endpoints_own_page(
    listen: Listen, work: Work, receiver: Receiver, staff: Staff
) -> None:
    endpoint = listen()
    client = staff("catalog manager")

    assert "Send a test event" in read(client, f"{ENDPOINTS}{endpoint.pk}/change/").text
    client.post(f"{ENDPOINTS}{endpoint.pk}/test/")
    work()

    assert [came.body["type"] for came in receiver.deliveries] == ["webhook.test"]


@pytest.mark.once
def test_a_viewer_has_no_buttons_and_may_not_press_them(listen: Listen, work: Work, staff: Staff) -> None:
    endpoint = listen()
    tell(endpoint.client_id)
    work()
    key = WebhookDelivery.objects.get().pk
    client = staff("viewer")

    assert "Send a test event" not in read(client, f"{ENDPOINTS}{endpoint.pk}/change/").text
    assert "Send again" not in read(client, f"{DELIVERIES}{key}/change/").text
    assert client.post(f"{ENDPOINTS}{endpoint.pk}/test/").status_code == 403
    assert client.post(f"{DELIVERIES}{key}/resend/").status_code == 403
    assert client.get(f"{DELIVERIES}{key}/resend/").status_code == 405


@pytest.mark.once
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


@pytest.mark.once
def test_a_viewer_sends_nothing_again(listen: Listen, work: Work, receiver: Receiver, staff: Staff) -> None:
    tell(listen().client_id)
    work()

    act(staff("viewer"), DELIVERIES, "resend", WebhookDelivery.objects.get().pk)
    work()

    assert len(receiver.deliveries) == 1


@pytest.mark.once
def test_staff_send_a_test_event(listen: Listen, work: Work, receiver: Receiver, staff: Staff) -> None:
    endpoint = listen(None, "job.*")

    assert act(staff("superuser"), ENDPOINTS, "send_test", endpoint.pk) == ["1 test event(s) on their way."]
    work()

    assert [came.body["type"] for came in receiver.deliveries] == ["webhook.test"]
