"""Two of each process against one, on one PostgreSQL; and whose CPU a job takes, where cores are too few for two."""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil

from tests.bench import jobs
from tests.bench.ledger import postgres
from tests.bench.rows import Row, judged_if, number, ratio
from tests.fleet import fleet

JOBS = 600
# One and two, then the other way round.
TURNS = (1, 2, 2, 1)
BAR = 1.6
# Web, dispatcher, worker and database of one more: with fewer cores they only take them from each other.
CORES = 8


def measure() -> Iterator[Row]:
    """Jobs a second from the first POST to the last settlement."""
    rates: dict[int, list[float]] = {1: [], 2: []}
    used: dict[str, list[float]] = {}
    for times in TURNS:
        with postgres() as url:
            rate, ms = _settle(times, url)
        rates[times].append(rate)
        for who, one in ms.items():
            used.setdefault(who, []).append(one)
    one, two = (statistics.mean(rates[times]) for times in (1, 2))
    for times, found in rates.items():
        yield Row(f"{times} of each process", f"{' and '.join(map(number, found))} jobs/s", values={"jobs/s": found[0]})
    cores = os.cpu_count() or 1
    note = f", {cores} cores for all processes, the sandbox and the load{jobs._load()}"
    yield judged_if(cores >= CORES, ratio("two of each against one", two, one, BAR, "jobs/s", note))
    means = {who: statistics.mean(found) for who, found in used.items()}
    words = ", ".join(f"{who} {number(ms)} ms" for who, ms in means.items())
    ours = sum(ms for who, ms in means.items() if who not in ("sandbox", "database"))
    share = means["database"] / (means["database"] + ours)
    yield Row("CPU of one job", words, values=means)
    what = "the database’s share of it: what stays one, however many processes there are"
    yield Row(
        what, f"{100 * share:.0f} %, {number(1000 / means['database'])} jobs/s a core of it", values={"share": share}
    )


def _settle(times: int, url: str) -> tuple[float, dict[str, float]]:
    settings = {"DATABASE_URL": url, "PUBLIC_URL": "here", "WEB_WORKERS": str(times)}
    with (
        tempfile.TemporaryDirectory(prefix="genfeed-bench-jobs-", ignore_cleanup_errors=True) as folder,
        fleet(Path(folder) / "var", settings=settings, dispatchers=times) as one,
    ):
        headers = {"Authorization": f"Bearer {one.prepare()}"}
        one.sandbox.faults(billing_lag=0, concurrency=5_000, processing_ms=100)
        one.start_all()
        server = _server(url)
        with jobs._watching(one) as ends:
            before, database = one.cpu_seconds(), _used(server)
            jobs._send(one, headers, jobs=JOBS, connections=jobs.CONNECTIONS)
            found = ends()
        after = one.cpu_seconds()
        ms = {"database": 1000 * (_used(server) - database) / JOBS}
        for who, now in after.items():
            name = who.split(" ")[0]
            ms[name] = ms.get(name, 0.0) + 1000 * (now - before[who]) / JOBS
        moments = found["jobs"]
        return JOBS / (max(job[3] for job in moments) - min(job[1] for job in moments)), ms


def _server(url: str) -> psutil.Process:
    """The server's first process, whose children all others are."""
    import psycopg

    with psycopg.connect(url) as connection:
        folder = connection.execute("SHOW data_directory").fetchone()
    assert folder is not None
    return psutil.Process(int((Path(folder[0]) / "postmaster.pid").read_text().splitlines()[0]))


def _used(root: psutil.Process) -> float:
    """Seconds of a core that a PostgreSQL has taken, ended connections too."""
    first = root.cpu_times()
    total = first.user + first.system + first.children_user + first.children_system
    for child in root.children(recursive=True):
        try:
            times = child.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total
