"""What an estimate needs to know of a model: read in bulk for recomputing, one by one and remembered for requests."""

import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import batched
from typing import Any

from django.db.models import F

from catalog import published
from catalog.models import AIModel, SchemaVersion
from catalog.validating.checking import Validator
from catalog.validating.model_input import NOTHING, Understood, understood, understood_before
from pricing.models import ExistingModel, ModelPricing, PricePoint, PriceRule
from pricing.rules.check import Rule

_REMEMBERED = 2_000


@dataclass(frozen=True)
class Facts:
    """A model as estimates see it. `unit_price`: USD, None without a current price or while a 0 is not confirmed."""

    pk: int
    endpoint_id: str
    provider: str
    provider_id: int
    name: str
    category: str
    media_type: str
    kind: str
    enabled: bool
    held_reason: str
    schema_version: int
    upstream_version: str
    schema: Understood = field(repr=False)
    capabilities: list[str]
    limits: dict[str, Any]
    metadata: dict[str, Any]
    unit: str | None
    unit_price: Decimal | None
    price_source: str  # PricePoint.Source, "" without a price
    is_free: bool
    rule: Rule | None
    rule_source: str
    proposed: Rule | None
    billed_in: str
    machine_type: str
    quality: str
    legacy_pricing: dict[str, float]
    price: dict[str, Any] = field(repr=False)
    # Of an own model that is built on another one: what is called, and what is always sent.
    runs_as: str = ""
    fixed_input: dict[str, Any] = field(default_factory=dict)
    # The owner's own prices of a model of the existing collection, where they stand: legacy names, USD as texts.
    kept: dict[str, str] = field(default_factory=dict)

    @property
    def inputs(self) -> list[dict[str, Any]]:
        return self.schema.inputs

    @property
    def outputs(self) -> list[dict[str, Any]]:
        return self.schema.outputs

    @property
    def input_schema(self) -> dict[str, Any]:
        return self.schema.input_schema

    @property
    def validator(self) -> Validator:
        """The compiled input schema."""
        return self.schema.validator


_cache: OrderedDict[int, Facts] = OrderedDict()
_cached_revision = -1
_lock = threading.Lock()


def facts_of(pk: int) -> Facts:
    """The facts of one model, at most a second old: remembered as long as the catalog's revision stands.

    Raises AIModel.DoesNotExist.
    """
    global _cached_revision
    revision = published.current().revision
    with _lock:
        if revision != _cached_revision:
            _cache.clear()
            _cached_revision = revision
        found = _cache.get(pk)
    if found is not None:
        return found
    found = next(load_facts([pk], remember=True), None)
    if found is None:
        raise AIModel.DoesNotExist(f"There is no model with key {pk}.")
    with _lock:
        if revision == _cached_revision:
            _cache[pk] = found
            if len(_cache) > _REMEMBERED:
                _cache.popitem(last=False)
    return found


def facts_of_many(keys: Iterable[int]) -> dict[int, Facts]:
    """The facts of many models by key, as `facts_of`; those not remembered are read together. Unknown keys are absent.

    More models than are remembered are read anew each time.
    """
    global _cached_revision
    revision = published.current().revision
    wanted = dict.fromkeys(keys)
    with _lock:
        if revision != _cached_revision:
            _cache.clear()
            _cached_revision = revision
        found = {key: _cache[key] for key in wanted if key in _cache}
    lacking = [key for key in wanted if key not in found]
    # In slices: databases bound the parameters of one query.
    read = {facts.pk: facts for part in batched(lacking, 500) for facts in load_facts(part, remember=True)}
    with _lock:
        if revision == _cached_revision:
            _cache.update(read)
            while len(_cache) > _REMEMBERED:
                _cache.popitem(last=False)
    return found | read


def forget() -> None:
    """Forgets what was remembered; for tests."""
    global _cached_revision
    with _lock:
        _cache.clear()
        _cached_revision = -1


def load_facts(keys: Iterable[int] | None = None, *, remember: bool = False) -> Iterator[Facts]:
    """The facts of the models with these keys (None: of all), in seven queries however many there are.

    `remember`: schemas are kept unpacked and compiled for the next time; for what is asked about again and again.
    """
    chosen = None if keys is None else list(keys)

    def of_models(queryset: Any, field_name: str = "model") -> Any:
        return queryset if chosen is None else queryset.filter(**{f"{field_name}__in": chosen})

    points = {point.model_id: point for point in of_models(PricePoint.objects.filter(standing="current"))}
    rules = {rule.model_id: rule for rule in of_models(PriceRule.objects.filter(state="active"))}
    proposed = {rule.model_id: rule for rule in of_models(PriceRule.objects.filter(state="proposed"))}
    standings = {row.model_id: row for row in of_models(ModelPricing.objects.all())}
    kept = dict(of_models(ExistingModel.objects.filter(keeps_price=True)).values_list("model_id", "pricing"))
    versions = of_models(SchemaVersion.objects.filter(number=F("model__schema_version")))
    contents = dict(versions.values_list("model_id", "content"))
    read = understood_before if remember else understood
    for row in of_models(AIModel.objects.select_related("provider"), "pk").order_by("pk"):
        content = contents.get(row.pk)
        schema = NOTHING if content is None else read(bytes(content))
        found = _facts(row, schema, points.get(row.pk), rules.get(row.pk), proposed.get(row.pk), standings.get(row.pk))
        yield replace(found, kept=kept[row.pk]) if kept.get(row.pk) else found


def bare_facts(row: AIModel) -> Facts:
    """The facts of a model of which neither schema nor price nor rule is known yet."""
    return _facts(row, NOTHING, None, None, None, None)


def _facts(
    row: AIModel,
    schema: Understood,
    point: PricePoint | None,
    rule: PriceRule | None,
    proposed: PriceRule | None,
    standing: ModelPricing | None,
) -> Facts:
    price = Decimal(point.unit_price) if point else None
    if price is not None and price == 0 and not (point and point.is_free):
        # A row of 0 is unknown until a person says that it is free.
        price = None
    return Facts(
        pk=row.pk,
        endpoint_id=row.endpoint_id,
        provider=row.provider.slug,
        provider_id=row.provider_id,
        name=row.name,
        category=row.category,
        media_type=row.media_type,
        kind=row.kind,
        enabled=row.enabled,
        held_reason=row.held_reason,
        schema_version=row.schema_version,
        upstream_version=row.upstream_version,
        schema=schema,
        capabilities=row.capabilities,
        limits=row.limits,
        metadata=row.metadata,
        unit=point.unit if point else None,
        unit_price=price,
        price_source=point.source if point else "",
        is_free=bool(point and point.is_free),
        rule=rule.body if rule else None,
        rule_source=rule.source if rule else "",
        # Without content where the texts could not be turned into a rule: it is there for a person to write one.
        proposed=(proposed.body or None) if proposed else None,
        billed_in=(rule or proposed).billed_in if (rule or proposed) else "",  # type: ignore[union-attr]
        machine_type=standing.machine_type if standing else "",
        quality=standing.quality if standing else "",
        legacy_pricing=row.legacy_pricing,
        price=row.price,
        runs_as=row.runs_as,
        fixed_input=row.fixed_input,
    )
