"""Choosing a model by task and requirements, never by brand: who fits, in what order and why, and who nearly did."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from catalog import published
from catalog.schemas.examples import example_input
from genfeed.clients.errors import ApiError
from pricing.choosing.quality import quality_of
from pricing.choosing.requirements import Candidate, Miss, Needs, misses
from pricing.counting.counts import outputs
from pricing.counting.requests import as_number, make_request
from pricing.equivalents import equivalents_of
from pricing.estimates.asking import Asking
from pricing.estimates.facts import Facts, facts_of_many
from pricing.estimates.history import latencies
from pricing.existing.kept_prices import kept_price
from pricing.money import format_usd, to_nano
from pricing.selling.defaults import DefaultPrice, default_prices

NEAREST = 5
# Fewer prices than this say nothing about what is cheap for a task.
FEWEST_TO_COMPARE = 4
_NEVER = 10.0**12
Order = Callable[[Candidate], tuple[Any, ...]]


def select(needs: Needs, asking: Asking, *, limit: int) -> dict[str, Any]:
    """`{"items", "left_out", "requirements", "total"}`: the models that fit, best first, and the nearest that do not.

    Raises ApiError naming the requirements where nothing fits.
    """
    candidates = _candidates(needs, asking)
    judged = [(model, misses(model, needs)) for model in candidates]
    fitting = [model for model, missed in judged if not missed]
    near = _nearest(judged)
    if not fitting:
        raise ApiError(
            "model_not_found",
            f"No model fits: {needs.in_words()}.",
            _nearest_in_words(near) if near else "Nothing of this kind is offered. Ask for another task or media type.",
            details={"requirements": needs.as_json(), "left_out": near},
        )
    ranked = sorted(fitting, key=_order(needs.strategy, fitting))
    items = _items(ranked[:limit], needs, len(fitting))
    return {"items": items, "left_out": near, "requirements": needs.as_json(), "total": len(fitting)}


def _items(ranked: Sequence[Candidate], needs: Needs, of: int) -> list[dict[str, Any]]:
    """The ranking as JSON. One that is the same model as one before it, or as the one to replace, says so."""
    known = equivalents_of(model.pk for model in ranked)
    items, before = [], dict[int, str]()
    for rank, model in enumerate(ranked, start=1):
        same = [needs.instead_of] if needs.instead_of and model.pk in needs.same_models else []
        same += [before[key] for key in known.get(model.pk, ()) if key in before]
        items.append(_render(model, rank, needs.strategy, of, same))
        before[model.pk] = f"{model.provider}:{model.id}"
    return items


def _candidates(needs: Needs, asking: Asking) -> list[Candidate]:
    """Offered models of the task, with what is known of each."""
    entries = [
        entry
        for entry in asking.catalog.entries
        if entry.enabled
        and entry.kind == needs.kind
        and (_of_task(entry, needs) or entry.pk in needs.same_models)
        and (needs.provider is None or entry.provider == needs.provider)
        and not {entry.id, f"{entry.provider}:{entry.id}"} & set(needs.exclude)
    ]
    prices = default_prices(
        asking.book, asking.client_id, category=needs.task, media_type=needs.media_type, also=needs.same_models
    )
    ranks = price_ranks(list(prices.values()))
    facts = facts_of_many(entry.pk for entry in entries)
    observed = latencies()
    return [
        _candidate(facts[entry.pk], prices.get(entry.pk), ranks.get(entry.pk), observed.get(entry.pk))
        for entry in entries
        if entry.pk in facts
    ]


def _of_task(entry: published.Entry, needs: Needs) -> bool:
    is_of_task = needs.task is None or entry.category == needs.task
    return is_of_task and (needs.media_type is None or entry.media_type == needs.media_type)


def price_ranks(prices: Sequence[DefaultPrice]) -> dict[int, float]:
    """The place of each model among the costs of its category, from 0 (cheapest) to 1; equal costs share a place."""
    by_category: dict[str, list[DefaultPrice]] = {}
    for one in prices:
        by_category.setdefault(one.category, []).append(one)
    ranks: dict[int, float] = {}
    for group in by_category.values():
        if len(group) < FEWEST_TO_COMPARE:
            continue
        costs = sorted(one.cost for one in group)
        first = {cost: place for place, cost in reversed(list(enumerate(costs)))}
        ranks |= {one.pk: first[one.cost] / (len(costs) - 1) for one in group}
    return ranks


def _candidate(facts: Facts, price: DefaultPrice | None, rank: float | None, seconds: float | None) -> Candidate:
    latency, source = (seconds, "usage") if seconds is not None else (_stated_latency(facts), "provider")
    return Candidate(
        pk=facts.pk,
        id=facts.endpoint_id,
        name=facts.name,
        provider=facts.provider,
        category=facts.category,
        media_type=facts.media_type,
        capabilities=frozenset(facts.capabilities),
        limits=facts.limits,
        inputs=facts.inputs,
        price=_price(facts, price),
        at_most=price is not None and price.confidence == "bounded",
        confidence=price.confidence if price else "unknown",
        quality=quality_of(
            facts.quality,
            name=facts.name,
            media_type=facts.media_type,
            limits=facts.limits,
            inputs=facts.inputs,
            price_rank=rank,
        ),
        latency=latency,
        latency_source=source if latency is not None else "",
    )


def _price(facts: Facts, default: DefaultPrice | None) -> int | None:
    """The price of a default request for each thing that it makes, in nano-USD, rounded up."""
    request = make_request(facts.inputs, example_input(facts.inputs))
    price = default.price if default else None
    if facts.kept:
        own = kept_price(facts.kept, request)
        price = to_nano(own.low) if own.known and own.low is not None else None
    if price is None:
        return None
    count = outputs(request)
    made = int(count.low) if count.known and count.low else 1
    return -(-price // max(made, 1))


def _stated_latency(facts: Facts) -> float | None:
    """fal's `duration_estimate`, which is in minutes."""
    minutes = as_number(facts.metadata.get("duration_estimate"))
    return float(minutes) * 60 if minutes else None


def _order(strategy: str, fitting: Sequence[Candidate]) -> Order:
    """What comes first: lower is better. What is not known comes last."""

    def price(model: Candidate) -> float:
        return _NEVER * 10**9 if model.price is None else model.price

    def latency(model: Candidate) -> float:
        return _NEVER if model.latency is None else model.latency

    if strategy == "fastest":
        return lambda model: (latency(model), price(model), -model.quality.rank, model.id)
    if strategy == "quality":
        return lambda model: (-model.quality.rank, price(model), latency(model), model.id)
    if strategy == "balanced":
        scores = balance(fitting)
        return lambda model: (-scores[model.pk], price(model), model.id)
    return lambda model: (price(model), -model.quality.rank, latency(model), model.id)


def balance(fitting: Sequence[Candidate]) -> dict[int, float]:
    """A score from 0 to 1 by model: price, quality and latency weigh alike, each as a place among those that fit.

    What is not known counts as the worst of them.
    """
    prices = sorted(model.price for model in fitting if model.price is not None)
    times = sorted(model.latency for model in fitting if model.latency is not None)

    def place(values: Sequence[float], value: float | None) -> float:
        if value is None or not values:
            return 0.0
        return 1 - values.index(value) / len(values)

    return {
        model.pk: (place(prices, model.price) + place(times, model.latency) + model.quality.rank / 3) / 3
        for model in fitting
    }


def _nearest(judged: Sequence[tuple[Candidate, list[Miss]]]) -> list[dict[str, Any]]:
    """Those that miss least: few requirements, and those by little."""
    out = [(model, missed) for model, missed in judged if missed]
    out.sort(key=lambda pair: (len(pair[1]), sum(miss.distance for miss in pair[1]), pair[0].id))
    return [
        {"model": model.id, "provider": model.provider, "reasons": [miss.words for miss in missed]}
        for model, missed in out[:NEAREST]
    ]


def _nearest_in_words(near: Sequence[dict[str, Any]]) -> str:
    first = near[0]
    return f"Ask for less. The nearest is {first['model']}, but: {'; '.join(first['reasons'])}."


def _render(model: Candidate, rank: int, strategy: str, of: int, same: Sequence[str]) -> dict[str, Any]:
    return {
        "rank": rank,
        "model": model.id,
        "name": model.name,
        "provider": model.provider,
        "category": model.category,
        "media_type": model.media_type,
        "price": None if model.price is None else format_usd(model.price),
        "currency": "USD",
        "confidence": model.confidence,
        "quality": {
            "tier": model.quality.tier,
            "source": model.quality.source,
            "evidence": list(model.quality.evidence),
        },
        "latency": None if model.latency is None else {"seconds": model.latency, "source": model.latency_source},
        "max_resolution": model.lines,
        "capabilities": sorted(model.capabilities),
        "same_model_as": list(same),
        "reason": _reason(model, rank, strategy, of) + (f"; the same model as {', '.join(same)}" if same else ""),
    }


def _reason(model: Candidate, rank: int, strategy: str, of: int) -> str:
    price = "no known price" if model.price is None else f"{format_usd(model.price)} USD per output"
    price = f"at most {price}" if model.at_most else price
    speed = "unknown speed" if model.latency is None else f"about {model.latency:g} s"
    derived = " (derived)" if model.quality.source == "derived" else ""
    by = {"cheapest": "price", "fastest": "speed", "quality": "quality", "balanced": "price, quality and speed"}
    return f"{rank} of {of} by {by[strategy]}: {price}, quality {model.quality.tier}{derived}, {speed}"
