"""A wire between us and a server, which a test can cut and mend: what is cut finds no connection, as without a network.

Bytes go through as they come; nothing of them is read.
"""

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Wire:
    """Listens on a port of its own while it is whole."""

    def __init__(self, to: tuple[str, int]) -> None:
        self._to = to
        self._listener: socket.socket | None = None
        self._ends: set[socket.socket] = set()
        self.port = 0
        self.mend()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def cut(self) -> None:
        """Breaks what is connected off, and refuses new connections."""
        if self._listener:
            # Wakes the thread that accepts, which close alone does not.
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        for end in list(self._ends):
            _close(end)
        self._ends.clear()

    def mend(self) -> None:
        """Connects again, on the same port."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen()
        self.port = listener.getsockname()[1]
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
                far = socket.create_connection(self._to)
            except OSError:
                return
            self._ends |= {near, far}
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=_pump, args=(source, target), daemon=True).start()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(65536):
            target.sendall(piece)
    _close(target)


def _close(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()


@contextmanager
def wire_to(base_url: str) -> Iterator[Wire]:
    """A wire to a server of this machine while the block runs."""
    host, _, port = base_url.removeprefix("http://").partition(":")
    wire = Wire((host, int(port)))
    try:
        yield wire
    finally:
        wire.cut()
