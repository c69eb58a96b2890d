"""Which jobs are test jobs, and where they run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from catalog.providers import sandbox_queue
from genfeed.clients.errors import ApiError
from genfeed.clients.provider_keys import OwnKey

if TYPE_CHECKING:
    from jobs.models import Job

# The account of all test jobs, in the place of a key's fingerprint: limits at the provider are counted by it.
TEST = "test"
# The gate that they go through; providers' own stay as they are.
GATE = "test-sandbox"
_MARK = "livemode"
# No key of anybody's.
NO_KEY = OwnKey("", TEST, "", "")


def is_test(job: Job) -> bool:
    """Whether it is a test job: nobody is paid for it, and no report counts it."""
    return job.account == TEST


def mark_of(*, is_test: bool) -> dict[str, bool]:
    """What is written into events of test jobs; `livemode_in` reads it again. Live ones carry no mark."""
    return {_MARK: False} if is_test else {}


def livemode_in(data: dict[str, Any]) -> bool:
    """Whether an event is one of live mode."""
    return bool(data.get(_MARK, True))


def without_mark(data: dict[str, Any]) -> dict[str, Any]:
    """What an event says beside its mode."""
    return {name: value for name, value in data.items() if name != _MARK}


def require_sandbox() -> None:
    """Raises ApiError where there is nothing to run test jobs on."""
    if not sandbox_queue.is_there():
        raise ApiError(
            "not_configured",
            "This installation has no sandbox for test jobs, so a test key can't run anything here.",
            "`manage.py up` starts one; elsewhere the operator runs `manage.py sandbox` and sets TEST_SANDBOX_URL. "
            "Models and estimates work without.",
        )
