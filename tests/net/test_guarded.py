"""Fetching from foreign hosts: bounded in bytes and time, to checked addresses alone, never elsewhere."""

import socket
import time
from typing import Any

import pytest

from genfeed.net.addresses import GuardError, RefusedAddressError
from genfeed.net.guarded import GuardedClient
from tests.net.servers import Served, raw_server, serving, whole
from tests.sandbox.receiver import Receiver
from tests.sandbox_server import free_port


def client(served: Served | None = None, **options: Any) -> GuardedClient:
    return GuardedClient(**({"seconds": 5.0, "allow": [served.pair] if served else []} | options))


def test_a_file_is_fetched_with_its_headers() -> None:
    with serving(whole(b"hello", Content_Type="text/plain")) as served, client(served) as http:
        answer = http.get(served.url(), max_bytes=100)

    assert (answer.status, answer.body, answer.is_whole) == (200, b"hello", True)
    assert answer.headers["content-type"] == "text/plain"


def test_a_body_is_cut_at_the_cap() -> None:
    with serving(whole(b"x" * 100_000)) as served, client(served) as http:
        answer = http.get(served.url(), max_bytes=1000)

    assert (len(answer.body), answer.is_whole) == (1000, False)


def test_a_redirect_is_not_followed() -> None:
    with serving(whole(b"", status=302, Location="http://169.254.169.254/")) as served, client(served) as http:
        answer = http.get(served.url(), max_bytes=100)

    assert answer.status == 302
    assert len(served.requests) == 1


def test_nothing_of_ours_is_sent_along() -> None:
    with serving(whole(b"")) as served, client(served) as http:
        http.get(served.url(), max_bytes=1)

    assert set(served.requests[0][1]) == {"host", "user-agent", "accept", "accept-encoding"}


def test_a_loopback_server_is_never_reached() -> None:
    with serving(whole(b"secret")) as served, client() as http:
        with pytest.raises(RefusedAddressError):
            http.get(served.url(), max_bytes=100)
        with pytest.raises(RefusedAddressError):
            http.get("http://127.0.0.1/", max_bytes=100)

    assert served.requests == []


def test_the_address_that_was_checked_is_the_one_that_is_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    connected: list[Any] = []

    def connect(self: socket.socket, address: Any) -> None:
        connected.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket.socket, "connect", connect)
    answers = iter([["93.184.215.14"], ["127.0.0.1"]])
    with client(resolver=lambda *_: next(answers)) as http, pytest.raises(GuardError):
        http.get("http://rebind.example/", max_bytes=1)

    assert connected == [("93.184.215.14", 80)]


def test_a_host_that_drips_bytes_is_left_at_the_deadline() -> None:
    def drip(connection: socket.socket) -> None:
        connection.recv(10_000)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(100):
            connection.sendall(b"x")
            time.sleep(0.05)

    with raw_server(drip) as served, client(served, seconds=0.4) as http:
        started = time.monotonic()
        with pytest.raises(GuardError, match="in time"):
            http.get(served.url(), max_bytes=1000)

    assert time.monotonic() - started < 3


def test_a_host_that_drips_headers_is_left_at_the_deadline() -> None:
    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        for number in range(100):
            connection.sendall(b"X-%d: y\r\n" % number)
            time.sleep(0.05)

    with raw_server(drip) as served, client(served, seconds=0.4) as http, pytest.raises(GuardError, match="in time"):
        http.get(served.url(), max_bytes=1000)


@pytest.mark.parametrize("said", [b"", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 banana\r\n\r\n", b"\x00" * 100])
def test_a_host_that_does_not_speak_http_is_an_error_in_words(said: bytes) -> None:
    refused = pytest.raises(GuardError, match="does not speak HTTP")
    with raw_server(lambda connection: connection.sendall(said)) as served, client(served) as http, refused:
        http.get(served.url(), max_bytes=1000)


def test_a_closed_port_is_an_error_in_words() -> None:
    served = Served(free_port())
    with client(served) as http, pytest.raises(GuardError, match="can't be reached"):
        http.get(served.url(), max_bytes=1)


def test_an_error_tells_nothing_of_our_network() -> None:
    with client(resolver=lambda *_: ["10.1.2.3"]) as http, pytest.raises(GuardError) as caught:
        http.get("http://inside.example/", max_bytes=1)

    assert "10." not in str(caught.value)


def test_a_post_carries_its_body_and_is_sent_once() -> None:
    with Receiver() as receiver:
        receiver.statuses = [307]
        pair = receiver.url.split("/")[2]
        with client(allow=[pair]) as http:
            answer = http.post(receiver.url, b"hello", max_bytes=10, headers={"Content-Type": "text/plain"})

    assert answer.status == 307
    assert [(came.raw, came.headers["content-type"]) for came in receiver.deliveries] == [(b"hello", "text/plain")]


def test_a_post_reaches_no_loopback_server() -> None:
    with Receiver() as receiver, client() as http, pytest.raises(RefusedAddressError):
        http.post(receiver.url, b"hello", max_bytes=10)

    assert receiver.deliveries == []
