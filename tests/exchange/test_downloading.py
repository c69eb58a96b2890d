"""Answers of a cloud that means no good: none of them takes more memory, time or words than an honest one."""

import gzip
import json
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
