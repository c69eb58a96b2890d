"""Following events while others write them: nothing is skipped, nothing comes twice, whoever commits when."""

import random
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.db import connection, transaction

from genfeed.journal import following
from genfeed.journal.following import Tail
from genfeed.journal.models import OutboxEvent
from genfeed.journal.positions import Position

CLIENT = 7
WRITERS, EACH = 6, 30

pytestmark = pytest.mark.django_db(transaction=True)
several_writers = pytest.mark.skipif(
    not settings.DATABASES["default"]["ENGINE"].endswith("postgresql"), reason="SQLite has one writer at a time"
)


def write(number: int = 0, client_id: int | None = CLIENT) -> OutboxEvent:
    return OutboxEvent.objects.create(kind="balance.low", subject="x", client_id=client_id, payload={"n": number})


class OpenWriter:
    """A transaction of another connection that has written one event and stays open until it is told how to end."""

    def __init__(self) -> None:
        self._written, self._go = threading.Event(), threading.Event()
        self._commits = True
        self._thread = threading.Thread(target=self._work)
        self._thread.start()
        assert self._written.wait(10)

    def _work(self) -> None:
        try:
            with transaction.atomic():
                write(1)
                self._written.set()
                assert self._go.wait(10)
                if not self._commits:
                    transaction.set_rollback(True)
        finally:
            connection.close()

    def end(self, *, commits: bool = True) -> None:
        self._commits = commits
        self._go.set()
        self._thread.join(20)
        assert not self._thread.is_alive(), "the transaction did not end"


def told(position: Position) -> list[Any]:
    return [row.payload["n"] for row in following.after(position, CLIENT, limit=1000)]


@several_writers
def test_a_reader_waits_for_whoever_was_first_and_commits_last() -> None:
    start, tail = following.now(), Tail(following.now())
    late = OpenWriter()
    write(2)

    news = following.look(tail)

    # Whoever follows the one job is told at once; the place of a client must not pass what may still come.
    assert [row.payload["n"] for row in news.fresh] == [2]
    assert news.settled == []
    assert told(start) == []

    late.end()
    news = following.look(tail)

    assert [row.payload["n"] for row in news.fresh] == [1]
    assert [row.payload["n"] for row in news.settled] == [1, 2]
    assert told(start) == [1, 2]
    assert following.look(tail) == following.News([], [])


@several_writers
def test_a_transaction_that_is_rolled_back_holds_nobody_up() -> None:
    start, tail = following.now(), Tail(following.now())
    late = OpenWriter()
    write(2)
    following.look(tail)

    late.end(commits=False)

    assert [row.payload["n"] for row in following.look(tail).settled] == [2]
    assert told(start) == [2]


@several_writers
def test_what_was_given_is_not_read_again_while_a_transaction_stays_open(
    django_assert_num_queries: Callable[..., Any],
) -> None:
    tail = Tail(following.now())
    late = OpenWriter()
    try:
        write(2)
        following.look(tail)

        with django_assert_num_queries(1) as asked:
            assert following.look(tail) == following.News([], [])
    finally:
        late.end()

    assert "payload" not in asked[0]["sql"]


def test_more_than_one_look_may_hold_comes_with_the_next_ones_all_of_it_once_and_in_order() -> None:
    tail = Tail(following.now())
    for number in range(7):
        write(number)
    looks = [following.look(tail, limit=3) for _ in range(4)]

    assert [len(news.fresh) for news in looks] == [3, 3, 1, 0]
    for kind in ("fresh", "settled"):
        assert [row.payload["n"] for news in looks for row in getattr(news, kind)] == list(range(7)), kind


@several_writers
def test_what_became_settled_at_once_is_told_in_pieces() -> None:
    tail = Tail(following.now())
    late = OpenWriter()
    try:
        for number in (2, 3, 4):
            write(number)
        assert following.look(tail, limit=3).settled == []
    finally:
        late.end()
    looks = [following.look(tail, limit=3) for _ in range(3)]

    assert [[row.payload["n"] for row in news.settled] for news in looks] == [[1, 2, 3], [4], []]
    assert [[row.payload["n"] for row in news.fresh] for news in looks] == [[1], [], []]


@several_writers
def test_what_came_with_a_copy_of_the_database_is_past() -> None:
    row = write(1)
    OutboxEvent.objects.update(txid=10**15)
    start = following.now()
    write(2)

    assert told(start) == [2]
    # A place that the server gave out that the copy was made of.
    assert told(following.resume(Position(10**15, row.pk))) == [2]
    assert told(following.resume(Position(10**15, row.pk - 1))) == [1, 2]


def test_a_place_is_gone_on_from_as_it_is() -> None:
    place = following.now()
    row = write(1)

    assert following.resume(place) == place
    write(2)
    assert told(following.resume(Position(row.txid, row.pk))) == [2]


def test_a_look_finds_only_events_of_clients() -> None:
    tail = Tail(following.now())
    write(1, client_id=None)
    write(2)

    assert [row.payload["n"] for row in following.look(tail).fresh] == [2]


def test_no_event_is_lost_or_doubled_while_many_write() -> None:
    start = following.now()
    stop = threading.Event()
    committed: list[int] = []
    found: dict[str, list[int]] = {"fresh": [], "settled": [], "pages": []}
    problems: list[BaseException] = []

    def writing(writer: int) -> None:
        luck = random.Random(writer)
        for number in range(EACH):
            name = writer * 1000 + number
            with transaction.atomic():
                # The number of the transaction is taken before that of the row, or the other way round.
                if luck.random() < 0.5:
                    write(-1)
                write(name)
                time.sleep(luck.random() * 0.004)
                if luck.random() < 0.8:
                    committed.append(name)
                else:
                    transaction.set_rollback(True)

    def looking() -> None:
        tail = Tail(start)
        while True:
            is_last = stop.is_set()
            news = following.look(tail)
            found["fresh"] += [row.payload["n"] for row in news.fresh]
            found["settled"] += [row.payload["n"] for row in news.settled]
            if is_last and not news.fresh and not tail.seen:
                return

    def paging() -> None:
        place = start
        while True:
            is_last = stop.is_set()
            rows = following.after(place, CLIENT, limit=3)
            found["pages"] += [row.payload["n"] for row in rows]
            if rows:
                place = Position(rows[-1].txid, rows[-1].pk)
            elif is_last:
                return

    def guarded(work: Callable[..., None], *arguments: Any) -> threading.Thread:
        def run() -> None:
            try:
                work(*arguments)
            except BaseException as error:
                problems.append(error)
            finally:
                connection.close()

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    readers = [guarded(looking), guarded(paging)]
    for thread in [guarded(writing, writer) for writer in range(WRITERS)]:
        thread.join()
    stop.set()
    for thread in readers:
        thread.join(30)

    assert problems == []
    assert len(committed) > WRITERS * EACH / 2
    for how, names in found.items():
        assert sorted(name for name in names if name >= 0) == sorted(committed), how
    # The order is one that all readers agree on.
    assert [name for name in found["settled"] if name >= 0] == [name for name in found["pages"] if name >= 0]
