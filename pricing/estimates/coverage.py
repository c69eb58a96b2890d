"""How well the prices of the catalog are known: default estimates by confidence, by unit and by category."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from django.db.models import Count, F, Value
from django.db.models.functions import Coalesce

from catalog.models import AIModel
from pricing.estimates.costs import CONFIDENCES
from pricing.models import ModelPricing

# A price is told before the run, and told right: what the numbers of this project aim at.
TELLING = ("exact", "derived")
_MISSING_SHOWN = 20


@dataclass(frozen=True)
class Row:
    """How many models of one kind have an estimate of each confidence, in the order of `CONFIDENCES`."""

    name: str
    counts: dict[str, int]

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def told(self) -> int:
        """Models whose default request has an exact or derived estimate."""
        return sum(self.counts[name] for name in TELLING)

    @property
    def percent(self) -> float:
        return round(100 * self.told / self.total, 1) if self.total else 0.0

    @property
    def cells(self) -> list[tuple[str, int]]:
        return list(self.counts.items())


@dataclass(frozen=True)
class Coverage:
    """`whole`: all models that are not retired. `missing`: what estimates lack -> models, the most frequent first.
    Of the unknown ones `without_price` have no price; the others have one, and the request leaves something open.
    `never`: models of which no estimate was made yet; they count as unknown and without a price.
    """

    whole: Row
    by_unit: list[Row] = field(default_factory=list)
    by_category: list[Row] = field(default_factory=list)
    missing: list[tuple[str, int]] = field(default_factory=list)
    without_price: int = 0
    never: int = 0

    @property
    def open_requests(self) -> int:
        """Models with a price whose default request does not settle the number of units, e.g. the length of a file."""
        return max(self.whole.counts["unknown"] - self.without_price, 0)


def coverage() -> Coverage:
    """Reads the estimates of default requests as they stand; a model that none was made for yet counts as unknown."""
    models = AIModel.objects.exclude(status=AIModel.Status.RETIRED)
    groups = list(
        models.annotate(
            confidence=Coalesce(F("pricing__default_confidence"), Value("unknown")),
            unit=Coalesce(F("pricing__default_unit"), Value("")),
        )
        .order_by()
        .values_list("confidence", "unit", "category")
        .annotate(n=Count("pk"))
    )
    missing = _missing()
    never = models.filter(pricing=None).count()
    return Coverage(
        whole=_row("all models", ((confidence, n) for confidence, _, _, n in groups)),
        by_unit=_rows((unit, confidence, n) for confidence, unit, _, n in groups),
        by_category=_rows((category, confidence, n) for confidence, _, category, n in groups),
        missing=missing[:_MISSING_SHOWN],
        without_price=dict(missing).get("price", 0) + never,
        never=never,
    )


def whole_coverage() -> Row:
    """The one line of it that the start page shows, in one query."""
    models = AIModel.objects.exclude(status=AIModel.Status.RETIRED)
    confidence = Coalesce(F("pricing__default_confidence"), Value("unknown"))
    return _row("all models", models.order_by().values_list(confidence).annotate(n=Count("pk")))


def _rows(groups: Iterable[tuple[str, str, int]]) -> list[Row]:
    by_name: dict[str, list[tuple[str, int]]] = {}
    for name, confidence, n in groups:
        by_name.setdefault(name, []).append((confidence, n))
    rows = [_row(name, counts) for name, counts in by_name.items()]
    return sorted(rows, key=lambda row: (-row.total, row.name))


def _row(name: str, groups: Iterable[tuple[str, int]]) -> Row:
    counts: Counter[str] = Counter()
    for confidence, n in groups:
        counts[confidence] += n
    return Row(name, {confidence: counts[confidence] for confidence in CONFIDENCES})


def _missing() -> list[tuple[str, int]]:
    rows = ModelPricing.objects.exclude(model__status=AIModel.Status.RETIRED).exclude(default_missing=[])
    counts = Counter(name for names in rows.values_list("default_missing", flat=True) for name in names)
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
