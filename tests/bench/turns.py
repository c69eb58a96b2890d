"""What comparisons share: measuring in turns, so that neither has the better moment of the machine, and words."""

import statistics
from collections.abc import Callable
from typing import Any

from tests.bench import litellm_proxy, load
from tests.bench.rows import Row, number

SECONDS = 4
PEER = {"Authorization": f"Bearer {litellm_proxy.KEY}"}
NOT_INSTALLED = Row("LiteLLM", "not installed: make peer", "installed", False)


def in_turns(**measured: Callable[[], Any]) -> dict[str, list[Any]]:
    """Each once, and once more from the last to the first: what each of them gave, by its name."""
    found: dict[str, list[Any]] = {name: [] for name in measured}
    for name in (*measured, *reversed(measured)):
        found[name].append(measured[name]())
    return found


def rate(found: list[load.Load]) -> float:
    """Their mean, in answers a second."""
    return statistics.mean(one.per_second for one in found)


def told(found: list[load.Load]) -> str:
    """In words, with what the load generator took."""
    rates = " and ".join(number(one.per_second) for one in found)
    last = found[-1]
    failed = sum(one.failures for one in found)
    return (
        f"{rates} a second, p50 {number(last.p50)} ms, p99 {number(last.p99)} ms, {last.bytes_each / 1000:.0f} KB, "
        f"{failed} failed; {load.tool()} took {100 * last.share:.0f} % of a core"
    )
