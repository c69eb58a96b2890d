"""A short soak of a started installation, and that its verdict sees what it is there to see (`make soak`: an hour)."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.soak.running import soak
from tests.soak.sampling import Held
from tests.soak.traffic import DEEDS
from tests.soak.verdict import Bounds, problems_of

# In a quarter of a minute pools and caches still fill: only what grows with every request passes these.
SHORT = Bounds(slack_mb=16, files=24, warm_up=0.5, window=0.2)
STEADY = Held(memory=100_000_000, files=50, sockets=20, threads=10, forgotten=0, database=5)
SAMPLES = 60
# So few that a small crowd fills them.
THREADS = 8


def samples(change: Callable[[int], Held]) -> list[tuple[float, dict[str, Held]]]:
    """A minute of a web process that holds what `change` says at each second, and of a dispatcher that stays."""
    return [(float(at), {"web": change(at), "dispatcher 1": STEADY}) for at in range(SAMPLES)]


def said(change: Callable[[int], Held], *, waiting: int = 0, wrong: tuple[str, ...] = ()) -> list[str]:
    rest = {"web": change(SAMPLES), "dispatcher 1": STEADY}
    return problems_of(samples(change), rest, {"open jobs": waiting}, wrong, Bounds())


@pytest.mark.postgres
def test_a_short_soak_leaves_nothing_behind(tmp_path: Path, own_database: dict[str, str]) -> None:
    settings = own_database | {"DISPATCH_THREADS": str(THREADS)}
    found = soak(
        tmp_path, seconds=15, rate=3, settings=settings, bounds=SHORT, syncs=False, rest=1, clients=4, crowd=4 * THREADS
    )

    assert found.problems == []
    assert {*DEEDS} - {*found.done} <= {"syncs", "models switched"}
    assert found.hooks >= found.done["jobs with webhooks"]


def test_what_stays_as_it_is_and_what_swings_is_no_problem() -> None:
    assert said(lambda at: replace(STEADY, memory=100_000_000 + 4_000_000 * (at % 2), files=50 + at % 5)) == []


def test_memory_that_grows_by_more_than_a_twentieth_is_told() -> None:
    (problem,) = said(lambda at: replace(STEADY, memory=100_000_000 + 200_000 * at))
    assert problem.startswith("web: memory, MB 103.8 → 111.0")


@pytest.mark.parametrize("what", ["files", "sockets", "threads", "database"])
def test_what_is_opened_and_not_closed_is_told(what: str) -> None:
    (problem,) = said(lambda at: replace(STEADY, **{what: 10 + at}))
    assert problem.startswith("web: ")


def test_sockets_whose_other_side_has_gone_are_told() -> None:
    assert said(lambda at: replace(STEADY, forgotten=100)) == ["web: 100 sockets whose other side has gone"]


def test_rows_that_wait_and_wrong_answers_are_told() -> None:
    assert said(lambda at: STEADY, waiting=2, wrong=("a 500",)) == ["2 open jobs", "a 500"]
