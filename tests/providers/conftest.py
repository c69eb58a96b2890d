"""The sandbox's Replicate, and this installation knowing it."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from catalog import sync_runs
from catalog.models import SyncRun
from catalog.providers import replicate_webhooks
from genfeed.sync import sync_everything
from jobs.dispatching.dispatcher import Dispatcher
from jobs.models import Job
from tests.sandbox_server import RunningSandbox

KEY = "r8_sandbox"
FLUX, SDXL, KLING = "black-forest-labs/flux-1.1-pro", "stability-ai/sdxl", "kwaivgi/kling-v3-video"


class Replica:
    """The sandbox's Replicate."""

    def __init__(self, sandbox: RunningSandbox) -> None:
        self.sandbox = sandbox
        self.url = f"{sandbox.base_url}/replicate/v1"

    def switch(self, **switches: Any) -> None:
        answer = self.sandbox.client.post("/_sandbox/replicate", json=switches)
        assert answer.status_code == 200, answer.text

    def predictions(self) -> list[dict[str, Any]]:
        return self.sandbox.client.get("/_sandbox/replicate").json()["predictions"]


@pytest.fixture
def replica(_builtin_sandbox: RunningSandbox, settings: Any) -> Iterator[Replica]:
    """A Replicate that is asked with our key."""
    settings.REPLICATE_API_TOKEN = KEY
    settings.REPLICATE_URL = f"{_builtin_sandbox.base_url}/replicate/v1"
    settings.REPLICATE_WEB_URL = f"{_builtin_sandbox.base_url}/replicate/web"
    settings.REPLICATE_MAX_RETRIES, settings.REPLICATE_RETRY_DELAY = 1, 0.01
    settings.SSRF_ALLOW = [_builtin_sandbox.base_url.removeprefix("http://")]
    _builtin_sandbox.client.delete("/_sandbox/replicate")
    yield Replica(_builtin_sandbox)
    replicate_webhooks.secret.forget()


@pytest.fixture
def known(replica: Replica, db: None) -> Replica:
    """Its catalog and its prices are read."""
    assert sync().status == "succeeded"
    return replica


def sync() -> SyncRun:
    """One sync of Replicate, with its prices."""
    run, _ = sync_runs.request_run(sync_runs.ensure_providers()["replicate"], trigger="command")
    return sync_everything(run)


def work(job: Job, until: Callable[[Job], bool] = lambda job: job.has_ended) -> Job:
    """Lets a dispatcher work until the job has ended."""
    dispatcher, deadline = Dispatcher(threads=2), time.monotonic() + 20
    try:
        while not until(job):
            assert time.monotonic() < deadline, f"{job.status}: {job.error}"
            if not dispatcher.tick():
                time.sleep(0.01)
            job.refresh_from_db()
    finally:
        dispatcher.drain()
    return job
