"""How tests are spread over processes: by file, so that what a file starts is started once, the longest first."""

import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from _pytest.assertion import rewrite
from xdist.scheduler.loadscope import LoadScopeScheduling

# Files whose tests go to one process: they share what takes long to make.
_TOGETHER = {
    # One browser, and one installation that the demo has filled.
    "tests/browser/": "tests/browser/",
    # The recorded catalogs, read and mapped in seconds.
    **dict.fromkeys(
        (
            "tests/catalog/test_changes_both_ways.py",
            "tests/catalog/test_changes_recorded.py",
            "tests/catalog/test_mapping_media.py",
            "tests/catalog/test_mapping_recorded.py",
            "tests/catalog/test_media_types.py",
            "tests/catalog/test_validation_recorded.py",
            "tests/jobs/assets/test_media_tools.py",
            "tests/pricing/estimates/test_properties.py",
            "tests/pricing/test_recorded_prices.py",
            "tests/pricing/test_units.py",
        ),
        "recorded documents",
    ),
    # A sandbox that offers the newer of them, and what a first sync of it leaves.
    **dict.fromkeys(
        (
            "tests/admin/test_model_list.py",
            "tests/admin/test_model_page.py",
            "tests/admin/test_sync_runs.py",
            "tests/catalog/test_discovery.py",
            "tests/pricing/sync/test_price_sync.py",
        ),
        "recorded catalog",
    ),
}
# What starts whole installations, kills processes again and again, or takes long by itself: begun last, it would keep
# everybody waiting.
_FIRST = (
    "tests/browser/",
    "tests/exchange/test_two_installations.py",
    "tests/backup/",
    "tests/ops/test_up.py",
    "tests/ops/",
    "tests/protocols/test_openai_client.py",
    "tests/protocols/test_fal_clients.py",
    "tests/jobs/test_kills.py",
    "tests/jobs/test_nodes.py",
    "tests/jobs/test_soak.py",
    "tests/jobs/webhooks/test_killed_senders.py",
    "tests/jobs/batches/test_killed.py",
    "tests/jobs/workflows/test_killed.py",
    "tests/pricing/ledger/test_killed.py",
    "tests/jobs/assets/test_resumable_client.py",
    "tests/jobs/events/",
    *(one for one, group in _TOGETHER.items() if group.startswith("recorded")),
    "tests/pricing/reports/test_against_the_books.py",
    "tests/pricing/sync/",
    "tests/security/",
)

# No test of these uses the database, unless it carries `once`: on PostgreSQL they are not even read.
_WITHOUT_DATABASE = (
    "tests/api/test_api_breaks.py",
    "tests/browser/",
    "tests/catalog/test_changes.py",
    "tests/catalog/test_fal_",
    "tests/catalog/test_listing.py",
    "tests/catalog/test_mapping",
    "tests/catalog/test_reading.py",
    "tests/catalog/test_validation.py",
    "tests/clients/test_restrictions.py",
    "tests/docs/test_pages.py",
    "tests/front/",
    "tests/jobs/assets/test_finding.py",
    "tests/media/",
    "tests/net/",
    "tests/ops/test_settings.py",
    "tests/pricing/collection/test_reading_files.py",
    "tests/pricing/estimates/test_quality.py",
    "tests/pricing/sync/test_guards.py",
    "tests/pricing/test_",
    "tests/protocols/test_fal_clients.py",
    "tests/protocols/test_openai_client.py",
    "tests/protocols/test_openai_mapping.py",
    "tests/sandbox/",
    "tests/test_",
    *(one for one, group in _TOGETHER.items() if group == "recorded documents"),
)


# Set to run what carries `once` on PostgreSQL too.
ALL_ON_BOTH = "ALL_ON_BOTH" in os.environ


class ByFile(LoadScopeScheduling):
    """One file, or all files of a group of `_TOGETHER`, to one process, in the order in which they were collected.

    The marks of xdist's own `loadgroup` have no effect with pytest 9.2.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return next((group for start, group in _TOGETHER.items() if file.startswith(start)), file)


def long_ones_first(items: list[pytest.Item]) -> None:
    """Orders the collected tests; the others stay as they were."""
    items.sort(key=lambda item: next((place for place, one in enumerate(_FIRST) if item.nodeid.startswith(one)), 99))


def is_for_sqlite_alone(file: Path, root: Path) -> bool:
    """Whether no test of this file runs on PostgreSQL: by where it is, or because all of it carries `once`."""
    if file.relative_to(root).as_posix().startswith(_WITHOUT_DATABASE):
        return True
    carries_once = re.search(r"^pytestmark = .*\bpytest\.mark\.once\b", file.read_text(), re.MULTILINE) is not None
    return carries_once and not ALL_ON_BOTH


def is_once(item: pytest.Item) -> bool:
    """Whether this test runs on SQLite alone, though it uses the database."""
    if item.get_closest_marker("once") is None:
        return False
    return not ALL_ON_BOTH or item.nodeid.startswith(_WITHOUT_DATABASE)


def refuse_what_would_be_left_out(items: list[pytest.Item]) -> None:
    """Fails where a test that uses the database lies where PostgreSQL's run does not look."""
    lost = [item.nodeid for item in items if item.nodeid.startswith(_WITHOUT_DATABASE)]
    if lost:
        raise pytest.UsageError(
            f"{lost[0]} uses the database, and would never run on PostgreSQL: mark it with `once`, or take its file "
            "out of _WITHOUT_DATABASE in tests/spreading.py."
        )


def scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """What xdist is given to spread the tests with."""
    config.option.loadscopereorder = False
    return ByFile(config, log)


def rewrite_a_share(config: pytest.Config) -> None:
    """Keeps test files with their asserts rewritten, as pytest does: in a process that shares its run with others.

    In a new checkout each process would rewrite all of them, in ten seconds, side by side with the others. So each
    begins at another place, and leaves what another has done. What is outdated is rewritten when it is imported.
    """
    worker = getattr(config, "workerinput", None)
    if worker is None or sys.dont_write_bytecode:
        return
    files = sorted((config.rootpath / "tests").rglob("test_*.py"))
    begin = len(files) * int(worker["workerid"].removeprefix("gw")) // worker["workercount"]
    state = config.stash[rewrite.assertstate_key]
    for file in files[begin:] + files[:begin]:
        kept = rewrite.get_cache_dir(file) / (file.stem + rewrite.PYC_TAIL)
        if not kept.exists() and rewrite.try_makedirs(kept.parent):
            source_hash, code = rewrite._rewrite_test(file, config)
            rewrite._write_pyc(state, code, source_hash, kept)
