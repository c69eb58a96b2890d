"""Bodies that are larger, deeper or stranger than anything needs are refused, and cost little."""

import gzip
import json
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import TemporaryUploadedFile
from django.test import Client as HttpClient
from django.utils import timezone

from genfeed.front.connections import HANDED_OVER
from tests.factories import publish_now
from tests.pricing.estimates.sold import IMAGES_OUT, PROMPT, make_sold

pytestmark = pytest.mark.django_db

DEEP = 900
MODEL = "fal-ai/flux/dev"
Post = Callable[..., Any]


@pytest.fixture
def sold(db: None) -> str:
    make_sold(MODEL, inputs=[PROMPT], outputs=IMAGES_OUT)
    publish_now()
    return MODEL


@pytest.fixture
def post(make_key: Callable[..., str], sold: str) -> Post:
    http = HttpClient(headers={"Authorization": f"Bearer {make_key('admin')}"}, raise_request_exception=False)

    def send(path: str, body: bytes, **headers: str) -> Any:
        # As the front does: without it nothing is accepted that has to wait.
        return http.post(path, body, content_type="application/json", headers=headers, **{HANDED_OVER: None})

    return send


# --- forms ---


def form(size: int) -> tuple[bytes, str]:
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n'
    return head + b"a" * size + b"\r\n--x--\r\n", "multipart/form-data; boundary=x"


@pytest.mark.once
@pytest.mark.parametrize(
    "path", ["/admin/login/", "/admin/catalog/aimodel/", "/api/v1/jobs", "/fal/queue/a/b", "/mcp", "/"]
)
def test_a_large_form_is_refused_before_any_of_it_lies_on_the_disk(
    path: str, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100_000
    written: list[Any] = []
    monkeypatch.setattr(TemporaryUploadedFile, "__init__", lambda *_args, **_more: written.append(_args))
    body, content_type = form(4_000_000)
    answer = HttpClient(enforce_csrf_checks=True).post(path, body, content_type=content_type)
    assert (answer.status_code, answer.json()["code"], written) == (413, "payload_too_large", [])


@pytest.mark.once
@pytest.mark.parametrize("length", ["-1", "1e9", "٣", "9" * 40])
def test_a_form_whose_length_is_no_length_is_refused(length: str) -> None:
    body, content_type = form(10)
    answer = HttpClient().post("/admin/login/", body, content_type=content_type, CONTENT_LENGTH=length)
    assert answer.status_code in (400, 413)


@pytest.mark.once
@pytest.mark.parametrize("path", ["/api/v1/uploads", "/v1/images/edits"])
def test_a_form_that_is_none_is_the_callers_mistake(make_key: Callable[..., str], path: str) -> None:
    http = HttpClient(headers={"Authorization": f"Bearer {make_key('jobs:write')}"}, raise_request_exception=False)
    for kind in ("multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=\xff"):
        assert http.generic("POST", path, form(1)[0], content_type=kind, **{HANDED_OVER: None}).status_code == 400, kind


@pytest.mark.once
def test_a_form_of_images_is_bounded_in_all(make_key: Callable[..., str], settings: Any) -> None:
    settings.UPLOAD_MAX_BYTES = 1000
    body, content_type = form(200_000)
    http = HttpClient(headers={"Authorization": f"Bearer {make_key('jobs:write')}"})
    answer = http.post("/v1/images/edits", body, content_type=content_type, **{HANDED_OVER: None})
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "payload_too_large")


@pytest.mark.once
def test_nobody_without_a_key_has_a_file_read(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Any] = []
    monkeypatch.setattr(TemporaryUploadedFile, "__init__", lambda *_args, **_more: written.append(_args))
    body, content_type = form(4_000_000)
    answers = [
        HttpClient().post(path, body, content_type=content_type)
        for path in ("/api/v1/uploads", "/v1/images/edits", "/v1/videos")
    ]
    assert ([answer.status_code for answer in answers], written) == ([401] * 3, [])


# --- JSON ---

DEEP_BODIES = {
    "lists": b"[" * DEEP + b"]" * DEEP,
    "objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "deeper than any parser takes": b"[" * 100_000,
}
PLACES = {
    "the whole body": "%s",
    "an input": '{"model": "fal-ai/flux/dev", "input": {"prompt": %s}}',
    "an unknown field": '{"model": "fal-ai/flux/dev", "input": {"prompt": "a fox", "x": %s}}',
    "metadata": '{"model": "fal-ai/flux/dev", "input": {"prompt": "a fox"}, "metadata": {"x": %s}}',
    "items of a batch": '{"model": "fal-ai/flux/dev", "items": [{"input": {"prompt": %s}}]}',
    "steps": '{"steps": [{"name": "a", "model": "fal-ai/flux/dev", "input": {"prompt": %s}}]}',
    "an outer parameter": '{"model": "fal-ai/flux/dev", "input": {}, "media": %s, "parameters": %s}',
    "a message": '{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "estimate", "arguments": %s}}',
}
ADDRESSES = (
    "/api/v1/jobs", "/api/v1/estimates", "/api/v1/batches", "/api/v1/workflows", "/api/v1/workflows/estimate",
    "/api/v1/workflow-templates", "/api/v1/models/select", "/api/v1/webhook-endpoints", "/api/v1/keys",
    "/api/v1/uploads", "/api/v1/browser-tokens", "/fal/queue/fal-ai/flux/dev", "/v1/images/generations", "/v1/videos",
)  # fmt: skip


def crashes(post: Post, value: bytes) -> list[str]:
    """Where this value is answered with an error of ours."""
    bodies = {place: template.encode().replace(b"%s", value) for place, template in PLACES.items()}
    told = {
        (place, address): post(address, body).status_code for place, body in bodies.items() for address in ADDRESSES
    }
    return [f"{place} at {address}: {status}" for (place, address), status in told.items() if status >= 500]


@pytest.mark.parametrize("deep", DEEP_BODIES)
def test_deep_nesting_is_the_callers_mistake(post: Post, deep: str) -> None:
    assert crashes(post, DEEP_BODIES[deep]) == []


STRANGE = {
    "a huge number": b"1" + b"0" * 400,
    "a number beyond 64 bits": b"123456789012345678901234567890",
    "a tiny number": b"1e-400",
    "half a character": b'"\\ud800"',
    "a null character": b'"a\\u0000b"',
    "no UTF-8": b'"\xff\xfe"',
    "many keys": b"{" + b",".join(b'"k%d":1' % number for number in range(2_000)) + b"}",
    "a key said twice": b'{"a": 1, "a": {"b": 2}}',
    "an empty key": b'{"": 1}',
    "a key of another world": b'{"__proto__": {"constructor": 1}, "__class__": "os"}',
    "many items": b"[" + b",".join([b"1"] * 10_000) + b"]",
}


@pytest.mark.parametrize("strange", STRANGE)
def test_strange_values_are_the_callers_mistake(post: Post, strange: str) -> None:
    assert crashes(post, STRANGE[strange]) == []


@pytest.mark.once
@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br"])
def test_packed_bodies_are_never_unpacked(post: Post, encoding: str) -> None:
    body = json.dumps({"model": MODEL, "input": {"prompt": "a" * 1_000_000}}).encode()
    packed = gzip.compress(body) if encoding == "gzip" else zlib.compress(body)
    answer = post("/api/v1/estimates", packed, **{"Content-Encoding": encoding})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


@pytest.mark.parametrize("moment", ["2025-11-07T11:52:37-22:30", "2025-11-07T11:52:37+23:59", "0001-01-01T00:00:00"])
@pytest.mark.parametrize("path", ["/api/v1/jobs", "/api/v1/assets"])
def test_a_moment_is_understood_whatever_its_offset(make_key: Callable[..., str], path: str, moment: str) -> None:
    http = HttpClient(headers={"Authorization": f"Bearer {make_key('jobs:read')}"}, raise_request_exception=False)
    answer = http.get(path, {"created_after": moment})
    assert (answer.status_code, answer.json()["items"]) == (200, [])


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00"])
def test_a_moment_beyond_the_calendar_is_the_callers_mistake(make_key: Callable[..., str], moment: str) -> None:
    http = HttpClient(headers={"Authorization": f"Bearer {make_key('jobs:read')}"}, raise_request_exception=False)
    answer = http.get("/api/v1/jobs", {"created_after": moment})
    assert (answer.status_code, answer.json()["message"]) == (400, "created_after: lies beyond the calendar.")


def test_the_end_of_a_key_is_understood_whatever_its_offset(post: Post) -> None:
    end = {"name": "a", "scopes": ["jobs:read"], "expires_at": f"{timezone.now().year + 1}-11-07T11:52:37-22:30"}
    answer = post("/api/v1/keys", json.dumps(end).encode())
    assert (answer.status_code, answer.json()["expires_at"][5:16]) == (201, "11-08T10:22")
