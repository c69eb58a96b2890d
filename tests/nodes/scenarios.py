"""What is done to the fleet, one function each: it does it under load and returns what was seen."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.nodes.site import Site

# On a machine that has far more to do than it can, starting a process alone takes a minute.
RECOVERY_SECONDS = 180.0
FAKETIME = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)


class NotHereError(Exception):
    """What this machine lacks for a scenario."""


@dataclass(frozen=True)
class Extent:
    """How much is done. `pause`: seconds that a process is stopped for; `away`: that the database is away.

    `outage`: that there is no room for files; `hour`: that stand for an hour of the provider's.
    """

    pause: float
    away: float
    outage: float
    hour: float
    each: bool


SHORT = Extent(pause=6.0, away=1.5, outage=3.0, hour=10.0, each=False)
LONG = Extent(pause=60.0, away=10.0, outage=30.0, hour=60.0, each=True)


@dataclass(frozen=True)
class Seen:
    """What a scenario was, in words; how long recovery took at the most; and what else is worth a word."""

    done: str
    seconds: float
    words: str = ""


def killed(site: Site, extent: Extent) -> Seen:
    """Every process, or one of each, with kill -9, one after the other, and started again a moment later."""
    longest = 0.0
    names = site.fleet.names if extent.each else site.fleet.names[1::2]
    for name in names:
        site.fleet.kill(name)
        time.sleep(0.5)
        site.fleet.start(name)
        if extent.each:
            longest = max(longest, site.recovered(seconds=RECOVERY_SECONDS))
    longest = max(longest, site.recovered(seconds=RECOVERY_SECONDS))
    whom = "each of the six processes" if extent.each else "one web, worker and dispatcher"
    return Seen(f"kill -9 to {whom} in turn, started again after half a second", longest)


def children_killed(site: Site, extent: Extent) -> Seen:
    """The newest child of a web and of a worker process, with kill -9: whoever started it must notice."""
    for name in ("web 2", "worker 2"):
        leader = psutil.Process(site.fleet.running[name].pid)
        max(leader.children(recursive=True), key=lambda child: child.create_time()).kill()
        _supervise(site, name, seconds=10)
    seconds = site.recovered(seconds=RECOVERY_SECONDS)
    return Seen("kill -9 to one child of a web and of a worker process; what ends by that is started again", seconds)


def _supervise(site: Site, name: str, *, seconds: float) -> None:
    """As systemd does: where the process itself has ended, what is left of it goes, and it is started again."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if site.fleet.running[name].poll() is not None:
            site.fleet.kill(name)
            site.fleet.start(name)
            return
        time.sleep(0.1)


def paused(site: Site, extent: Extent) -> Seen:
    """One of each stopped and continued, then the other of each; leases end meanwhile, and others take over."""
    longest, words = 0.0, []
    halves = [site.fleet.names[1::2], site.fleet.names[0::2]]
    for half in halves if extent.each else halves[:1]:
        for name in half:
            site.fleet.pause(name)
        before = len(site.load.accepted)
        began = time.monotonic()
        time.sleep(extent.pause)
        taken = len(site.load.accepted) - before
        assert taken, "nothing was accepted while one of each was paused"
        words.append(f"{taken / (time.monotonic() - began):.1f} jobs/s were accepted meanwhile")
        for name in half:
            site.fleet.go_on(name)
        longest = max(longest, site.recovered(seconds=RECOVERY_SECONDS))
    done = f"SIGSTOP to one web, worker and dispatcher for {extent.pause:.0f} s, leases being 3 s, then SIGCONT"
    return Seen(done + ("; then the same to the others" if extent.each else ""), longest, "; ".join(words))


def late(site: Site, extent: Extent) -> Seen:
    """One of each told to stop; the others work alone; then they come back and take their share."""
    half = site.fleet.names[1::2]
    for name in half:
        site.fleet.end(name)
    time.sleep(extent.pause / 3)
    before, webs = site.ended_by(), dict(site.load.by_web)
    for name in half:
        site.fleet.start(name)
    seconds = site.recovered(seconds=RECOVERY_SECONDS)
    deadline = time.monotonic() + 20
    while site.ended_by()["dispatcher 2"] == before["dispatcher 2"] and time.monotonic() < deadline:
        time.sleep(0.1)
    gained = {name: count - before[name] for name, count in site.ended_by().items()}
    assert gained["dispatcher 2"], f"the dispatcher that came late has ended nothing: {gained}"
    late_web = site.fleet.base_urls[1]
    assert site.load.by_web[late_web] > webs.get(late_web, 0), "the web process that came late took nothing"
    done = f"one web, worker and dispatcher stopped (SIGTERM), started {extent.pause / 3:.0f} s after the others"
    return Seen(done, seconds, f"jobs ended since then by each dispatcher: {gained}")


def database(site: Site, extent: Extent) -> Seen:
    """PostgreSQL stopped and started again: as an operator does it, then as a crash does."""
    longest, told = 0.0, site.load.told
    for mode in ("fast", "immediate"):
        watch = _Watch(site)
        site.database.restart(mode, away_seconds=extent.away)
        longest = max(longest, site.recovered(seconds=RECOVERY_SECONDS))
        watch.stop()
        watch.judge()
    told = site.load.told - told
    assert told, "no client was told to come again"
    done = f"PostgreSQL stopped for {extent.away:.0f} s, by -m fast and by -m immediate (a crash)"
    return Seen(done, longest, f"{told} answers were 503 with Retry-After, none was another error")


class _Watch:
    """Asks one web process for its pages all the time, and remembers what each answered."""

    PATHS = ("/healthz", "/readyz", "/admin/login/", "/api/v1/models?limit=5")

    def __init__(self, site: Site) -> None:
        self.answers: dict[str, dict[int, int]] = {path: {} for path in self.PATHS}
        self.silent: list[str] = []
        self._ended = threading.Event()
        self._base_url = site.fleet.base_urls[0]
        self._headers = site.load._headers
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join(20)

    def judge(self) -> None:
        """The process lives all the time; what needs the database says 503 and when to come again, never 500."""
        assert set(self.answers["/healthz"]) == {200}, self.answers
        assert 503 in self.answers["/readyz"], self.answers
        for path, by in self.answers.items():
            assert set(by) <= {200, 302, 503}, (path, by)
        assert not self.silent, self.silent

    def _work(self) -> None:
        with httpx.Client(base_url=self._base_url, headers=self._headers, timeout=10, trust_env=False) as http:
            while not self._ended.wait(0.2):
                for path in self.PATHS:
                    try:
                        answer = http.get(path)
                    except httpx.TransportError as error:
                        self.silent.append(f"{path}: {error!r}")
                        continue
                    by = self.answers[path]
                    by[answer.status_code] = by.get(answer.status_code, 0) + 1
                    if answer.status_code == 503 and path != "/readyz" and "Retry-After" not in answer.headers:
                        self.silent.append(f"{path} does not say when to come again")


def disk(site: Site, extent: Extent) -> Seen:
    """No room for files: jobs succeed all the same, staff are told, and the files are stored when there is room."""
    media = site.media
    if media is None:
        raise NotHereError("a disk of its own for files can't be mounted here")
    filler = media / "filler"
    with filler.open("wb") as file:
        try:
            while True:
                file.write(b"\0" * 65_536)
        except OSError:
            pass
    before = site.look(full=True)
    time.sleep(extent.outage)
    during = site.look(full=True)
    ended = during["by"].get("succeeded", 0) - before["by"].get("succeeded", 0)
    assert ended, "no job succeeded while the disk was full"
    assert during["files"].get("pending"), "every file was stored, so the disk was not full"
    assert "storage_failed" in during["alerts"], during["alerts"]
    filler.unlink()
    began = time.monotonic()
    # Some are always on their way while jobs run.
    while site.look()["under_way"].get("files on their way", 0) > 5 and time.monotonic() < began + RECOVERY_SECONDS:
        time.sleep(0.2)
    seconds = time.monotonic() - began
    waiting = during["files"]["pending"]
    return Seen(
        f"the disk of the files full for {extent.outage:.0f} s", seconds,
        f"{ended} jobs succeeded meanwhile, {waiting} files waited, and the alert storage_failed was raised",
    )  # fmt: skip


def clock(site: Site, extent: Extent) -> Seen:
    """One of each on a machine whose clock is ten minutes ahead, then ten behind."""
    if FAKETIME is None:
        raise NotHereError("libfaketime is not installed (Debian's package faketime)")
    half, longest, worst = site.fleet.names[0::2], 0.0, 0.0
    for minutes in (10, -10):
        faked = {"LD_PRELOAD": str(FAKETIME), "FAKETIME": f"{minutes * 60:+d}", "DONT_FAKE_MONOTONIC": "1"}
        told = site.fleet.log.read_text().count("this machine's clock is")
        came = len(site.receiver.ages)
        _restart(site, half, faked)
        longest = max(longest, site.recovered(seconds=RECOVERY_SECONDS))
        time.sleep(extent.outage)
        _exchange_links(site)
        assert site.fleet.log.read_text().count("this machine's clock is") > told, "the clock was not off"
        worst = max(map(abs, site.receiver.ages[came:]), default=0.0)
        assert worst < 60, f"a webhook says that it is {worst:.0f} s old"
    refused = site.fleet.log.read_text().count("a webhook was refused")
    assert not refused, f"{refused} webhooks of the provider were taken for old ones"
    _restart(site, half, {})
    site.recovered(seconds=RECOVERY_SECONDS)
    return Seen(
        "the clock of one web, worker and dispatcher ten minutes ahead, then ten behind", longest,
        f"the timestamp of no webhook was off by more than {worst:.1f} s, links made by one web were good at the other",
    )  # fmt: skip


def _restart(site: Site, names: list[str], faked: dict[str, str]) -> None:
    for name in names:
        site.fleet.kill(name)
        kept = {key: value for key, value in site.fleet.own.get(name, {}).items() if key == "LOG_LEVEL"}
        site.fleet.own[name] = kept | faked
        site.fleet.start(name)


def _exchange_links(site: Site) -> None:
    """Signed addresses that one web makes are good at the other, both ways: of a file, and of a job's events."""
    job = next(reversed(site.load.accepted.values()))
    with httpx.Client(headers=site.load._headers, timeout=10, trust_env=False) as http:
        for own, other in (site.fleet.base_urls, site.fleet.base_urls[::-1]):
            seen: dict[str, Any] = {}
            deadline = time.monotonic() + 20
            while not any(one.get("url") for one in seen.get("assets", ())):
                assert time.monotonic() < deadline, f"no file was stored: {seen}"
                seen = http.get(f"{own}/api/v1/jobs/{job}").json()
                time.sleep(0.1)
            for url in (seen["assets"][0]["url"], seen["events_url"]):
                path = "/" + url.split("://", 1)[-1].split("/", 1)[1]
                answer = httpx.get(f"{other}{path}", timeout=10, trust_env=False)
                assert answer.status_code == 200, (
                    f"{path} of {own} at {other}: {answer.status_code} {answer.text[:200]}"
                )


def provider(site: Site, extent: Extent) -> Seen:
    """The provider takes nothing for an hour, which passes sixty times as fast; queue and gate are scaled alike."""
    hour = extent.hour
    scaled = {"QUEUE_TIMEOUT_SECONDS": str(max(5, round(hour / 4))), "GATE_SECONDS": f"{hour / 30:.2f}"}
    dispatchers = [name for name in site.fleet.names if name.startswith("dispatcher")]
    _restart(site, dispatchers, scaled)
    site.recovered(seconds=RECOVERY_SECONDS)
    watch = _Watch(site)
    site.sandbox.faults(fail=[{"match": "^/queue/", "status": 503}])
    time.sleep(hour)
    during = site.look(full=True)
    watch.stop()
    site.sandbox.faults(fail=[])
    seconds = site.recovered(seconds=RECOVERY_SECONDS)
    assert set(watch.answers["/api/v1/models?limit=5"]) == {200}, watch.answers
    assert "provider_unreachable" in during["alerts"], during["alerts"]
    assert during["codes"].get("queue_timeout"), during["codes"]
    after = site.look(full=True)
    assert "provider_unreachable" not in after["alerts"], "the alert stays although the provider is back"
    _restart(site, dispatchers, {})
    return Seen(
        f"the provider answers 503 to everything for {hour:.0f} s, which stand for an hour", seconds,
        f"{during['codes']['queue_timeout']} jobs waited longer than the queue lets them and cost nothing; the list of "
        f"models answered {watch.answers['/api/v1/models?limit=5'][200]} times, and nothing else",
    )  # fmt: skip


ALL: dict[str, Callable[[Site, Extent], Seen]] = {
    "killed": killed,
    "children": children_killed,
    "paused": paused,
    "late": late,
    "database": database,
    "disk": disk,
    "clock": clock,
    "provider": provider,
}
