"""How tests are spread over processes: by file, so that what a file starts is started once, the longest first."""

from typing import Any

import pytest
from xdist.scheduler.loadscope import LoadScopeScheduling

# Its files share one browser and one installation that the demo has filled.
_TOGETHER = "tests/browser/"
# What starts whole installations, or kills processes again and again: begun last, it would keep everybody waiting.
_FIRST = (
    _TOGETHER,
    "tests/exchange/",
    "tests/ops/",
    "tests/protocols/test_openai_client.py",
    "tests/protocols/test_fal_clients.py",
    "tests/jobs/test_kills.py",
    "tests/jobs/test_nodes.py",
    "tests/jobs/webhooks/test_killed_senders.py",
    "tests/jobs/batches/test_killed.py",
    "tests/jobs/workflows/test_killed.py",
    "tests/jobs/assets/test_resumable_client.py",
    "tests/jobs/events/",
)


class ByFile(LoadScopeScheduling):
    """One file, or all files of `_TOGETHER`, to one process, in the order in which they were collected.

    The marks of xdist's own `loadgroup` have no effect with pytest 9.2.
    """

    def _split_scope(self, nodeid: str) -> str:
        return _TOGETHER if nodeid.startswith(_TOGETHER) else nodeid.partition("::")[0]


def long_ones_first(items: list[pytest.Item]) -> None:
    """Orders the collected tests; the others stay as they were."""
    items.sort(key=lambda item: next((place for place, one in enumerate(_FIRST) if item.nodeid.startswith(one)), 99))


def scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """What xdist is given to spread the tests with."""
    config.option.loadscopereorder = False
    return ByFile(config, log)
