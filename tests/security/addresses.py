"""Every address of the installation, found where they are registered: nobody has to remember to add one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.urls import URLPattern, get_resolver

from genfeed.api import api
from tests.security.world import World

API = "/api/v1"
_PARAMETER = re.compile(r"[<{](?:\w+:)?(\w+)[>}]")


def patterns() -> list[str]:
    """All patterns below the root, those of the API's operations apart."""
    own = {f"{API[1:]}{_django(path)}" for _, path in operations()}
    return [one for one in _walk(get_resolver(), "") if one not in own]


def operations() -> list[tuple[str, str]]:
    """Method and path of every operation of the API, e.g. GET and /jobs/{job_id}."""
    return [
        (method, f"{prefix}{path}")
        for prefix, router in api._routers
        for path, view in router.path_operations.items()
        for operation in view.operations
        for method in operation.methods
    ]


def _django(path: str) -> str:
    return path.replace("{", "<").replace("}", ">")


def _walk(resolver: Any, prefix: str) -> Iterator[str]:
    for entry in resolver.url_patterns:
        name = f"{prefix}{entry.pattern}"
        if isinstance(entry, URLPattern):
            yield name
        else:
            yield from _walk(entry, name)


def api_path(path: str, world: World) -> str:
    """The address of an operation, with the ids of the world's client."""
    ids = world.ids | ({"asset_id": world.ids["resumable"]} if "resumable" in path else {})
    return API + _PARAMETER.sub(lambda found: str(ids[found[1]]), path)


# What a parameter of the admin's addresses stands for, by the words before it.
_OF = {
    "pricepoint": "model", "sellingprice": "model", "pricerule": "model", "aimodel": "model", "job": "job_id",
    "provider": "provider_pk", "batch": "batch_id", "webhookendpoint": "endpoint_id", "asset": "asset_id",
    "webhookdelivery": "delivery_id", "workflowrun": "workflow_id", "client": "client_id",
    "calibrations": "calibration",
}  # fmt: skip
_WORDS = {
    "number": "1",
    "what": "dismiss",
    "table": "models",
    "object_id": "1",
    "content_type_id": "1",
    "app_label": "jobs",
}


def _first_row(pattern: str) -> Any:
    """The key of a row of the model whose page it is; None where there is none."""
    _, app, model, *_ = pattern.split("/")
    try:
        return apps.get_model(app, model)._default_manager.values_list("pk", flat=True).first()
    except LookupError:
        return None


def admin_path(pattern: str, world: World) -> str:
    """An address of the admin's pattern, about a row of the world where it is about one."""
    about = pattern.split("/")[2] if pattern.count("/") > 1 else ""
    name = "own_model" if "/own/" in pattern else _OF.get(about, about)

    def value(found: re.Match[str]) -> str:
        what = found[1]
        if what == "object_id" and (key := _first_row(pattern)):
            return str(key)
        if what in ("pk", "object_id", "id") and name in world.ids:
            return str(world.ids[name])
        if what == "what" and about == "account":
            return "top-up"
        return str(_WORDS.get(what) or world.ids.get(what) or "1")

    plain = re.sub(r"\^\(\?P<app_label>.*", "jobs/", pattern).removesuffix("$")
    return "/" + _PARAMETER.sub(value, plain)
