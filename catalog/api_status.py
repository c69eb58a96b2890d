"""How the installation stands: mode, how old its catalog is, and what it can reach."""

from datetime import datetime
from typing import Any, Literal

import orjson
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from ninja import Router, Schema
from pydantic import Field

from catalog import published, upstreams
from genfeed.clients.api_shapes import ErrorShape
from genfeed.clients.auth import RequireScope
from genfeed.journal.times import rfc3339

status_router = Router(auth=RequireScope("models:read"), tags=["Models"])

AGE = "X-GenFeed-Catalog-Age"
OFFLINE = "X-GenFeed-Offline"
AGE_HEADERS = (AGE, OFFLINE)


class CatalogStanding(Schema):
    revision: int
    published_at: datetime | None = Field(description="When this revision was published.")
    synced_at: datetime | None = Field(description="When it was last made sure of; null: never.")
    age_seconds: int | None = Field(description="Seconds since then, as in the header X-GenFeed-Catalog-Age.")


class UpstreamStanding(Schema):
    id: str = Field(description="A provider's id, or `cloud` where the catalog comes from one.")
    online: bool = Field(description="False: it could not be reached; at a provider, nothing can be run then.")
    last_reached_at: datetime | None = Field(description="Late by up to half a minute; null: never tried.")
    offline_since: datetime | None


class StatusShape(Schema):
    mode: Literal["cloud", "core"]
    online: bool = Field(description="Whether every provider can be reached. A cloud does not count: it runs nothing.")
    catalog: CatalogStanding
    upstreams: list[UpstreamStanding]


@status_router.get(
    "/status",
    response={200: StatusShape, **dict.fromkeys((400, 401, 403, 404), ErrorShape)},
    summary="See how the installation stands",
    operation_id="get_status",
)
def get_status(request: HttpRequest) -> HttpResponse:
    """Mode, age of the catalog, and which providers can be reached. What is offline still lists and estimates."""
    catalog, found, synced_at = published.current(), upstreams.standings(), upstreams.synced_at()
    body = {
        "mode": settings.GENFEED_MODE,
        "online": all(one.is_online for one in found if one.runs_models),
        "catalog": {
            "revision": catalog.revision,
            "published_at": _moment(catalog.published_at),
            "synced_at": _moment(synced_at),
            "age_seconds": upstreams.catalog_age(),
        },
        "upstreams": [
            {
                "id": one.name,
                "online": one.is_online,
                "last_reached_at": _moment(one.reached_at),
                "offline_since": _moment(one.offline_since),
            }
            for one in found
        ],
    }
    response = HttpResponse(orjson.dumps(body), content_type="application/json")
    response.headers["Cache-Control"] = "private, no-store"
    return response


def mark_age(response: HttpResponse) -> HttpResponse:
    """Tells in an answer's headers how old the catalog is, in seconds, and which providers can't be reached."""
    for name, value in age_headers((upstreams.synced_at(), upstreams.standings())).items():
        response.headers[name] = value
    return response


def age_headers(found: tuple[datetime | None, list[upstreams.Standing]]) -> dict[str, str]:
    """The same headers, of when the catalog was last made sure of and how the upstreams stand."""
    age = upstreams.age_since(found[0])
    headers = {} if age is None else {AGE: str(age)}
    if away := [one.name for one in found[1] if one.runs_models and not one.is_online]:
        headers[OFFLINE] = ", ".join(away)
    return headers


def _moment(at: datetime | None) -> Any:
    return rfc3339(at) if at else None
