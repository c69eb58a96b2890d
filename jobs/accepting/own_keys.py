"""Whose key a job runs with: the one that came with the request, else the client's own, else the installation's.

The job keeps its key, sealed, until it ends: a request is seen, fetched and canceled with the key that made it, even
where the client has another one by then. Own keys exist in core mode alone (catalog.own_keys).
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict

from django.conf import settings

from catalog.own_keys import may_be_told, require_core, require_provider_itself
from catalog.providers import queue
from catalog.providers.base import KeyCheck
from catalog.providers.queue import KeyRefusedError, LockedError, QueueError
from genfeed.clients.errors import ApiError
from genfeed.clients.models import ProviderKey
from genfeed.clients.provider_keys import BadKeyError, OwnKey, kept_key, note_state, sent_key
from genfeed.clients.sealing import CannotUnsealError, unseal
from jobs.failures import Failure
from jobs.models import Job
from jobs.testmode.mode import GATE, TEST

HEADER = "X-Provider-Key"
# A key that comes with every request is not asked about at each.
_CHECKED_SECONDS = 300.0
# Trouble is asked about again soon, as it may be mended by then; but not for each item of a batch.
_TROUBLE_SECONDS = 10.0
_CHECKED_AT_MOST = 1000
_checked: OrderedDict[tuple[str, str], tuple[float, KeyCheck]] = OrderedDict()
_lock = threading.Lock()


def choose_key(provider: str, client_id: int, sent: str) -> OwnKey | None:
    """The key for a new job: `sent` with its request, else the client's own, else None for the installation's.

    Raises ApiError where there is none at all, or where the provider has refused it.
    """
    if sent:
        require_core()
        return _sent(provider, sent)
    if settings.GENFEED_MODE == "core" and (row := kept_key(client_id, provider)) is not None:
        _refuse_invalid(row)
        require_provider_itself(provider, row.fingerprint)
        return OwnKey("client", row.fingerprint, row.hint, row.sealed)
    _need_installations(provider)
    return None


def check_key_still_good(provider: str, client_id: int, account: str) -> None:
    """Raises ApiError where the key that was chosen for a job before, by its `account`, is known to serve no more.

    The job is to run with no other: not with one that is set meanwhile, and least of all with the installation's.
    """
    if not account:
        _need_installations(provider)
    elif (row := kept_key(client_id, provider)) is not None and row.fingerprint == account:
        _refuse_invalid(row)


def _refuse_invalid(row: ProviderKey) -> None:
    if row.state == ProviderKey.State.INVALID:
        raise ApiError(
            "not_configured",
            f"{row.provider} refuses the key that is kept for you ({_shown(row.hint)}).",
            f"Set another one at /api/v1/provider-keys/{row.provider}.",
        )


def _need_installations(provider: str) -> None:
    if queue.has_key(provider):
        return
    if settings.GENFEED_MODE == "core":
        hint = f"PUT a key to /api/v1/provider-keys/{provider}, or send one with the request as {HEADER}."
    else:
        hint = f"The operator has to set one ({queue.key_setting(provider)}); models and estimates work without."
    raise ApiError("not_configured", f"This installation has no key for {provider}, so nothing can be run.", hint)


def key_of(job: Job) -> str | None:
    """The key in clear, None for the installation's. Raises KeyRefusedError where it can't be read any more."""
    if not job.key_source:
        return None
    if not may_be_told(job.provider, job.account):
        raise KeyRefusedError(f"The sandbox stands in for {job.provider} now, and is told no key of a client's.")
    try:
        return unseal(job.own_key)
    except CannotUnsealError as error:
        raise KeyRefusedError(str(error)) from None


def gate_of(job: Job) -> str:
    """The name of the gate that the job goes through: what stops one key stops no other."""
    return gate_name(job.provider, job.account)


def gate_name(provider: str, account: str) -> str:
    """The name of the gate to a provider by one key; test jobs have one for all providers."""
    if account == TEST:
        return GATE
    return f"{provider}:{account}" if account else provider


def failure_of(job: Job, error: QueueError) -> Failure:
    """Why a job failed whose own key was refused: the user's to mend, so it says which key and what to do."""
    if isinstance(error, LockedError):
        return Failure(
            "insufficient_funds",
            f"The account of {_words(job)} has no credit at {job.provider}.",
            f"Nothing was charged. Top the account up at {job.provider}, then send the job again.",
        )
    where = (
        f"Set another one at /api/v1/provider-keys/{job.provider}"
        if job.key_source == "client"
        else f"Send another one as {HEADER}"
    )
    return Failure(
        "not_configured",
        f"{job.provider} does not accept {_words(job)}.",
        f"Nothing was charged. {where}, then send the job again.",
    )


def note_refusal(job: Job, error: QueueError) -> None:
    """Keeps what the provider said of a key that is kept for the client."""
    locked = isinstance(error, LockedError)
    if job.key_source == "client":
        state = ProviderKey.State.EXHAUSTED if locked else ProviderKey.State.INVALID
        note_state(job.client_id, job.provider, job.account, state=state, detail=failure_of(job, error).message)


def forget() -> None:
    """Forgets what was checked, for tests."""
    with _lock:
        _checked.clear()


def _sent(provider: str, text: str) -> OwnKey:
    try:
        key = sent_key(text)
    except BadKeyError as error:
        raise ApiError("invalid_request", f"{HEADER}: {error}", "Copy the key from the provider's site.") from None
    require_provider_itself(provider, key.fingerprint)
    checked = _check(provider, key.fingerprint, text.strip())
    if checked.state == "invalid":
        raise ApiError("invalid_request", f"{HEADER}: {checked.detail}", "Send another key. Nothing was accepted.")
    if checked.state == "exhausted":
        raise ApiError("insufficient_funds", f"{HEADER}: {checked.detail}", "Nothing was accepted.")
    return key


def _check(provider: str, fingerprint: str, text: str) -> KeyCheck:
    now = time.monotonic()
    with _lock:
        known = _checked.get((provider, fingerprint))
    if known and now - known[0] < (_CHECKED_SECONDS if known[1].state == "valid" else _TROUBLE_SECONDS):
        return known[1]
    checked = queue.check_key(provider, text)
    with _lock:
        _checked[provider, fingerprint] = (time.monotonic(), checked)
        if len(_checked) > _CHECKED_AT_MOST:
            _checked.popitem(last=False)
    return checked


def _words(job: Job) -> str:
    whose = "your own key" if job.key_source == "client" else f"the key that came as {HEADER}"
    return f"{whose} ({_shown(job.key_hint)})"


def _shown(hint: str) -> str:
    return f"ends in {hint}" if hint else "a short one"
