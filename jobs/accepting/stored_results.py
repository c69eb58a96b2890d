"""Results used again: a client's own, for the same request, where the request says that a stored one will do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from catalog.models import Provider
from genfeed.clients.keys import Caller
from jobs.assets.models import Asset
from jobs.dispatching.outgoing import digest_of
from jobs.ending.ended_log import log_ended
from jobs.ending.outputs import warnings_of
from jobs.metrics import observe_accepted, observe_ended
from jobs.models import Job, Status
from jobs.testmode.mode import is_test
from jobs.transitions import told_answered
from pricing import sql
from pricing.estimates.facts import Facts
from pricing.ledger.holds import Reservation, place_hold
from pricing.ledger.settling import settle
from pricing.money import to_nano, to_usd
from pricing.usage.recording import CostSource, Outcome, Usage, usage_of_test, usage_record

_LOOKED_AT = 5
# A stored result needs no place: nothing waits and nothing runs.
_NO_LIMIT = 2**31


def result_digest(client_id: int, facts: Facts, input: Mapping[str, Any]) -> str:
    """What must be equal for a result to be used again; `input` with the model's defaults, files named by id."""
    return digest_of([client_id, facts.pk, facts.schema_version, input])


def has_fixed_seed(filled: Mapping[str, Any], inputs: Iterable[Mapping[str, Any]]) -> bool:
    """Whether the model takes a seed and the request says which: then another run would make the same."""
    seeds = [item["name"] for item in inputs if item["name"] == "seed" or item["name"].endswith("_seed")]
    return any(isinstance(filled.get(name), int) and not isinstance(filled.get(name), bool) for name in seeds)


def find_stored(digest: str | None, caller: Caller) -> Job | None:
    """The newest result that may be used again: the client's own, whole, unflagged, with all its files still here."""
    if digest is None or not caller.may_use_stored or not settings.CACHE_RESULT_SECONDS:
        return None
    since = timezone.now() - timedelta(seconds=settings.CACHE_RESULT_SECONDS)
    candidates = Job.objects.filter(
        cache_digest=digest, finished_at__gt=since, client_id=caller.client_id, status=Status.SUCCEEDED, is_cached=False
    )
    for job in candidates.order_by("-finished_at")[:_LOOKED_AT]:
        if _is_whole(job) and Provider.objects.filter(slug=job.provider, enable_caching=True).exists():
            return job
    return None


def _is_whole(job: Job) -> bool:
    if job.output is None or warnings_of(job.features, job.output):
        return False
    return not Asset.objects.filter(job=job).exclude(state=Asset.State.STORED, is_nsfw=False).exists()


def finish_from(job: Job, stored: Job) -> None:
    """Writes a job, not saved yet, that ends with another one's output; with events, news and usage record.

    In the caller's transaction, which `charge_share` must follow.
    """
    charge = share_of(job.quote["price"])
    job.status, job.version = Status.SUCCEEDED, 2
    # Nobody is asked for it.
    job.own_key = ""
    # It names the same files by the uploads that they are already, where this request may hold them as data URIs.
    job.input, job.input_digest, job.secret_fields = stored.input, stored.input_digest, stored.secret_fields
    job.output, job.is_cached, job.cached_from = stored.output, True, stored
    job.charge, job.hold_amount, job.cost, job.cost_source = charge, charge, 0, CostSource.NONE
    job.terms = {**job.terms, "hold": charge}
    job.finished_at = job.next_at = job.created_at
    job.save(force_insert=True)
    record = usage_of_test if is_test(job) else usage_record
    usage = record(
        Usage(
            job=job.pk,
            client_id=job.client_id,
            key_id=job.key_id,
            model_id=job.model_id,
            outcome=Outcome.SUCCEEDED,
            cost=0,
            charge=charge,
            cost_source=CostSource.NONE,
            unit=job.quote["unit"],
            quoted_cost=job.quote["cost"],
            quoted_price=job.quote["price"],
            terms=job.terms,
            features=job.features,
            is_cached=True,
        ),
        now=job.finished_at,
    )
    sql.insert_all([*told_answered(job), usage])


def charge_share(job: Job, needed: Reservation) -> None:
    """Charges what a stored result costs, in the caller's transaction; nothing is held where it costs nothing.

    Raises ApiError like any hold: what must be paid must be there.
    """
    if job.charge and not is_test(job):
        needed = replace(needed, amount=job.charge)
        place_hold(needed, max_in_flight=_NO_LIMIT, max_queued=0, now=job.created_at)
        settle(job.pk, charge=job.charge, cost=0)


def share_of(price: int | None) -> int:
    """What a stored result costs, of a price in nano-USD: CACHE_PRICE_PERCENT of it, half a nano rounded up.

    Nothing in core mode, where the provider is paid, and has done nothing.
    """
    if settings.GENFEED_MODE == "core":
        return 0
    return to_nano(to_usd(price or 0) * settings.CACHE_PRICE_PERCENT / 100)


def observe_answered(job: Job) -> None:
    """Counts and logs the job, after its transaction."""
    observe_accepted(job)
    observe_ended(job)
    log_ended(job)
