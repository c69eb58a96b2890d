"""The fleet of two of each, its load, those who listen, and the proof that nothing is lost and nothing is doubled."""

import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests import kills
from tests.fleet import FUNDED, Fleet, fleet
from tests.nodes.database import Database, own_database
from tests.nodes.listening import Follower, Receiver
from tests.nodes.load import Load
from tests.sandbox_server import ROOT

# So that work which a process leaves behind is taken up soon: leases are far shorter than what is done to processes.
SETTINGS = kills.SETTINGS | {
    # Beyond what a submit takes on a machine that has far more to do than it can.
    "SUBMIT_GRACE_SECONDS": "20",
    "TRANSACTION_IDLE_SECONDS": "5",
    "ASSET_DOWNLOAD_SECONDS": "5",
    "WORKER_PROCESSES": "1",
    "WEB_WORKERS": "1",
    "QUEUE_TIMEOUT_SECONDS": "900",
}
PATIENCE_SECONDS = 150.0
# Schedules are due some time after the migration, the first at once: a copy is to be as one that was migrated now.
_ENDPOINT = """
from django.db.models import F, Min
from django.utils import timezone
from django_q.models import Schedule
from genfeed.clients.models import Client
from genfeed.journal.audit import SYSTEM
from jobs.webhooks.endpoints import make_endpoint
make_endpoint(Client.objects.get(name="Load").pk, url="http://{pair}/", events=["job.*"], actor=SYSTEM)
age = timezone.now() - Schedule.objects.aggregate(first=Min("next_run"))["first"]
Schedule.objects.update(next_run=F("next_run") + age)
"""


class Site:
    """Everything that runs. `database` can be restarted, processes of `fleet` killed and paused.

    `media`: the small disk that the files lie on, where one could be mounted.
    """

    def __init__(
        self, one: Fleet, database: Database, load: Load, receiver: Receiver, follower: Follower, media: Path | None
    ) -> None:
        self.fleet = one
        self.media = media
        self.database = database
        self.load = load
        self.receiver = receiver
        self.follower = follower
        self.sandbox = one.sandbox
        self._prover = subprocess.Popen(
            [sys.executable, "-m", "tests.nodes.proving"],
            cwd=ROOT, env=one.settings, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def ended_by(self) -> dict[str, int]:
        """How many jobs each dispatcher has brought to their end."""
        return {name: log.read_text().count('"genfeed.jobs.ended"') for name, log in self.fleet.logs.items()}

    def close(self) -> None:
        assert self._prover.stdin is not None
        self._prover.stdin.close()
        try:
            self._prover.wait(10)
        except subprocess.TimeoutExpired:
            self._prover.kill()
            self._prover.wait()

    def look(self, *, patience: float = 0.0, full: bool = False) -> dict[str, Any]:
        """What the database says, once nothing is under way any more or the patience is over."""
        assert self._prover.stdin is not None
        assert self._prover.stdout is not None
        self._prover.stdin.write(json.dumps({"patience": patience, "full": full}) + "\n")
        self._prover.stdin.flush()
        line = self._prover.stdout.readline()
        assert line, f"the prover ended:\n{self.fleet.log.read_text()[-3000:]}"
        found: dict[str, Any] = json.loads(line)
        return found

    def recovered(self, *, seconds: float) -> float:
        """Seconds until every web process is ready and takes a job, and a job that is sent now has succeeded."""
        began = time.monotonic()
        for base_url in self.fleet.base_urls:
            with httpx.Client(base_url=base_url, headers=self.load._headers, timeout=5, trust_env=False) as http:
                self._until(lambda http=http: http.get("/readyz").status_code == 200, began + seconds)
                body = {"model": "fal-ai/flux/dev", "input": {"prompt": f"ready {time.monotonic()}"}}
                job: list[str] = []

                def sent(http: httpx.Client = http, body: Any = body, job: list[str] = job) -> bool:
                    answer = http.post("/api/v1/jobs", json=body, headers={"Idempotency-Key": body["input"]["prompt"]})
                    if answer.status_code == 201:
                        job.append(answer.json()["id"])
                    return bool(job)

                self._until(sent, began + seconds)
                self.load.accepted[-1 - len(self.load.accepted)] = job[0]
                self._until(
                    lambda http=http, job=job: http.get(f"/api/v1/jobs/{job[0]}").json()["status"] == "succeeded",
                    began + seconds,
                )
        return time.monotonic() - began

    def _until(self, holds: Any, deadline: float) -> None:
        while True:
            try:
                if holds():
                    return
            except (httpx.TransportError, KeyError):
                pass
            assert time.monotonic() < deadline, f"no recovery: {self.load.problems[-3:]}\n{self.tail()}"
            time.sleep(0.05)

    def tail(self) -> str:
        logs = [self.fleet.log, *self.fleet.logs.values()]
        return "\n".join(line for log in logs for line in log.read_text().splitlines()[-30:] if "INFO" not in line)

    def prove(self) -> tuple[dict[str, Any], list[str]]:
        """Stops the load, waits until everything has come to its end, and tells what is wrong."""
        self.load.rest(PATIENCE_SECONDS)
        found = self.look(patience=PATIENCE_SECONDS, full=True)
        events = {(job, number) for job, number in found["events"]}
        deadline = time.monotonic() + 25
        while events - self.follower.seen.keys() and time.monotonic() < deadline:
            time.sleep(0.1)
        queue = self.sandbox.queue()
        prompts = Counter(request["input"]["prompt"] for request in queue["requests"])
        told = sorted(self.load.accepted.values())
        available, held, spent = found["account"]
        messages = Counter((kind, job) for kind, job in found["told"] if kind.startswith("job."))
        ends = [one for kind, one in messages if kind in ("job.succeeded", "job.failed", "job.canceled")]
        checks = {
            "still under way": found["under_way"],
            "jobs that clients know and jobs in the database differ": told != found["jobs"],
            "not one end a job": found["ended_once"] != len(told) or found["ended_twice"],
            "not one record of usage a job": found["records"] != len(told),
            "holds that were closed twice": found["closed_twice"],
            "requests sent twice": sum(times - 1 for times in prompts.values()),
            "more requests than jobs": queue["accepted"] > len(told),
            "held without an open job": held,
            "the account is not what the jobs say": spent != found["charged"] or available + spent != FUNDED,
            "given up, and run by the provider all the same": found["orphans"],
            "what check_ledger finds": found["ledger"],
            "events that the stream did not tell": len(events - self.follower.seen.keys()),
            "events that the stream told twice": sum(times - 1 for times in self.follower.seen.values()),
            "jobs whose end no webhook was made of": len(set(told) - set(ends)),
            "events that two webhooks were made of": sum(times - 1 for times in messages.values()),
            "webhooks that were not delivered": {k: n for k, n in found["deliveries"].items() if k != "delivered"},
            "webhooks that never came": sum(one not in self.receiver.taken for one in messages),
            "files that were not stored": {k: n for k, n in found["files"].items() if k != "stored"},
            "schedules that nobody ran": found["late_schedules"],
            "schedules that were run twice": found["schedules_run_twice"],
            "tasks that failed": found["failed_tasks"],
            "answers that no client expects": self.load.problems[:5],
        }
        return found, [f"{words}: {wrong}" for words, wrong in checks.items() if wrong]


@contextmanager
def _small_disk(folder: Path) -> Iterator[Path | None]:
    """A disk of its own below a folder, of 64 MB; None where this user may not mount one."""
    folder.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    try:
        yield folder if mounted.returncode == 0 else None
    finally:
        if mounted.returncode == 0:
            subprocess.run(["umount", "-l", str(folder)], check=False)


@contextmanager
def running_site(
    *, per_second: float, senders: int = 4, settings: dict[str, str] | None = None, like: str = ""
) -> Iterator[Site]:
    """Two of each on a database of their own, started, under load, with a receiver of webhooks and a follower.

    `like`: a migrated database to begin with a copy of, which spares them all the migrations.
    """
    with (
        tempfile.TemporaryDirectory(prefix="genfeed-nodes-", ignore_cleanup_errors=True) as folder,
        _small_disk(Path(folder) / "var" / "media") as media,
        own_database(like) as database,
        Receiver() as receiver,
        fleet(
            Path(folder) / "var", settings={"DATABASE_URL": database.url, **SETTINGS, **(settings or {})},
            webs=2, workers=2, dispatchers=2,
        ) as one,
    ):  # fmt: skip
        one.dispatch, one.work = ["-m", "tests.nodes.dispatching"], ["-m", "tests.nodes.working"]
        for name in one.names:
            if name.startswith("dispatcher"):
                one.logs[name] = Path(folder) / f"{name}.log"
                one.own[name] = {"LOG_LEVEL": "INFO"}
        one.settings["SSRF_ALLOW"] += f",{receiver.pair}"
        key = one.prepare()
        one.shell(_ENDPOINT.format(pair=receiver.pair))
        one.sandbox.faults(processing_ms=300, billing_lag=0, webhook_retries=[0.5, 1, 2])
        one.start_all()
        follower = Follower(one.base_urls, key)
        load = Load(one.base_urls, key, senders=senders, per_second=per_second)
        site = Site(one, database, load, receiver, follower, media)
        try:
            assert follower.opened.wait(20), "the stream of events did not open"
            load.start()
            yield site
        finally:
            load.stop()
            follower.close()
            site.close()
