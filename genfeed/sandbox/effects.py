"""What can go wrong with single requests: rules that say for which requests, and effects that say what.

A request collects the effects of every rule that matches when it is accepted; where two say the same, the later wins.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict, cast

from genfeed.sandbox import reading
from genfeed.sandbox.reading import FaultError


class ErrorEnding(TypedDict):
    """How a request fails. `type` is a model error, `error_type` a platform error; `units` are billed all the same."""

    status: int
    type: NotRequired[str]
    error_type: NotRequired[str]
    detail: NotRequired[Any]
    units: NotRequired[float]
    retryable: NotRequired[bool]


class Correction(TypedDict):
    """A bill that changes `after` so many seconds: its units are multiplied by `times`."""

    after: float
    times: float


class Effects(TypedDict, total=False):
    """What happens to one request. Times are seconds."""

    seconds: float
    waits: float
    stuck: str
    requeue: int
    error: ErrorEnding
    nsfw: bool
    images: int
    files: int
    no_media: bool
    units_times: float
    no_units_header: bool
    bill_unit: str
    webhook_lost: bool
    webhook_after: float
    webhook_copies: int
    webhook_age: float
    webhook_forged: bool
    webhook_account: str
    webhook_payload_error: bool
    cancel: str
    event_lag: float
    event_missing: bool
    discount_percent: float
    correction: Correction
    file_status: int
    file_seconds: float
    file_bytes: int
    file_type: str
    file_cut: bool
    file_html: bool
    file_url: str
    file_redirect: str
    listed_after: float


def _error(name: str, value: Any) -> ErrorEnding:
    known = {"status", "type", "error_type", "detail", "units", "retryable"}
    if not isinstance(value, dict) or not value.keys() <= known or "status" not in value:
        raise FaultError(f"{name} is an object with status and any of {', '.join(sorted(known - {'status'}))}.")
    if not 400 <= reading.integer("error.status", value["status"]) <= 599:
        raise FaultError("error.status must lie between 400 and 599.")
    ending: ErrorEnding = {"status": value["status"]}
    if "type" in value:
        ending["type"] = reading.text("error.type", value["type"])
    if "error_type" in value:
        ending["error_type"] = reading.text("error.error_type", value["error_type"])
    if "detail" in value:
        ending["detail"] = value["detail"]
    if "units" in value:
        ending["units"] = reading.number("error.units", value["units"])
    if "retryable" in value:
        ending["retryable"] = reading.flag("error.retryable", value["retryable"])
    return ending


def _correction(name: str, value: Any) -> Correction:
    if not isinstance(value, dict) or value.keys() != {"after", "times"}:
        raise FaultError(f"{name} is an object with after and times.")
    return {"after": reading.number(name, value["after"]), "times": reading.number(name, value["times"])}


EFFECTS: dict[str, Callable[[str, Any], Any]] = {
    "seconds": reading.number,
    "waits": reading.number,
    "stuck": reading.one_of("IN_QUEUE", "IN_PROGRESS"),
    "requeue": reading.integer,
    "error": _error,
    "nsfw": reading.flag,
    "images": reading.integer,
    "files": reading.integer,
    "no_media": reading.flag,
    "units_times": reading.number,
    "no_units_header": reading.flag,
    "bill_unit": reading.text,
    "webhook_lost": reading.flag,
    "webhook_after": reading.number,
    "webhook_copies": reading.integer,
    "webhook_age": reading.number,
    "webhook_forged": reading.flag,
    "webhook_account": reading.text,
    "webhook_payload_error": reading.flag,
    "cancel": reading.one_of("too_late", "ignored"),
    "event_lag": reading.number,
    "event_missing": reading.flag,
    "discount_percent": reading.number,
    "correction": _correction,
    "file_status": reading.integer,
    "file_seconds": reading.number,
    "file_bytes": reading.integer,
    "file_type": reading.text,
    "file_cut": reading.flag,
    "file_html": reading.flag,
    "file_url": reading.text,
    "file_redirect": reading.text,
    "listed_after": reading.number,
}
if EFFECTS.keys() != Effects.__annotations__.keys():
    raise AssertionError("every effect needs a reader")
CHOOSERS = {"match", "input", "times", "after"}


@dataclass(slots=True)
class JobRule:
    """`match` is searched in the endpoint id, `input` in the body as sent; the first `after` of them are spared."""

    match: re.Pattern[str]
    body: re.Pattern[str] | None
    effects: Effects
    times: int | None = None
    after: int = 0
    seen: int = 0
    fired: int = 0

    def applies(self, endpoint_id: str, body: bytes) -> bool:
        """Count a request that matches and say whether the effects are for it."""
        if not self.match.search(endpoint_id):
            return False
        if self.body is not None and not self.body.search(body.decode("utf-8", "replace")):
            return False
        self.seen += 1
        if self.seen <= self.after or (self.times is not None and self.fired >= self.times):
            return False
        self.fired += 1
        return True

    def to_json(self) -> dict[str, Any]:
        """The rule as it was given, with its counters."""
        return {
            "match": self.match.pattern,
            "input": self.body.pattern if self.body else None,
            "times": self.times,
            "after": self.after,
            "seen": self.seen,
            "fired": self.fired,
            **self.effects,
        }


def effects_of(rules: list[JobRule], endpoint_id: str, body: bytes) -> Effects:
    """What happens to a request that is accepted now."""
    collected: Effects = {}
    for rule in rules:
        if rule.applies(endpoint_id, body):
            collected.update(rule.effects)
    return collected


def read_effects(given: dict[str, Any]) -> Effects:
    """Effects from JSON. Raises FaultError for what is not known."""
    if unknown := sorted(given.keys() - EFFECTS.keys()):
        raise FaultError(f"Unknown effect {', '.join(unknown)}. Known: {', '.join(EFFECTS)}.")
    effects = {name: EFFECTS[name](name, value) for name, value in given.items()}
    return cast(Effects, effects)


def read_job_rules(name: str, value: Any) -> list[JobRule]:
    """Rules from JSON."""
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise FaultError(f"{name} must be a list of objects.")
    return [
        JobRule(
            match=reading.pattern("match", one.get("match", "")),
            body=None if one.get("input") is None else reading.pattern("input", one["input"]),
            effects=read_effects({key: part for key, part in one.items() if key not in CHOOSERS}),
            times=None if one.get("times") is None else reading.integer("times", one["times"]),
            after=reading.integer("after", one.get("after", 0)),
        )
        for one in value
    ]
