"""What measurements inside of an installation's own process share: times of calls, and answers of its API."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.bench.jobs import _postgres, _sqlite
from tests.bench.processes import manage, settings_for
from tests.sandbox_server import API_KEY


@contextmanager
def installation(of: str, database: str) -> Iterator[dict[str, str]]:
    """The settings of an installation, migrated and without processes, on "SQLite" or "PostgreSQL"; `of` names it."""
    with (
        tempfile.TemporaryDirectory(prefix=f"genfeed-bench-{of}-", ignore_cleanup_errors=True) as folder,
        (_postgres if database == "PostgreSQL" else _sqlite)() as where,
    ):
        settings = settings_for(Path(folder)) | where | {"LOG_LEVEL": "ERROR", "FAL_KEY": API_KEY}
        manage(settings, "migrate", "-v", "0")
        yield settings


def run(settings: dict[str, str], call: str) -> dict[str, Any]:
    """Calls `module.function(…)` of tests.bench in the installation; what it returns, through JSON."""
    module = call.partition("(")[0].rpartition(".")[0]
    code = f"import json, tests.bench.{module}\nprint(json.dumps(tests.bench.{call}))"
    found: dict[str, Any] = json.loads(
        manage(settings, "shell", "--no-imports", "-c", code).output.strip().splitlines()[-1]
    )
    return found


def took(call: Callable[[], object], times: int = 15) -> float:
    """The fastest of some calls in milliseconds, the first one, which fills caches, apart.

    Sizes are compared, and what else the machine does meanwhile only adds.
    """
    call()
    return min(once(call) for _ in range(times))


def once(call: Callable[[], object]) -> float:
    """What one call takes, in milliseconds."""
    started = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - started)


def claimed(count: int, times: int = 5) -> float:
    """The fastest of some claims of so many queued jobs, in milliseconds; each finds all that the first one found."""
    from django.utils import timezone

    from jobs.dispatching import claiming
    from jobs.models import Job

    found = []
    for _ in range(times):
        found.append(once(lambda: claiming.claim_queued(count)))
        again = Job.objects.filter(status="submitting").update(status="queued", next_at=timezone.now())
        assert again == count, again
    return min(found)


class Api:
    """The API as a client has it, and the admin as staff have it, without a network in between."""

    def __init__(self, key: str) -> None:
        from django.contrib.auth.models import User
        from django.test import Client

        self._api = Client(SERVER_NAME="localhost", headers={"authorization": f"Bearer {key}"})
        self._admin = Client(SERVER_NAME="localhost")
        user = User.objects.filter(username="bench").first() or User.objects.create_superuser("bench", password="x")
        self._admin.force_login(user)

    def get(self, path: str) -> Any:
        """The answer to a GET below /api/v1/, which must be 200."""
        answer = self._api.get(f"/api/v1/{path}")
        assert answer.status_code == 200, (path, answer.content[:300])
        return answer

    def post(self, path: str, body: dict[str, Any], expected: int = 200) -> Any:
        """The answer to a POST of JSON."""
        answer = self._api.post(f"/api/v1/{path}", data=json.dumps(body), content_type="application/json")
        assert answer.status_code == expected, (path, answer.content[:300])
        return answer

    def admin(self, path: str) -> Any:
        """A page of the admin, which must be 200."""
        answer = self._admin.get(f"/admin/{path}")
        assert answer.status_code == 200, path
        return answer
