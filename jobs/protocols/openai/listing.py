"""The models as OpenAI's clients list them: those of images and videos that the caller may use."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson
from django.http import HttpResponse

from catalog import narrowing, published
from catalog.published import Entry, Published
from genfeed.clients.errors import ApiError
from genfeed.clients.keys import Caller
from pricing.estimates.addressing import find_model

_MADE = ("image", "video")


def list_models(caller: Caller) -> HttpResponse:
    """All of them in one answer, made once a revision of the catalog."""
    catalog = narrowing.narrowed(published.current(), caller)
    body = catalog.rendered(("openai",), lambda: _list(catalog))
    return HttpResponse(body, content_type="application/json")


def retrieve_model(model_id: str, caller: Caller) -> HttpResponse:
    """One model. Raises ApiError."""
    catalog = narrowing.narrowed(published.current(), caller)
    entry = find_model(model_id, is_admin=False, within=catalog, client_id=caller.live_id, counts=not caller.is_test)
    if not _is_made_here(entry):
        message = f"{entry.id} makes neither images nor videos."
        raise ApiError("model_not_found", message, "Run it as a job: /api/v1/jobs.")
    return HttpResponse(orjson.dumps(_render(entry, catalog)), content_type="application/json")


def _list(catalog: Published) -> bytes:
    data = [_render(entry, catalog) for entry in catalog.entries if entry.enabled and _is_made_here(entry)]
    return orjson.dumps({"object": "list", "data": data})


def _is_made_here(entry: Entry) -> bool:
    return entry.media_type in _MADE and entry.kind == "inference"


def _render(entry: Entry, catalog: Published) -> dict[str, Any]:
    # Where two providers have one of this id, only its whole address finds it.
    is_alone = sum(one.enabled for one in catalog.by_id[entry.id]) == 1
    return {
        "id": entry.id if is_alone else f"{entry.provider}:{entry.id}",
        "object": "model",
        "created": int(datetime.fromisoformat(entry.changed_at).timestamp()),
        "owned_by": entry.provider,
    }
