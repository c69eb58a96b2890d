"""Files fetched by the dispatcher, beside its other work."""

from typing import Any

import pytest

from jobs.assets import fetching, pool
from jobs.assets.models import Asset
from jobs.dispatching.dispatcher import Dispatcher
from jobs.models import Status
from tests.jobs.conftest import Run
from tests.jobs.doubles import make_caller, make_job
from tests.sandbox_server import RunningSandbox

pytestmark = pytest.mark.django_db


def work_until_fetched(dispatcher: Dispatcher) -> None:
    while Asset.objects.filter(state="pending", attempts__lt=2).exists():
        dispatcher.tick()


def test_the_dispatcher_fetches_files_by_itself(run: Run, dispatcher: Dispatcher) -> None:
    job = run()
    work_until_fetched(dispatcher)

    assert job.assets.get().state == "stored"


@pytest.mark.once
def test_slow_files_hold_up_no_job(run: Run, sandbox: RunningSandbox, dispatcher: Dispatcher) -> None:
    sandbox.faults(jobs=[{"file_seconds": 3, "times": 1}])
    first = run()
    dispatcher.tick()

    assert run(job=make_job(make_caller())).status == Status.SUCCEEDED
    assert first.assets.get().state == "pending"


@pytest.mark.once
def test_an_attempt_that_nobody_foresaw_counts_as_one(
    run: Run, dispatcher: Dispatcher, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    def ask(_: Asset) -> Any:
        raise RuntimeError("boom")

    settings.ASSET_ATTEMPTS = 1
    monkeypatch.setattr(pool.fetching, "ask", ask)
    job = run()
    work_until_fetched(dispatcher)

    assert (job.assets.get().state, job.assets.get().problem) == ("failed", "it could not be stored")


@pytest.mark.once
def test_stopping_waits_for_files_on_their_way(run: Run, dispatcher: Dispatcher) -> None:
    job = run()
    dispatcher.tick()
    dispatcher.drain()

    assert job.assets.get().state == "stored"
    assert fetching.claim(10) == []
