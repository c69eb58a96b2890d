"""Accepting a job that names alternatives: all are checked and quoted, and the first that can be had runs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from django.conf import settings

from catalog import narrowing, published, upstreams
from genfeed.clients.errors import ApiError
from genfeed.clients.keys import Caller
from jobs.accepting.accept import Prepared, Wanted, accept_prepared, columns_of, prepare
from jobs.accepting.own_keys import gate_name
from jobs.accepting.stored_results import find_stored
from jobs.dispatching import gate
from jobs.fallback.attempts import CHOSEN, PASSED_OVER, SPARE, Plan, Reason, attempt, away
from jobs.models import Job
from pricing.equivalents import offered_equivalents
from pricing.ledger.accounts import account_of

# Why the model that is asked for may be had nowhere; any other refusal is about the request itself.
_UNAVAILABLE = {"model_retired", "model_disabled", "model_unpriced", "not_configured", "offline"}
# What an alternative that is named can be wrong in by itself, rather than not be had or not fit.
_MISNAMED = {"model_not_found", "model_ambiguous"}
_WRONG_INPUT = {"invalid_input", "unknown_field", "unsupported_media", "payload_too_large"}
_MOST_EQUIVALENTS = 5


@dataclass(frozen=True, slots=True)
class Alternative:
    """A model to run instead, by its id; `input` None for the one of the job, and its `media` with it."""

    model: str
    input: Mapping[str, Any] | None = None
    media: Mapping[str, Any] | None = None


Fallback = Sequence[Alternative] | Literal["equivalent"]


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A model in the order of trying: by its id and provider (None: the id does not tell), checked, or why not."""

    model: str
    provider: str | None
    prepared: Prepared | None = None
    error: ApiError | None = None


def accept_with_fallback(
    wanted: Wanted, fallback: Fallback, caller: Caller, *, beside: Callable[[Job], None] | None = None
) -> Job:
    """Accepts one job as `accept` does, to be run by the first of several models that can be had.

    The others stay with the job, quoted and frozen as it is, for `switching`. Money is held for the chosen one alone.
    Raises ApiError where the request is wrong in itself, or where none of the models can be had.
    """
    return accept_prepared(prepare_with_fallback(wanted, fallback, caller), caller, beside=beside)


def prepare_with_fallback(wanted: Wanted, fallback: Fallback, caller: Caller) -> Prepared:
    """Checks and quotes a request to several models, and chooses; nothing is written. Raises ApiError."""
    catalog = narrowing.narrowed(published.current(), caller)
    asked_for = _entry_of(wanted.model, catalog)
    first = _checked(wanted, asked_for, caller)
    if first.error and first.error.code not in _UNAVAILABLE:
        raise first.error
    if fallback == "equivalent":
        others = _equivalents(wanted, asked_for, caller, catalog)
    else:
        others = _named(wanted, fallback, asked_for, caller, catalog)
    candidates = [first, *others]
    able = [(place, one.prepared) for place, one in enumerate(candidates) if one.prepared]
    if not able:
        raise _none_of(candidates)
    # The first that can be had at once, else the first that may be had soon.
    place, prepared = next((one for one in able if not _is_away(one[1], caller)), able[0])
    plan = _plan(candidates, place, caller)
    return replace(prepared, fallback=plan)


def _entry_of(address: str, catalog: published.Published) -> published.Entry | None:
    """The model of an id, one that is offered before one that is not; None where the id does not tell."""
    for offered_only in (True, False):
        try:
            return published.find(address, offered_only=offered_only, within=catalog)
        except LookupError:
            continue
    return None


def _checked(wanted: Wanted, entry: published.Entry | None, caller: Caller) -> _Candidate:
    model, provider = (entry.id, entry.provider) if entry else (wanted.model, None)
    try:
        return _Candidate(model, provider, prepared=prepare(wanted, caller))
    except ApiError as error:
        return _Candidate(model, provider, error=error)


def _equivalents(
    wanted: Wanted, asked_for: published.Entry | None, caller: Caller, catalog: published.Published
) -> list[_Candidate]:
    if wanted.max_price is None:
        raise ApiError(
            "invalid_request",
            "fallback: equivalents may have other prices, and no max_price was sent.",
            "Send max_price: none of them is used for more.",
        )
    if asked_for is None:
        return []
    entries = offered_equivalents(asked_for.pk, kind=asked_for.kind, within=catalog)[:_MOST_EQUIVALENTS]
    return [
        _checked(_put_to(wanted, f"{entry.provider}:{entry.id}", entry, asked_for), entry, caller) for entry in entries
    ]


def _named(
    wanted: Wanted,
    alternatives: Sequence[Alternative],
    asked_for: published.Entry | None,
    caller: Caller,
    catalog: published.Published,
) -> list[_Candidate]:
    """Alternatives by name. Raises ApiError where one is unknown, or an input that is for it alone is wrong."""
    found = []
    for index, one in enumerate(alternatives):
        entry = _entry_of(one.model, catalog)
        asked = _put_to(wanted, one.model, entry, asked_for)
        if one.input is not None:
            asked = replace(asked, input=one.input, media=one.media)
        candidate = _checked(asked, entry, caller)
        own_fault = _MISNAMED if one.input is None else _MISNAMED | _WRONG_INPUT
        if (error := candidate.error) and error.code in own_fault:
            raise ApiError(error.code, f"fallback.{index}: {error.message}", error.hint, details=error.details)
        found.append(candidate)
    return found


def _put_to(wanted: Wanted, address: str, entry: published.Entry | None, asked_for: published.Entry | None) -> Wanted:
    """The same request to another model. A key that came with the request is one at the provider asked for."""
    same = entry is not None and asked_for is not None and entry.provider == asked_for.provider
    return replace(wanted, model=address, provider_key=wanted.provider_key if same else "")


def _is_away(found: Prepared, caller: Caller) -> bool:
    """Whether the provider takes nothing now; it need not where a stored result will do."""
    if found.may_reuse and find_stored(found.cache_digest, caller):
        return False
    provider = found.facts.provider
    name = gate_name(provider, found.own_key.fingerprint if found.own_key else "")
    if gate.is_shut(name):
        return True
    return settings.GENFEED_MODE == "core" and not caller.is_test and not upstreams.is_online(provider)


def _plan(candidates: Sequence[_Candidate], chosen: int, caller: Caller) -> Plan:
    account = account_of(caller.live_id)
    attempts = []
    for place, one in enumerate(candidates):
        if one.prepared is None:
            attempts.append(attempt(one.model, one.provider, PASSED_OVER, _reason(one)))
        elif place < chosen:
            attempts.append(attempt(one.model, one.provider, PASSED_OVER, away(one.prepared.facts.provider)))
        elif place == chosen:
            attempts.append(attempt(one.model, one.provider, CHOSEN))
        else:
            attempts.append(attempt(one.model, one.provider, SPARE, columns=columns_of(one.prepared, account)))
    return {"requested": candidates[0].model, "attempts": attempts}


def _reason(one: _Candidate) -> Reason | None:
    return (one.error.code, one.error.message) if one.error else None


def _none_of(candidates: Sequence[_Candidate]) -> ApiError:
    """The refusal of the model that was asked for, with what keeps the others from running it."""
    first = candidates[0].error
    assert first  # noqa: S101 - none was prepared
    attempts = [attempt(one.model, one.provider, PASSED_OVER, _reason(one)) for one in candidates]
    known = first.details if isinstance(first.details, dict) else {}
    hint = "None of the alternatives can run it either: see details." if len(candidates) > 1 else first.hint
    details = {**known, "attempts": attempts}
    return ApiError(first.code, first.message, hint, details=details, retry_after=first.retry_after)
