"""Batches of 500: how long their acceptance takes, and how long single jobs wait meanwhile; and their cancel."""

import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import httpx

from tests.bench import jobs
from tests.bench.rows import Row, below
from tests.fleet import Fleet

ITEMS = 500
TIMES = 5
_BODY = {
    "model": "fal-ai/flux/dev",
    "input": {"num_images": 1},
    "prompts": [f"a lighthouse at dusk, number {number}" for number in range(ITEMS)],
}


def measure(only: Sequence[str] = ()) -> Iterator[Row]:
    """On both databases, each in an installation of its own; `only` names one of them."""
    for name, database in (("SQLite", jobs._sqlite), ("PostgreSQL", jobs._postgres)):
        if not only or name in only:
            with (
                database() as settings,
                jobs._running(settings | {"MAX_OPEN_IN_BATCHES": "100000"}, dispatch=False) as (one, headers),
            ):
                yield from _accepting(name, one, headers)


def _accepting(name: str, one: Fleet, headers: dict[str, str]) -> Iterator[Row]:
    with httpx.Client(base_url=f"{one.base_url}/api/v1", headers=headers, timeout=60, trust_env=False) as http:
        _post(http, "best_effort")
        before = one.cpu_seconds()["web"]
        alone = {mode: [_post(http, mode)[0] for _ in range(TIMES)] for mode in ("best_effort", "all_or_nothing")}
        used = (one.cpu_seconds()["web"] - before) / (2 * TIMES)
        for mode, seconds in alone.items():
            note = f" at most of {TIMES}, {used:.2f} s of a core{jobs._load()}"
            yield below(f"batch of {ITEMS} accepted, {mode}, {name}", max(seconds), 3, "s", note)
        for mode in alone:
            waits, seconds = _beside(one, headers, http, mode)
            note = f", p50 {sorted(waits)[len(waits) // 2]:.0f} ms of {len(waits)}, the batch in {seconds:.2f} s"
            yield below(f"  single jobs meanwhile, slowest, {mode}", max(waits), 1000, "ms", note)
        batch = _post(http, "best_effort")[1]
        started = time.monotonic()
        answer = http.post(f"/batches/{batch}/cancel").json()
        note = f", {answer['counts']['canceled']} of {ITEMS} canceled by then"
        yield below(f"  its cancel, {name}", time.monotonic() - started, 3, "s", note)


def _post(http: httpx.Client, mode: str) -> tuple[float, str]:
    """Seconds, and the batch's id."""
    started = time.monotonic()
    answer = http.post("/batches", json={**_BODY, "mode": mode})
    seconds = time.monotonic() - started
    body = answer.json()
    assert (answer.status_code, body["counts"]["queued"]) == (201, ITEMS), answer.text[:500]
    return seconds, body["id"]


def _beside(one: Fleet, headers: dict[str, str], http: httpx.Client, mode: str) -> tuple[list[float], float]:
    """What single jobs wait in ms while a batch is accepted."""
    waits: list[float] = []
    stop = threading.Event()
    single: dict[str, Any] = {"model": _BODY["model"], "input": {"prompt": "a fox"}}

    def send() -> None:
        with httpx.Client(headers=headers, timeout=60, trust_env=False) as other:
            while not stop.is_set():
                started = time.monotonic()
                answer = other.post(f"{one.base_url}/api/v1/jobs", json=single)
                waits.append(1000 * (time.monotonic() - started))
                assert answer.status_code == 201, answer.text[:500]
                time.sleep(0.01)

    thread = threading.Thread(target=send)
    thread.start()
    time.sleep(0.3)
    seconds = _post(http, mode)[0]
    stop.set()
    thread.join()
    return waits, seconds


if __name__ == "__main__":
    for row in measure(sys.argv[1:]):
        print(row, flush=True)
