"""Batches over HTTP: made, read, listed, canceled."""

from typing import Any

import orjson
from django.http import HttpRequest, HttpResponse
from ninja import Query, Router

from catalog.api_shapes import ErrorShape
from genfeed.clients.auth import RequireScope
from genfeed.clients.parameters import refuse_unknown_parameters
from jobs.accepting import idempotency
from jobs.accepting.own_keys import HEADER
from jobs.assets.api import base_url_of
from jobs.batches import api_shapes as shapes
from jobs.batches.accepting import accept_batch
from jobs.batches.asking import read_batch
from jobs.batches.canceling import cancel_batch
from jobs.batches.models import STATUSES, Batch
from jobs.batches.rendering import render_batch, render_batches, render_items
from jobs.own_rows import caller_of, find_own, json_answer, page_of

batches_router = Router(tags=["Batches"])

_CREATE_ERRORS = dict.fromkeys((400, 401, 402, 403, 404, 409, 410, 413, 422, 429, 500, 503), ErrorShape)
_READ_ERRORS = dict.fromkeys((400, 401, 403, 404, 429), ErrorShape)


@batches_router.post(
    "/batches",
    auth=RequireScope("jobs:write"),
    response={201: shapes.BatchShape, **_CREATE_ERRORS},
    summary="Run many requests",
    operation_id="create_batch",
)
def create_batch(request: HttpRequest, body: shapes.BatchBody) -> HttpResponse:
    """Accepts up to 500 requests at once, each with its own price, hold and job, and answers with all items.

    In core mode `X-Provider-Key` carries a key of your own for all of them, which then are models of one provider.

    `best_effort` accepts what can be accepted and says why the rest was not; `all_or_nothing` accepts all or none. Any
    answer but 201 means that nothing was accepted, and names every item that failed in `details.items`; but after a 500
    with an `Idempotency-Key` some may be, and the same request again accepts the rest.
    """
    caller = caller_of(request)
    key = idempotency.key_of(request)
    wanted = read_batch(
        body,
        provider_key=request.headers.get(HEADER, "").strip(),
        idempotency_key=key,
        body_digest=idempotency.digest_of_request(request),
    )

    def work(_keep: Any) -> HttpResponse:
        rendered: list[bytes] = []

        def beside(batch: Batch) -> None:
            rendered.append(orjson.dumps(_with_items(request, batch)))
            idempotency.complete(caller.client_id, key, 201, rendered[0])

        accept_batch(wanted, caller, beside=beside)
        return HttpResponse(rendered[0], content_type="application/json", status=201)

    return idempotency.once(request, caller.client_id, work)


@batches_router.get(
    "/batches",
    auth=RequireScope("jobs:read"),
    response={200: shapes.BatchPage, **_READ_ERRORS},
    summary="List batches",
    operation_id="list_batches",
)
def list_batches(request: HttpRequest, filters: Query[shapes.BatchFilters]) -> HttpResponse:
    """Your batches without their items, newest first."""
    refuse_unknown_parameters(request, shapes.BatchFilters)
    batches = Batch.objects.filter(client_id=caller_of(request).client_id)
    batches = batches.select_related("client")
    if filters.status:
        batches = batches.filter(STATUSES[filters.status])
    shown, more = page_of(batches, cursor=filters.cursor, limit=filters.limit)
    return json_answer({"items": render_batches(shown), "next_cursor": more})


@batches_router.get(
    "/batches/{batch_id}",
    auth=RequireScope("jobs:read"),
    response={200: shapes.BatchShape, **_READ_ERRORS},
    summary="Get a batch",
    operation_id="get_batch",
)
def get_batch(request: HttpRequest, batch_id: str, page: Query[shapes.ItemsPage]) -> HttpResponse:
    """How many items stand where, and a page of the items, in the order of the request."""
    refuse_unknown_parameters(request, shapes.ItemsPage)
    return json_answer(_with_items(request, _find(request, batch_id), first=page.cursor, limit=page.limit))


@batches_router.post(
    "/batches/{batch_id}/cancel",
    auth=RequireScope("jobs:write"),
    response={200: shapes.BatchShape, 409: ErrorShape, **_READ_ERRORS},
    summary="Cancel a batch",
    operation_id="cancel_batch",
)
def cancel(request: HttpRequest, batch_id: str) -> HttpResponse:
    """Sends nothing of it any more, and cancels its jobs as jobs are canceled: what is delivered is charged."""
    batch = cancel_batch(_find(request, batch_id))
    return json_answer(_with_items(request, batch, limit=shapes.ITEMS_A_PAGE))


def _with_items(request: HttpRequest, batch: Batch, *, first: int = 0, limit: int | None = None) -> dict[str, Any]:
    items = render_items(batch, first=first, limit=limit, base_url=base_url_of(request))
    more = limit is not None and first + limit < batch.size
    return {
        **render_batch(batch),
        "items": items,
        "next_cursor": str(first + limit) if more and limit is not None else None,
    }


def _find(request: HttpRequest, batch_id: str) -> Batch:
    return find_own(Batch.objects.select_related("client"), batch_id, request, word="batch", listed_at="batches")
