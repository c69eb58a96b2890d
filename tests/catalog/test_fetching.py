"""Reading a provider that lets us wait: whoever watches, and the lease, hear of it meanwhile."""

import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from catalog import discovery, fetching, sync_runs
from catalog.fetching import fetch_schemas, read_listing
from catalog.models import AIModel
from catalog.providers.base import FetchedSchema, ListedModel, ListingPage

WAIT = 10


class Slow:
    """A provider that answers only after progress was told twice while it was asked."""

    name = "Slow"

    def __init__(self) -> None:
        self.asked = False
        self.beats = 0
        self.enough = threading.Event()

    def progress(self, phase: str, done: int, total: int) -> None:
        self.beats += self.asked
        if self.beats >= 2:
            self.enough.set()

    def _answer(self) -> None:
        self.asked = True
        assert self.enough.wait(WAIT), "nobody told of any progress"

    def list_models(self, **_: Any) -> Iterator[ListingPage]:
        self._answer()
        yield ListingPage(1, [ListedModel("acme/paint", "Paint", "", "", "active", None, [], "", "", {})], [])

    def fetch_schemas(self, endpoint_ids: Sequence[str]) -> list[FetchedSchema]:
        self._answer()
        return [FetchedSchema(endpoint_id, {}) for endpoint_id in endpoint_ids]


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    monkeypatch.setattr(fetching, "BEAT_SECONDS", 0.01)
    return Slow()


def test_progress_is_told_while_a_page_of_the_listing_is_waited_for(slow: Any) -> None:
    assert list(read_listing(slow, slow.progress).models) == ["acme/paint"]


def test_progress_is_told_while_schemas_are_waited_for(slow: Any) -> None:
    found = list(fetch_schemas(slow, ["acme/paint"], concurrency=2, progress=slow.progress))
    assert [schema.endpoint_id for schema in found] == ["acme/paint"]


def test_schemas_are_fetched_by_as_many_calls_at_once_as_may_be(slow: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    together = threading.Barrier(8)
    # None of them is answered before all are asked.
    monkeypatch.setattr(slow, "_answer", lambda: together.wait(WAIT))
    ids = [f"acme/{number}" for number in range(8 * fetching.SCHEMA_BATCH)]

    found = fetch_schemas(slow, ids, concurrency=8, progress=slow.progress)

    assert sorted(schema.endpoint_id for schema in found) == sorted(ids)


def test_a_lease_lasts_longer_than_a_wait_without_progress() -> None:
    assert sync_runs.LEASE.total_seconds() > fetching.BEAT_SECONDS * 3


@pytest.mark.parametrize("ending", [KeyboardInterrupt, SystemExit])
def test_a_sync_that_is_stopped_by_hand_holds_up_no_other(
    db: None, fal: Any, monkeypatch: pytest.MonkeyPatch, ending: type[BaseException]
) -> None:
    def stopped(*_: Any) -> None:
        raise ending

    provider = sync_runs.ensure_providers()["fal"]
    run, _ = sync_runs.request_run(provider, trigger="command")
    monkeypatch.setattr(discovery, "read_listing", stopped)
    with pytest.raises(ending):
        discovery.run_sync(run)
    run.refresh_from_db()
    assert (run.status, "stopped by hand" in run.error) == ("failed", True)
    assert AIModel.objects.count() == 0
    assert sync_runs.request_run(provider, trigger="command")[1]
