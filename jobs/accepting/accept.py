"""Accepting a job: everything is checked before anything is written, and then all of it is written at once."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from catalog import narrowing, published, upstreams
from catalog.providers import queue
from catalog.validating.problems import Problem
from genfeed.clients.errors import ApiError
from genfeed.clients.keys import Caller
from genfeed.clients.limits.jobs import limit_jobs
from genfeed.clients.provider_keys import OwnKey
from jobs.accepting.caps import over_caps
from jobs.accepting.null_characters import refuse_null_characters
from jobs.accepting.own_keys import choose_key
from jobs.accepting.secret_inputs import secret_names, with_sealed
from jobs.accepting.stored_results import (
    charge_share,
    find_stored,
    finish_from,
    has_fixed_seed,
    observe_answered,
    result_digest,
)
from jobs.assets import inline
from jobs.assets.models import Handover
from jobs.assets.references import ids_in
from jobs.dispatching.outgoing import SAFETY, digest_of, outgoing_input
from jobs.fallback.attempts import has_spare, without_columns
from jobs.ids import new_id
from jobs.metrics import observe_accepted
from jobs.models import Job
from jobs.testmode.mode import NO_KEY, require_sandbox
from jobs.testmode.triggers import check_triggers
from jobs.transitions import told_queued
from pricing import sql
from pricing.counting.requests import make_request
from pricing.estimates import own_files
from pricing.estimates.addressing import find_model
from pricing.estimates.deadlines import deadline_seconds
from pricing.estimates.facts import Facts, facts_of
from pricing.estimates.history import features_of
from pricing.estimates.observed import observed_p99
from pricing.estimates.quotes import InputRefusedError, Quote, check_request, quote_checked
from pricing.estimates.rendering import input_error, problems_error
from pricing.ledger.accounts import terms_account_of
from pricing.ledger.holds import Begun, Reservation, begin_hold, place_hold
from pricing.models import Account
from pricing.money import format_usd
from pricing.settling.frozen import freeze

Cache = Literal["", "seed", "any_seed"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a client asks for. `max_price` in nano-USD; `media`: facts about input files, as estimates take them.

    `cache`: whether a stored result will do: "" no, "seed" where the seed is fixed, "any_seed" always.
    `provider_key`: a key of the client's own for this request alone, in clear; "" for the one that is set.
    `protocol`: whose protocol it came by, which the webhook speaks too; "" for our own.
    `workflow`: the workflow that asks for it, None for a client itself.
    """

    model: str
    input: Mapping[str, Any]
    media: Mapping[str, Any] | None = None
    webhook_url: str = ""
    max_price: int | None = None
    cache: Cache = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    low_priority: bool = False
    idempotency_key: str = ""
    body_digest: str = ""
    provider_key: str = field(default="", repr=False)
    protocol: str = ""
    workflow: str | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request that was checked and quoted; nothing is written yet."""

    wanted: Wanted
    facts: Facts
    quote: Quote
    hold: int
    features: dict[str, Any]
    deadline: int
    outgoing: dict[str, Any]
    cache_digest: str | None = None
    may_reuse: bool = False
    own_key: OwnKey | None = None
    fallback: dict[str, Any] | None = None


def accept(
    wanted: Wanted, caller: Caller, *, beside: Callable[[Job], None] | None = None, now: datetime | None = None
) -> Job:
    """Accepts one job: tokens, budgets, hold, job, event and outbox in one transaction. Raises ApiError.

    `beside` writes in the same transaction what must not exist without the job. No answer but success means that
    nothing was accepted.
    """
    return accept_prepared(prepare(wanted, caller), caller, beside=beside, now=now)


def accept_prepared(
    prepared: Prepared, caller: Caller, *, beside: Callable[[Job], None] | None = None, now: datetime | None = None
) -> Job:
    """Accepts what `prepare` has checked, as `accept` does."""
    if stored := find_stored(prepared.cache_digest, caller) if prepared.may_reuse else None:
        return _answer_from(stored, prepared, caller, beside, now=now or timezone.now())
    refuse_offline(prepared.facts.provider, caller)
    sent = {"outgoing": prepared.outgoing, "fallback": prepared.fallback}
    with inline.kept(sent, caller.client_id) as named, transaction.atomic(durable=True):
        prepared = replace(prepared, **named)
        job = write(prepared, caller, now=now or timezone.now())
        if beside:
            beside(job)
        begun = begin_hold(reservation(job, prepared, caller), now=job.created_at)
        # Last: other requests of the client wait for the rows that these two change until this transaction ends.
        limit_jobs(caller)
        hold(job, prepared, caller, begun=begun)
    observe_accepted(job)
    return job


def _answer_from(
    stored: Job, prepared: Prepared, caller: Caller, beside: Callable[[Job], None] | None, *, now: datetime
) -> Job:
    """A job that has ended already, with the output of another one."""
    prepared = replace(prepared, fallback=without_columns(prepared.fallback))
    job = make_job(prepared, caller, terms_account_of(caller.live_id), now=now)
    with transaction.atomic(durable=True):
        finish_from(job, stored)
        if beside:
            beside(job)
        limit_jobs(caller)
        charge_share(job, reservation(job, prepared, caller))
    observe_answered(job)
    return job


def prepare(wanted: Wanted, caller: Caller) -> Prepared:
    """Checks and quotes a request. Raises ApiError: unknown, off, unpriced, input, caps, dearer than allowed."""
    refuse_null_characters({"input": wanted.input, "metadata": wanted.metadata})
    if caller.is_test:
        require_sandbox()
        check_triggers(wanted.metadata, wanted.input)
    catalog = narrowing.narrowed(published.current(), caller)
    entry = find_model(
        wanted.model, is_admin=False, within=catalog, client_id=caller.live_id, counts=not caller.is_test
    )
    refuse_unrunnable(entry.provider)
    if not wanted.cache:
        refuse_offline(entry.provider, caller)
    own_key = NO_KEY if caller.is_test else choose_key(entry.provider, caller.client_id, wanted.provider_key)
    facts = facts_of(entry.pk)
    try:
        own = own_files.look_up(wanted.input, caller.client_id)
        filled = check_request(facts, own.input, wanted.media)
    except InputRefusedError as error:
        raise input_error(error, where="input") from None
    media = own_files.with_known(facts, filled, wanted.media, own)
    request = make_request(facts.inputs, filled, media)
    if problems := over_caps(request, caller.caps) + _unsafe(own.input, caller):
        raise problems_error(problems, where="input")
    quote = quote_checked(facts, filled, media=media, client_id=caller.live_id)
    outgoing = outgoing_input(dict(own.references) | facts.fixed_input, facts.inputs)
    digest = None
    if wanted.cache:
        # With the model's defaults, but for what is sent otherwise: the checker that the client says nothing of.
        digest = result_digest(caller.client_id, facts, filled | {SAFETY: outgoing.get(SAFETY)})
    return Prepared(
        wanted=wanted,
        facts=facts,
        quote=quote,
        hold=_hold(quote, wanted.max_price),
        features=features_of(facts.inputs, filled),
        deadline=int(deadline_seconds(facts, request, observed=observed_p99(facts.pk))),
        outgoing=outgoing,
        cache_digest=digest,
        may_reuse=wanted.cache == "any_seed" or (wanted.cache == "seed" and has_fixed_seed(filled, facts.inputs)),
        own_key=own_key,
    )


def refuse_unrunnable(provider: str) -> None:
    """Raises ApiError for models of a provider that only are listed here."""
    if not queue.is_runnable(provider):
        raise ApiError(
            "not_configured", f"Models of {provider} can't be run here.", "Choose a model of another provider."
        )


def refuse_offline(provider: str, caller: Caller) -> None:
    """Raises ApiError for what must be asked of a provider that can't be reached; stored results are given anyway.

    In core mode nothing waits for a connection that is not there; in cloud mode short outages are waited out. Test jobs
    ask no provider.
    """
    if caller.is_test or settings.GENFEED_MODE != "core" or upstreams.is_online(provider):
        return
    raise ApiError(
        "offline",
        f"{provider} can't be reached from here right now, so nothing can be run there.",
        "Nothing was accepted or held. Models, estimates and reports go on from the local copy; whether it is back is "
        "tried every minute (see /api/v1/status).",
        retry_after=30,
    )


def hold(job: Job, prepared: Prepared, caller: Caller, *, begun: Begun | None = None) -> None:
    """Reserves the job's money in the caller's transaction. Raises ApiError, which must undo it, job and all.

    `begun`: what was done of it before.
    """
    place_hold(
        reservation(job, prepared, caller),
        max_in_flight=caller.max_in_flight,
        max_queued=caller.max_queued,
        now=job.created_at,
        begun=begun,
    )


def reservation(job: Job, prepared: Prepared, caller: Caller) -> Reservation:
    """What must be reserved for the job: a place among the caller's jobs, and money for all but test jobs."""
    facts, amount = prepared.facts, 0 if caller.is_test else prepared.hold
    return Reservation(caller.client_id, caller.key_id or None, job.pk, facts.pk, facts.category, amount)


def write(prepared: Prepared, caller: Caller, *, now: datetime) -> Job:
    """Writes job, event and outbox in the caller's transaction, which `hold` must follow."""
    job = make_job(prepared, caller, terms_account_of(caller.live_id), now=now)
    handed_over = [Handover(job=job, next_at=now)] if job.next_at > now else []
    sql.insert_all([job, *handed_over, *told_queued(job)])
    return job


def make_job(prepared: Prepared, caller: Caller, account: Account, *, now: datetime) -> Job:
    """The row of a job, not saved. Where its `next_at` is ahead, a Handover belongs to it."""
    wanted = prepared.wanted
    columns = columns_of(prepared, account)
    return Job(
        id=new_id("job"),
        client_id=caller.client_id,
        key_id=caller.key_id or None,
        **columns,
        input_digest=digest_of(columns["input"]),
        fallback=prepared.fallback,
        has_spare=has_spare(prepared.fallback),
        max_price=wanted.max_price,
        priority=Job.Priority.LOW if wanted.low_priority else Job.Priority.NORMAL,
        metadata=dict(wanted.metadata),
        webhook_url=wanted.webhook_url,
        protocol=wanted.protocol,
        may_cache=bool(wanted.cache),
        idempotency_key=wanted.idempotency_key,
        body_digest=wanted.body_digest,
        workflow_id=wanted.workflow,
        token=secrets.token_urlsafe(32),
        created_at=now,
        # Its files are brought to the provider first.
        next_at=now + timedelta(seconds=settings.QUEUE_TIMEOUT_SECONDS) if ids_in(prepared.outgoing) else now,
    )


def columns_of(prepared: Prepared, account: Account) -> dict[str, Any]:
    """The columns of a job that follow from its model, as JSON can keep them; its key is sealed."""
    facts, key = prepared.facts, prepared.own_key
    secret = secret_names(prepared.outgoing, facts.inputs)
    return {
        "model_id": facts.pk,
        "provider": facts.provider,
        "endpoint_id": facts.endpoint_id,
        "schema_version": facts.schema_version,
        "upstream_version": facts.upstream_version,
        "runs_as": facts.runs_as,
        "input": with_sealed(prepared.outgoing, secret),
        "secret_fields": secret,
        "features": prepared.features,
        "quote": prepared.quote.as_json(),
        "terms": freeze(prepared.quote, facts, account, hold=prepared.hold).as_json(),
        "hold_amount": prepared.hold,
        "cache_digest": prepared.cache_digest,
        "deadline_seconds": prepared.deadline,
        "account": key.fingerprint if key else "",
        "own_key": key.sealed if key else "",
        "key_source": key.source if key else "",
        "key_hint": key.hint if key else "",
    }


def _unsafe(given: Mapping[str, Any], caller: Caller) -> list[Problem]:
    """What the client itself says counts: where it says nothing, the checker is sent as on."""
    if given.get(SAFETY) is not False or caller.may_disable_safety_checker:
        return []
    hint = "leave it out, or ask the operator to allow it"
    return [Problem(SAFETY, "not_allowed", "your terms do not allow to switch the safety checker off", hint)]


def _hold(quote: Quote, max_price: int | None) -> int:
    if quote.price is None or quote.high is None:
        needs = f" What is missing: {', '.join(quote.missing)}." if quote.missing else ""
        raise ApiError(
            "model_unpriced",
            f"What this request would cost is not known, so it can't be run.{needs}",
            "Tell what is missing (media facts go beside the input), or choose another model.",
            details={"missing": list(quote.missing)},
        )
    if max_price is None:
        return quote.high
    if quote.price > max_price:
        raise ApiError(
            "price_above_max",
            f"The price is {format_usd(quote.price)} USD, and at most {format_usd(max_price)} USD were allowed.",
            "Raise max_price, or ask for less.",
            details={"price": format_usd(quote.price), "max_price": format_usd(max_price)},
        )
    return min(quote.high, max_price)
