"""The hook that sees every file before it is served, and clamd's protocol, spoken with a double of clamd."""

import io
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from jobs.assets import clamav
from jobs.assets.scanning import ScanError
from tests.jobs.assets.conftest import Fetch

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("by_hand"), pytest.mark.once]


class Clamd:
    """Speaks INSTREAM as clamd does; answers as `verdict` says and keeps what it was sent."""

    def __init__(self) -> None:
        self.verdict = b"stream: OK\0"
        self.received: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as stream:
                if stream.read(10) != b"zINSTREAM\0":
                    connection.sendall(b"UNKNOWN COMMAND\0")
                    continue
                content = b""
                while length := int.from_bytes(stream.read(4)):
                    content += stream.read(length)
                self.received.append(content)
                connection.sendall(self.verdict)


@pytest.fixture
def clamd(settings: Any) -> Iterator[Clamd]:
    double = Clamd()
    settings.ASSET_SCANNER = "jobs.assets.clamav.scan"
    settings.CLAMAV_ADDRESS = double.address
    yield double
    double.close()


def scan(content: bytes) -> str:
    return clamav.scan(io.BytesIO(content), name="a", content_type="image/png")


def broken(*_: Any, **__: Any) -> str:
    raise RuntimeError("out of memory")


def test_a_clean_file_is_stored(fetch: Fetch, clamd: Clamd) -> None:
    asset = fetch()

    assert asset.state == "stored"
    assert len(clamd.received[0]) == asset.size


def test_a_file_with_a_finding_is_refused_and_never_stored(fetch: Fetch, clamd: Clamd, media: Any) -> None:
    clamd.verdict = b"stream: Eicar-Test-Signature FOUND\0"

    asset = fetch()

    assert (asset.state, asset.problem) == ("refused", "the scanner found Eicar-Test-Signature")
    assert not media.exists() or not [path for path in media.rglob("*") if path.is_file()]


def test_without_a_scanner_that_answers_a_file_waits(fetch: Fetch, settings: Any) -> None:
    settings.ASSET_SCANNER = "jobs.assets.clamav.scan"
    settings.CLAMAV_ADDRESS = "127.0.0.1:9"

    asset = fetch()

    assert (asset.state, asset.attempts) == ("pending", 1)


def test_a_scanner_that_crashes_has_not_said_that_a_file_is_clean(fetch: Fetch, settings: Any) -> None:
    settings.ASSET_SCANNER = "tests.jobs.assets.test_scanning.broken"

    assert fetch().state == "pending"


def test_a_file_is_sent_in_pieces_and_whole(clamd: Clamd) -> None:
    content = bytes(range(256)) * 4_000

    assert scan(content) == ""
    assert clamd.received == [content]


@pytest.mark.parametrize("verdict", [b"INSTREAM size limit exceeded. ERROR\0", b"", b"stream: OK FOR NOW\0"])
def test_what_is_no_clear_answer_is_none(clamd: Clamd, verdict: bytes) -> None:
    clamd.verdict = verdict

    with pytest.raises(ScanError):
        scan(b"x")
