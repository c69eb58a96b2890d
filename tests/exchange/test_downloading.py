"""Answers of a cloud that means no good: none of them takes more memory, time or words than an honest one."""

import gzip
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from genfeed.cloud import downloading
from genfeed.cloud.downloading import Asked, Cloud, CloudError

CHUNK = b"x" * 10_000


@pytest.fixture
def cloud_that(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Cloud]:
    """A cloud that gives the answers, one after the other."""

    def make(*answers: httpx.Response) -> Cloud:
        waiting = list(answers)

        transport = httpx.MockTransport(lambda _: waiting.pop(0))
        monkeypatch.setattr(downloading.httpx, "Client", partial(httpx.Client, transport=transport))
        return Cloud("https://cloud.example", "key", tmp_path)

    return make


def endless(given: list[int]) -> Iterator[bytes]:
    for number in range(1_000):
        given.append(number)
        yield CHUNK


def silent(*_: Any) -> None:
    return


@pytest.mark.parametrize(
    ("status", "ask"),
    [(200, Cloud.public_key), (404, lambda cloud: cloud.fetch(Asked(), silent))],
    ids=["key", "refusal"],
)
def test_no_more_is_read_of_a_key_or_a_refusal_than_an_honest_one_has(
    cloud_that: Callable[..., Cloud], status: int, ask: Callable[[Cloud], Any]
) -> None:
    given: list[int] = []
    with cloud_that(httpx.Response(status, content=endless(given))) as cloud, pytest.raises(CloudError):
        ask(cloud)

    assert len(given) <= downloading.LARGEST_ANSWER // len(CHUNK) + 1


def test_an_answer_is_never_unpacked(cloud_that: Callable[..., Cloud]) -> None:
    packed = gzip.compress(json.dumps({"public_key": "k" * 44}).encode())
    answer = httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=httpx.ByteStream(packed))

    with cloud_that(answer) as cloud, pytest.raises(CloudError, match="tells no key"):
        cloud.public_key()


def test_the_words_of_a_refusal_are_such_as_a_database_takes(cloud_that: Callable[..., Cloud]) -> None:
    answer = httpx.Response(404, stream=httpx.ByteStream(b'{"message": "no \\u0000 export \\ud800 here"}'))

    with cloud_that(answer) as cloud, pytest.raises(CloudError, match="no  export  here"):
        cloud.fetch(Asked(), silent)


def test_a_tag_that_no_header_can_carry_does_not_stop_the_next_download(cloud_that: Callable[..., Cloud]) -> None:
    odd = [(b"ETag", '"schön"'.encode())]
    for _ in range(2):
        with cloud_that(httpx.Response(200, headers=odd, stream=httpx.ByteStream(b"an export"))) as cloud:
            assert cloud.fetch(Asked(), silent) == b"an export"


@pytest.fixture
def telling(tmp_path: Path) -> Iterator[Callable[[float], Cloud]]:
    """A cloud that tells its key, with so many seconds between two bytes of its headers."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(20)
    threads: list[threading.Thread] = []

    def serve(pause: float) -> None:
        line, _ = listener.accept()
        body = json.dumps({"public_key": "k" * 44}).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nX-Long: {'x' * 40}\r\n\r\n".encode()
        with line:
            line.settimeout(20)
            try:
                line.recv(65_536)
                for place in range(len(head)):
                    line.sendall(head[place : place + 1])
                    time.sleep(pause)
                line.sendall(body)
            except OSError:
                return

    def start(pause: float) -> Cloud:
        threads.append(threading.Thread(target=serve, args=(pause,), daemon=True))
        threads[0].start()
        return Cloud(f"http://127.0.0.1:{listener.getsockname()[1]}", "key", tmp_path)

    yield start
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive(), "the cloud still sends"
    listener.close()


def test_headers_that_come_byte_by_byte_are_not_waited_for(
    telling: Callable[[float], Cloud], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloading, "SMALL_SECONDS", 0.1)

    with telling(0.02) as cloud, pytest.raises(CloudError, match="can't be reached"):
        cloud.public_key()


def test_no_proxy_of_the_environment_is_shown_the_key(
    telling: Callable[[float], Cloud], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)

    with telling(0) as cloud:
        assert cloud.public_key() == "k" * 44
