"""A client for URLs that somebody else gave us: it connects to public addresses only, follows nothing, ends in time.

The check sits in the connecting itself: the addresses that were checked are the ones that are connected to, so a name
that resolves differently a moment later changes nothing. TLS still checks the host's own name.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, BinaryIO

import httpcore

from genfeed.net.addresses import GuardError, Resolve, public_addresses, read_address, resolve

USER_AGENT = "GenFeed/1 (+media)"


@dataclass(frozen=True)
class Fetched:
    """An answer as far as it was read. `headers` have lower-case names; `is_whole`: the body ended within the cap."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_whole: bool


class GuardedClient:
    """GETs of foreign URLs, and POSTs and PUTs to them. All calls of one client together take `seconds` at most.

    Use it as a context manager. `allow` are `host:port` pairs that pass unchecked (setting SSRF_ALLOW).
    """

    def __init__(self, *, seconds: float, allow: Collection[str] = (), resolver: Resolve = resolve) -> None:
        self._allow = frozenset(allow)
        self._ends_at = time.monotonic() + seconds
        backend = _GuardedBackend(self._ends_at, self._allow, resolver)
        self._pool = httpcore.ConnectionPool(network_backend=backend, ssl_context=_tls(), max_connections=4, retries=0)

    def __enter__(self) -> GuardedClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.close()

    def get(self, url: str, *, max_bytes: int, headers: Mapping[str, str] | None = None) -> Fetched:
        """The answer to a GET, its body cut at `max_bytes`. Redirects are answers like others.

        Raises RefusedAddressError, or GuardError for whatever keeps an answer from coming.
        """
        return self._ask("GET", url, None, max_bytes, headers)

    def post(self, url: str, body: bytes, *, max_bytes: int, headers: Mapping[str, str] | None = None) -> Fetched:
        """The answer to a POST, as `get`. It is sent once: no redirect is followed and nothing is sent again."""
        sent = {"Content-Length": str(len(body)), **(headers or {})}
        return self._ask("POST", url, body, max_bytes, sent)

    def put(
        self, url: str, pieces: Iterator[bytes], size: int, *, max_bytes: int, headers: Mapping[str, str] | None = None
    ) -> Fetched:
        """The answer to a PUT of `size` bytes, which are sent piece by piece; else as `post`."""
        return self._ask("PUT", url, pieces, max_bytes, {"Content-Length": str(size), **(headers or {})})

    def download(self, url: str, into: BinaryIO, *, max_bytes: int) -> Fetched:
        """As `get`, with the body written to a file piece by piece instead of kept; `body` of the answer is empty."""
        return self._pass("GET", url, None, into.write, max_bytes, None)

    def _ask(
        self,
        method: str,
        url: str,
        content: bytes | Iterator[bytes] | None,
        max_bytes: int,
        headers: Mapping[str, str] | None,
    ) -> Fetched:
        body = bytearray()

        def take(chunk: bytes) -> None:
            body.extend(chunk)

        found = self._pass(method, url, content, take, max_bytes, headers)
        return Fetched(found.status, found.headers, bytes(body), found.is_whole)

    def _pass(
        self,
        method: str,
        url: str,
        content: bytes | Iterator[bytes] | None,
        take: Callable[[bytes], Any],
        max_bytes: int,
        headers: Mapping[str, str] | None,
    ) -> Fetched:
        address = read_address(url, self._allow)
        host = f"[{address.host}]" if ":" in address.host else address.host
        default = {"http": 80, "https": 443}[address.scheme]
        sent = {
            "Host": host if address.port == default else f"{host}:{address.port}",
            "User-Agent": USER_AGENT,
            "Accept": "*/*",
            # Packed bodies are never unpacked here: a small one can hold a very large one.
            "Accept-Encoding": "identity",
            **(headers or {}),
        }
        target = httpcore.URL(scheme=address.scheme, host=address.host, port=address.port, target=address.target)
        try:
            with self._pool.stream(method, target, headers=list(sent.items()), content=content) as answer:
                is_whole = _pass_on(answer.iter_stream(), take, max_bytes)
                names = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in answer.headers}
                return Fetched(answer.status, names, b"", is_whole)
        except httpcore.TimeoutException:
            raise GuardError("the host did not answer in time") from None
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol, ssl.SSLError, OSError):
            raise GuardError("the host can't be reached, or does not speak HTTP") from None


@cache
def _tls() -> ssl.SSLContext:
    # Reading the list of authorities takes longer than most answers: it is read once.
    return httpcore.default_ssl_context()


def _pass_on(chunks: Iterable[bytes], take: Callable[[bytes], Any], most: int) -> bool:
    """Hands on at most so many bytes; whether those were all."""
    for chunk in chunks:
        if len(chunk) > most:
            take(chunk[:most])
            return False
        take(chunk)
        most -= len(chunk)
    return True


class _GuardedBackend(httpcore.NetworkBackend):
    """Opens sockets to checked addresses alone."""

    def __init__(self, ends_at: float, allow: frozenset[str], resolver: Resolve) -> None:
        self._ends_at = ends_at
        self._allow = allow
        self._resolver = resolver
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        addresses = public_addresses(
            host, port, allow=self._allow, seconds=_left(self._ends_at), resolver=self._resolver
        )
        failure: Exception = httpcore.ConnectError("no address")
        for address in addresses:
            try:
                stream = self._sockets.connect_tcp(address, port, timeout=_left(self._ends_at))
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
                continue
            return _TimedStream(stream, self._ends_at)
        raise failure


class _TimedStream(httpcore.NetworkStream):
    """A connection on which every wait ends at the client's deadline: a host that drips bytes gains nothing."""

    def __init__(self, stream: httpcore.NetworkStream, ends_at: float) -> None:
        self._stream = stream
        self._ends_at = ends_at

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, timeout=_left(self._ends_at))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, timeout=_left(self._ends_at))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        secured = self._stream.start_tls(ssl_context, server_hostname, timeout=_left(self._ends_at))
        return _TimedStream(secured, self._ends_at)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(ends_at: float) -> float:
    seconds = ends_at - time.monotonic()
    if seconds <= 0:
        raise httpcore.ReadTimeout("the deadline has passed")
    return seconds
