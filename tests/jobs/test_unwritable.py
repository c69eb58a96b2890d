"""What can't be written down ends in words: no provider, whatever it answers, has us look at a job for ever."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from django.db import DataError, connection
from django.test import Client as HttpClient
from django.utils import timezone

from catalog.providers import fal_answers, replicate_answers
from genfeed.media.headers import MediaFacts
from jobs import failures
from jobs.assets import fetching
from jobs.assets.models import Asset
from jobs.assets.pool import FETCH, FetchPool
from jobs.assets.reading import Read
from jobs.dispatching import watching
from jobs.dispatching.dispatcher import WATCH, Dispatcher, _Came
from jobs.ending import finishing
from jobs.models import Job, Status
from pricing.ledger.checking import check_ledger
from tests.jobs.doubles import OUTPUT, PRICE, USD, look, money, result, set_job, submitted

pytestmark = pytest.mark.django_db(transaction=True)

ANSWERS = {
    "half a character": (b'{"text": "a\\ud800b"}', {"text": "a\ufffdb"}),
    "two halves that are one": (b'{"text": "\\ud83e\\udd8a \\udd8a"}', {"text": "🦊 \ufffd"}),
    "a null character": (b'{"te\\u0000xt": ["a\\u0000b"]}', {"text": ["ab"]}),
    "no UTF-8": (b'{"text": "a\xffb"}', {"text": "a\ufffdb"}),
    "numbers that are none": (b'{"a": NaN, "b": [1e400, -Infinity]}', {"a": None, "b": [None, None]}),
    "a number beyond 64 bits": (b'{"a": 123456789012345678901234567890}', {"a": 1.2345678901234568e29}),
    "a number beyond all": (b'{"a": 1' + b"0" * 400 + b', "b": NaN}', {"a": None, "b": None}),
}


def answer(content: bytes, content_type: str = "application/json") -> httpx.Response:
    return httpx.Response(200, content=content, headers={"Content-Type": content_type})


@pytest.mark.parametrize("kind", ANSWERS)
@pytest.mark.parametrize("read", [fal_answers.body_of, replicate_answers.body_of])
def test_what_no_database_stores_is_taken_out_of_a_result_and_the_rest_is_delivered(kind: str, read: Any) -> None:
    content, expected = ANSWERS[kind]
    provider, job = submitted()
    found = read(answer(content))
    provider.on_result = result({**OUTPUT, **found})

    look(provider, job)

    assert found == expected
    assert (job.status, job.output["images"]) == (Status.SUCCEEDED, OUTPUT["images"])
    assert {name: job.output[name] for name in expected} == expected


NUMBERS = [
    10**25 + 0.0,
    -1e300,
    1e19,
    2**63 - 1,
    2**64 - 1,
    -(2**63),
    1e-300,
    0.1234567890123456789,
    12345678901234567890,
]


@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_is_told_again_as_it_came(make_key: Callable[..., str], number: float) -> None:
    provider, job = submitted(metadata={"n": [number], "text": "12345678901234567890123"})
    provider.on_result = result({**OUTPUT, "n": number})
    look(provider, job)
    http = HttpClient(headers={"Authorization": f"Bearer {make_key('admin', client='Acme')}"})

    told = http.get(f"/api/v1/jobs/{job.pk}").json()

    assert (told["output"]["n"], told["metadata"]["n"]) == (number, [number])
    assert told["metadata"]["text"] == "12345678901234567890123"
    assert http.get("/api/v1/jobs").status_code == 200


@pytest.mark.once
@pytest.mark.parametrize("content", [b"", b"<html>", b"{", b"[" * 100_000, b'{"a": ' + b"9" * 5_000 + b"NaN}"])
def test_what_is_no_json_is_none(content: bytes) -> None:
    assert fal_answers.body_of(answer(content)) is None
    assert replicate_answers.body_of(answer(content)) == {}


@pytest.mark.once
@pytest.mark.parametrize("codec", ["unicode_escape", "hex", "zlib", "rot13", "punycode", "idna", "undefined"])
def test_whatever_an_answer_calls_its_encoding_it_is_read_as_utf_8(codec: str) -> None:
    from catalog.providers.bounded import BoundedClient

    transport = httpx.MockTransport(lambda _: answer('{"a": "ü \\ud800"}'.encode(), f"text/plain; charset={codec}"))
    with BoundedClient(transport=transport) as http:
        told = fal_answers.answer_of("result", http.get("http://provider.example/"))

    assert told.body == '{"a": "ü \\ud800"}'


@pytest.mark.parametrize("units", ["999999999999", "1000000000000"])
def test_more_units_than_any_account_could_hold_are_set_aside(units: str) -> None:
    provider, job = submitted()
    provider.on_result = result(units=units)

    look(provider, job)

    assert (job.status, money(job)) == (Status.SUCCEEDED, (10 * USD - PRICE, 0, PRICE))
    assert job.quarantine
    assert check_ledger() == []


@pytest.mark.parametrize("error", [DataError("no such value"), UnicodeEncodeError("utf-8", "\ud800", 0, 1, "no"),
                                   OverflowError("too large")])  # fmt: skip
def test_a_result_that_can_not_be_kept_ends_the_job_in_words_and_costs_nothing(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider, job = submitted()
    kept = finishing.make_assets

    def refuse(job: Job, files: Any, **more: Any) -> list[Asset]:
        if files:
            raise error
        return kept(job, files, **more)

    monkeypatch.setattr(finishing, "make_assets", refuse)

    look(provider, job)

    assert (job.status, job.error["message"]) == (Status.FAILED, failures.NO_PAYLOAD.message)
    assert money(job) == (10 * USD, 0, 0)
    assert check_ledger() == []


@pytest.mark.skipif("sqlite" in connection.vendor, reason="SQLite stores them")
def test_a_null_character_that_comes_by_any_way_ends_the_job_in_words() -> None:
    provider, job = submitted()
    provider.on_result = result({**OUTPUT, "text": "a\x00b"})

    look(provider, job)

    assert (job.status, job.error["message"]) == (Status.FAILED, failures.NO_PAYLOAD.message)


@pytest.fixture
def loop() -> Iterator[Dispatcher]:
    one = Dispatcher(threads=1)
    yield one
    one.drain()


@pytest.mark.parametrize("day_is_over", [False, True])
@pytest.mark.parametrize("where", ["ask", "apply"])
def test_a_look_that_breaks_each_time_is_given_up_after_a_day(
    loop: Dispatcher, monkeypatch: pytest.MonkeyPatch, where: str, day_is_over: bool
) -> None:
    _, job = submitted()
    if day_is_over:
        set_job(job, submitted_at=timezone.now() - watching.LONGEST - timedelta(seconds=1))

    def broken(*_: Any) -> None:
        raise RuntimeError("nobody foresaw it")

    step = WATCH if where == "ask" else type(WATCH)(WATCH.ask, broken)
    outcome: Any = RuntimeError("nobody foresaw it") if where == "ask" else watching.Watched(None)
    loop._apply(_Came(step, job, outcome))

    job.refresh_from_db()
    assert job.status == (Status.FAILED if day_is_over else Status.SUBMITTED)
    assert not day_is_over or (job.error["code"], money(job)) == ("timeout", (10 * USD, 0, 0))


def test_a_file_of_which_something_can_not_be_kept_is_fetched_once() -> None:
    provider, job = submitted()
    look(provider, job)
    (asset,) = fetching.claim(5)
    pool = FetchPool()
    pool._running = 1
    facts = MediaFacts(width=2**70, height=1)
    pool._apply(FETCH, asset, fetching.Stored("nowhere", 1, "0" * 64, Read("image/png", "image", "a.png", facts)))
    pool.close()

    asset.refresh_from_db()
    assert (asset.state, asset.problem) == (Asset.State.FAILED, "what it says of itself can't be kept")
