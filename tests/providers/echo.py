"""Echo: a company that draws what it is told, for a cent a picture, and the provider that knows it (docs/providers.md).

The first half is the company, a tiny server; the second is all that GenFeed needs to know of it.
"""

import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, BinaryIO

import httpx

from catalog.providers import queue
from catalog.providers.base import FetchedSchema, KeyCheck, ListedModel, ListingPage, PriceRow
from catalog.providers.plain import PlainProvider
from catalog.providers.queue import Answer, FoundRequest, Progress, Request, Result, Submitted
from catalog.providers.reading import Backoff, JsonReader
from catalog.providers.webhooks import NotGenuineError, Told

KEY, SECRET = "echo-key", b"echo-secret"
PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"


class Company(BaseHTTPRequestHandler):
    """GET /models, POST /runs, GET and DELETE /runs/<number>; each run needs a look before it is done."""

    def do_GET(self) -> None:
        if self.path == "/models":
            return self._say({"models": [{"id": "echo/draw", "title": "Draw", "cents": "1.5"}]})
        run = self.server.runs[int(self.path.rpartition("/")[2])]  # type: ignore[attr-defined]
        run["looks"] += 1
        return self._say({**run, "done": run["looks"] > 1, "picture": PIXEL})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers["Authorization"] != f"Echo {KEY}":
            return self._say({"why": "who are you?"}, 401)
        if asked["input"].get("prompt") == "no":
            return self._say({"why": "I do not draw that"}, 400)
        self.server.runs.append({"looks": 0, **asked})  # type: ignore[attr-defined]
        return self._say({"number": len(self.server.runs) - 1})  # type: ignore[attr-defined]

    def _say(self, body: Any, status: int = 200) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: Any) -> None:
        """Nothing is printed."""


def webhook(number: int) -> tuple[dict[str, str], bytes]:
    """Headers and body of what Echo sends when a run is done."""
    body = json.dumps({"number": number}).encode()
    return {"X-Echo-Signature": hmac.new(SECRET, body, hashlib.sha256).hexdigest()}, body


@contextmanager
def company() -> Iterator[ThreadingHTTPServer]:
    """A running Echo; `runs` holds what it was asked."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Company)
    server.runs = []  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


class Echo(PlainProvider):
    """What it has, what that takes, and what it costs."""

    slug, name, needs_key_for_catalog = "echo", "Echo", False

    def __init__(self, url: str) -> None:
        self.source = url
        self._reader = JsonReader(
            provider=self.name, base_url=url, headers={}, timeout=5, backoff=Backoff(0), connections=2
        )

    def is_configured(self) -> bool:
        return True

    def list_models(self, **_: Any) -> Iterator[ListingPage]:
        rows = self._reader.get("/models", {})["models"]
        yield ListingPage(1, [self._read(row) for row in rows], [])

    def get_model(self, endpoint_id: str) -> ListedModel | None:
        return next(one for page in self.list_models() for one in page.models if one.endpoint_id == endpoint_id)

    def fetch_schemas(self, endpoint_ids: Sequence[str]) -> list[FetchedSchema]:
        return [FetchedSchema(one, document(one)) for one in endpoint_ids]

    def fetch_prices(
        self, endpoint_ids: Sequence[str], *, apart: bool = False, progress: Callable[[int], None] | None = None
    ) -> dict[str, PriceRow]:
        rows = self._reader.get("/models", {}, exact=True)["models"]
        return {row["id"]: PriceRow(row["id"], "images", Decimal(row["cents"]) / 100) for row in rows}

    def check_key(self) -> KeyCheck:
        return KeyCheck("valid", "Echo takes it.")

    def close(self) -> None:
        self._reader.close()

    @staticmethod
    def _read(row: dict[str, Any]) -> ListedModel:
        return ListedModel(row["id"], row["title"], "text-to-image", "", "active", None, [], "", "1", row, version="v7")


def document(endpoint_id: str) -> dict[str, Any]:
    """The OpenAPI document that every provider gives: a POST to the id, and what a request comes to."""
    takes = {"type": "object", "required": ["prompt"], "properties": {"prompt": {"type": "string"}}}
    gives = {"type": "object", "properties": {"image_url": {"type": "string", "description": "URL of the image"}}}

    def said(schema: Any) -> Any:
        return {"content": {"application/json": {"schema": schema}}}

    return {
        "openapi": "3.0.4",
        "paths": {
            f"/{endpoint_id}": {"post": {"requestBody": said(takes)}},
            f"/{endpoint_id}/requests/{{request_id}}": {"get": {"responses": {"200": said(gives)}}},
        },
    }


class EchoQueue:
    """Running at Echo with one key."""

    slug = "echo"

    def __init__(self, url: str, key: str) -> None:
        self._http = httpx.Client(base_url=url, headers={"Authorization": f"Echo {key}"}, trust_env=False)

    def is_configured(self) -> bool:
        return True

    def submit(
        self, endpoint_id: str, input: dict[str, Any], *, version: str = "", webhook_url: str = "", **_: Any
    ) -> Submitted:
        asked = {"model": endpoint_id, "version": version, "input": input, "tell": webhook_url}
        try:
            response = self._http.post("/runs", json=asked)
        except httpx.ConnectError as error:
            raise queue.NotAcceptedError("Echo could not be reached") from error
        except httpx.HTTPError as error:
            raise queue.UnclearError("Echo's answer was lost") from error
        answer = Answer("submit", response.status_code, body=response.text)
        if response.status_code == 401:
            raise queue.KeyRefusedError("Echo does not accept our key", answer)
        if response.status_code >= 400:
            raise queue.RefusedError("Echo refuses", response.status_code, response.json()["why"], answer)
        return Submitted(Request(endpoint_id, str(response.json()["number"])), None, answer)

    def progress(self, request: Request, *, logs: bool = False) -> Progress:
        body, answer = self._look(request)
        return Progress("completed" if body["done"] else "running", None, [], "", "", answer)

    def result(self, request: Request) -> Result:
        body, answer = self._look(request)
        return Result(200, {"image_url": body["picture"]}, Decimal(1), None, "", None, answer)

    def cancel(self, request: Request) -> str:
        return "completed"

    def find(self, endpoint_id: str, *, since: datetime) -> list[FoundRequest]:
        return []

    def upload(self, file: BinaryIO, *, name: str, content_type: str, size: int) -> str:
        raise queue.RefusedError("Echo takes no files", 400, "no files")

    def erase(self, request_id: str) -> None:
        """Echo keeps nothing."""

    def close(self) -> None:
        self._http.close()

    def _look(self, request: Request) -> tuple[Any, Answer]:
        try:
            response = self._http.get(f"/runs/{request.request_id}")
        except httpx.HTTPError as error:
            raise queue.UnreachableError("Echo could not be reached") from error
        return response.json(), Answer("status", response.status_code)


def verify(headers: Mapping[str, str], body: bytes) -> Told:
    """What a webhook says that Echo signed."""
    if not hmac.compare_digest(headers.get("X-Echo-Signature", ""), hmac.new(SECRET, body, hashlib.sha256).hexdigest()):
        raise NotGenuineError("it is not signed by Echo")
    return Told(str(json.loads(body)["number"]), "", "done")
