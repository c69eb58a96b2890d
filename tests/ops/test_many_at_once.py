"""More requests at once than the source asks for, at one web process as it is shipped."""

import asyncio
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from genfeed.front.open_files import allow_many
from tests.bench.processes import settings_for
from tests.bench.serving import web
from tests.prepared import copy_of_prepared, first_start

MANY = 1_001
PATIENCE_SECONDS = 60
REQUEST = "GET /api/v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\r\n"


async def ask_all(base: str, key: str) -> Counter[bytes]:
    """The first lines of the answers to as many requests, none of which is sent before all are connected."""
    address = urlsplit(base)
    streams = [await asyncio.open_connection(address.hostname, address.port) for _ in range(MANY)]
    for _, writer in streams:
        writer.write(REQUEST.format(key).encode())
    answers = await asyncio.gather(*(reader.readline() for reader, _ in streams))
    for _, writer in streams:
        writer.close()
    return Counter(answers)


def test_a_thousand_lists_of_models_are_asked_for_at_once_and_all_answered(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    key = first_start(tmp_path_factory).key
    allow_many()

    with web(settings_for(copy_of_prepared(tmp_path_factory, tmp_path / "var"))) as base:
        answers = asyncio.run(asyncio.wait_for(ask_all(base, key), PATIENCE_SECONDS))

    assert answers == {b"HTTP/1.1 200 OK\r\n": MANY}
