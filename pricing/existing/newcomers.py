"""What is new at the providers while the existing collection is enhanced: discovered for real, or only listed."""

import time
from collections.abc import Callable, Collection, Iterator

from catalog import discovery, published, sync_runs
from catalog.fetching import read_listing
from catalog.models import AIModel, SyncRun
from catalog.providers import base
from catalog.providers.base import ProviderError
from catalog.schemas.media_types import media_type
from genfeed.journal.audit import Actor
from pricing.existing.likeness import Candidate
from pricing.prices.sync import sync_prices

# (action, provider, id, why)
Tell = Callable[[str, str, str, str], None]
Progress = Callable[[str, int, int], None]
# Keys of rows that are only planned: below any that a database gives.
_FIRST_PLANNED_KEY = -1
_FOLLOW_EVERY = 0.3


def look(
    tell: Tell,
    *,
    actor: Actor,
    dry_run: bool,
    pricing_only: bool,
    planned: Collection[tuple[str, str]] = (),
    on_progress: Progress | None = None,
) -> list[Candidate]:
    """Asks every registered provider for new models and present prices, and tells each new one as `added`.

    `pricing_only`: prices alone. `dry_run`: reads the listing alone, writes nothing, and returns the models that would
    be listed anew, with those of `planned` (provider and id) that a file would have made already, which are not told.
    What a provider does not answer is told as an `error`, and the work goes on with what is known.
    """
    listed: list[Candidate] = []
    for entry in base.in_use():
        if dry_run:
            if not pricing_only:
                listed += _list(entry.slug, planned, tell, on_progress)
            continue
        if pricing_only or _discover(entry.slug, tell, actor, on_progress):
            _sync_prices(entry.slug, tell, on_progress)
    return listed


def _list(
    slug: str, planned: Collection[tuple[str, str]], tell: Tell, on_progress: Progress | None
) -> Iterator[Candidate]:
    provider = base.open_provider(slug)
    try:
        listing = read_listing(provider, on_progress or _silent)
    except ProviderError as error:
        tell("error", slug, "", f"The provider could not be asked for its models: {error}")
        return
    finally:
        provider.close()
    known = set(AIModel.objects.filter(provider__slug=slug).values_list("endpoint_id", flat=True))
    new = [model for model in listing.models.values() if model.endpoint_id not in known and model.status == "active"]
    for number, model in enumerate(new):
        if (slug, model.endpoint_id) not in planned:
            tell("added", slug, model.endpoint_id, "listed by the provider, and new here")
        found = media_type(model.category, [])[0]
        yield Candidate(_FIRST_PLANNED_KEY - number, slug, model.endpoint_id, model.name, model.category, found)


def _discover(slug: str, tell: Tell, actor: Actor, on_progress: Progress | None) -> bool:
    provider = sync_runs.provider_row(slug)
    run, is_new = sync_runs.request_run(provider, trigger="command", requested_by=actor.name)
    if is_new:
        run = discovery.run_sync(run, on_progress=on_progress)
    while run.is_open:
        # Somebody else's: what it finds is what ours would find.
        time.sleep(_FOLLOW_EVERY)
        sync_runs.close_dead_run(provider)
        run.refresh_from_db()
        if on_progress:
            on_progress(run.phase, run.done, run.total)
    published.forget()
    if run.status != SyncRun.Status.SUCCEEDED:
        tell("error", slug, "", f"The sync of its models failed: {run.error}")
        return False
    for endpoint_id in run.report["added"]:
        tell("added", slug, endpoint_id, "discovered at the provider")
    return True


def _sync_prices(slug: str, tell: Tell, on_progress: Progress | None) -> None:
    result = sync_prices(None, slug=slug, on_progress=on_progress)
    if result.error:
        tell("error", slug, "", f"Its prices could not be read, those known before stand: {result.error}")


def _silent(_phase: str, _done: int, _total: int) -> None:
    pass
