"""The switches that make the sandbox misbehave: what they are and how they are read from JSON."""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

from genfeed.sandbox.limits import RateLimit

BODIES = ("json", "html", "malformed", "truncated", "empty", "wrong_shape")
ENDINGS = ("repeat", "empty", "new")
# Measured at fal: calls 800 ms apart are refused after the third.
ESTIMATE_LIMIT = RateLimit(requests=3, per_seconds=10)


class FaultError(ValueError):
    """A fault description that cannot be used; the message says what is wrong."""


@dataclass(slots=True)
class Rule:
    """Fail the calls that match: the first `after` of them pass, then `times` fail (all, when None).

    `path` and `query` are regular expressions searched in the path and in the raw query string. `body` is what is sent
    in the place of the answer; `drop` closes the connection without one.
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
            shown[name] = [rule.to_json() for rule in value] if name == "fail" else value
        return shown


def apply_changes(faults: Faults, changes: dict[str, Any]) -> None:
    """Set the switches named in `changes`; the others stay. Raises FaultError, and then changes nothing."""
    unknown = sorted(changes.keys() - SWITCHES.keys())
    if unknown:
        raise FaultError(f"Unknown fault {', '.join(unknown)}. Known: {', '.join(SWITCHES)}.")
    read = {name: SWITCHES[name](name, value) for name, value in changes.items()}
    for name, value in read.items():
        setattr(faults, name, value)


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise FaultError(f"{name} must be a number of 0 or more.")
    return float(value)


def _integer(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise FaultError(f"{name} must be a whole number of 0 or more.")
    return value


def _page(name: str, value: Any) -> int | None:
    if value is None or value is False:
        return None
    if value is True:
        return 2
    return _integer(name, value)


def _ids(name: str, value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise FaultError(f"{name} must be a list of endpoint ids.")
    return value


def _count_or_ids(name: str, value: Any) -> int | list[str]:
    return _ids(name, value) if isinstance(value, list) else _integer(name, value)


def _ending(name: str, value: Any) -> str | None:
    if value is None or value is False:
        return None
    if value is True:
        return ENDINGS[0]
    if value not in ENDINGS:
        raise FaultError(f"{name} must be true, false or one of {', '.join(ENDINGS)}.")
    return str(value)


def _limit(name: str, value: Any) -> RateLimit:
    if not isinstance(value, dict) or value.keys() != {"requests", "per_seconds"}:
        raise FaultError(f"{name} must be an object with requests and per_seconds.")
    return RateLimit(_integer(f"{name}.requests", value["requests"]), _number(name, value["per_seconds"]))


def _pattern(name: str, value: Any) -> re.Pattern[str]:
    if not isinstance(value, str):
        raise FaultError(f"{name} must be a regular expression.")
    try:
        return re.compile(value)
    except re.error as error:
        raise FaultError(f"{name} is no regular expression: {error}.") from error


def _rule(value: Any) -> Rule:
    known = {"match", "query", "method", "status", "retry_after", "times", "after", "body", "drop"}
    if not isinstance(value, dict) or not value.keys() <= known:
        raise FaultError(f"A fail rule is an object of {', '.join(sorted(known))}.")
    if value.get("body", "json") not in BODIES:
        raise FaultError(f"body must be one of {', '.join(BODIES)}.")
    optional: dict[str, Callable[[str, Any], Any]] = {"query": _pattern, "status": _integer, "retry_after": _number}
    read = {name: reader(name, value[name]) for name, reader in optional.items() if value.get(name) is not None}
    return Rule(
        path=_pattern("match", value.get("match", "")),
        method=value.get("method"),
        times=None if value.get("times") is None else _integer("times", value["times"]),
        after=_integer("after", value.get("after", 0)),
        body=value.get("body", "json"),
        drop=bool(value.get("drop", False)),
        **read,
    )


def _rules(name: str, value: Any) -> list[Rule]:
    if not isinstance(value, list):
        raise FaultError(f"{name} must be a list of rules.")
    return [_rule(one) for one in value]


SWITCHES: dict[str, Callable[[str, Any], Any]] = {
    "latency_ms": lambda name, value: None if value is None else _number(name, value),
    "error_rate": _number,
    "error_status": _integer,
    "fail": _rules,
    "rate_limit": lambda name, value: None if value is None else _limit(name, value),
    "estimate_rate_limit": _limit,
    "repeat_page": _page,
    "loop_cursor": _page,
    "never_ending": _ending,
    "duplicate_ids": _count_or_ids,
    "missing_metadata": _count_or_ids,
    "expansion_errors": _ids,
}
if SWITCHES.keys() | {"dice"} != {one.name for one in fields(Faults)}:
    raise AssertionError("every switch of Faults needs a reader")
