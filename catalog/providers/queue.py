"""What running a model asks of a provider: submit once, watch, fetch, cancel, look for what may have been lost.

A submit either certainly was accepted, certainly was not, or is unclear; nothing is ever guessed (DESIGN section 8).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, BinaryIO, Protocol

from catalog.providers.base import KeyCheck
from catalog.providers.webhooks import Verify


@dataclass(frozen=True, slots=True)
class Answer:
    """What a provider answered, for the record: status 0 where there was no answer, headers that matter, cut body."""

    call: str
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""


class QueueError(Exception):
    """A call that brought no result; `answer` is what there was of one."""

    def __init__(self, message: str, answer: Answer | None = None) -> None:
        super().__init__(message)
        self.answer = answer


class NotAcceptedError(QueueError):
    """The submit certainly was not accepted, and may be sent again after `retry_after` seconds (None: as we like)."""

    def __init__(self, message: str, answer: Answer | None = None, retry_after: float | None = None) -> None:
        super().__init__(message, answer)
        self.retry_after = retry_after


class UnclearError(QueueError):
    """The submit may have been accepted: it was sent, and no usable answer came back."""


class RefusedError(QueueError):
    """The provider refuses for good: 4xx. `status`, and `detail` as the provider wrote it."""

    def __init__(self, message: str, status: int, detail: Any, answer: Answer | None = None) -> None:
        super().__init__(message, answer)
        self.status = status
        self.detail = detail


class VersionGoneError(RefusedError):
    """The version that the request names is there no more; the model may well be, with another one."""


class LockedError(QueueError):
    """Our account at the provider can't pay: nothing is accepted until somebody tops it up."""


class KeyRefusedError(QueueError):
    """The provider does not accept our key (401, or 403 that is no lock)."""


class UnreachableError(QueueError):
    """A read that failed after all its retries: network, time-out, 5xx or 429. The job goes on at the provider."""

    def __init__(self, message: str, answer: Answer | None = None, retry_after: float | None = None) -> None:
        super().__init__(message, answer)
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Request:
    """A request at the provider. `urls` may hold addresses that the provider gave for it, by what they are for."""

    endpoint_id: str
    request_id: str
    urls: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Submitted:
    """An accepted submit."""

    request: Request
    queue_position: int | None
    answer: Answer


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a request stands: `state` is queued, running or completed, well or not.

    `position`: requests ahead, 0-based. `logs`: the provider's window of log entries. `error`, `error_type`: what a
    completed request says of its failure; the result decides.
    """

    state: str
    position: int | None
    logs: list[dict[str, Any]]
    error: str
    error_type: str
    answer: Answer


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a completed request: `output` where `status` is 2xx, else `detail` and `error_type`.

    `status` and `error_type` are HTTP's and the words that `jobs.failures` knows, whatever the provider's own are;
    499 is a cancel. `detail`: a text, or a list of {loc, msg, type}. `units` are the billed units as the provider
    tells them (0 where it says that nothing is billed), None where it does not; `counts` are what it counts of several
    units, by their names, where it does not say which is billed. `retryable` is the provider's word, None where it says
    nothing.
    """

    status: int
    output: Any
    units: Decimal | None
    detail: Any
    error_type: str
    retryable: bool | None
    answer: Answer
    counts: Mapping[str, Decimal] = field(default_factory=dict)

    @property
    def succeeded(self) -> bool:
        return 200 <= self.status < 300

    def units_of(self, unit: str) -> Decimal | None:
        """The billed units of a request that was quoted in `unit`."""
        return self.counts.get(unit) if self.units is None else self.units


@dataclass(frozen=True, slots=True)
class FoundRequest:
    """A request in the provider's own list: `input` is None where the provider does not show it."""

    request_id: str
    endpoint_id: str
    sent_at: datetime | None
    input: Any
    ended: bool


class QueueInterface(Protocol):
    """The running side of a provider, with one key. Every method raises QueueError and nothing else."""

    slug: str

    def is_configured(self) -> bool:
        """Whether there is a key to run with."""
        ...

    def submit(
        self,
        endpoint_id: str,
        input: dict[str, Any],
        *,
        version: str = "",
        webhook_url: str = "",
        low_priority: bool = False,
    ) -> Submitted:
        """Sends a request, exactly once, to the version that the listing named.

        Raises NotAcceptedError, UnclearError, RefusedError, LockedError, KeyRefusedError.
        """
        ...

    def progress(self, request: Request, *, logs: bool = False) -> Progress:
        """Where a request stands; retried. Raises UnreachableError, RefusedError (404: unknown), KeyRefusedError."""
        ...

    def result(self, request: Request) -> Result:
        """The result of a completed request, also of a failed one; retried. Raises UnreachableError."""
        ...

    def cancel(self, request: Request) -> str:
        """`requested`, `completed` (too late) or `unknown` (no such request). Raises UnreachableError."""
        ...

    def find(self, endpoint_id: str, *, since: datetime) -> list[FoundRequest]:
        """What was sent to the model since then, by the provider's own list, newest first. Raises UnreachableError."""
        ...

    def upload(self, file: BinaryIO, *, name: str, content_type: str, size: int) -> str:
        """Brings a file to the provider's storage; its address there. Raises UnreachableError, RefusedError,
        KeyRefusedError."""
        ...

    def erase(self, request_id: str) -> None:
        """Has the provider delete input, output and the output's files of a request; fine where they are gone already.
        Raises UnreachableError, KeyRefusedError where no key of ours may do it."""
        ...

    def close(self) -> None:
        """Closes connections."""
        ...


@dataclass(frozen=True)
class Terms:
    """What holds at a provider for whoever runs something there.

    `key_setting`: the name of the setting that holds the operator's key. `most_at_once`: requests at the provider at
    the same time, by one key. `verify` reads its webhooks (None: it has none); `get_ready` fetches what `verify` needs.
    `signs_for_all`: it signs those of every account with keys that all may know, not only those of the operator's.
    `check_key` asks whether a key is accepted: it runs no model, costs nothing and never raises (None: can't).
    `keeps_files`: for how many seconds it keeps what a job made, and what sets that ("": nobody here).
    """

    key_setting: str
    most_at_once: Callable[[], int]
    verify: Verify | None = None
    get_ready: Callable[[], object] | None = None
    signs_for_all: bool = True
    check_key: Callable[[str], KeyCheck] | None = None
    keeps_files: Callable[[], tuple[int, str]] | None = None


_registry: dict[str, Callable[[str | None], QueueInterface]] = {}
_has_key: dict[str, Callable[[], bool]] = {}
_terms: dict[str, Terms] = {}


def register(
    slug: str, open_queue: Callable[[str | None], QueueInterface], has_key: Callable[[], bool], terms: Terms
) -> None:
    """Makes a provider runnable; `open_queue(key)` builds its running side, with the operator's key for None.

    `has_key` says whether the operator has set one.
    """
    _registry[slug] = open_queue
    _has_key[slug] = has_key
    _terms[slug] = terms


def runnable() -> list[str]:
    """The providers whose models can be run."""
    return list(_registry)


def is_runnable(slug: str) -> bool:
    """Whether models of the provider can be run."""
    return slug in _registry


def has_key(slug: str) -> bool:
    """Whether the operator has set a key to run the provider's models with."""
    return slug in _has_key and _has_key[slug]()


def key_setting(slug: str) -> str:
    """The name of the setting that holds the operator's key for a provider that can be run."""
    return _terms[slug].key_setting


def most_at_once(slug: str) -> int:
    """How many requests may be at a provider at the same time; 0 for one that can't be run."""
    return _terms[slug].most_at_once() if slug in _terms else 0


def verifier(slug: str) -> Verify | None:
    """What reads a provider's webhooks, None where it has none or is not known."""
    return _terms[slug].verify if slug in _terms else None


def signs_for_all(slug: str) -> bool:
    """Whether webhooks can be checked of requests that run on any key, not on the operator's alone."""
    return slug in _terms and _terms[slug].signs_for_all


def get_ready() -> None:
    """Has every provider that has a key fetch what its first webhook would else wait for."""
    for slug, terms in _terms.items():
        if terms.get_ready and has_key(slug):
            terms.get_ready()


def check_key(slug: str, key: str) -> KeyCheck:
    """Whether the provider accepts a key: valid, invalid, exhausted, or unreachable where it could not be asked."""
    check = _terms[slug].check_key if slug in _terms else None
    if check is None:
        return KeyCheck("unreachable", f"{slug} has no way to check a key; the first job tells.")
    return check(key)


def keeps_files(slug: str) -> tuple[int, str] | None:
    """For how many seconds the provider keeps what a job made, and the setting that says so; None: not known."""
    keeps = _terms[slug].keeps_files if slug in _terms else None
    return keeps() if keeps else None


def open_queue(slug: str, key: str | None = None) -> QueueInterface:
    """The running side of a provider, with `key` or the operator's own; KeyError where there is none."""
    return _registry[slug](key)
