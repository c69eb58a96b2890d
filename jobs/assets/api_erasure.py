"""Erasing a client over HTTP, for the operator's own systems."""

import orjson
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from ninja import Router, Schema
from pydantic import Field

from catalog.api_shapes import ErrorShape
from genfeed.clients.auth import Identity, RequireScope
from genfeed.clients.errors import ApiError
from genfeed.clients.models import Client
from jobs.assets.models import Asset
from jobs.assets.retention import OpenJobsError, erase_client
from jobs.models import Job

erasure_router = Router(auth=RequireScope("admin"), tags=["Administration"])

_ERRORS = dict.fromkeys((400, 401, 403, 404, 409, 422, 429), ErrorShape)


class ErasureBody(Schema):
    client: str = Field(max_length=200, description="The client's name.")
    confirm: bool = Field(False, description="Do it; without this, only say what would be erased.")


class ErasureShape(Schema):
    client: str
    erased: bool
    jobs: int
    files: int
    left: int = Field(description="Files that could not be deleted: ask again.")
    at_provider: int = Field(description="Requests that the provider is asked to delete, in the background.")


@erasure_router.post(
    "/erasures",
    response={200: ErasureShape, **_ERRORS},
    summary="Erase a client",
    operation_id="erase_client",
)
def erase(request: HttpRequest, body: ErasureBody) -> HttpResponse:
    """Erases what a client sent and got, revokes its keys and switches it off. Amounts, models and times stay.

    It can't be undone, and is refused while the client has open jobs.
    """
    identity: Identity = request.auth  # type: ignore[attr-defined]
    # Of people, no role has it: whoever may delete what can't be brought back is a superuser.
    identity.require("clients.delete_client")
    client = Client.customers.filter(name__iexact=body.client.replace("\x00", "")).first()
    if client is None:
        raise ApiError("not_found", f"There is no client {body.client[:60]!r}.", "Give its name as the admin shows it.")
    both = Q(client=client) | Q(client__test_of=client)
    told = {
        "jobs": Job.objects.filter(both).count(),
        "files": Asset.objects.filter(both).exclude(state=Asset.State.EXPIRED).count(),
        "left": 0,
        "at_provider": 0,
    }
    if body.confirm:
        try:
            told = erase_client(client, actor=identity.actor)
        except OpenJobsError as error:
            raise ApiError("conflict", str(error), "Cancel them, or wait until they have ended.") from None
    shown = {"client": client.name, "erased": body.confirm, **told}
    return HttpResponse(orjson.dumps(shown), content_type="application/json")
