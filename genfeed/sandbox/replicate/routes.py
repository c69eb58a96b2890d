"""Replicate's API under /replicate/v1 and its pages under /replicate/web, as far as a client needs them."""

from __future__ import annotations

import asyncio
import base64
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, fields
from datetime import datetime
from email import message_from_bytes
from email.policy import HTTP
from secrets import token_hex
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from genfeed.sandbox.control import guarded
from genfeed.sandbox.replicate.catalog import Offered, offered
from genfeed.sandbox.replicate.pages import page_of
from genfeed.sandbox.replicate.predictions import (
    ENDED,
    KEPT_SECONDS,
    SECRET,
    Prediction,
    Switches,
    problems,
    signed,
)
from genfeed.sandbox.state import Sandbox
from genfeed.sandbox.webhooks.posting import Poster, PostError

KEYS = ("r8_sandbox",)
PAGE, PREDICTIONS_PAGE = 25, 100
LARGEST_FILE = 100 * 1000 * 1000
KEPT = 10_000
RETRIES = (0.0, 1.0, 5.0, 15.0, 40.0)
V1 = "/replicate/v1"
Handler = Callable[[Request, "Replica"], Awaitable[Response]]


@dataclass(slots=True)
class Replica:
    """What this Replicate knows, beside the sandbox's own state."""

    sandbox: Sandbox
    switches: Switches = field(default_factory=Switches)
    predictions: OrderedDict[str, Prediction] = field(default_factory=OrderedDict)
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    poster: Poster = field(default_factory=Poster)

    @property
    def base_url(self) -> str:
        return self.sandbox.base_url

    def shown(self, prediction: Prediction) -> dict[str, Any]:
        """A prediction as it is shown now."""
        ended = prediction.ended_at
        old = ended is not None and (self.switches.forget or time.time() - ended > KEPT_SECONDS)
        return prediction.to_json(self.base_url, is_removed=old)

    def make(self, model: Offered, given: dict[str, Any], webhook: str) -> Prediction:
        """A prediction that begins to run."""
        prediction = Prediction(token_hex(13), model, given, webhook, time.time())
        self.predictions[prediction.id] = prediction
        while len(self.predictions) > KEPT:
            self.predictions.popitem(last=False)
        self.begin(self._run(prediction))
        return prediction

    def begin(self, work: Any) -> None:
        """Does something in the background."""
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _run(self, prediction: Prediction) -> None:
        seconds = self.switches.processing_ms / 1000
        await asyncio.sleep(seconds / 4)
        if prediction.status == "starting" and not self.switches.abort:
            prediction.status, prediction.started_at = "processing", time.time()
        await asyncio.sleep(seconds * 3 / 4)
        if prediction.status not in ENDED:
            prediction.finish(self.sandbox.files, self.base_url, self.switches)
            await self.tell(prediction)

    async def tell(self, prediction: Prediction) -> None:
        """Sends the webhook of the end, again for a minute where nobody takes it."""
        if not prediction.webhook:
            return
        body = orjson.dumps(self.shown(prediction))
        headers = signed(body, is_forged=self.switches.forge) | {"content-type": "application/json"}
        for wait in RETRIES:
            await asyncio.sleep(wait)
            try:
                if 200 <= await self.poster.post(prediction.webhook, body, headers, timeout=10) < 300:
                    return
            except PostError:
                continue


def answer(body: Any, status: int = 200, kind: str = "application/json") -> Response:
    """JSON with the headers that every answer has."""
    headers = {"ratelimit-remaining": "2999", "ratelimit-reset": "1", "content-type": kind}
    return Response(orjson.dumps(body), status_code=status, headers=headers)


def problem(status: int, detail: str, **more: Any) -> Response:
    """An error as application/problem+json."""
    return answer({"detail": detail, "status": status, **more}, status, "application/problem+json")


def _missing() -> Response:
    return problem(404, "The requested resource could not be found.")


def _page(request: Request, replica: Replica, rows: list[Any], size: int) -> Response:
    cursor = request.query_params.get("cursor", "")
    start = int(base64.urlsafe_b64decode(cursor).removeprefix(b"p=")) if cursor else 0
    following = None
    if start + size < len(rows):
        token = base64.urlsafe_b64encode(f"p={start + size}".encode()).decode()
        kept = "".join(f"&{name}={value}" for name, value in request.query_params.items() if name != "cursor")
        following = f"{replica.base_url}{request.url.path}?cursor={token.replace('=', '%3D')}{kept}"
    return answer({"next": following, "previous": None, "results": rows[start : start + size]})


async def models(request: Request, replica: Replica) -> Response:
    """GET /models: those with a version and an example."""
    rows = [one.row(replica.base_url) for one in offered().values() if one.version]
    return _page(request, replica, rows, PAGE)


async def model(request: Request, replica: Replica) -> Response:
    """GET /models/{owner}/{name}"""
    found = offered().get(f"{request.path_params['owner']}/{request.path_params['name']}")
    return answer(found.row(replica.base_url)) if found else _missing()


async def collections(request: Request, replica: Replica) -> Response:
    """GET /collections: all of them."""
    slugs = sorted({slug for one in offered().values() for slug in one.said.get("collections", [])})
    rows = [{"name": slug, "slug": slug, "description": f"Models for {slug}"} for slug in slugs]
    return _page(request, replica, rows, 100)


async def collection(request: Request, replica: Replica) -> Response:
    """GET /collections/{slug}: with all models at once."""
    slug = request.path_params["slug"]
    rows = [one.row(replica.base_url) for one in offered().values() if slug in one.said.get("collections", [])]
    if not rows:
        return _missing()
    return answer({"name": slug, "slug": slug, "description": "", "full_description": None, "models": rows})


async def search(request: Request, replica: Replica) -> Response:
    """GET /search?query=…"""
    query = request.query_params.get("query", "").lower()
    if not query:
        return problem(400, 'Query parameter "query" is required')
    rows = [
        {"model": one.row(replica.base_url), "metadata": {"generated_description": None, "tags": [], "score": None}}
        for one in offered().values()
        if query in f"{one.endpoint_id} {one.said['about']}".lower()
    ]
    limit = int(request.query_params.get("limit", 20))
    return answer({"query": query, "models": rows[:limit], "collections": [], "pages": []})


async def account(request: Request, replica: Replica) -> Response:
    """GET /account"""
    return answer({"type": "user", "username": "sandbox", "name": "Sandbox"})


async def hardware(request: Request, replica: Replica) -> Response:
    """GET /hardware: no prices."""
    return answer([{"name": "CPU", "sku": "cpu"}, {"name": "Nvidia T4 GPU", "sku": "gpu-t4"}])


async def secret(request: Request, replica: Replica) -> Response:
    """GET /webhooks/default/secret"""
    return answer({"key": f"whsec_{base64.b64encode(SECRET).decode()}"})


async def create(request: Request, replica: Replica) -> Response:
    """POST /predictions and POST /models/{owner}/{name}/predictions"""
    switches = replica.switches
    if not switches.credit:
        detail = "You have insufficient credit to run this model."
        return problem(402, detail, title="Insufficient credit")
    if switches.throttle > 0:
        switches.throttle -= 1
        return problem(429, "Request was throttled. Your rate limit resets in ~1s.", retry_after=1)
    body = orjson.loads(await request.body())
    if "owner" in request.path_params:
        name = f"{request.path_params['owner']}/{request.path_params['name']}"
        found = offered().get(name)
        if found is None or not found.is_official:
            return _missing()
        unknown = set(body) - {"input", "webhook", "webhook_events_filter", "stream"}
    else:
        found = _by_version(str(body.get("version", "")))
        unknown = set(body) - {"input", "webhook", "webhook_events_filter", "stream", "version"}
        if found is None:
            detail = "The specified version does not exist (or perhaps you don't have permission to use it?)"
            return problem(422, detail, title="Invalid version or not permitted")
    wrong = [{"type": "additional", "field": one, "description": f"{one} is not allowed"} for one in sorted(unknown)]
    wrong += problems(found, body.get("input"))
    if wrong:
        detail = "".join(f"- {one['field']}: {one['description']}\n" for one in wrong)
        return problem(422, detail, title="Input validation failed", invalid_fields=wrong)
    prediction = replica.make(found, body["input"], str(body.get("webhook") or ""))
    if switches.lose > 0:
        switches.lose -= 1
        return Response("Bad gateway", status_code=502)
    return answer(replica.shown(prediction), 201)


def _by_version(version: str) -> Offered | None:
    name, _, digest = version.rpartition(":")
    found = next((one for one in offered().values() if one.version and one.version == digest), None)
    if found is None and not name:
        found = offered().get(version)
        return found if found and found.is_official else None
    return found if found and name in ("", found.endpoint_id) else None


async def predictions(request: Request, replica: Replica) -> Response:
    """GET /predictions: newest first."""
    after = request.query_params.get("created_after")
    since = datetime.fromisoformat(after).timestamp() if after else 0.0
    rows = [replica.shown(one) for one in reversed(replica.predictions.values()) if one.made_at >= since]
    return _page(request, replica, rows, PREDICTIONS_PAGE)


async def prediction(request: Request, replica: Replica) -> Response:
    """GET /predictions/{id}"""
    found = replica.predictions.get(request.path_params["id"])
    return answer(replica.shown(found)) if found else _missing()


async def cancel(request: Request, replica: Replica) -> Response:
    """POST /predictions/{id}/cancel"""
    found = replica.predictions.get(request.path_params["id"])
    if found is None:
        return _missing()
    if found.status not in ENDED:
        found.end("canceled", time.time())
        replica.begin(replica.tell(found))
    return answer(replica.shown(found))


async def upload(request: Request, replica: Replica) -> Response:
    """POST /files"""
    head = f"content-type: {request.headers.get('content-type', '')}\r\n\r\n".encode()
    parts = message_from_bytes(head + await request.body(), policy=HTTP).iter_parts()
    part = next((one for one in parts if one.get_param("name", header="content-disposition") == "content"), None)
    if part is None:
        return problem(400, "Missing content")
    content = bytes(part.get_payload(decode=True) or b"")
    if len(content) >= LARGEST_FILE:
        return problem(413, "Files must be less than 100MB in size")
    file_id, kind, name = token_hex(16), part.get_content_type(), part.get_filename() or "file"
    path = f"/cdn/files/b/{file_id}/{name}"
    replica.sandbox.files.add_uploaded(path, content, kind, expires_at=time.time() + 24 * 3600)
    address = f"{replica.base_url}{V1}/files/{file_id}"
    row = {"id": file_id, "name": name, "content_type": kind, "size": len(content), "urls": {"get": address}}
    replica.files[file_id] = row
    return answer(row, 201)


async def page(request: Request, replica: Replica) -> Response:
    """GET /replicate/web/{owner}/{name}: what people see, with the price in it."""
    found = offered().get(f"{request.path_params['owner']}/{request.path_params['name']}")
    return page_of(found, is_hidden=replica.switches.hide_pages)


async def control(request: Request, _sandbox: Sandbox) -> Response:
    """GET and POST /_sandbox/replicate: the switches and the predictions; set those named."""
    replica = _of(request)
    if request.method == "POST":
        names = {one.name for one in fields(Switches)}
        changes = orjson.loads(await request.body())
        if unknown := set(changes) - names:
            return problem(
                422, f"There is no switch {', '.join(sorted(unknown))}. There are: {', '.join(sorted(names))}."
            )
        for name, value in changes.items():
            setattr(replica.switches, name, value)
    if request.method == "DELETE":
        replica.switches = Switches()
        replica.predictions.clear()
    shown = [replica.shown(one) | {"webhook": one.webhook} for one in replica.predictions.values()]
    return answer(
        {"switches": {one.name: getattr(replica.switches, one.name) for one in fields(Switches)}, "predictions": shown}
    )


def _of(request: Request) -> Replica:
    state = request.app.state
    if getattr(state, "replica", None) is None:
        state.replica = Replica(state.sandbox)
    replica: Replica = state.replica
    return replica


def _open(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    async def answering(request: Request) -> Response:
        return await handler(request, _of(request))

    return answering


def _keyed(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    async def answering(request: Request) -> Response:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme not in ("Bearer", "Token") or key not in KEYS:
            detail = "You did not pass a valid authentication token"
            return problem(401, detail, title="Unauthenticated")
        return await handler(request, _of(request))

    return answering


ROUTES = [
    Route(f"{V1}/predictions", _keyed(predictions), methods=["GET"]),
    Route(f"{V1}/predictions", _keyed(create), methods=["POST"]),
    Route(f"{V1}/predictions/{{id}}", _keyed(prediction), methods=["GET"]),
    Route(f"{V1}/predictions/{{id}}/cancel", _keyed(cancel), methods=["POST"]),
    Route(f"{V1}/models", _keyed(models), methods=["GET"]),
    Route(f"{V1}/models/{{owner}}/{{name}}", _keyed(model), methods=["GET"]),
    Route(f"{V1}/models/{{owner}}/{{name}}/predictions", _keyed(create), methods=["POST"]),
    Route(f"{V1}/collections", _keyed(collections), methods=["GET"]),
    Route(f"{V1}/collections/{{slug}}", _keyed(collection), methods=["GET"]),
    Route(f"{V1}/search", _keyed(search), methods=["GET"]),
    Route(f"{V1}/account", _keyed(account), methods=["GET"]),
    Route(f"{V1}/hardware", _keyed(hardware), methods=["GET"]),
    Route(f"{V1}/files", _keyed(upload), methods=["POST"]),
    Route(f"{V1}/webhooks/default/secret", _keyed(secret), methods=["GET"]),
    Route("/replicate/web/{owner}/{name}", _open(page), methods=["GET"]),
    Route("/_sandbox/replicate", guarded(control), methods=["GET", "POST", "DELETE"]),
]
