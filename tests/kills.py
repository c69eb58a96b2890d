"""Jobs sent by API while every process is killed with -9 at random and started again, and the proof afterwards.

`python -m tests.kills [--jobs 500] [--rounds 10] [--seed N]` prints a table; `make kills` runs it on both databases.
"""

import argparse
import itertools
import json
import os
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.fleet import FUNDED, Fleet, fleet

SENDERS = 8
PATIENCE_SECONDS = 240
# So that work which a killed process leaves behind is taken up soon.
SETTINGS = {
    "PUBLIC_URL": "here",
    "CLAIM_LEASE_SECONDS": "3",
    "SUBMIT_TIMEOUT_SECONDS": "2",
    "SUBMIT_GRACE_SECONDS": "6",
}
# What the provider does besides: answers to submits that are lost, webhooks lost and doubled, errors, late cancels.
FAULTS: dict[str, Any] = {
    "processing_ms": 300,
    "billing_lag": 0,
    "fail": [{"match": "^/queue/", "method": "POST", "accepted": True, "drop": True, "after": 10, "times": 5}],
    "jobs": [
        {"input": '1"', "webhook_lost": True},
        {"input": '[24]"', "webhook_copies": 3},
        {"input": '7"', "error": {"status": 503, "error_type": "runner_disconnected"}},
        {"input": '8"', "seconds": 1.5},
        {"input": '18"', "cancel": "too_late"},
    ],
}
# Waits until every job has ended, and tells what there is then.
_PROOF = """
import json, time
from collections import Counter
from django.db.models import Count, Sum
from jobs.models import OPEN, Job, JobEvent
from pricing.ledger.checking import check_ledger
from pricing.models import Account, LedgerTransaction, StrayRequest, UsageRecord
ended = ["job_succeeded", "job_failed", "job_canceled"]
until = time.monotonic() + {patience}
while Job.objects.filter(status__in=OPEN).exists() and time.monotonic() < until:
    time.sleep(0.2)
def twice(rows, by):
    return rows.values(by).annotate(n=Count("pk")).filter(n__gt=1).count()
print(json.dumps(dict(
    jobs=sorted(Job.objects.values_list("pk", flat=True)),
    open=Job.objects.filter(status__in=OPEN).count(),
    by=dict(Counter(Job.objects.values_list("status", flat=True))),
    codes=dict(Counter(e["code"] for e in Job.objects.exclude(error=None).values_list("error", flat=True))),
    ended_once=JobEvent.objects.filter(kind__in=ended).values("job").distinct().count(),
    ended_twice=twice(JobEvent.objects.filter(kind__in=ended), "job"),
    closed_twice=twice(LedgerTransaction.objects.filter(kind__in=["settle", "release"]), "job"),
    records=UsageRecord.objects.count(),
    charged=Job.objects.aggregate(n=Sum("charge"))["n"] or 0,
    spent=Account.objects.get(client__name="Load").spent,
    available=Account.objects.get(client__name="Load").available,
    orphans=StrayRequest.objects.count(),
    ledger=[f"{{one.invariant}} {{one.subject}}: {{one.words}}" for one in check_ledger()],
)))
"""


@dataclass
class Sending:
    """Clients that send jobs, each under an Idempotency-Key until it is told that the job is accepted."""

    base_urls: list[str]
    api_key: str
    count: int
    seed: int
    ids: dict[int, str] = field(default_factory=dict)
    repeated: int = 0
    replayed: int = 0
    canceled: int = 0
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._left = list(range(self.count))[::-1]
        self._lock = threading.Lock()
        self._turns = itertools.count()
        self._threads = [threading.Thread(target=self._send_all, daemon=True) for _ in range(SENDERS)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def wait(self) -> None:
        for thread in self._threads:
            thread.join(PATIENCE_SECONDS)

    def _send_all(self) -> None:
        with httpx.Client(headers={"Authorization": f"Bearer {self.api_key}"}, timeout=30, trust_env=False) as http:
            while True:
                with self._lock:
                    if not self._left:
                        return
                    number = self._left.pop()
                job = self._send(http, number)
                self.ids[number] = job
                if number % 20 == 18:
                    self._cancel(http, job)

    def _send(self, http: httpx.Client, number: int) -> str:
        body = {"model": "fal-ai/flux/dev", "input": {"prompt": f"fox {number}"}}
        while True:
            answer = self._insist(http, "/api/v1/jobs", body, key=f"{self.seed}-{number}")
            if answer.status_code == 201:
                self.replayed += "Idempotent-Replayed" in answer.headers
                return str(answer.json()["id"])
            self.problems.append(f"{answer.status_code} {answer.text[:200]}")
            time.sleep(0.2)

    def _cancel(self, http: httpx.Client, job: str) -> None:
        answer = self._insist(http, f"/api/v1/jobs/{job}/cancel", None)
        self.canceled += answer.status_code == 200
        if answer.status_code not in (200, 409):
            self.problems.append(f"cancel: {answer.status_code} {answer.text[:200]}")

    def _insist(self, http: httpx.Client, path: str, body: Any, *, key: str = "") -> httpx.Response:
        """Sends until an answer comes: a process that was killed gives none."""
        while True:
            # The next web process where one does not answer, as a balancer would.
            base_url = self.base_urls[next(self._turns) % len(self.base_urls)]
            try:
                return http.post(f"{base_url}{path}", json=body, headers={"Idempotency-Key": key} if key else {})
            except httpx.TransportError:
                self.repeated += 1
                time.sleep(0.1)


@dataclass(frozen=True)
class Outcome:
    """What was left after all kills. `problems` is empty where everything held.

    `by`: jobs by status; `codes`: why jobs failed; `sent`: requests that the provider accepted; `repeated`: POSTs that
    a kill left without an answer; `replayed`: those of them that had been accepted all the same.
    """

    accepted: int
    by: dict[str, int]
    codes: dict[str, int]
    killed: dict[str, int]
    sent: int
    lost: int
    sent_twice: int
    charged_twice: int
    repeated: int
    replayed: int
    seconds: float
    problems: list[str]


def run(one: Fleet, *, jobs: int, rounds: int, seed: int) -> Outcome:
    """Sends jobs; in every round kills each process once, at a random moment of the round; then waits and proves."""
    chance = random.Random(seed)
    sending = Sending(one.base_urls, one.prepare(), jobs, seed)
    one.sandbox.faults(**FAULTS)
    one.start_all()
    started = time.monotonic()
    sending.start()
    killed = _kill_all(one, sending, chance, rounds)
    sending.wait()
    found = json.loads(one.shell(_PROOF.format(patience=PATIENCE_SECONDS)).splitlines()[-1])
    one.sandbox.clear_faults()
    return _outcome(one, sending, found, killed, time.monotonic() - started)


def _kill_all(one: Fleet, sending: Sending, chance: random.Random, rounds: int) -> Counter[str]:
    killed: Counter[str] = Counter()
    share = sending.count / rounds
    for number in range(rounds):
        # The last process of a round dies before the last job of it is accepted.
        moments = sorted(share * (number + chance.random() * 0.95) for _ in one.names)
        for moment, name in zip(moments, chance.sample(one.names, len(one.names)), strict=True):
            deadline = time.monotonic() + PATIENCE_SECONDS
            while len(sending.ids) < moment and time.monotonic() < deadline:
                time.sleep(0.005)
            one.kill(name)
            killed[name] += 1
            time.sleep(chance.random() * 0.3)
            one.start(name)
    return killed


def _outcome(one: Fleet, sending: Sending, found: dict[str, Any], killed: Counter[str], seconds: float) -> Outcome:
    queue = one.sandbox.queue()
    prompts = Counter(request["input"]["prompt"] for request in queue["requests"])
    told = sorted(sending.ids.values())
    sent_twice = sum(times - 1 for times in prompts.values())
    problems = [*sending.problems, *found["ledger"]]
    checks = {
        "jobs that clients know and jobs in the database differ": told != found["jobs"] or len(told) != sending.count,
        "jobs without an outcome": found["open"],
        "jobs that ended twice": found["ended_twice"],
        "holds that were closed twice": found["closed_twice"],
        "not one end a job": found["ended_once"] != sending.count or found["records"] != sending.count,
        "requests sent twice": sent_twice,
        "more requests than jobs": queue["accepted"] > sending.count,
        "the account is not what the jobs say": found["spent"] != found["charged"]
        or found["available"] + found["spent"] != FUNDED,
        "given up, and run by the provider all the same": found["orphans"],
    }
    problems += [f"{words}: {wrong}" for words, wrong in checks.items() if wrong]
    return Outcome(
        accepted=len(told),
        by=found["by"],
        codes=found["codes"],
        killed=dict(killed),
        sent=queue["accepted"],
        lost=found["open"],
        sent_twice=sent_twice,
        charged_twice=found["closed_twice"],
        repeated=sending.repeated,
        replayed=sending.replayed,
        seconds=seconds,
        problems=problems,
    )


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--nodes", type=int, default=2, help="Webs and workers on PostgreSQL.")
    parser.add_argument("--databases", nargs="+", default=["SQLite", "PostgreSQL"])
    asked = parser.parse_args(arguments)
    seed = random.SystemRandom().randrange(10**6) if asked.seed is None else asked.seed
    wrong = 0
    for name in asked.databases:
        with tempfile.TemporaryDirectory(prefix="genfeed-kills-", ignore_cleanup_errors=True) as folder:
            from tests.bench.ledger import postgres

            with postgres() if name == "PostgreSQL" else nullcontext("") as url:
                settings = SETTINGS | ({"DATABASE_URL": url} if url else {})
                several = asked.nodes if name == "PostgreSQL" else 1
                var = Path(folder) / "var"
                with fleet(var, settings=settings, webs=several, workers=several, dispatchers=2) as one:
                    found = run(one, jobs=asked.jobs, rounds=asked.rounds, seed=seed)
                    if found.problems:
                        print(one.log.read_text()[-20_000:])
        load = os.getloadavg()[0]
        print(f"{name}, seed {seed}, {found.seconds:.0f} s, load {load:.1f}")
        for what in (
            "accepted",
            "by",
            "codes",
            "killed",
            "sent",
            "lost",
            "sent_twice",
            "charged_twice",
            "repeated",
            "replayed",
        ):
            value = getattr(found, what)
            print(f"  {what:14} {value}", flush=True)
        wrong += bool(found.problems)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
