"""Reading a provider's whole catalog: the listing first, then the schemas that may have changed, in parallel."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import batched

from catalog.providers.base import (
    FetchedSchema,
    ListedModel,
    ListingPage,
    ProviderBadAnswerError,
    ProviderError,
    ProviderRejectedError,
    ProviderUnavailableError,
)
from catalog.providers.reader import CatalogReader

# fal answers about ten models a page once schemas are asked for ("rejects 50 with schemas"); more ids a call would
# only turn into pages that have to wait for each other.
SCHEMA_BATCH = 10
# Every sync fetches this share of the oldest schemas again, changed or not: of 169 real endpoints with the same
# `updated_at` in January and June 2026, 40 had changed. At four syncs a day every schema is a week old at most.
ROTATION = 28
MISSING_AGAIN_AFTER = timedelta(days=1)
# Single models that fail while others are answered are the model's trouble; this many are the provider's.
FEW_FAILURES = 5
FEW_FAILURES_SHARE = 0.02

# Progress is told at least this often, also while a provider lets us wait for minutes: it renews the sync's lease.
BEAT_SECONDS = 10.0

Progress = Callable[[str, int, int], None]


@dataclass
class Listing:
    """A complete listing: models by endpoint id, and what was odd about it in words.

    `absence_is_certain`: one listing without a model is enough to retire it.
    """

    models: dict[str, ListedModel] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    absence_is_certain: bool = False


def read_listing(provider: CatalogReader, progress: Progress) -> Listing:
    """All pages of the listing; raises ProviderError unless it was read to its end.

    A model listed twice counts once: rows move between pages while they are read.
    """
    listing = Listing()
    for page in _pages(provider, lambda: progress("listing models", len(listing.models), 0)):
        listing.problems += page.problems
        for model in page.models:
            if model.endpoint_id in listing.models:
                listing.problems.append(f"{model.endpoint_id}: listed more than once")
            listing.models[model.endpoint_id] = model
        progress("listing models", len(listing.models), 0)
    if not listing.models:
        raise ProviderBadAnswerError(f"{provider.name} listed no models at all.")
    return listing


def _pages(provider: CatalogReader, beat: Callable[[], None]) -> Iterator[ListingPage]:
    """The provider's pages, read in a thread, so that `beat` is called while one is waited for."""
    pages = provider.list_models()
    pool = ThreadPoolExecutor(1, thread_name_prefix="listing")
    try:
        while True:
            asked = pool.submit(next, pages, None)
            while not wait([asked], BEAT_SECONDS).done:
                beat()
            page = asked.result()
            if page is None:
                return
            yield page
    finally:
        pool.shutdown(wait=False)


@dataclass(frozen=True)
class Known:
    """What we remember of a model when a sync begins."""

    updated_at: str
    has_schema: bool
    checked_at: datetime | None


def choose_schemas(listing: Listing, known: dict[str, Known], *, full: bool, now: datetime) -> list[str]:
    """The endpoint ids whose schemas to fetch: new ones, those touched since, and a rotating 1/28 of the rest.

    A model for which the provider had no usable schema is asked for again once a day, one for which it gave no
    answer in the next sync. `updated_at` is compared for being different, not later: it is a hint, and clocks go back.
    """
    wanted: list[str] = []
    settled: list[tuple[datetime, str]] = []
    for endpoint_id, model in listing.models.items():
        memory = known.get(endpoint_id)
        if memory is None:
            # Deprecated models are not taken in anew; those that we have are kept and marked.
            if model.status == "active":
                wanted.append(endpoint_id)
        elif full or memory.updated_at != model.updated_at or memory.checked_at is None:
            wanted.append(endpoint_id)
        elif memory.has_schema:
            settled.append((memory.checked_at, endpoint_id))
        elif now - memory.checked_at > MISSING_AGAIN_AFTER:
            wanted.append(endpoint_id)
    slice_size = -(-len(settled) // ROTATION)
    return wanted + [endpoint_id for _, endpoint_id in sorted(settled)[:slice_size]]


def fetch_schemas(
    provider: CatalogReader, endpoint_ids: Sequence[str], *, concurrency: int, progress: Progress
) -> Iterator[FetchedSchema]:
    """Yields a schema (or the reason why there is none) for every id, as they come in.

    A batch that the provider fails to answer is cut in halves down to the one model that it chokes on. Raises
    ProviderError when the provider can't be reached or fails for more than a few models.
    """
    allowed = max(FEW_FAILURES, int(len(endpoint_ids) * FEW_FAILURES_SHARE))
    failures = 0
    done = 0
    pool = ThreadPoolExecutor(max_workers=concurrency, thread_name_prefix="schemas")
    try:
        waiting: set[Future[list[FetchedSchema | _Failure]]] = {
            pool.submit(_fetch, provider, batch) for batch in batched(endpoint_ids, SCHEMA_BATCH)
        }
        while waiting:
            finished, waiting = wait(waiting, BEAT_SECONDS, FIRST_COMPLETED)
            for future in finished:
                for outcome in future.result():
                    done += 1
                    if isinstance(outcome, _Failure):
                        failures += 1
                        if failures > allowed:
                            raise outcome.error
                        yield FetchedSchema(outcome.endpoint_id, None, str(outcome.error)[:300], answered=False)
                    else:
                        yield outcome
            progress("fetching schemas", done, len(endpoint_ids))
    finally:
        # Also when the caller gave up: what is queued is dropped, what is under way ends when the provider is closed.
        pool.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True)
class _Failure:
    endpoint_id: str
    error: ProviderError


def _fetch(provider: CatalogReader, endpoint_ids: Sequence[str]) -> list[FetchedSchema | _Failure]:
    try:
        found = provider.fetch_schemas(endpoint_ids)
    except (ProviderUnavailableError, ProviderBadAnswerError, ProviderRejectedError) as error:
        if isinstance(error, ProviderUnavailableError) and error.status is None:
            raise
        if len(endpoint_ids) == 1:
            return [_Failure(endpoint_ids[0], error)]
        middle = len(endpoint_ids) // 2
        return _fetch(provider, endpoint_ids[:middle]) + _fetch(provider, endpoint_ids[middle:])
    answered = {schema.endpoint_id for schema in found}
    missing = [
        FetchedSchema(endpoint_id, None, f"{provider.name} lists it but does not find it")
        for endpoint_id in endpoint_ids
        if endpoint_id not in answered
    ]
    return [*found, *missing]
