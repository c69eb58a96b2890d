"""What providers answer is believed as little as what clients send: it fills no memory and no stack."""

import gzip
import threading
import zlib
from collections.abc import Iterator
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import orjson
import pytest

from catalog.providers import bounded, fal_keys
from catalog.providers.base import ProviderBadAnswerError
from catalog.providers.bounded import BoundedClient, TooLargeError
from catalog.providers.calls import send_once
from catalog.providers.queue import UnclearError
from catalog.providers.reading import Backoff, JsonReader
from genfeed.net.bounded_json import DEEPEST, read_json


@cache
def bomb() -> bytes:
    """100 MB of zeros in 100 KB."""
    return gzip.compress(b'{"a": "' + b"0" * 100_000_000 + b'"}', compresslevel=9)


class _Hostile(BaseHTTPRequestHandler):
    answers: dict[str, tuple[str, bytes]] = {}

    def do_GET(self) -> None:
        encoding, body = self.answers[self.path.partition("?")[0]]
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if encoding:
            self.send_header("Content-Encoding", encoding)
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def hostile() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Hostile)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join(5)


def reader(url: str) -> JsonReader:
    return JsonReader(provider="fal", base_url=url, headers={}, timeout=10, backoff=Backoff(0, 0.0), connections=1)


def deep(levels: int) -> bytes:
    return b'{"a":' * levels + b"1" + b"}" * levels


@pytest.mark.parametrize("path", ["/bomb", "/text"])
def test_a_decompression_bomb_is_a_bad_answer(hostile: str, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "MOST_BYTES", 10_000_000)
    _Hostile.answers = {"/bomb": ("gzip", bomb()), "/text": ("deflate", zlib.compress(b"0" * 50_000_000))}
    with pytest.raises(ProviderBadAnswerError):
        reader(hostile).get_text(path)


def test_an_answer_is_not_unpacked_beyond_what_is_read(hostile: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "MOST_BYTES", 1_000_000)
    _Hostile.answers = {"/bomb": ("gzip", bomb())}
    sizes: list[int] = []
    read = httpx.Response.iter_bytes

    def seen(self: httpx.Response) -> Iterator[bytes]:
        for piece in read(self):
            sizes.append(len(piece))
            yield piece

    monkeypatch.setattr(httpx.Response, "iter_bytes", seen)
    with BoundedClient() as http, pytest.raises(TooLargeError):
        http.get(f"{hostile}/bomb")
    assert sum(sizes) < 80_000_000


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip"])
def test_what_is_packed_in_a_way_that_was_not_asked_for_is_not_unpacked(hostile: str, encoding: str) -> None:
    _Hostile.answers = {"/": (encoding, b"whatever")}
    with BoundedClient() as http, pytest.raises(TooLargeError):
        http.get(f"{hostile}/")


def test_what_was_asked_for_is_unpacked(hostile: str) -> None:
    _Hostile.answers = {"/": ("gzip", gzip.compress(b'{"a": 1}'))}
    assert reader(hostile).get("/", {}) == {"a": 1}


def test_a_submit_that_is_answered_with_a_bomb_may_have_been_accepted(
    hostile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded, "MOST_BYTES", 1_000_000)
    _Hostile.answers = {"/": ("gzip", bomb())}
    with BoundedClient() as http, pytest.raises(UnclearError):
        send_once(lambda: http.post(f"{hostile}/"), "fal")


def test_an_answer_that_is_nested_too_deep_is_a_bad_answer(hostile: str) -> None:
    _Hostile.answers = {"/": ("", deep(DEEPEST + 1))}
    with pytest.raises(ProviderBadAnswerError):
        reader(hostile).get("/", {})


@pytest.mark.parametrize(
    ("content", "is_taken"),
    [(deep(DEEPEST), True), (deep(DEEPEST + 1), False), (b"[" * DEEPEST + b"]" * DEEPEST, True),
     (b"[" * (DEEPEST + 1) + b"]" * (DEEPEST + 1), False), (b"[" + b"{}," * 1000 + b"{}]", True),
     (b'"' + b"[" * 1000 + b'"', True)],
)  # fmt: skip
def test_json_is_taken_to_a_depth(content: bytes, is_taken: bool) -> None:
    if is_taken:
        assert read_json(content) == orjson.loads(content)
    else:
        with pytest.raises(orjson.JSONDecodeError, match="nested deeper"):
            read_json(content)


def test_a_huge_key_set_is_cut(hostile: str, settings: Any) -> None:
    settings.FAL_REST_URL = hostile
    row = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
    _Hostile.answers = {"/.well-known/jwks.json": ("", orjson.dumps({"keys": [row] * 10_000}))}
    assert 1 <= len(fal_keys.fetch()) <= 20


@pytest.mark.parametrize(
    "keys",
    [b"[]", b'{"keys": {}}', b'{"keys": [1, null, "a", {"x": 1}, {"x": "AAAA"}, {}]}', b"no JSON", b'{"keys": null}'],
)
def test_a_key_set_of_nonsense_is_none(hostile: str, settings: Any, keys: bytes) -> None:
    settings.FAL_REST_URL = hostile
    _Hostile.answers = {"/.well-known/jwks.json": ("", keys)}
    assert fal_keys.fetch() == []
