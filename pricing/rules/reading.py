"""From price texts to price rules: what changed since the last reading is read again, and settled beside what is there.

Manual and observed rules are never touched. What a person decided about a rule that was read stands as long as the
text says the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from hashlib import sha256
from typing import Any

import orjson
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from catalog.models import AIModel, SchemaVersion
from pricing.models import ModelPricing, PricePoint, PriceRule
from pricing.money import format_decimal
from pricing.notes.reading import NoteReading, PriceRow, read_note
from pricing.prices.guards import Offered
from pricing.rules.choice import choose
from pricing.selling.publishing import lock_models, settle

# Raise it when the reader learns something: everything is read again then.
READER = 1

Readings = dict[str, NoteReading]
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Source:
    """All that a reading follows from; equal digests give equal readings."""

    note: str
    billing_message: str
    unit: str | None
    unit_price: str | None
    schema: str

    @property
    def digest(self) -> str:
        parts = [READER, self.note, self.billing_message, self.unit, self.unit_price, self.schema]
        return sha256(orjson.dumps(parts)).hexdigest()

    @property
    def row(self) -> PriceRow | None:
        # A row of 0 is unknown, so no rule may take a price from it.
        if self.unit is None or self.unit_price is None or not Decimal(self.unit_price):
            return None
        return PriceRow(Decimal(self.unit_price), self.unit)


@dataclass
class RuleReadingResult:
    """Counts of one reading: models read, rules made active or proposed or retired; `touched`: keys to price again."""

    read: int = 0
    active: int = 0
    proposed: int = 0
    retired: int = 0
    contradicting: int = 0
    touched: set[int] = field(default_factory=set)

    def as_report(self) -> dict[str, int]:
        """For a sync's report."""
        names = ("read", "active", "proposed", "retired", "contradicting")
        return {name: getattr(self, name) for name in names}


def read_rules(keys: Iterable[int] | None = None, *, progress: Progress | None = None) -> RuleReadingResult:
    """Reads the stored texts of these models (None: of all) into rules where text, row or schema changed.

    One transaction, through to the selling prices.
    """
    chosen = list(AIModel.objects.values_list("pk", flat=True)) if keys is None else list(keys)
    readings = prepare(sources(chosen), progress=progress)
    with transaction.atomic():
        result = apply(chosen, readings)
        if result.touched:
            settle(result.touched, reason="price texts read")
    return result


def sources(
    keys: Iterable[int],
    *,
    texts: Mapping[int, tuple[str, str]] | None = None,
    prices: Mapping[int, Offered] | None = None,
) -> dict[int, Source]:
    """What each model's reading follows from, as stored; `texts` and `prices` (by key) count instead where given."""
    chosen = list(keys)
    fingerprints = dict(_current_versions(chosen).values_list("model_id", "fingerprint"))
    stored = {
        row[0]: row[1:]
        for row in ModelPricing.objects.filter(model__in=chosen).values_list(
            "model_id", "price_note", "billing_message"
        )
    }
    current = PricePoint.objects.filter(model__in=chosen, standing=PricePoint.Standing.CURRENT)
    rows = {row[0]: row[1:] for row in current.values_list("model_id", "unit", "unit_price")}
    for key, new in (prices or {}).items():
        rows[key] = (new.unit, format_decimal(new.unit_price))
    found = {}
    for key in chosen:
        note, billing_message = (texts or {}).get(key) or stored.get(key, ("", ""))
        unit, unit_price = rows.get(key, (None, None))
        found[key] = Source(note, billing_message, unit, unit_price, fingerprints.get(key, ""))
    return found


def prepare(wanted: Mapping[int, Source], *, progress: Progress | None = None) -> Readings:
    """Readings by digest, for the models whose digest is not the last one read; touches no row.

    Reading is slow against writing, so it is done before the transaction that needs it.
    """
    last = dict(ModelPricing.objects.filter(model__in=wanted.keys()).values_list("model_id", "read_digest"))
    digests = {key: source.digest for key, source in wanted.items()}
    open_keys = [key for key in wanted if last.get(key, "") != digests[key]]
    readings: Readings = {}
    for done, (key, inputs) in enumerate(_inputs(open_keys), start=1):
        digest = digests[key]
        if digest not in readings:
            readings[digest] = _read(wanted[key], inputs)
        if progress and (done % 50 == 0 or done == len(open_keys)):
            progress(done, len(open_keys))
    return readings


def apply(keys: Iterable[int], readings: Readings) -> RuleReadingResult:
    """Brings the rules of these models to what their texts say now; call it inside a transaction, then settle.

    What is not among the readings (because something changed meanwhile) is read here.
    """
    result = RuleReadingResult()
    chosen = list(keys)
    lock_models(chosen)
    now = sources(chosen)
    pricing = {row.model_id: row for row in ModelPricing.objects.filter(model__in=chosen)}
    fresh = {key: source for key, source in now.items() if _last_digest(pricing, key) != source.digest}
    if not fresh:
        return result
    readings = {**readings, **_missing(fresh, readings)}
    live = _live_rules(fresh)
    retired_by_people = _retired_by_people(fresh)
    new_rules: list[PriceRule] = []
    gone: list[int] = []
    kept: list[PriceRule] = []
    for key, source in fresh.items():
        choice = choose(readings[source.digest], live.get(key, []), retired_by_people.get(key))
        gone += [rule.pk for rule in choice.retire]
        for rule in choice.keep:
            rule.text_digest = source.digest
            kept.append(rule)
        if choice.new:
            choice.new.model_id, choice.new.text_digest = key, source.digest
            new_rules.append(choice.new)
    _write(gone, kept, new_rules)
    _remember(fresh, pricing)
    result.read = len(fresh)
    result.touched = set(fresh)
    result.retired = len(gone)
    result.active = sum(rule.state == PriceRule.State.ACTIVE for rule in new_rules)
    result.proposed = len(new_rules) - result.active
    result.contradicting = sum(rule.contradicts_row for rule in new_rules)
    return result


def _last_digest(pricing: Mapping[int, ModelPricing], key: int) -> str:
    return pricing[key].read_digest if key in pricing else ""


def _missing(fresh: Mapping[int, Source], readings: Readings) -> Readings:
    unread = [key for key, source in fresh.items() if source.digest not in readings]
    return {fresh[key].digest: _read(fresh[key], inputs) for key, inputs in _inputs(unread)}


def _read(source: Source, inputs: list[dict[str, Any]]) -> NoteReading:
    return read_note([source.note, source.billing_message], inputs, source.row)


def _current_versions(keys: Iterable[int]) -> Any:
    return SchemaVersion.objects.filter(model__in=keys, number=F("model__schema_version"))


def _inputs(keys: list[int]) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """The mapped fields of each model, none where no schema was understood."""
    if not keys:
        return
    without = set(keys)
    for key, content in _current_versions(keys).values_list("model_id", "content").iterator(chunk_size=100):
        without.discard(key)
        yield key, SchemaVersion.unpack(bytes(content)).get("inputs", [])
    for key in without:
        yield key, []


def _live_rules(keys: Iterable[int]) -> dict[int, list[PriceRule]]:
    found: dict[int, list[PriceRule]] = {}
    for rule in PriceRule.objects.filter(
        model__in=list(keys), state__in=[PriceRule.State.ACTIVE, PriceRule.State.PROPOSED]
    ):
        found.setdefault(rule.model_id, []).append(rule)
    return found


def _retired_by_people(keys: Iterable[int]) -> dict[int, PriceRule]:
    """The newest rule of each model that was read from texts and that a person retired."""
    retired = PriceRule.objects.filter(
        model__in=list(keys), source=PriceRule.Source.NOTE, state=PriceRule.State.RETIRED
    ).exclude(decided_by="")
    return {rule.model_id: rule for rule in retired.order_by("pk")}


def _write(gone: list[int], kept: list[PriceRule], new_rules: list[PriceRule]) -> None:
    PriceRule.objects.filter(pk__in=gone).update(state=PriceRule.State.RETIRED, decided_at=timezone.now())
    PriceRule.objects.bulk_update(
        kept, ["state", "text_digest", "problems", "remarks", "contradicts_row"], batch_size=200
    )
    PriceRule.objects.bulk_create(new_rules, batch_size=200)


def _remember(fresh: Mapping[int, Source], pricing: Mapping[int, ModelPricing]) -> None:
    rows = [pricing.get(key) or ModelPricing(model_id=key) for key in fresh]
    for row in rows:
        row.read_digest = fresh[row.model_id].digest
    ModelPricing.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["model"], update_fields=["read_digest"]
    )
