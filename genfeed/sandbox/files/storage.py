"""fal's REST host under /rest, and the upload side of the CDN: who gets an address or a token."""

from datetime import UTC, datetime
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from genfeed.sandbox.answers import json_answer
from genfeed.sandbox.files.cdn import cors, serve, store_part, store_upload
from genfeed.sandbox.files.lifetimes import lifetime_of
from genfeed.sandbox.files.store import new_path
from genfeed.sandbox.queue.access import require_caller
from genfeed.sandbox.queue.errors import DetailError
from genfeed.sandbox.state import Sandbox

STORAGE = "fal-cdn-v3"
UNKNOWN_TYPE = "application/octet-stream"


async def initiate(request: Request) -> Response:
    """POST /rest/storage/upload/initiate[-multipart]: an address for the bytes, and the one of the file to be."""
    sandbox: Sandbox = request.app.state.sandbox
    require_caller(request)
    _require_storage(request)
    body = await _read_object(request)
    path = new_path(str(body.get("file_name") or "upload.bin"))
    content_type = str(body.get("content_type") or UNKNOWN_TYPE)
    sandbox.uploads.expect(path, content_type, lifetime=lifetime_of(request.headers))
    url = sandbox.base_url + path
    is_multipart = request.url.path.endswith("-multipart")
    return json_answer({"upload_url": f"{url}/multipart/direct" if is_multipart else url, "file_url": url})


async def storage_token(request: Request) -> Response:
    """POST /rest/storage/auth/token: a token for the CDN's own upload calls."""
    sandbox: Sandbox = request.app.state.sandbox
    require_caller(request)
    _require_storage(request)
    token, ends = sandbox.uploads.new_token()
    expires_at = datetime.fromtimestamp(ends, UTC).isoformat().replace("+00:00", "Z")
    base_url = f"{sandbox.base_url}/cdn"
    return json_answer({"token": token, "token_type": "Bearer", "base_url": base_url, "expires_at": expires_at})


async def upload(request: Request) -> Response:
    """POST /cdn/files/upload: the bytes as the body, with a token."""
    sandbox: Sandbox = request.app.state.sandbox
    path = _expect_by_token(request)
    expected = sandbox.uploads.expected[path]
    sandbox.files.add_uploaded(path, await request.body(), expected.content_type, expires_at=expected.expires_at)
    return json_answer({"access_url": sandbox.base_url + path})


async def upload_multipart(request: Request) -> Response:
    """POST /cdn/files/upload/multipart: begin an upload in parts, with a token."""
    sandbox: Sandbox = request.app.state.sandbox
    path = _expect_by_token(request)
    return json_answer({"access_url": sandbox.base_url + path, "uploadId": path.split("/")[-2]})


async def realtime_token(request: Request) -> Response:
    """POST /rest/tokens/: a token for realtime connections, as a JSON string."""
    sandbox: Sandbox = request.app.state.sandbox
    require_caller(request)
    body = await _read_object(request)
    if not isinstance(body.get("allowed_apps"), list):
        raise DetailError(422, [{"loc": ["body", "allowed_apps"], "msg": "Field required", "type": "missing"}])
    return json_answer(sandbox.uploads.new_token()[0])


async def key_set(request: Request) -> Response:
    """GET /rest/.well-known/jwks.json: the keys that webhooks are signed with."""
    sandbox: Sandbox = request.app.state.sandbox
    answer = json_answer(sandbox.signer.key_set())
    answer.headers["cache-control"] = "public, max-age=86400"
    return answer


def _expect_by_token(request: Request) -> str:
    sandbox: Sandbox = request.app.state.sandbox
    if not sandbox.uploads.is_token(request.headers.get("authorization")):
        raise DetailError(401, "The upload token is not valid")
    path = new_path(request.headers.get("x-fal-file-name") or "upload.bin")
    content_type = request.headers.get("content-type") or UNKNOWN_TYPE
    sandbox.uploads.expect(path, content_type, lifetime=lifetime_of(request.headers))
    return path


def _require_storage(request: Request) -> None:
    if request.query_params.get("storage_type", STORAGE) != STORAGE:
        raise DetailError(400, "Invalid storage type")


async def _read_object(request: Request) -> dict[str, Any]:
    try:
        body = orjson.loads(await request.body() or b"{}")
    except orjson.JSONDecodeError as error:
        raise DetailError(422, [{"loc": ["body"], "msg": "JSON decode error", "type": "json_invalid"}]) from error
    if not isinstance(body, dict):
        raise DetailError(422, [{"loc": ["body"], "msg": "Input should be a valid dictionary", "type": "dict_type"}])
    return body


ROUTES = [
    Route("/rest/.well-known/jwks.json", key_set),
    Route("/rest/storage/upload/initiate", initiate, methods=["POST"]),
    Route("/rest/storage/upload/initiate-multipart", initiate, methods=["POST"]),
    Route("/rest/storage/auth/token", storage_token, methods=["POST"]),
    Route("/rest/tokens/", realtime_token, methods=["POST"]),
    Route("/rest/tokens", realtime_token, methods=["POST"]),
    Route("/cdn/files/upload", upload, methods=["POST"]),
    Route("/cdn/files/upload/multipart", upload_multipart, methods=["POST"]),
    Route("/cdn/files/{path:path}", serve, methods=["GET", "HEAD"]),
    Route("/cdn/files/{path:path}/multipart/{upload}/{part}", store_part, methods=["PUT", "POST"]),
    Route("/cdn/files/{path:path}", store_upload, methods=["PUT"]),
    Route("/cdn/files/{path:path}", cors, methods=["OPTIONS"]),
]
