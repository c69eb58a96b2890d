"""Handing events out: once a tick to all who follow, and never more than a watcher can take."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from genfeed.journal.positions import Position
from jobs.events import hub as hubs
from jobs.events.hub import LONGEST_QUEUE, Hub, Watcher
from jobs.events.reading import Item


def item(number: int, job: str = "job_a", type: str = "job_progress") -> Item:
    return Item(number, type, job, b"%d" % number)


def run(work: Callable[[], Awaitable[Any]]) -> Any:
    return asyncio.run(work())  # type: ignore[arg-type]


def test_a_watcher_that_is_too_slow_is_let_go_and_its_queue_with_it() -> None:
    async def work() -> None:
        watcher = Watcher(1, "job_a")
        for number in range(LONGEST_QUEUE + 5):
            watcher.offer([item(number)])
        assert watcher.end_reason == "too slow"
        assert await watcher.take(1) == []

    run(work)


def test_a_watcher_that_takes_what_comes_is_not_slow_however_much_comes_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    news = News(monkeypatch)

    async def work() -> None:
        hub = Hub()
        watcher = Watcher(1)
        await hub.add(watcher)
        for burst in range(2):
            news.next.append(([], [(1, item(burst * 1000 + number)) for number in range(LONGEST_QUEUE + 5)]))
            assert len(await watcher.take(5)) == LONGEST_QUEUE + 5
        assert watcher.end_reason == ""
        hub.remove(watcher)

    run(work)


def test_a_watcher_waits_no_longer_than_it_is_told() -> None:
    async def work() -> None:
        watcher = Watcher(1, "job_a")
        assert await watcher.take(0.01) == []
        asyncio.get_running_loop().call_later(0.01, watcher.offer, [item(1)])
        assert [one.at for one in await watcher.take(5)] == [1]
        watcher.end("stopping")
        assert await watcher.take(5) == []

    run(work)


class News:
    """Stands for the database: what each look finds, and how many looks there were."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.looks = 0
        self.next: list[Any] = []
        self.asked: list[tuple[Any, Any]] = []
        monkeypatch.setattr(hubs.following, "now", lambda: Position(0, 0))
        monkeypatch.setattr(hubs, "_news", self._news)
        monkeypatch.setattr(hubs, "TICK_SECONDS", 0.005)
        monkeypatch.setattr(hubs, "_PAUSE_SECONDS", 0.005)

    def _news(self, _tail: Any, jobs: Any, clients: Any) -> Any:
        self.looks += 1
        self.asked.append((set(jobs), set(clients)))
        found = self.next.pop(0) if self.next else ([], [])
        if isinstance(found, Exception):
            raise found
        return found


async def looked(news: News, times: int) -> None:
    """Waits until it has been looked so often."""
    async with asyncio.timeout(5):
        while news.looks < times:
            await asyncio.sleep(0.001)


def test_one_look_serves_all_watchers_and_each_gets_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    news = News(monkeypatch)

    async def work() -> None:
        hub = Hub()
        watchers = [Watcher(1, "job_a"), Watcher(1, "job_a"), Watcher(1, "job_b"), Watcher(1), Watcher(2)]
        for watcher in watchers:
            await hub.add(watcher)
        news.next.append(([item(1), item(7, job="job_b")], [(1, item(3))]))
        looks = news.looks
        got = [[one.at for one in await watcher.take(0.2)] for watcher in watchers]
        assert got == [[1], [1], [7], [3], []]
        assert news.looks - looks < 100
        assert news.asked[-1] == ({"job_a", "job_b"}, {1, 2})
        for watcher in watchers:
            hub.remove(watcher)

    run(work)


def test_nobody_looks_while_nobody_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    news = News(monkeypatch)

    async def work() -> None:
        hub = Hub()
        watcher = Watcher(1, "job_a")
        await hub.add(watcher)
        await looked(news, 2)
        looking = hub._task
        assert looking is not None
        hub.remove(watcher)
        await asyncio.wait_for(looking, 5)
        assert hub._task is None
        # And again, when somebody comes back.
        await hub.add(watcher)
        news.next.append(([item(1)], []))
        assert [one.at for one in await watcher.take(5)] == [1]
        hub.remove(watcher)

    run(work)


def test_a_look_that_fails_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    news = News(monkeypatch)
    news.next += [RuntimeError("the database is away"), ([item(1)], [])]

    async def work() -> None:
        hub = Hub()
        watcher = Watcher(1, "job_a")
        await hub.add(watcher)
        assert [one.at for one in await watcher.take(1)] == [1]
        hub.remove(watcher)

    run(work)


def test_a_watcher_comes_in_between_two_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who came in while one is under way would get neither what it finds, nor read it as past."""
    News(monkeypatch)

    async def work() -> None:
        hub = Hub()
        first, second = Watcher(1, "job_a"), Watcher(1, "job_b")
        await hub.add(first)
        await hub._between.acquire()
        adding = asyncio.ensure_future(hub.add(second))
        await asyncio.sleep(0.02)
        assert not adding.done()
        hub._between.release()
        await adding
        hub.remove(first)
        hub.remove(second)
        await asyncio.sleep(0.02)

    run(work)
