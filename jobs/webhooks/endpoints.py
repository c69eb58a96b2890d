"""Making, changing, switching off and testing endpoints, and sending again: each with its trace in the audit."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Coalesce
from django.utils import timezone

from genfeed.clients.errors import ApiError
from genfeed.clients.models import Client
from genfeed.clients.sealing import seal
from genfeed.journal import links
from genfeed.journal.alerts import raise_alert, resolve
from genfeed.journal.audit import Actor, Change, record
from genfeed.journal.models import OutboxEvent
from genfeed.journal.times import rfc3339
from genfeed.net.signing import new_secret
from jobs.accepting.webhook_urls import check_webhook_url
from jobs.ids import new_id
from jobs.testmode.mode import mark_of
from jobs.webhooks.fan_out import KEEPS_TRYING, Address, delivery_of
from jobs.webhooks.kinds import TEST, UnknownEventError, check_events
from jobs.webhooks.models import WebhookDelivery, WebhookEndpoint, WebhookMessage
from jobs.webhooks.ordering import begin_order, end_order, line_up
from jobs.webhooks.rendering import message_body

ALERT = "webhook_disabled"
# Failing for so long, and so often in a row, switches an endpoint off.
DISABLE_AFTER = timedelta(days=5)
DISABLE_FAILURES = 10
_ALL_KINDS = "See the list of events at /api/v1/docs, or choose job.*, model.* or *."
_OFF = "the endpoint was switched off"


def make_endpoint(
    client_id: int,
    *,
    url: str,
    events: Iterable[str],
    actor: Actor,
    description: str = "",
    ordered: bool = False,
) -> tuple[WebhookEndpoint, str]:
    """A new endpoint and its secret, which can't be shown again. Raises ApiError."""
    check_webhook_url(url, field="url")
    chosen = _checked(events)
    secret = new_secret()
    with transaction.atomic():
        Client.objects.select_for_update().get(pk=client_id)
        if WebhookEndpoint.objects.filter(client_id=client_id).count() >= settings.MAX_WEBHOOK_ENDPOINTS:
            raise ApiError(
                "conflict",
                f"You have {settings.MAX_WEBHOOK_ENDPOINTS} webhook endpoints, and that is the most.",
                "Delete one, or choose more events at one of them.",
            )
        endpoint = WebhookEndpoint.objects.create(
            id=new_id("whe"),
            client_id=client_id,
            url=url,
            events=chosen,
            description=description,
            ordered=ordered,
            secret=seal(secret),
        )
        after = {"url": url, "events": chosen, "ordered": ordered}
        record("webhook_endpoint.made", [Change(endpoint, after=after)], actor=actor)
    return endpoint, secret


def change_endpoint(endpoint: WebhookEndpoint, changes: dict[str, Any], *, actor: Actor) -> WebhookEndpoint:
    """Changes `url`, `events`, `description`, `ordered` or `is_active`; raises ApiError.

    What waits goes to the new address, and stands in line where `ordered` begins.
    """
    if "url" in changes:
        check_webhook_url(changes["url"], field="url")
    if "events" in changes:
        changes = changes | {"events": _checked(changes["events"])}
    with transaction.atomic():
        row = WebhookEndpoint.objects.select_for_update().get(pk=endpoint.pk)
        before = {name: getattr(row, name) for name in changes if getattr(row, name) != changes[name]}
        after = {name: changes[name] for name in before}
        for name, value in after.items():
            setattr(row, name, value)
        if "is_active" in after:
            row.failures, row.failing_since, row.disabled_at, row.error = 0, None, None, ""
            _end_waiting(row) if not row.is_active else resolve(ALERT, row.pk)
        if "ordered" in after:
            begin_order(row) if row.ordered else end_order(row)
        row.save()
        if "url" in after:
            row.deliveries.filter(status=WebhookDelivery.Status.PENDING).update(url=row.url)
        if after:
            record("webhook_endpoint.changed", [Change(row, before, after)], actor=actor)
    return row


def delete_endpoint(endpoint: WebhookEndpoint, *, actor: Actor) -> None:
    """Deletes an endpoint with its deliveries."""
    with transaction.atomic():
        record("webhook_endpoint.deleted", [Change(endpoint, {"url": endpoint.url})], actor=actor)
        resolve(ALERT, endpoint.pk)
        endpoint.delete()


def send_test(endpoint: WebhookEndpoint) -> WebhookDelivery:
    """A `webhook.test` event to this endpoint alone, whatever it has chosen, past any line. Raises ApiError if off."""
    if not endpoint.is_active:
        raise _switched_off()
    now = timezone.now()
    data = {"endpoint": endpoint.pk, "message": "This is a test: your endpoint can be reached."}
    message = WebhookMessage(
        id=new_id("msg"), client_id=endpoint.client_id, kind=TEST, subject=endpoint.pk,
        body=message_body(TEST, now, data, livemode=not endpoint.client.is_test), created_at=now,
    )  # fmt: skip
    delivery = delivery_of(message, Address(endpoint.client_id, endpoint.url, endpoint), now)
    with transaction.atomic():
        message.save(force_insert=True)
        delivery.save(force_insert=True)
    return delivery


def resend(delivery: WebhookDelivery, *, actor: Actor) -> WebhookDelivery:
    """Sends a delivery that has ended again, with the same id and body; it is retried for a day again.

    At an ordered endpoint it comes after all that waits there.

    Raises ApiError for one that is still being tried: two senders would send it at once.
    """
    now = timezone.now()
    ended = WebhookDelivery.objects.filter(pk=delivery.pk).exclude(status=WebhookDelivery.Status.PENDING)
    columns = {"status": WebhookDelivery.Status.PENDING, "attempts": 0, "next_at": now, "delivered_at": None}
    with transaction.atomic():
        if not line_up([delivery]):
            raise _switched_off()
        columns |= {"place": delivery.place, "url": delivery.url}
        if not ended.update(**columns, give_up_at=now + KEEPS_TRYING):
            raise ApiError(
                "conflict",
                "This delivery is still being tried.",
                f"The next attempt is at {rfc3339(delivery.next_at)}; wait for it.",
            )
        record("webhook_delivery.resent", [Change(delivery)], actor=actor)
    delivery.refresh_from_db()
    return delivery


def note_success(endpoint: WebhookEndpoint) -> None:
    """The endpoint takes messages again."""
    WebhookEndpoint.objects.filter(pk=endpoint.pk, failures__gt=0).update(failures=0, failing_since=None, error="")


def note_failure(endpoint: WebhookEndpoint, error: str, *, is_gone: bool) -> None:
    """An attempt failed; an endpoint that has failed for days, or says that it is gone, is switched off."""
    now = timezone.now()
    WebhookEndpoint.objects.filter(pk=endpoint.pk).update(
        failures=F("failures") + 1, failing_since=Coalesce(F("failing_since"), now), error=error[:200]
    )
    row = WebhookEndpoint.objects.filter(pk=endpoint.pk, is_active=True).select_related("client").first()
    if row is None or row.failing_since is None:
        return
    failed_long = row.failing_since <= now - DISABLE_AFTER and row.failures >= DISABLE_FAILURES
    if failed_long or is_gone:
        _disable(row, row.failing_since)


def _disable(row: WebhookEndpoint, since: Any) -> None:
    """Switches it off once, and tells client and staff in the same transaction."""
    with transaction.atomic():
        active = WebhookEndpoint.objects.filter(pk=row.pk, is_active=True)
        if not active.update(is_active=False, disabled_at=timezone.now()):
            return
        _end_waiting(row)
        OutboxEvent.objects.create(
            kind="webhook.disabled",
            subject=row.pk,
            client_id=row.client_id,
            payload={"id": row.pk, "url": row.url, "failing_since": rfc3339(since), "error": row.error}
            | mark_of(is_test=row.client.is_test),
        )
        raise_alert(
            ALERT,
            row.pk,
            f"{row.client}: a webhook endpoint was switched off",
            f"It has taken nothing since {since:%Y-%m-%d %H:%M} UTC ({row.error}). The client was told; once it is "
            "mended, they switch it on again.",
            url=links.to_page("jobs_webhookendpoint_change", row.pk),
        )


def _end_waiting(row: WebhookEndpoint) -> None:
    row.deliveries.filter(status=WebhookDelivery.Status.PENDING).update(
        status=WebhookDelivery.Status.FAILED, error=_OFF
    )


def _switched_off() -> ApiError:
    return ApiError("conflict", "This webhook endpoint is switched off.", "Switch it on first: is_active true.")


def _checked(events: Iterable[str]) -> list[str]:
    try:
        return check_events(events)
    except UnknownEventError as error:
        raise ApiError("invalid_request", f"events: {error}", _ALL_KINDS) from None
