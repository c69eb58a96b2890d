"""A job's whole way over HTTP: our code, and a sandbox that bills by its own table."""

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection

from catalog.providers import fal_keys, queue
from catalog.providers.fal_queue import open_fal_queue
from jobs.dispatching.dispatcher import Dispatcher
from jobs.models import Job
from tests.jobs.doubles import make_caller, make_job
from tests.prepared import own_postgres
from tests.pricing.estimates.sold import IMAGES_OUT, PROMPT, field, make_sold
from tests.sandbox_server import API_KEY, RunningSandbox

PATIENCE_SECONDS = 20
SIZE = field("image_size", enum=["square", "square_hd"], default="square_hd")

Run = Callable[..., Job]


@pytest.fixture
def sandbox(fal: RunningSandbox, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningSandbox]:
    """A sandbox with requests that take no time, our key for it, and one model of it that is sold here."""
    settings.FAL_KEY = API_KEY
    settings.FAL_RETRY_DELAY = 0.01
    monkeypatch.setitem(queue._registry, "fal", open_fal_queue)
    fal.faults(processing_ms=0, billing_lag=0)
    fal_keys.key_set.refresh()
    make_sold("fal-ai/flux/dev", "0.025", "megapixels", inputs=[PROMPT, SIZE], outputs=IMAGES_OUT)
    yield fal
    fal_keys.key_set.forget()


@pytest.fixture
def own_database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A migrated database for the processes of a test: a file, or one more at the PostgreSQL that the tests run on."""
    if connection.vendor == "sqlite":
        yield {"DATABASE_URL": f"sqlite:///{request.getfixturevalue('migrated_sqlite')}"}
        return
    with own_postgres(tmp_path_factory, f"own_{os.getpid()}") as url:
        yield {"DATABASE_URL": url}


@pytest.fixture
def dispatcher() -> Iterator[Dispatcher]:
    """A dispatcher that is driven by hand."""
    one = Dispatcher(threads=4)
    yield one
    one.drain()


@pytest.fixture
def run(sandbox: RunningSandbox, dispatcher: Dispatcher) -> Run:
    """Accepts a job and works until it has ended, or until `until` holds."""

    def work(until: Callable[[Job], bool] = lambda job: job.has_ended, *, job: Job | None = None, **wanted: Any) -> Job:
        job = job or make_job(make_caller(), **wanted)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not until(job):
            assert time.monotonic() < deadline, f"{job.pk} is {job.status}: {job.error}"
            if not dispatcher.tick():
                dispatcher._wait(0.01)
            job.refresh_from_db()
        return job

    return work
