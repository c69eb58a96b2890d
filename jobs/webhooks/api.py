"""Clients' own webhook endpoints over HTTP: where they are told of what, and how each delivery went."""

from datetime import timedelta
from typing import Any

import orjson
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from ninja import Query, Router

from catalog.api_shapes import ErrorShape
from genfeed.clients.auth import Identity, RequireScope
from genfeed.clients.errors import ApiError
from genfeed.clients.keys import Caller
from genfeed.clients.parameters import refuse_unknown_parameters
from genfeed.clients.sealing import unseal
from jobs.rendering import moment
from jobs.webhooks import api_shapes as shapes
from jobs.webhooks import endpoints
from jobs.webhooks.models import WebhookDelivery, WebhookEndpoint
from jobs.webhooks.ordering import stands_behind
from jobs.webhooks.secrets import DEFAULT_OVERLAP, rotate, secret_of_jobs

webhooks_router = Router(auth=RequireScope("webhooks"), tags=["Webhooks"])

_ERRORS = dict.fromkeys((400, 401, 403, 404, 429), ErrorShape)
_CONFLICTS = {409: ErrorShape, **_ERRORS}


@webhooks_router.get(
    "/webhook-endpoints", response={200: shapes.EndpointPage, **_ERRORS}, summary="List webhook endpoints",
    operation_id="list_webhook_endpoints",
)  # fmt: skip
def list_endpoints(request: HttpRequest, page: Query[shapes.PageOf]) -> HttpResponse:
    """Your endpoints, the newest first."""
    refuse_unknown_parameters(request, shapes.PageOf)
    rows = WebhookEndpoint.objects.filter(client_id=_caller(request).client_id)
    return _page(rows, page, _endpoint)


@webhooks_router.post(
    "/webhook-endpoints", response={201: shapes.NewEndpointShape, **_CONFLICTS}, summary="Make a webhook endpoint",
    operation_id="create_webhook_endpoint",
)  # fmt: skip
def create_endpoint(request: HttpRequest, body: shapes.EndpointBody) -> HttpResponse:
    """An address of yours that is told of the events you choose. Only this answer ever shows `secret`."""
    endpoint, secret = endpoints.make_endpoint(
        _caller(request).client_id,
        url=body.url,
        events=body.events,
        description=body.description,
        ordered=body.ordered,
        actor=_identity(request).actor,
    )
    return _json(_endpoint(endpoint) | {"secret": secret}, status=201)


@webhooks_router.get(
    "/webhook-endpoints/{endpoint_id}", response={200: shapes.EndpointShape, **_ERRORS},
    summary="Get a webhook endpoint", operation_id="get_webhook_endpoint",
)  # fmt: skip
def get_endpoint(request: HttpRequest, endpoint_id: str) -> HttpResponse:
    """One of your endpoints, and whether it takes what is sent."""
    return _json(_endpoint(_find(request, endpoint_id)))


@webhooks_router.patch(
    "/webhook-endpoints/{endpoint_id}", response={200: shapes.EndpointShape, **_CONFLICTS},
    summary="Change a webhook endpoint", operation_id="change_webhook_endpoint",
)  # fmt: skip
def change_endpoint(request: HttpRequest, endpoint_id: str, body: shapes.EndpointChanges) -> HttpResponse:
    """Changes what is sent along. Switching it on again forgets its failures."""
    changes = {name: value for name, value in body.dict(exclude_unset=True).items() if value is not None}
    row = endpoints.change_endpoint(_find(request, endpoint_id), changes, actor=_identity(request).actor)
    return _json(_endpoint(row))


@webhooks_router.delete(
    "/webhook-endpoints/{endpoint_id}", response={204: None, **_ERRORS}, summary="Delete a webhook endpoint",
    operation_id="delete_webhook_endpoint",
)  # fmt: skip
def delete_endpoint(request: HttpRequest, endpoint_id: str) -> HttpResponse:
    """Nothing is sent there any more; its deliveries are forgotten."""
    endpoints.delete_endpoint(_find(request, endpoint_id), actor=_identity(request).actor)
    return HttpResponse(status=204)


@webhooks_router.post(
    "/webhook-endpoints/{endpoint_id}/rotate-secret", response={200: shapes.SecretShape, **_ERRORS},
    summary="Rotate an endpoint's secret", operation_id="rotate_webhook_secret",
)  # fmt: skip
def rotate_secret(request: HttpRequest, endpoint_id: str, body: shapes.RotateBody | None = None) -> HttpResponse:
    """A new secret, shown in this answer alone. Until the overlap is over every message carries both signatures."""
    return _rotated(request, _find(request, endpoint_id), body)


@webhooks_router.post(
    "/webhook-endpoints/{endpoint_id}/test", response={202: shapes.DeliveryShape, **_CONFLICTS},
    summary="Send a test event", operation_id="test_webhook_endpoint",
)  # fmt: skip
def send_test(request: HttpRequest, endpoint_id: str) -> HttpResponse:
    """Sends `webhook.test` to the endpoint, signed and retried like any event. See its deliveries for how it went."""
    return _json(_delivery(endpoints.send_test(_find(request, endpoint_id))), status=202)


@webhooks_router.get(
    "/webhook-endpoints/{endpoint_id}/deliveries", response={200: shapes.DeliveryPage, **_ERRORS},
    summary="List the deliveries of an endpoint", operation_id="list_endpoint_deliveries",
)  # fmt: skip
def list_deliveries_of(request: HttpRequest, endpoint_id: str, filters: Query[shapes.DeliveryFilters]) -> HttpResponse:
    """What was sent to one endpoint in the last 30 days, the newest first."""
    return _deliveries(request, WebhookDelivery.objects.filter(endpoint=_find(request, endpoint_id)), filters)


@webhooks_router.get(
    "/webhook-deliveries", response={200: shapes.DeliveryPage, **_ERRORS}, summary="List deliveries",
    operation_id="list_webhook_deliveries",
)  # fmt: skip
def list_deliveries(request: HttpRequest, filters: Query[shapes.DeliveryFilters]) -> HttpResponse:
    """What was sent to all your endpoints, and to the `webhook_url` of single jobs."""
    return _deliveries(request, WebhookDelivery.objects.filter(client_id=_caller(request).client_id), filters)


@webhooks_router.post(
    "/webhook-deliveries/{delivery_id}/resend", response={202: shapes.DeliveryShape, **_CONFLICTS},
    summary="Send again", operation_id="resend_webhook_delivery",
)  # fmt: skip
def resend(request: HttpRequest, delivery_id: str) -> HttpResponse:
    """Sends a delivery that has ended again: the same `webhook-id`, the same body."""
    own = WebhookDelivery.objects.filter(client_id=_caller(request).client_id)
    found = own.select_related("message", "endpoint").filter(pk=delivery_id[:40].replace("\x00", "")).first()
    if found is None:
        raise ApiError("not_found", "You have no such delivery.", "List yours at /api/v1/webhook-deliveries.")
    endpoints.resend(found, actor=_identity(request).actor)
    return _json(_delivery(own.select_related("message").annotate(is_behind=stands_behind()).get(pk=found.pk)), 202)


@webhooks_router.get(
    "/webhook-secret", response={200: shapes.SecretShape, **_ERRORS}, summary="Get the secret of jobs' webhooks",
    operation_id="get_webhook_secret",
)  # fmt: skip
def get_secret(request: HttpRequest) -> HttpResponse:
    """What signs the events that go to the `webhook_url` of single jobs."""
    row = secret_of_jobs(_caller(request).client_id)
    return _json({"secret": unseal(row.secret), "secret_rotates_until": moment(row.previous_until)})


@webhooks_router.post(
    "/webhook-secret/rotate", response={200: shapes.SecretShape, **_ERRORS},
    summary="Rotate the secret of jobs' webhooks", operation_id="rotate_webhook_secret_of_jobs",
)  # fmt: skip
def rotate_jobs_secret(request: HttpRequest, body: shapes.RotateBody | None = None) -> HttpResponse:
    """A new secret; until the overlap is over every message carries both signatures."""
    return _rotated(request, secret_of_jobs(_caller(request).client_id), body)


def _rotated(request: HttpRequest, row: Any, body: shapes.RotateBody | None) -> HttpResponse:
    overlap = timedelta(seconds=body.overlap_seconds) if body else DEFAULT_OVERLAP
    secret = rotate(row, overlap=overlap, actor=_identity(request).actor)
    row.refresh_from_db()
    return _json({"secret": secret, "secret_rotates_until": moment(row.previous_until)})


def _deliveries(request: HttpRequest, rows: QuerySet[WebhookDelivery], filters: shapes.DeliveryFilters) -> HttpResponse:
    refuse_unknown_parameters(request, shapes.DeliveryFilters)
    if filters.status:
        rows = rows.filter(status=filters.status)
    if filters.subject:
        rows = rows.filter(message__subject=filters.subject.replace("\x00", ""))
    return _page(rows.select_related("message").annotate(is_behind=stands_behind()), filters, _delivery)


def _page(rows: QuerySet[Any], page: shapes.PageOf, render: Any) -> HttpResponse:
    if page.cursor is not None:
        rows = rows.filter(pk__lt=page.cursor.replace("\x00", ""))
    found = list(rows.order_by("-pk")[: page.limit + 1])
    shown = found[: page.limit]
    next_cursor = shown[-1].pk if len(found) > len(shown) else None
    return _json({"items": [render(row) for row in shown], "next_cursor": next_cursor})


def _endpoint(row: WebhookEndpoint) -> dict[str, Any]:
    return {
        "id": row.pk,
        "url": row.url,
        "events": row.events,
        "description": row.description,
        "is_active": row.is_active,
        "ordered": row.ordered,
        "created_at": moment(row.created_at),
        "failing_since": moment(row.failing_since),
        "disabled_at": moment(row.disabled_at),
        "error": row.error,
        "secret_rotates_until": moment(row.previous_until),
    }


def _delivery(row: WebhookDelivery) -> dict[str, Any]:
    is_next = row.status == WebhookDelivery.Status.PENDING and not getattr(row, "is_behind", False)
    return {
        "id": row.pk,
        "message": row.message_id,
        "type": row.message.kind,
        "subject": row.message.subject,
        "endpoint": row.endpoint_id,
        "url": row.url,
        "status": row.status,
        "attempts": row.attempts,
        "created_at": moment(row.created_at),
        "attempted_at": moment(row.attempted_at),
        "delivered_at": moment(row.delivered_at),
        "next_attempt_at": moment(row.next_at) if is_next else None,
        "response_status": row.response_status,
        "response_body": row.response_body,
        "error": row.error,
    }


def _identity(request: HttpRequest) -> Identity:
    identity: Identity = request.auth  # type: ignore[attr-defined]
    return identity


def _caller(request: HttpRequest) -> Caller:
    return _identity(request).require_client()


def _find(request: HttpRequest, endpoint_id: str) -> WebhookEndpoint:
    """The caller's own endpoint; another client's is as unknown as one that does not exist."""
    own = WebhookEndpoint.objects.filter(client_id=_caller(request).client_id)
    found = own.filter(pk=endpoint_id[:40].replace("\x00", "")).first()
    if found is None:
        raise ApiError("not_found", "You have no such webhook endpoint.", "List yours at /api/v1/webhook-endpoints.")
    return found


def _json(body: Any, status: int = 200) -> HttpResponse:
    response = HttpResponse(orjson.dumps(body), content_type="application/json", status=status)
    # Some of them carry a secret.
    response.headers["Cache-Control"] = "no-store"
    return response
