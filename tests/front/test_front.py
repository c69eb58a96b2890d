"""The front around small WSGI applications: what goes in, what comes out, and what happens when somebody leaves."""

import asyncio
import io
import json
import resource
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIRequest

from genfeed.front import answering as answering_module
from genfeed.front import bodies, connections, open_files, stopping
from genfeed.front.answering import FILE_PIECE
from genfeed.front.bodies import BodyReader
from genfeed.front.connections import HANDED_OVER, Connection
from genfeed.front.serving import Front

Environ = dict[str, Any]


class Client:
    """One request, played message by message: what it sends, and what it was sent."""

    def __init__(
        self,
        *pieces: bytes,
        leaves: bool = False,
        stops: bool = False,
        reads: bool = True,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.sent: list[Mapping[str, Any]] = []
        self.left = asyncio.Event()
        self.reading = asyncio.Event()
        if reads:
            self.reading.set()
        self._pieces = list(pieces)
        self._leaves = leaves
        self._stops = stops
        self.headers = {"host": "x", **(headers or {})}

    async def receive(self) -> Mapping[str, Any]:
        if self._pieces:
            piece = self._pieces.pop(0)
            more = bool(self._pieces) or self._leaves or self._stops
            return {"type": "http.request", "body": piece, "more_body": more}
        if not self._leaves:
            await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Mapping[str, Any]) -> None:
        if message["type"] == "http.response.body":
            await self.reading.wait()
        self.sent.append(message)

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)

    async def ask(
        self,
        application: Callable[..., Iterable[bytes]] | Front,
        path: str = "/a",
        *,
        http_version: str = "1.1",
        largest_ahead: int = 10_485_760,
    ) -> "Client":
        scope = {
            "type": "http", "method": "POST", "path": path, "query_string": b"q=%20", "http_version": http_version,
            "scheme": "http", "server": ("x", 80), "client": ("192.0.2.1", 5), "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in self.headers.items()],
        }  # fmt: skip
        front = application
        if not isinstance(front, Front):
            front = Front(application, threads=2, largest_ahead=largest_ahead)
        await front(scope, self.receive, self.send)
        return self


async def within[T](work: Awaitable[T]) -> T:
    """What must not take long; a test fails rather than waits."""
    async with asyncio.timeout(10):
        return await work


def ask(
    application: Callable[..., Iterable[bytes]],
    *pieces: bytes,
    path: str = "/a",
    http_version: str = "1.1",
    largest_ahead: int = 10_485_760,
    **more: Any,
) -> Client:
    async def work() -> Client:
        client = Client(*pieces, **more)
        return await client.ask(application, path, http_version=http_version, largest_ahead=largest_ahead)

    return asyncio.run(within(work()))


def answering(make: Callable[[Environ], Iterable[bytes]], status: str = "200 OK") -> Callable[..., Iterable[bytes]]:
    def application(environ: Environ, start: Callable[..., Any]) -> Iterable[bytes]:
        start(status, [("X-Made", "yes")])
        return make(environ)

    return application


def test_a_short_answer_is_sent_at_once() -> None:
    client = ask(answering(lambda environ: [b"ab", b"c"], "201 Created"))

    assert client.sent == [
        {"type": "http.response.start", "status": 201, "headers": [(b"x-made", b"yes")]},
        {"type": "http.response.body", "body": b"abc", "more_body": False},
    ]


def test_an_application_reads_a_small_body() -> None:
    client = ask(
        answering(lambda environ: [environ["wsgi.input"].read()]), b"he", b"llo", headers={"content-length": "5"}
    )

    assert client.body == b"hello"


def known_ahead(_scope: Mapping[str, Any]) -> tuple[Any, Any]:
    return (200, [(b"x-made", b"before")], b"known"), None


def test_a_process_that_is_about_to_stop_has_each_client_open_another_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    application = stopping.closing(answering(lambda _environ: [b"asked"]))
    front = Front(application, threads=1, ahead=known_ahead)
    before = ask(application), ask(front)

    monkeypatch.setattr(stopping, "_is_about_to_stop", True)
    meanwhile = ask(application), ask(front)

    assert [client.body for client in (*before, *meanwhile)] == [b"asked", b"known", b"asked", b"asked"]
    headers = [client.sent[0]["headers"] for client in (*before, *meanwhile)]
    assert headers[:2] == [[(b"x-made", b"yes")], [(b"x-made", b"before")]]
    assert headers[2:] == [[(b"x-made", b"yes"), (b"connection", b"close")]] * 2


def test_an_application_reads_a_large_body_while_it_comes() -> None:
    pieces = [b"x" * 50_000, b"y" * 50_000]
    client = ask(
        answering(lambda environ: [environ["wsgi.input"].read()]),
        *pieces,
        headers={"content-length": "100000"},
        largest_ahead=90_000,
    )

    assert client.body == b"".join(pieces)


def django_reads(environ: Environ) -> Iterable[bytes]:
    return [WSGIRequest(environ).body]


def test_django_reads_a_body_without_a_length() -> None:
    client = ask(answering(django_reads), b"abc", b"def", headers={"transfer-encoding": "chunked"})

    assert client.body == b"abcdef"


def test_django_reads_a_body_of_http_2_that_has_neither_header() -> None:
    assert ask(answering(django_reads), b"abc", b"def", http_version="2").body == b"abcdef"


def test_of_a_body_without_a_length_no_more_is_read_than_may_come_at_once() -> None:
    client = ask(answering(django_reads), b"abc", b"def", headers={"transfer-encoding": "chunked"}, largest_ahead=5)

    assert (client.sent[0]["status"], json.loads(client.body)["code"]) == (413, "payload_too_large")


def test_a_resumable_body_without_a_length_is_read_while_it_comes() -> None:
    def told(environ: Environ) -> Iterable[bytes]:
        return [str(environ.get("CONTENT_LENGTH")).encode(), environ["wsgi.input"].read()]

    headers = {"transfer-encoding": "chunked", "content-type": "application/offset+octet-stream"}

    assert ask(answering(told), b"abc", b"def", headers=headers, largest_ahead=5).body == b"Noneabcdef"


def test_of_a_resumable_body_that_is_cut_off_what_came_counts() -> None:
    def told(environ: Environ) -> Iterable[bytes]:
        return [environ["wsgi.input"].read1(9)]

    headers = {"content-length": "9", "content-type": "Application/offset+octet-stream"}

    assert ask(answering(told), b"abc", leaves=True, headers=headers).body == b"abc"


def read_or_tell(environ: Environ) -> Iterable[bytes]:
    try:
        environ["wsgi.input"].read()
    except OSError as error:
        return [type(error).__name__.encode()]
    return [b"read"]


def test_a_body_that_is_cut_off_is_no_body() -> None:
    headers = {"content-length": "100000000"}

    assert ask(answering(read_or_tell), b"x" * 10, leaves=True, headers=headers).body == b"ClientGoneError"


def test_a_large_body_that_stops_coming_is_given_up(monkeypatch: Any) -> None:
    monkeypatch.setattr(bodies, "PIECE_SECONDS", 0.05)
    headers = {"content-length": "100000000"}

    assert ask(answering(read_or_tell), b"x" * 10, stops=True, headers=headers).body == b"ClientGoneError"


def test_a_large_body_that_comes_byte_by_byte_is_given_up(monkeypatch: Any) -> None:
    monkeypatch.setattr(bodies, "SLOWEST", 10**12)
    headers = {"content-length": "100000000"}
    assert ask(answering(read_or_tell), b"x", b"y", b"z", headers=headers).body != b"ClientGoneError"

    monkeypatch.setattr(bodies, "PIECE_SECONDS", 1e-9)
    monkeypatch.setattr(BodyReader, "_next", lambda _: {"type": "http.request", "body": b"x", "more_body": True})

    assert ask(answering(read_or_tell), headers=headers).body == b"ClientGoneError"


def test_bodies_that_are_read_ahead_have_one_limit_together_that_small_ones_pass_by(
    monkeypatch: Any, tmp_path: Any
) -> None:
    monkeypatch.setattr(bodies, "MOST_ON_DISK", 500_000)
    large = [b"x" * 200_000, b"x" * 200_000]

    async def work() -> list[tuple[int, bytes]]:
        front = Front(
            answering(lambda environ: [str(len(environ["wsgi.input"].read())).encode()]),
            threads=1,
            folder=str(tmp_path),
        )
        held = Client(*large, stops=True, headers={"content-length": "400001"})
        waiting = asyncio.create_task(held.ask(front))
        await asyncio.sleep(0)
        told = [
            await Client(*large, headers={"content-length": "400000"}).ask(front),
            await Client(b"small", headers={"content-length": "5"}).ask(front),
        ]
        held.left.set()
        await waiting
        told.append(await Client(*large, headers={"content-length": "400000"}).ask(front))
        return [(one.sent[0]["status"], one.body) for one in told]

    refused, small, after = asyncio.run(within(work()))

    assert (refused[0], json.loads(refused[1])["code"]) == (503, "too_many_in_flight")
    assert (small, after) == ((200, b"5"), (200, b"400000"))


def test_a_body_that_does_not_arrive_in_time_is_a_408_and_nothing_runs(monkeypatch: Any) -> None:
    monkeypatch.setattr(bodies, "BODY_SECONDS", 0.05)
    called = []
    client = ask(
        answering(lambda environ: called.append(1) or [b""]), b"x", stops=True, headers={"content-length": "9"}
    )

    assert (called, client.sent[0]["status"], json.loads(client.body)["code"]) == ([], 408, "timeout")


@pytest.mark.parametrize("length", ["9", "100000000"])
def test_clients_that_send_slowly_stop_nobody_else(length: str) -> None:
    async def work() -> bytes:
        front = Front(answering(lambda environ: [environ["wsgi.input"].read()]), threads=1)
        slow = [Client(b"x", stops=True, headers={"content-length": length}) for _ in range(3)]
        tasks = [asyncio.create_task(one.ask(front)) for one in slow]
        await asyncio.sleep(0)
        quick = await Client(b"quick", headers={"content-length": "5"}).ask(front)
        for one in slow:
            one.left.set()
        await asyncio.gather(*tasks)
        return quick.body

    assert asyncio.run(within(work())) == b"quick"


def test_nothing_runs_for_a_small_body_that_is_cut_off() -> None:
    called = []
    client = ask(
        answering(lambda environ: called.append(1) or [b""]), b"x", leaves=True, headers={"content-length": "9"}
    )

    assert (called, client.sent) == ([], [])


def test_headers_that_only_look_like_others_are_dropped() -> None:
    def told(environ: Environ) -> Iterable[bytes]:
        return [environ.get("HTTP_X_FORWARDED_PROTO", "none").encode()]

    assert ask(answering(told), headers={"x_forwarded_proto": "https"}).body == b"none"
    assert ask(answering(told), headers={"x-forwarded-proto": "https"}).body == b"https"


def test_an_address_comes_in_the_bytes_it_was_sent_in() -> None:
    client = ask(answering(lambda environ: [environ["PATH_INFO"].encode("latin-1")]), path="/é")

    assert client.body.decode() == "/é"


def test_a_long_answer_is_sent_in_pieces_and_closed() -> None:
    closed = []

    class Pieces:
        def __iter__(self) -> Iterator[bytes]:
            return iter([b"x" * 200_000] * 5)

        def close(self) -> None:
            closed.append(1)

    client = ask(answering(lambda environ: Pieces()))

    assert len(client.body) == 1_000_000
    assert [message.get("more_body") for message in client.sent] == [None, True, True, False]
    assert closed == [1]


def test_nobody_goes_on_making_an_answer_for_a_client_that_left() -> None:
    made = 0
    gone = threading.Event()

    def endless(environ: Environ) -> Iterable[bytes]:
        nonlocal made
        while made < 10_000:
            made += 1
            if made == 10:
                loop.call_soon_threadsafe(client.left.set)
                gone.wait(0.2)
            yield b"x" * 300_000

    async def work() -> None:
        nonlocal loop, client
        loop, client = asyncio.get_running_loop(), Client()
        await client.ask(answering(endless))

    loop: Any = None
    client: Any = None
    asyncio.run(within(work()))

    assert made < 100


# --- files and slow readers ---


class File(io.BytesIO):
    """A file that gives less than it is asked for."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(min(size or 0, 50_000))


def sending(file: io.BytesIO) -> Callable[..., Iterable[bytes]]:
    return answering(lambda environ: environ["wsgi.file_wrapper"](file, 4096), "206 Partial Content")


@pytest.mark.parametrize("size", [0, 10, FILE_PIECE, FILE_PIECE + 1, 1_000_000])
def test_a_file_is_sent_whole_with_the_headers_of_its_answer_and_closed(size: int) -> None:
    file = File(bytes(size))
    client = ask(sending(file))

    assert (client.sent[0]["status"], client.sent[0]["headers"]) == (206, [(b"x-made", b"yes")])
    assert (client.body, client.sent[-1]["more_body"], file.closed) == (bytes(size), False, True)


@pytest.mark.parametrize(
    "made",
    [
        lambda environ: environ["wsgi.file_wrapper"](File(b"x" * 1_000_000), 4096),
        lambda environ: [b"x" * 1_000_000],
    ],
)
def test_clients_that_read_slowly_stop_nobody_else(made: Callable[[Environ], Iterable[bytes]]) -> None:
    async def work() -> tuple[bytes, list[int]]:
        front = Front(
            answering(lambda environ: [b"quick"] if environ["PATH_INFO"] == "/quick" else made(environ)), threads=1
        )
        slow = [Client(reads=False) for _ in range(3)]
        tasks = [asyncio.create_task(one.ask(front)) for one in slow]
        await asyncio.sleep(0)
        quick = await Client().ask(front, "/quick")
        for one in slow:
            one.reading.set()
        await asyncio.gather(*tasks)
        return quick.body, [len(one.body) for one in slow]

    assert asyncio.run(within(work())) == (b"quick", [1_000_000] * 3)


def test_a_file_is_closed_when_its_client_takes_nothing(monkeypatch: Any) -> None:
    monkeypatch.setattr(answering_module, "WRITE_SECONDS", 0.05)
    file = File(bytes(1_000_000))
    client = ask(sending(file), reads=False)

    assert (client.body, file.closed) == (b"", True)


def test_a_client_that_takes_nothing_of_what_is_still_made_gives_back_its_thread(monkeypatch: Any) -> None:
    monkeypatch.setattr(answering_module, "WRITE_SECONDS", 0.05)
    made = []

    def pieces(environ: Environ) -> Iterable[bytes]:
        for number in range(5):
            made.append(number)
            yield b"x" * 300_000

    ask(answering(pieces), reads=False)

    assert made == [0, 1]


# --- streams ---


class Words:
    """A stream that says what it is told, until it has to end."""

    def __init__(self, *words: bytes) -> None:
        self.words = words
        self.closed = 0
        self.ended: list[str] = []

    async def run(self, connection: Connection) -> None:
        end = asyncio.Event()

        def on_end(reason: str) -> None:
            self.ended.append(reason)
            end.set()

        connection.on_end(on_end)
        for word in self.words:
            await connection.write(word)
        if not self.words:
            await end.wait()
            await connection.write(b"bye")

    def close(self) -> None:
        self.closed += 1


def handing(stream: Words, status: str = "200 OK") -> Callable[..., Iterable[bytes]]:
    def make(environ: Environ) -> Iterable[bytes]:
        environ[HANDED_OVER] = stream
        return [b"first "]

    return answering(make, status)


def test_a_stream_goes_on_with_the_headers_of_the_answer() -> None:
    stream = Words(b"one", b"two")
    client = ask(handing(stream))

    assert client.sent[0]["headers"] == [(b"x-made", b"yes")]
    assert client.body == b"first onetwo"
    assert client.sent[-1]["more_body"] is False
    assert stream.closed == 1


def test_the_length_of_what_the_view_returned_is_not_that_of_the_stream() -> None:
    def application(environ: Environ, start: Callable[..., Any]) -> Iterable[bytes]:
        environ[HANDED_OVER] = Words(b"one")
        start("200 OK", [("Content-Length", "0"), ("X-Made", "yes")])
        return [b""]

    assert ask(application).sent[0]["headers"] == [(b"x-made", b"yes")]


def test_an_error_is_answered_in_place_of_a_stream() -> None:
    stream = Words(b"one")
    client = ask(handing(stream, "500 Error"))

    assert (client.sent[0]["status"], client.body, stream.closed) == (500, b"first ", 1)


class Late(Words):
    answers_late = True

    async def run(self, connection: Connection) -> None:
        connection.decide(422, {"Content-Type": "text/late", "X-Made": "later"}, b"no")


def test_an_answer_that_comes_late_decides_on_status_headers_and_body() -> None:
    stream = Late()
    client = ask(handing(stream))

    headers = [(b"x-made", b"later"), (b"content-type", b"text/late"), (b"content-length", b"2")]
    assert (client.sent[0]["status"], sorted(client.sent[0]["headers"])) == (422, sorted(headers))
    assert (client.body, client.sent[-1]["more_body"], stream.closed) == (b"no", False, 1)


class Begun(Late):
    async def run(self, connection: Connection) -> None:
        await connection.begin(201, {"Content-Type": "text/begun"})
        await connection.write(b"one ")
        await connection.write(b"two")


def test_an_answer_that_comes_late_may_be_begun_and_written() -> None:
    client = ask(handing(Begun()))

    assert (client.sent[0]["status"], client.body) == (201, b"one two")
    assert (b"content-type", b"text/begun") in client.sent[0]["headers"]


def test_a_stream_ends_when_its_client_leaves() -> None:
    stream = Words()

    async def work() -> None:
        client = Client()
        asyncio.get_running_loop().call_later(0.05, client.left.set)
        await client.ask(handing(stream))

    asyncio.run(within(work()))

    assert (stream.ended, stream.closed) == (["gone"], 1)


def test_streams_end_when_the_process_stops(monkeypatch: Any) -> None:
    stream = Words()
    monkeypatch.setattr(connections, "_stopping", False)

    async def work() -> Client:
        asyncio.get_running_loop().call_later(0.05, connections.end_all)
        return await Client().ask(handing(stream))

    client = asyncio.run(within(work()))

    assert (stream.ended, client.body) == (["stopping"], b"first bye")
    assert client.sent[-1]["more_body"] is False


def test_the_process_may_open_as_many_files_as_the_system_allows() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 512), hard))
    try:
        open_files.allow_many()
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 512
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
