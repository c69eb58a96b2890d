"""The switches that make the sandbox misbehave: what they are and how they are read from JSON."""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

from genfeed.sandbox import reading
from genfeed.sandbox.effects import JobRule, read_job_rules
from genfeed.sandbox.limits import RateLimit
from genfeed.sandbox.reading import FaultError

BODIES = ("json", "html", "malformed", "truncated", "empty", "wrong_shape")
ENDINGS = ("repeat", "empty", "new")
# fal's own schedule: a first delivery, then ten more over two hours.
WEBHOOK_RETRIES = [10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1200.0, 1800.0, 2180.0]
# Measured at fal: calls 800 ms apart are refused after the third.
ESTIMATE_LIMIT = RateLimit(requests=3, per_seconds=10)


@dataclass(slots=True)
class Rule:
    """Fail the calls that match: the first `after` of them pass, then `times` fail (all, when None).

    `path` and `query` are regular expressions searched in the path and in the raw query string. `body` is what is sent
    in the place of the answer; `drop` closes the connection without one. With `accepted` the call is carried out
    first, as when an answer gets lost on its way back; `hold` keeps the answer back for so many seconds, and alone it
    is the true one.
    """

    path: re.Pattern[str]
    query: re.Pattern[str] | None = None
    method: str | None = None
    status: int | None = None
    retry_after: float | None = None
    times: int | None = None
    after: int = 0
    body: str = "json"
    drop: bool = False
    accepted: bool = False
    hold: float = 0.0
    seen: int = 0
    fired: int = 0

    def matches(self, method: str, path: str, query: str) -> bool:
        """Whether the rule speaks of this call, spent or not."""
        if self.method is not None and self.method != method:
            return False
        return bool(self.path.search(path)) and (self.query is None or bool(self.query.search(query)))

    def fires(self) -> bool:
        """Count a matching call and say whether it fails."""
        self.seen += 1
        if self.seen <= self.after or (self.times is not None and self.fired >= self.times):
            return False
        self.fired += 1
        return True

    def to_json(self) -> dict[str, Any]:
        """The rule as it was given, with its counters."""
        return {
            "match": self.path.pattern,
            "query": self.query.pattern if self.query else None,
            "method": self.method,
            "status": self.status,
            "retry_after": self.retry_after,
            "times": self.times,
            "after": self.after,
            "body": self.body,
            "drop": self.drop,
            "accepted": self.accepted,
            "hold": self.hold,
            "seen": self.seen,
            "fired": self.fired,
        }


@dataclass(slots=True)
class Faults:
    """All switches, in their harmless position.

    Listing faults (GET /models without endpoint_id): `repeat_page` N gives page N the models of the page before;
    `loop_cursor` N sends the cursor of page N back to page N; `duplicate_ids` (a count or ids) lists models a second
    time at the end; `missing_metadata` (a count or ids) leaves the metadata away; `never_ending` goes on past the last
    page with the last page again ("repeat"), empty pages ("empty") or models never seen before ("new").

    The account: `concurrency` requests run at once; `balance` in USD sinks with every bill, at 0 the account is
    locked. `processing_ms` is how long a request runs. `jobs` are rules about single requests (effects.py); `gone`
    endpoints are unknown to the queue. Webhooks are tried again after each of `webhook_retries` seconds;
    `webhook_shuffle` N waits for N of them and sends them in the opposite order. `billing_lag` is after how many
    seconds a bill shows up, `discount_percent` what the account has been promised on it.
    """

    latency_ms: float | None = None
    error_rate: float = 0.0
    error_status: int = 500
    fail: list[Rule] = field(default_factory=list)
    rate_limit: RateLimit | None = None
    estimate_rate_limit: RateLimit = ESTIMATE_LIMIT
    repeat_page: int | None = None
    loop_cursor: int | None = None
    never_ending: str | None = None
    duplicate_ids: int | list[str] = 0
    missing_metadata: int | list[str] = 0
    expansion_errors: list[str] = field(default_factory=list)
    processing_ms: float = 200.0
    concurrency: int = 40
    balance: float = 1_000_000.0
    gone: list[str] = field(default_factory=list)
    jobs: list[JobRule] = field(default_factory=list)
    webhook_retries: list[float] = field(default_factory=lambda: list(WEBHOOK_RETRIES))
    webhook_shuffle: int = 0
    billing_lag: float = 5.0
    discount_percent: float = 0.0
    dice: random.Random = field(default_factory=lambda: random.Random(0))  # noqa: S311 (a seeded test switch)

    def failure_of(self, method: str, path: str, query: str) -> Rule | None:
        """The rule that makes this call fail, if one does. The first matching rule that fires decides."""
        for rule in self.fail:
            if rule.matches(method, path, query) and rule.fires():
                return rule
        if self.error_rate and self.dice.random() < self.error_rate:
            return Rule(path=re.compile(""), status=self.error_status)
        return None

    def to_json(self) -> dict[str, Any]:
        """The switches as the control API shows them."""
        shown: dict[str, Any] = {}
        for name in SWITCHES:
            value = getattr(self, name)
            if isinstance(value, RateLimit):
                value = {"requests": value.requests, "per_seconds": value.per_seconds}
            shown[name] = [rule.to_json() for rule in value] if name in ("fail", "jobs") else value
        return shown


def apply_changes(faults: Faults, changes: dict[str, Any]) -> None:
    """Set the switches named in `changes`; the others stay. Raises FaultError, and then changes nothing."""
    unknown = sorted(changes.keys() - SWITCHES.keys())
    if unknown:
        raise FaultError(f"Unknown fault {', '.join(unknown)}. Known: {', '.join(SWITCHES)}.")
    read = {name: SWITCHES[name](name, value) for name, value in changes.items()}
    for name, value in read.items():
        setattr(faults, name, value)


def _page(name: str, value: Any) -> int | None:
    if value is None or value is False:
        return None
    if value is True:
        return 2
    return reading.integer(name, value)


def _ending(name: str, value: Any) -> str | None:
    if value is None or value is False:
        return None
    if value is True:
        return ENDINGS[0]
    if value not in ENDINGS:
        raise FaultError(f"{name} must be true, false or one of {', '.join(ENDINGS)}.")
    return str(value)


def _rule(value: Any) -> Rule:
    known = {"match", "query", "method", "status", "retry_after", "times", "after", "body", "drop", "accepted", "hold"}
    if not isinstance(value, dict) or not value.keys() <= known:
        raise FaultError(f"A fail rule is an object of {', '.join(sorted(known))}.")
    if value.get("body", "json") not in BODIES:
        raise FaultError(f"body must be one of {', '.join(BODIES)}.")
    optional: dict[str, Callable[[str, Any], Any]] = {
        "query": reading.pattern,
        "status": reading.integer,
        "retry_after": reading.number,
    }
    read = {name: reader(name, value[name]) for name, reader in optional.items() if value.get(name) is not None}
    return Rule(
        path=reading.pattern("match", value.get("match", "")),
        method=value.get("method"),
        times=None if value.get("times") is None else reading.integer("times", value["times"]),
        after=reading.integer("after", value.get("after", 0)),
        body=value.get("body", "json"),
        drop=bool(value.get("drop", False)),
        accepted=bool(value.get("accepted", False)),
        hold=reading.number("hold", value.get("hold", 0)),
        **read,
    )


def _rules(name: str, value: Any) -> list[Rule]:
    if not isinstance(value, list):
        raise FaultError(f"{name} must be a list of rules.")
    return [_rule(one) for one in value]


SWITCHES: dict[str, Callable[[str, Any], Any]] = {
    "latency_ms": lambda name, value: None if value is None else reading.number(name, value),
    "error_rate": reading.number,
    "error_status": reading.integer,
    "fail": _rules,
    "rate_limit": lambda name, value: None if value is None else reading.limit(name, value),
    "estimate_rate_limit": reading.limit,
    "repeat_page": _page,
    "loop_cursor": _page,
    "never_ending": _ending,
    "duplicate_ids": reading.count_or_ids,
    "missing_metadata": reading.count_or_ids,
    "expansion_errors": reading.ids,
    "processing_ms": reading.number,
    "concurrency": reading.integer,
    "balance": reading.number,
    "gone": reading.ids,
    "jobs": read_job_rules,
    "webhook_retries": reading.numbers,
    "webhook_shuffle": reading.integer,
    "billing_lag": reading.number,
    "discount_percent": reading.number,
}
if SWITCHES.keys() | {"dice"} != {one.name for one in fields(Faults)}:
    raise AssertionError("every switch of Faults needs a reader")
