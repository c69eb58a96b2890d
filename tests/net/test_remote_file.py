"""Remote files: only the asked parts are fetched, whatever the host can do, and never too many."""

import io
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from genfeed.net.addresses import GuardError
from genfeed.net.guarded import GuardedClient
from genfeed.net.remote_file import BLOCK, MOST_CALLS, RemoteFile
from tests.net.servers import Answer, Served, in_ranges, serving, whole

BODY = (bytes(range(251)) * BLOCK)[: 5 * BLOCK + 77]


@contextmanager
def remote(answer: Answer) -> Iterator[tuple[RemoteFile, Served]]:
    with serving(answer) as served, GuardedClient(seconds=10, allow=[served.pair]) as client:
        yield RemoteFile(client, served.url()), served


def test_a_part_in_the_middle_is_fetched_alone() -> None:
    with remote(in_ranges(BODY)) as (file, served):
        file.seek(3 * BLOCK + 5)
        assert file.read(10) == BODY[3 * BLOCK + 5 : 3 * BLOCK + 15]

    assert len(served.requests) == 2


def test_the_end_is_read_by_its_distance() -> None:
    with remote(in_ranges(BODY)) as (file, _):
        file.seek(-50, io.SEEK_END)
        assert file.read() == BODY[-50:]


def test_a_read_across_blocks_is_whole() -> None:
    with remote(in_ranges(BODY)) as (file, _):
        file.seek(BLOCK - 3)
        assert file.read(6) == BODY[BLOCK - 3 : BLOCK + 3]


def test_a_block_is_fetched_once() -> None:
    with remote(in_ranges(BODY)) as (file, served):
        for _ in range(3):
            file.seek(0)
            file.read(100)

    assert len(served.requests) == 1


def test_a_read_behind_the_end_is_empty() -> None:
    with remote(in_ranges(BODY)) as (file, _):
        file.seek(len(BODY) + 10)
        assert file.read(5) == b""


def test_a_host_without_ranges_is_read_from_its_beginning() -> None:
    with remote(whole(BODY[:1000])) as (file, served):
        assert file.read() == BODY[:1000]
        assert file.size == 1000

    assert len(served.requests) == 1


def test_of_a_long_file_without_ranges_only_the_beginning_can_be_read() -> None:
    long = bytes(MOST_CALLS * BLOCK + 10)
    with remote(whole(long)) as (file, _):
        assert file.read(10) == bytes(10)
        file.seek(MOST_CALLS * BLOCK)
        with pytest.raises(GuardError):
            file.read(10)


def test_too_many_parts_end_the_reading() -> None:
    long = bytes((MOST_CALLS + 5) * BLOCK)
    with remote(in_ranges(long)) as (file, served), pytest.raises(GuardError, match="too far"):
        file.read()

    assert len(served.requests) == MOST_CALLS


@pytest.mark.parametrize("status", [301, 403, 404, 500, 204])
def test_an_answer_without_the_file_is_an_error_in_words(status: int) -> None:
    with pytest.raises(GuardError, match=r"answered|elsewhere"), remote(whole(b"", status=status)):
        pass


@pytest.mark.parametrize("told", ["", "bytes 5-10/100", "bytes a-b/c", "items 0-1/2"])
def test_another_part_than_asked_for_is_refused(told: str) -> None:
    with pytest.raises(GuardError, match="another part"), remote(whole(b"x", status=206, Content_Range=told)):
        pass
