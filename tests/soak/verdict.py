"""What a soak has shown: whether anything grew that should not, was forgotten, or was answered wrongly."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.soak.sampling import Held

# The sandbox stands in for the provider, and remembers every call on purpose.
NOT_OURS = "sandbox"
MEMORY = "memory, MB"
# Of descriptors, sockets and threads: pools fill as they are used.
_SHARE = 0.1
# Idle connections that the provider has closed: the pool closes its own with the next call.
_MOST_FORGOTTEN = 40
_MB = 1e6


@dataclass(frozen=True)
class Bounds:
    """What may grow, from a window after the warm-up to one at the end: medians of both are compared.

    `memory`: share of it; `slack_mb`: so much in any case; `files`: descriptors, sockets or threads more in any case.
    """

    memory: float = 0.05
    slack_mb: float = 0.0
    files: int = 8
    warm_up: float = 0.25
    window: float = 0.15


@dataclass(frozen=True)
class Grown:
    """One figure of one process: its medians in the first and the last window."""

    process: str
    what: str
    first: float
    last: float
    is_too_much: bool

    def __str__(self) -> str:
        share = f"{100 * (self.last / self.first - 1):+.1f} %" if self.first else ""
        return f"{self.process}: {self.what} {self.first:,.1f} → {self.last:,.1f} {share}"


def grown(samples: Sequence[tuple[float, dict[str, Held]]], bounds: Bounds) -> list[Grown]:
    """Memory, descriptors, sockets, threads and connections to the database of each process, then and at the end."""
    total = samples[-1][0]
    begin, width = total * bounds.warm_up, total * bounds.window
    first = [held for at, held in samples if begin <= at <= begin + width]
    last = [held for at, held in samples if at >= total - width]
    found = []
    for name in samples[-1][1]:
        for what, value in _FIGURES.items():
            before, after = (statistics.median(value(held[name]) for held in part) for part in (first, last))
            share, least = (bounds.memory, bounds.slack_mb) if what == MEMORY else (_SHARE, bounds.files)
            may = max(before * share, least)
            found.append(Grown(name, what, before, after, name != NOT_OURS and after - before > may))
    return found


def problems_of(
    samples: Sequence[tuple[float, dict[str, Held]]],
    at_rest: dict[str, Held],
    waiting: dict[str, int],
    wrong: Sequence[str],
    bounds: Bounds,
) -> list[str]:
    """All that must not be after a soak; empty where everything held.

    `at_rest` is what is held when nobody has asked for anything for a while, `waiting` are rows that wait then.
    """
    problems = [str(one) for one in grown(samples, bounds) if one.is_too_much]
    problems += [
        f"{name}: {held.forgotten} sockets whose other side has gone"
        for name, held in at_rest.items()
        if held.forgotten > _MOST_FORGOTTEN and name != NOT_OURS
    ]
    problems += [f"{number} {what}" for what, number in waiting.items() if number]
    return [*problems, *wrong[:20]]


def memory_of(samples: Sequence[tuple[float, dict[str, Held]]], parts: int = 10) -> dict[str, list[float]]:
    """The medians of each process's megabytes, of so many parts of the time."""
    width = -(-len(samples) // parts)
    pieces = [samples[begin : begin + width] for begin in range(0, len(samples), width)]
    return {
        name: [statistics.median(held[name].memory for _, held in piece) / _MB for piece in pieces]
        for name in samples[-1][1]
    }


_FIGURES: dict[str, Callable[[Held], float]] = {
    MEMORY: lambda held: held.memory / _MB,
    "descriptors": lambda held: held.files,
    "sockets": lambda held: held.sockets,
    "threads": lambda held: held.threads,
    "connections to the database": lambda held: held.database,
}
