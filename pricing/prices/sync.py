"""One sync of a provider's prices: read everything first, then write it in one transaction, through to selling prices.

1. Ask for the prices of all models that have one or were never asked about, then, apart and once a day, of those that
   had none; read the price texts.
2. Read changed texts into rules, in memory.
3. In one transaction: prove the lease, take in prices past the guards, keep texts and memory, settle the rules,
   recompute selling prices, publish one revision.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from catalog import sync_runs
from catalog.models import AIModel, Provider, SyncRun
from catalog.providers import base
from catalog.providers.base import NotOfferedError, ProviderError, ProviderNotConfiguredError
from catalog.providers.reader import CatalogReader
from catalog.sync_runs import Lease
from pricing.existing.costs import sync_existing_pricing
from pricing.models import ModelPricing, PricePoint
from pricing.money import NotMoney
from pricing.prices.answers import Answers, check_plausible
from pricing.prices.guards import Offered, judge, offered
from pricing.prices.points import record_points
from pricing.prices.report import PriceSyncResult
from pricing.prices.sync_alerts import tell_sync
from pricing.prices.texts import TextsRead, keep_texts, lacking_texts, read_texts
from pricing.rules import reading as rule_reading
from pricing.selling.publishing import lock_models, settle

logger = logging.getLogger(__name__)

WITHOUT_PRICE_AGAIN_AFTER = timedelta(days=1)

OnProgress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Instead:
    """What prices and texts are read from instead of the provider: of these models (endpoint ids), all of them, but
    no prices of those that are `untold`."""

    reader: CatalogReader
    ids: Collection[str]
    untold: Collection[str] = ()


def sync_prices(
    run: SyncRun | None,
    *,
    on_progress: OnProgress | None = None,
    lease: Lease | None = None,
    full: bool = False,
    slug: str = "",
    instead: Instead | None = None,
) -> PriceSyncResult:
    """Syncs the prices of one provider: that of `run`, else the one named `slug`, else the usual one.

    `full` asks for every price and reads every text again. A provider's trouble is told in the result, and then no
    price was written; with a `lease` it is renewed and proved, and LeaseLostError is raised once it is gone.
    """
    started = time.monotonic()
    row = run.provider if run else sync_runs.provider_row(slug or base.usual())
    provider: CatalogReader = instead.reader if instead else base.open_provider(row.slug)

    def tell(phase: str, done: int, total: int) -> None:
        if lease:
            lease.report(phase, done, total)
        elif on_progress:
            on_progress(phase, done, total)

    try:
        result = _sync(row, provider, run, lease, tell, full=full, instead=instead)
    finally:
        provider.close()
    if not result.error:
        result.existing = sync_existing_pricing(row.slug)
    result.seconds = round(time.monotonic() - started, 2)
    tell_sync(row, result)
    logger.info("price sync of %s: %s", row.name, result.as_report())
    return result


def _sync(
    row: Provider,
    provider: CatalogReader,
    run: SyncRun | None,
    lease: Lease | None,
    tell: OnProgress,
    *,
    full: bool,
    instead: Instead | None,
) -> PriceSyncResult:
    result = PriceSyncResult(provider=row.name)
    memory = _Memory(row, instead)
    # Whoever exported a catalog has judged the price list already; a part of one may well hold no price.
    answers = _ask(provider, memory, result, tell, full=full or instead is not None, judge_list=instead is None)
    if result.error:
        return result
    tell("reading price texts", 0, 0)
    texts = read_texts(provider, lacking_texts(memory.pricing, memory.keys, now=timezone.now()))
    result.texts, result.texts_problem = len(texts.texts), texts.problem
    news = memory.usable(answers, result)
    readings = rule_reading.prepare(
        _sources_to_be(memory, news, texts), progress=lambda done, total: tell("reading price texts", done, total)
    )
    tell("writing prices", 0, 0)
    with transaction.atomic():
        if lease:
            lease.prove()
        _write(memory, answers, news, texts, readings, result, run=run, full=full)
    return result


class _Memory:
    """A provider's models that may have a price, and what is remembered of each."""

    def __init__(self, provider: Provider, instead: Instead | None) -> None:
        # What is built on another model is none that the provider knows.
        rows = AIModel.objects.filter(provider=provider, runs_as="").exclude(status=AIModel.Status.RETIRED)
        # What runs by its name comes before what runs by a version of it: it is what the provider itself offers.
        self.keys: dict[str, int] = dict(rows.order_by("upstream_version", "pk").values_list("endpoint_id", "pk"))
        self.untold = set(instead.untold) if instead else set()
        if instead:
            self.keys = {one: key for one, key in self.keys.items() if one in instead.ids}
        self.pricing: dict[str, ModelPricing] = {}
        self.load()

    def load(self) -> None:
        names = {key: endpoint_id for endpoint_id, key in self.keys.items()}
        self.pricing = {
            names[row.model_id]: row for row in ModelPricing.objects.filter(model__in=names) if row.model_id in names
        }

    def complete(self) -> None:
        """Makes the rows of models that have none yet; call it in the transaction that needs them."""
        missing = [ModelPricing(model_id=key) for one, key in self.keys.items() if one not in self.pricing]
        ModelPricing.objects.bulk_create(missing, batch_size=200, ignore_conflicts=True)
        self.load()

    def priced(self) -> set[str]:
        return {one for one, row in self.pricing.items() if row.has_row}

    def to_ask(self, *, full: bool, now: datetime) -> tuple[list[str], list[str]]:
        """Ids to ask for as usual, and those without a price that are due again.

        Those that were never asked for come first, then those asked longest ago: a provider may answer only so many.
        """
        usual, apart = [], []
        for endpoint_id in self.keys:
            if endpoint_id in self.untold:
                continue
            row = self.pricing.get(endpoint_id)
            if row is None or row.has_row is not False:
                usual.append(endpoint_id)
            elif full or row.asked_at is None or now - row.asked_at > WITHOUT_PRICE_AGAIN_AFTER:
                apart.append(endpoint_id)
        return sorted(usual, key=self._asked_at), sorted(apart, key=self._asked_at)

    def _asked_at(self, endpoint_id: str) -> float:
        row = self.pricing.get(endpoint_id)
        return row.asked_at.timestamp() if row and row.asked_at else 0.0

    def usable(self, answers: Answers, result: PriceSyncResult) -> dict[int, Offered]:
        """The prices that can be taken in, by model key; what can't be is told in the result."""
        news: dict[int, Offered] = {}
        for endpoint_id, row in answers.rows.items():
            if endpoint_id not in self.keys:
                result.refused[endpoint_id] = row.problem or "a price for a model that we do not know"
                continue
            if row.unit_price is None:
                if row.answered:
                    result.refused[endpoint_id] = row.problem
                continue
            try:
                news[self.keys[endpoint_id]] = offered(row.unit, row.unit_price, row.currency)
            except NotMoney as error:
                result.refused[endpoint_id] = str(error)
        return news


def _ask(
    provider: CatalogReader,
    memory: _Memory,
    result: PriceSyncResult,
    tell: OnProgress,
    *,
    full: bool,
    judge_list: bool,
) -> Answers:
    """Asks for prices. Trouble goes into the result, as `error` or, where nothing is wrong, as `skipped`."""
    usual, apart = memory.to_ask(full=full, now=timezone.now())
    answers = Answers()
    total = len(usual) + len(apart)
    try:
        if usual:
            rows = provider.fetch_prices(usual, progress=lambda done: tell("fetching prices", done, total))
            answers.take(usual, rows)
            if judge_list:
                check_plausible(provider.name, memory.priced(), answers)
        if apart:
            rows = provider.fetch_prices(
                apart, apart=True, progress=lambda done: tell("fetching prices", len(usual) + done, total)
            )
            answers.take(apart, rows)
    except (NotOfferedError, ProviderNotConfiguredError) as error:
        result.skipped = str(error)
    except ProviderError as error:
        result.error = str(error)
        answers = Answers()
    result.asked, result.unanswered = len(answers.asked), len(answers.unanswered)
    result.gone = sorted(answers.without_price & memory.priced())
    return answers


def _sources_to_be(memory: _Memory, news: dict[int, Offered], texts: TextsRead) -> dict[int, rule_reading.Source]:
    """What readings will follow from once this sync is written; the guards are asked as they will be then."""
    points = PricePoint.objects.filter(model__in=news, standing=PricePoint.Standing.CURRENT)
    current = {point.model_id: point for point in points}
    taken = {
        key: new
        for key, new in news.items()
        if judge(current.get(key), new, source=PricePoint.Source.ADVERTISED).kind in ("first", "changed")
    }
    spoken = {
        memory.keys[one]: (text.note, text.billing_message) for one, text in texts.texts.items() if one in memory.keys
    }
    return rule_reading.sources(memory.keys.values(), texts=spoken, prices=taken)


def _write(
    memory: _Memory,
    answers: Answers,
    news: dict[int, Offered],
    texts: TextsRead,
    readings: rule_reading.Readings,
    result: PriceSyncResult,
    *,
    run: SyncRun | None,
    full: bool,
) -> None:
    lock_models(memory.keys.values())
    now = timezone.now()
    memory.complete()
    outcomes = record_points(news, source=PricePoint.Source.ADVERTISED, sync_run=run, now=now)
    names = {key: endpoint_id for endpoint_id, key in memory.keys.items()}
    result.count({names[key]: outcome for key, outcome in outcomes.items()})
    touched = {key for key, outcome in outcomes.items() if outcome.changes_cost}
    touched |= keep_texts(memory.pricing, texts.texts, now=now)
    _remember(memory, answers, now)
    result.without_price = ModelPricing.objects.filter(model__in=memory.keys.values(), has_row=False).count()
    rules = rule_reading.apply(memory.keys.values(), readings)
    result.rules = rules.as_report()
    touched |= rules.touched
    if full:
        result.offers = settle(memory.keys.values(), reason=f"full price sync of {result.provider}")
    elif touched:
        result.offers = settle(touched, reason=f"price sync of {result.provider}")


def _remember(memory: _Memory, answers: Answers, now: datetime) -> None:
    """Which models the price list knows, so that those without a price spoil no batch of the next sync."""
    for has_row, ids in ((True, answers.with_row), (False, answers.without_price)):
        keys = [memory.keys[one] for one in ids if one in memory.keys]
        ModelPricing.objects.filter(model__in=keys).update(has_row=has_row, asked_at=now)
    # Asked in vain: others come first the next time. Those without a price are due again as before.
    keys = [memory.keys[one] for one in answers.unanswered if one in memory.keys and answers.rows[one].was_asked]
    ModelPricing.objects.filter(model__in=keys).exclude(has_row=False).update(asked_at=now)
