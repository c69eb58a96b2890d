"""Connections to one provider with one key: a client for each call under way, used again by the next."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from ssl import SSLContext

import httpx

from catalog.providers.bounded import BoundedClient


@cache
def _authorities() -> SSLContext:
    """Whom connections believe, for all of this process: to read the list takes longer than most calls."""
    return httpx.create_ssl_context(trust_env=False)


class Connections:
    """HTTP clients of one connection each, the one used last first. Safe to use from several threads.

    One client for all threads has a pool that looks at each of its connections, one thread at a time, before and after
    every call: with thirty of them that takes longer than the call.
    """

    def __init__(self, *, headers: Mapping[str, str], timeout: float) -> None:
        self._headers = dict(headers)
        self._timeout = timeout
        self._tls = _authorities()
        self._idle: deque[httpx.Client] = deque()

    @contextmanager
    def one(self) -> Iterator[httpx.Client]:
        """A client that nobody else uses meanwhile."""
        try:
            client = self._idle.pop()
        except IndexError:
            client = self._open()
        try:
            yield client
        finally:
            self._idle.append(client)

    def close(self) -> None:
        """Closes those that are not in use."""
        while self._idle:
            self._idle.pop().close()

    def _open(self) -> httpx.Client:
        return BoundedClient(
            headers=self._headers,
            timeout=self._timeout,
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=1),
            follow_redirects=False,
            verify=self._tls,
            # The proxy variables of the environment would show the key to whoever they name.
            trust_env=False,
        )
