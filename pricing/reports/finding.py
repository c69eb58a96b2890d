"""The rules of recommendations: what the figures of the last 30 days say should be done, and why in numbers.

Each rule returns what it finds; nothing is written here. Thresholds are settings (RECOMMEND_…).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db.models import Min

from catalog.availability import HELD_WORDS, refresh
from catalog.models import AIModel
from genfeed.clients.models import Client
from pricing.equivalents import equivalents_of
from pricing.margins.terms import price_of, read_terms
from pricing.models import ModelDay, ModelPricing, Recommendation, Refusal, SellingPrice
from pricing.money import show_usd
from pricing.reports.answers import groups_of
from pricing.reports.figures import Figures, percent
from pricing.reports.questions import FEW, Question, today
from pricing.reports.refusals import refused_since

Kind = Recommendation.Kind
DAYS = 30
_LIMITS = {
    "rate_limited": ("jobs_per_minute", "JOBS_PER_MINUTE", "jobs a minute"),
    "too_many_in_flight": ("max_in_flight", "MAX_IN_FLIGHT", "jobs in flight"),
    "queue_full": ("max_queued", "MAX_QUEUED", "waiting jobs"),
}


@dataclass(frozen=True, slots=True)
class Found:
    """One recommendation. `effect_amount`: nano-USD of margin that 30 days would have had more."""

    kind: str
    title: str
    why: str
    effect: str
    effect_amount: int = 0
    model_id: int | None = None
    client_id: int | None = None
    does: dict[str, Any] = field(default_factory=dict)
    blocked: str = ""

    @property
    def subject(self) -> str:
        if self.model_id is not None:
            return f"model:{self.model_id}"
        return f"client:{self.client_id}" if self.client_id is not None else self.kind


@dataclass(frozen=True, slots=True)
class Month:
    """The figures that the rules look at: of the last 30 days, and of the 30 before."""

    asked: Question
    now: dict[int, Figures]
    before: dict[int, Figures]
    models: dict[int, AIModel]

    def name(self, key: int) -> str:
        return self.models[key].endpoint_id


def last_month() -> Month:
    """Reads the figures of models that were used, or refused."""
    last = today()
    asked = Question(last - timedelta(days=DAYS - 1), last)
    now, before = ({one.key: one.figures for one in groups_of(q, "model", sums=FEW)} for q in (asked, asked.before))
    keys = set(now) | set(refused_since(Refusal.Kind.MODEL, asked.first))
    models = AIModel.objects.select_related("provider").defer("metadata").in_bulk(keys)
    return Month(asked, now, before, models)


def find_all() -> list[Found]:
    """What all rules find now; of a model that loses money and fails, both."""
    month = last_month()
    rules = [losing, failing, wanted, wanted_again, fallen, cheaper, unused, throttled]
    return [found for rule in rules for found in rule(month)]


def losing(month: Month) -> Iterator[Found]:
    """Models on sale that cost more than they brought."""
    if settings.GENFEED_MODE != "cloud":
        return
    for key, one in month.now.items():
        if month.models[key].enabled and one.jobs >= settings.RECOMMEND_MIN_JOBS and one.margin < 0:
            yield Found(
                Kind.DISABLE_LOSING,
                f"Switch {month.name(key)} off: it loses money",
                f"{one.jobs} jobs in {DAYS} days brought {show_usd(one.revenue)} USD and cost "
                f"{show_usd(one.cost)} USD.",
                f"{show_usd(-one.margin)} USD would not have been lost; {one.jobs} jobs would have been refused.",
                -one.margin,
                model_id=key,
                does={"switch": "off", "models": [key]},
            )


def failing(month: Month) -> Iterator[Found]:
    """Models on sale that fail more often than is bearable."""
    for key, one in month.now.items():
        ended = one.succeeded + one.failed
        if not month.models[key].enabled or ended < settings.RECOMMEND_MIN_JOBS:
            continue
        rate = Decimal(one.failed) / ended
        if rate * 100 >= Decimal(str(settings.RECOMMEND_FAILURE_PERCENT)):
            yield Found(
                Kind.DISABLE_FAILING,
                f"Switch {month.name(key)} off: it fails too often",
                f"{one.failed} of {ended} jobs in {DAYS} days failed, {percent(rate)} %; "
                f"the threshold is {settings.RECOMMEND_FAILURE_PERCENT:g} %.",
                f"{one.failed} jobs would not have failed; {show_usd(one.margin)} USD of margin would be missing.",
                -one.margin,
                model_id=key,
                does={"switch": "off", "models": [key]},
            )


def wanted(month: Month) -> Iterator[Found]:
    """Models that are held or switched off, and that clients ask for."""
    asked = refused_since(Refusal.Kind.MODEL, month.asked.first)
    usual = _usual_margin(month)
    for key, codes in asked.items():
        model, times = month.models.get(key), sum(codes.values())
        if model is None or times < settings.RECOMMEND_MIN_REFUSED or model.status == AIModel.Status.RETIRED:
            continue
        if model.enabled:
            continue
        blocked = _why_not_offered(model)
        yield Found(
            Kind.ENABLE,
            f"Switch {model.endpoint_id} on: clients ask for it",
            f"Clients asked for it {times} times in {DAYS} days and were refused.",
            f"At the usual margin of {show_usd(usual)} USD a job, up to {show_usd(usual * times)} USD of margin.",
            usual * times,
            model_id=key,
            does={"switch": "on", "models": [key]},
            blocked=blocked,
        )


def wanted_again(month: Month) -> Iterator[Found]:
    """Models that were switched off for a loss, and whose price has changed since."""
    applied = Recommendation.objects.filter(kind=Kind.DISABLE_LOSING, state=Recommendation.State.APPLIED)
    for one in applied.select_related("model"):
        model = one.model
        if model is None or one.decided_at is None or model.switch != AIModel.Switch.OFF:
            continue
        changed = SellingPrice.objects.filter(model=model, effective_from__gt=one.decided_at).first()
        if changed is None or changed.price.get("amount") is None:
            continue
        yield Found(
            Kind.ENABLE_AGAIN,
            f"Switch {model.endpoint_id} on again: its price changed",
            f"It was switched off on {one.decided_at:%Y-%m-%d} for a loss; since {changed.effective_from:%Y-%m-%d} it "
            f"sells for {changed.price['amount']} USD and costs {changed.unit_cost or '?'} USD a unit.",
            "None: it was off.",
            0,
            model_id=model.pk,
            does={"switch": "on", "models": [model.pk]},
            blocked=_why_not_offered(model),
        )


def fallen(month: Month) -> Iterator[Found]:
    """Models whose margin fell under the target after their cost changed."""
    if settings.GENFEED_MODE != "cloud":
        return
    target = Decimal(str(settings.RECOMMEND_MARGIN_PERCENT)) / 100
    for key, one in month.now.items():
        before = month.before.get(key)
        rate, old = one.margin_rate, before.margin_rate if before else None
        if one.jobs < settings.RECOMMEND_MIN_JOBS or rate is None or old is None or not month.models[key].enabled:
            continue
        if rate >= target or old < target:
            continue
        costs = list(
            SellingPrice.objects.filter(model=key, effective_from__date__gte=month.asked.before.first).values_list(
                "unit_cost", flat=True
            )
        )
        if not costs:
            continue
        price = price_of(one.cost, read_terms("margin", rate=target))
        yield Found(
            Kind.REPRICE,
            f"Reprice {month.name(key)}: its margin fell",
            f"Its margin fell from {percent(old)} % to {percent(rate)} % after its price changed, over {one.jobs} "
            f"jobs; the target is {settings.RECOMMEND_MARGIN_PERCENT:g} %.",
            f"At the target these jobs would have brought {show_usd(price - one.revenue)} USD more.",
            price - one.revenue,
            model_id=key,
            does={"margin": str(target), "model": key},
        )


def cheaper(month: Month) -> Iterator[Found]:
    """Popular models of which a confirmed equivalent costs less."""
    popular = [key for key, one in month.now.items() if one.jobs >= settings.RECOMMEND_MIN_JOBS]
    pairs = equivalents_of(key for key in popular if month.models[key].enabled)
    keys = {*pairs, *(other for others in pairs.values() for other in others)}
    costs = dict(ModelPricing.objects.filter(model__in=keys).values_list("model_id", "default_cost"))
    offered = AIModel.objects.filter(pk__in=keys, enabled=True).in_bulk()
    for key, others in pairs.items():
        own = costs.get(key)
        known = [(cost, other) for other in others if other in offered and (cost := costs.get(other)) is not None]
        if not own or not known:
            continue
        cost, other = min(known)
        saved = Decimal(own - cost) / own
        if saved * 100 < Decimal(str(settings.RECOMMEND_CHEAPER_PERCENT)):
            continue
        one = month.now[key]
        amount = int(one.cost * saved)
        yield Found(
            Kind.CHEAPER,
            f"Offer {offered[other].endpoint_id} instead of {month.name(key)}",
            f"A default request costs {show_usd(own)} USD here and {show_usd(cost)} USD there, {percent(saved)} % "
            f"less; {one.jobs} jobs in {DAYS} days.",
            f"At that ratio {show_usd(amount)} USD of {show_usd(one.cost)} USD of cost would have been saved. Applying "
            "switches the dearer one off; who asks for it is told of the other.",
            amount,
            model_id=key,
            does={"switch": "off", "models": [key]},
        )


def unused(month: Month) -> Iterator[Found]:
    """All models on sale that nobody used or asked for; only once there has been use for so long."""
    since = month.asked.last - timedelta(days=settings.RECOMMEND_UNUSED_DAYS)
    begun = ModelDay.objects.aggregate(first=Min("start"))["first"]
    if begun is None or begun > since:
        return
    used = ModelDay.objects.filter(start__gte=since).values("model")
    keys = list(
        AIModel.objects.filter(enabled=True, switch=AIModel.Switch.AUTO, first_seen_at__date__lt=since)
        .exclude(pk__in=used)
        .order_by("pk")
        .values_list("pk", flat=True)
    )
    if keys:
        words = f"{len(keys)} model{'s' * (len(keys) > 1)}"
        yield Found(
            Kind.RETIRE,
            f"Switch {words} off that nobody uses",
            f"No job of {words} on sale ended in {settings.RECOMMEND_UNUSED_DAYS} days.",
            "Nothing: there was no job.",
            does={"switch": "off", "models": keys},
        )


def throttled(month: Month) -> Iterator[Found]:
    """Clients that pay and are kept from paying more by a limit."""
    refused = refused_since(Refusal.Kind.CLIENT, month.asked.first)
    paid = {one.key: one.figures for one in groups_of(month.asked, "client", sums=FEW)}
    clients = Client.objects.in_bulk(set(refused) & set(paid))
    for key, client in clients.items():
        one = paid[key]
        code, times = max(refused[key].items(), key=lambda item: item[1])
        if code not in _LIMITS or times < settings.RECOMMEND_MIN_THROTTLED or one.revenue <= 0 or not client.is_active:
            continue
        name, setting, words = _LIMITS[code]
        own = getattr(client, name)
        limit = getattr(settings, setting) if own is None else own
        if limit == 0:
            # Somebody has closed it.
            continue
        each = one.margin // one.jobs if one.jobs else 0
        yield Found(
            Kind.RAISE_LIMIT,
            f"Raise the limit of {client.name} to {2 * limit} {words}",
            f"It was refused {times} times in {DAYS} days at its limit of {limit} {words}, and paid "
            f"{show_usd(one.revenue)} USD for {one.jobs} jobs.",
            f"At its margin of {show_usd(each)} USD a job, up to {show_usd(each * times)} USD of margin; who is "
            "refused often asks again, so it may be less.",
            each * times,
            client_id=key,
            does={"limit": name, "value": 2 * limit, "client": key},
        )


def _usual_margin(month: Month) -> int:
    jobs = sum(one.jobs for one in month.now.values())
    return sum(one.margin for one in month.now.values()) // jobs if jobs else 0


def _why_not_offered(model: AIModel) -> str:
    """Why the model would still be held when it is switched on; "" where it would be offered."""
    tried = AIModel.objects.get(pk=model.pk)
    tried.switch, tried.stopped_for, tried.awaits_review = AIModel.Switch.ON, "", False
    refresh(tried)
    return "" if tried.enabled else HELD_WORDS.get(tried.held_reason, tried.held_reason)
