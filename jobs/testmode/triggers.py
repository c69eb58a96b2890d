"""What a test job is told to do: words in its metadata or its prompt, like a card number that is always declined.

`docs/test-mode.md` explains each word to clients.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from genfeed.clients.errors import CODES, ApiError
from jobs import failures
from jobs.failures import Failure

# The name in `metadata`; in a text of the input they stand in brackets: [test: fail:timeout].
NAME = "test"
_IN_TEXT = re.compile(r"\[test:\s*([^\]\n]{0,200})\]", re.IGNORECASE)
_MOST_SECONDS = 600.0
_MOST_FILES = 8
_SLOW, _QUEUED, _SEVERAL = 10.0, 10.0, 3
# Long enough that a cancel comes in time to be too late.
_CANCELED_AFTER = 10.0

# How the sandbox ends a request, by the code that its job fails with.
_ENDINGS: dict[str, dict[str, Any]] = {
    "content_refused": {"status": 422, "type": "content_policy_violation"},
    "provider_rejected_input": {"status": 422, "type": "value_error", "detail": "The test said so."},
    "provider_error": {"status": 500, "type": "internal_server_error"},
    "provider_unavailable": {"status": 503, "error_type": "runner_scheduling_failure"},
    "timeout": {"status": 504, "error_type": "request_timeout"},
}
# What would take minutes or a retired model to come about: the job ends so in the place of its submit.
_AT_SUBMIT: dict[str, Failure] = {
    "queue_timeout": failures.QUEUE_TIMEOUT,
    "submit_unknown": failures.SUBMIT_UNKNOWN,
    "model_retired": failures.MODEL_RETIRED,
}
FAILURES = (*_ENDINGS, *_AT_SUBMIT)
REFUSALS = ("insufficient_funds", "budget_exceeded", "rate_limited", "too_many_in_flight", "queue_full", "offline")
_RETRY_AFTER = 5


@dataclass(frozen=True, slots=True)
class Triggers:
    """What shall happen to one job. `effects` are the sandbox's; `failure` comes in the place of the submit."""

    effects: dict[str, Any] = field(default_factory=dict)
    failure: Failure | None = None
    refusal: ApiError | None = None
    loses_webhooks: bool = False


class UnknownTriggerError(ValueError):
    """A word that means nothing here; the message names it."""


def triggers_of(metadata: Mapping[str, Any], input: Any) -> Triggers:
    """What the words in metadata and input say together. Raises UnknownTriggerError."""
    found = Triggers()
    for word in _words(metadata, input):
        found = _read(word, found)
    return found


def check_triggers(metadata: Mapping[str, Any], input: Any) -> None:
    """Raises ApiError for a word that means nothing, and the refusal that a word asks for."""
    try:
        found = triggers_of(metadata, input)
    except UnknownTriggerError as error:
        raise ApiError(
            "invalid_request",
            f"The test trigger {error} is not known.",
            f"Triggers are: {', '.join(WORDS)}. See the page on test mode.",
        ) from None
    if found.refusal:
        raise found.refusal


def _words(metadata: Mapping[str, Any], input: Any) -> Iterator[str]:
    told = metadata.get(NAME)
    if told is not None:
        yield from re.split(r"[\s,]+", str(told).strip().lower())
    for text in input.values() if isinstance(input, Mapping) else ():
        for match in _IN_TEXT.finditer(text) if isinstance(text, str) else ():
            yield from re.split(r"[\s,]+", match[1].strip().lower())


def _read(word: str, found: Triggers) -> Triggers:
    name, _, value = word.partition(":")
    reader = _READERS.get(name)
    if reader is None:
        raise UnknownTriggerError(repr(word[:60]))
    try:
        return reader(value, found)
    except (KeyError, ValueError):
        raise UnknownTriggerError(repr(word[:60])) from None


def _with(found: Triggers, **effects: Any) -> Triggers:
    return replace(found, effects=found.effects | effects)


def _seconds(value: str, otherwise: float) -> float:
    seconds = float(value) if value else otherwise
    # Also refuses what is no number at all (nan).
    if not 0 <= seconds <= _MOST_SECONDS:
        raise ValueError(value)
    return seconds


def _slow(value: str, found: Triggers) -> Triggers:
    return _with(found, seconds=_seconds(value, _SLOW))


def _queue(value: str, found: Triggers) -> Triggers:
    return _with(found, waits=_seconds(value, _QUEUED))


def _fail(code: str, found: Triggers) -> Triggers:
    if code in _AT_SUBMIT:
        return replace(found, failure=_AT_SUBMIT[code])
    return _with(found, error=_ENDINGS[code])


def _refuse(code: str, found: Triggers) -> Triggers:
    if code not in REFUSALS:
        raise ValueError(code)
    retry_after = _RETRY_AFTER if CODES[code] in (429, 503) else None
    words = "This test request asked to be refused with this code."
    return replace(found, refusal=ApiError(code, words, "Take the trigger out.", retry_after=retry_after))


def _webhook(value: str, found: Triggers) -> Triggers:
    return replace(found, loses_webhooks={"lost": True}[value])


def _files(value: str, found: Triggers) -> Triggers:
    count = int(value) if value else _SEVERAL
    if not 1 <= count <= _MOST_FILES:
        raise ValueError(value)
    return _with(found, files=count)


def _cancel(value: str, found: Triggers) -> Triggers:
    return _with(found, cancel={"too_late": "too_late"}[value], seconds=found.effects.get("seconds", _CANCELED_AFTER))


def _file(value: str, found: Triggers) -> Triggers:
    return _with(found, file_status={"lost": 404}[value])


def _bare(**effects: Any) -> Callable[[str, Triggers], Triggers]:
    """A word that takes nothing behind it."""

    def read(value: str, found: Triggers) -> Triggers:
        if value:
            raise ValueError(value)
        return _with(found, **effects)

    return read


_READERS: dict[str, Callable[[str, Triggers], Triggers]] = {
    "slow": _slow,
    "queue": _queue,
    "fail": _fail,
    "refuse": _refuse,
    "webhook": _webhook,
    "files": _files,
    "partial": _bare(images=1),
    "empty": _bare(no_media=True),
    "nsfw": _bare(nsfw=True),
    "requeue": _bare(requeue=1),
    "cancel": _cancel,
    "file": _file,
}
# All words, as the documentation lists them; behind some of them another number may stand.
WORDS = (
    "slow", "queue", *(f"fail:{code}" for code in FAILURES), *(f"refuse:{code}" for code in REFUSALS), "webhook:lost",
    "files", "partial", "empty", "nsfw", "requeue", "cancel:too_late", "file:lost",
)  # fmt: skip
