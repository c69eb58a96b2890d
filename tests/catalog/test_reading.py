"""Answers that no provider should give, read from a real socket: each ends in words, and never with the key."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from catalog.providers import base
from catalog.providers.base import (
    ProviderBadAnswerError,
    ProviderError,
    ProviderKeyError,
    ProviderRejectedError,
    ProviderUnavailableError,
)
from catalog.providers.fal import FalProvider
from catalog.providers.reading import Backoff, JsonReader

Answering = Callable[..., str]


def http(body: bytes, status: str = "200 OK", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


@pytest.fixture
def answering() -> Iterator[Answering]:
    """Answers each connection with the next of the given bytes, then with the last; returns the address."""
    servers: list[socket.socket] = []

    def start(*answers: bytes) -> str:
        server = socket.create_server(("127.0.0.1", 0))
        servers.append(server)
        threading.Thread(target=_serve, args=(server, list(answers)), daemon=True).start()
        return f"http://127.0.0.1:{server.getsockname()[1]}"

    yield start
    for server in servers:
        server.close()


def _serve(server: socket.socket, answers: list[bytes]) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with connection:
            connection.recv(65536)
            connection.sendall(answers.pop(0) if len(answers) > 1 else answers[0])


def reader(url: str, *, key: str = "id:secret", sleep: Callable[[float], object] | None = lambda _: None) -> JsonReader:
    return JsonReader(
        provider="fal.ai",
        base_url=url,
        headers={"Authorization": f"Key {key}"},
        timeout=5,
        backoff=Backoff(retries=1, base=0),
        connections=1,
        sleep=sleep,
    )


def trouble(url: str, **options: str) -> ProviderError:
    with closing(reader(url, **options)) as asked, pytest.raises(ProviderError) as caught:
        asked.get("/models", {})
    return caught.value


def test_a_compressed_answer_that_can_not_be_unpacked_is_a_bad_answer(answering: Answering) -> None:
    error = trouble(answering(http(b"no gzip", Content_Encoding="gzip")))
    assert isinstance(error, ProviderBadAnswerError)
    assert "unreadable" in str(error)


def test_json_that_is_no_object_is_a_bad_answer(answering: Answering) -> None:
    assert "no object" in str(trouble(answering(http(b"[1, 2]"))))


def test_a_number_that_no_float_can_hold_is_a_bad_answer(answering: Answering) -> None:
    assert "no JSON" in str(trouble(answering(http(b'{"price": 1e999}'))))


def test_an_answer_that_is_no_http_is_told_as_not_reached(answering: Answering) -> None:
    assert isinstance(trouble(answering(b"220 mail.example.com ESMTP\r\n")), ProviderUnavailableError)


def test_a_redirect_is_not_followed(answering: Answering) -> None:
    elsewhere = answering(http(b'{"models": []}'))
    error = trouble(answering(http(b"", "302 Found", Location=elsewhere)))
    assert isinstance(error, ProviderRejectedError)
    assert error.status == 302


@pytest.mark.parametrize("wait", ["²", "soon", "-5", "1e3", "Wed, 99 Nowhere 2026", "0x10"])
def test_an_unreadable_retry_after_counts_as_none(answering: Answering, wait: str) -> None:
    url = answering(http(b"{}", "429 Too Many Requests", Retry_After=wait), http(b'{"models": []}'))
    with closing(reader(url)) as asked:
        assert asked.get("/models", {}) == {"models": []}


def test_a_retry_after_that_is_a_date_is_waited_for(answering: Answering) -> None:
    waits: list[float] = []
    late = http(b"{}", "429 Too Many Requests", Retry_After="Fri, 01 Jan 2010 00:00:00 GMT")
    with closing(reader(answering(late, http(b'{"models": []}')), sleep=waits.append)) as asked:
        asked.get("/models", {})
    assert waits == [0.0]


def test_a_wait_that_is_too_long_is_told_instead_of_slept(answering: Answering) -> None:
    waits: list[float] = []
    url = answering(http(b"{}", "429 Too Many Requests", Retry_After="3600"))
    with closing(reader(url, sleep=waits.append)) as asked, pytest.raises(ProviderError, match="wait 3600 s"):
        asked.get("/models", {})
    assert waits == []


def test_a_wait_ends_when_the_reader_is_closed(answering: Answering) -> None:
    url = answering(http(b"{}", "429 Too Many Requests", Retry_After="60"))
    asked = reader(url, sleep=None)
    troubles: list[Exception] = []

    def ask() -> None:
        try:
            asked.get("/models", {})
        except ProviderError as error:
            troubles.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    asked._closed.set()
    thread.join(20)
    assert [str(error)[:6] for error in troubles] == ["fal.ai"]


def test_nul_characters_are_dropped_wherever_they_stand(answering: Answering) -> None:
    url = answering(http(b'{"models": [{"endpoint_id": "a\\u0000b", "openapi": {"x\\u0000": ["\\u0000c"]}}]}'))
    with closing(reader(url)) as asked:
        body = asked.get("/models", {})
    assert body == {"models": [{"endpoint_id": "ab", "openapi": {"x": ["c"]}}]}


def test_nul_characters_of_an_error_message_are_dropped(answering: Answering) -> None:
    refusal = http(b'{"error": {"type": "server_error", "message": "bad\\u0000 luck"}}', "500 Internal Server Error")
    assert "It says: bad luck." in str(trouble(answering(refusal)))


@pytest.mark.parametrize("key", ["id:first\nid:second", "id:first\r\nX-Evil: 1"])
def test_a_key_that_no_header_can_carry_is_told_without_repeating_it(answering: Answering, key: str) -> None:
    error = trouble(answering(http(b'{"models": []}')), key=key)
    assert isinstance(error, ProviderKeyError)
    assert "Check the key" in str(error)
    assert "id:first" not in str(error)


@pytest.mark.parametrize("quoted", ["the-id:the-secret", "the-secret", "Key the-id:the-secret"])
def test_a_provider_that_quotes_the_key_is_not_quoted_with_it(answering: Answering, quoted: str) -> None:
    refusal = http(f'{{"error": {{"message": "{quoted} is no key"}}}}'.encode(), "401 Unauthorized")
    error = trouble(answering(refusal), key="the-id:the-secret")
    assert "is no key" in str(error)
    assert "the-secret" not in str(error)


def test_a_key_with_an_umlaut_is_the_providers_to_refuse(answering: Answering) -> None:
    error = trouble(answering(http(b"{}", "401 Unauthorized")), key="schlüssel")
    assert isinstance(error, ProviderKeyError)


def test_a_key_that_can_not_be_sent_is_called_invalid_by_the_check(answering: Answering, settings: Any) -> None:
    settings.FAL_KEY = "two\nlines"
    settings.FAL_PLATFORM_URL = answering(http(b"{}"))
    with closing(base.open_provider("fal")) as provider:
        checked = provider.check_key()
    assert checked.state == "invalid"
    assert "two" not in checked.detail


def page(cursor: str | None, *ids: str) -> bytes:
    rows = ", ".join(f'{{"endpoint_id": "{endpoint_id}"}}' for endpoint_id in ids)
    following = f'"{cursor}"' if cursor else "null"
    more = "true" if cursor else "false"
    return http(f'{{"models": [{rows}], "next_cursor": {following}, "has_more": {more}}}'.encode())


def test_a_model_that_was_pushed_on_to_a_last_page_of_its_own_is_no_repetition(answering: Answering) -> None:
    url = answering(page("Mg", "a", "b"), page(None, "b"))
    with closing(FalProvider(platform_url=url, key="", reader=reader(url), web=reader(url), concurrency=1)) as provider:
        pages = [[model.endpoint_id for model in found.models] for found in provider.list_models()]
    assert pages == [["a", "b"], ["b"]]


def test_a_page_like_an_earlier_one_is_a_repetition(answering: Answering) -> None:
    url = answering(page("Mg", "a", "b"), page("Mw", "c"), page("NA", "b", "a"))
    with closing(FalProvider(platform_url=url, key="", reader=reader(url), web=reader(url), concurrency=1)) as provider:
        listing = provider.list_models()
        with pytest.raises(ProviderBadAnswerError, match="page 3 holds the models of an earlier one"):
            list(listing)


@pytest.mark.parametrize("exact", [False, True])
def test_half_a_character_is_replaced_and_the_rest_is_read(answering: Answering, exact: bool) -> None:
    url = answering(http(b'{"prices": [{"unit": "im\\ud800ages", "unit_price": 0.1}]}'))
    with closing(reader(url)) as asked:
        (row,) = asked.get("/models/pricing", {}, exact=exact)["prices"]
    assert row["unit"] == "im\ufffdages"
