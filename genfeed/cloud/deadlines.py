"""An end for a whole call: HTTP clients bound each wait, and an answer that comes byte by byte is never waited for."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any


class Line:
    """The connection of a client that has one at a time. Hand `trace` to each of its requests, as an extension."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._is_over = False

    def trace(self, event: str, told: dict[str, Any]) -> None:
        """Called by httpcore for whatever it does."""
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            self._socket = told["return_value"].get_extra_info("socket")
            if self._is_over:
                self._cut()

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Cuts the connection where the block takes longer: what waits for bytes gets an error at once."""
        self._is_over = False
        timer = threading.Timer(max(seconds, 0.0), self._cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _cut(self) -> None:
        self._is_over = True
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
