"""Profitability of the existing collection: its own prices against the provider's cost, loss makers first."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from pricing.margins.terms import true_margin
from pricing.models import Equivalence, ExistingModel
from pricing.money import format_decimal, to_nano, to_usd
from pricing.selling.prices import LEGACY_NAMES
from pricing.usage.tables import as_csv

WORDS = {"input": "million input tokens", "output": "million output tokens", "image": "image", "video": "second",
         "fixedPrice": "request"}  # fmt: skip
_ORDER = ("loss", "thin", "good", "unknown", "unpriced")
# Below this share of the price a margin is called thin: a price change that raises no alert would eat half of it.
THIN = Decimal("0.10")
_HEAD = (
    "provider", "id", "name", "state", "per", "price_usd", "cost_usd", "gain_usd", "loss_usd", "cost_percent_of_price",
    "confidence", "note",
)  # fmt: skip


@dataclass(frozen=True)
class Compared:
    """One price against its cost, in nano-USD; `margin` is the share of the price that stays, None for a price of 0."""

    name: str
    price: int
    cost: int

    @property
    def gain(self) -> int:
        return self.price - self.cost

    @property
    def margin(self) -> Decimal | None:
        return true_margin(self.cost, self.price)


@dataclass(frozen=True)
class Profitability:
    """An existing model. `state`: loss, thin, good, unknown (why in `words`), unpriced. `compared`: the worst first."""

    row: ExistingModel
    state: str
    words: str
    confidence: str = ""
    compared: list[Compared] = field(default_factory=list)

    @property
    def worst(self) -> Compared | None:
        return self.compared[0] if self.compared else None

    @property
    def percent(self) -> Decimal | None:
        """The worst margin in percent."""
        return None if self.worst is None or self.worst.margin is None else self.worst.margin * 100


def analyze_existing_profitability(provider: str = "") -> list[Profitability]:
    """Every existing model (of one provider), loss makers first, then by margin; those without a known cost last.

    The cost is that of the same endpoint, or of the counterpart that a person confirmed, as it was put beside last.
    """
    rows = ExistingModel.objects.select_related("model__pricing", "model__provider", "counterpart__pricing")
    if provider:
        rows = rows.filter(model__provider__slug=provider)
    suggested = _suggested()
    found = [_analyze(row, suggested.get(row.model_id, "")) for row in rows]
    return sorted(found, key=_rank)


def _rank(found: Profitability) -> tuple[int, Decimal, str]:
    margin = found.worst.margin if found.worst else None
    # A price of 0 with a cost is the worst loss of all.
    return _ORDER.index(found.state), Decimal(-(10**9)) if margin is None else margin, found.row.legacy_id


def _analyze(row: ExistingModel, suggested: str) -> Profitability:
    if not row.pricing:
        return Profitability(row, "unpriced", "It has no price of its own.")
    source = row.counterpart if row.match == ExistingModel.Match.EQUIVALENT else row.model
    pricing = getattr(source, "pricing", None)
    confidence = pricing.default_confidence if pricing else ""
    if row.match == ExistingModel.Match.NONE:
        hint = f"It seems to be {suggested}: confirm or reject that." if suggested else "No provider lists this id."
        return Profitability(row, "unknown", hint)
    costs = {name: to_nano(Decimal(text)) for name, text in row.provider_cost.items()}
    if pricing and pricing.default_cost is not None:
        # A price for a whole request can always be held against the cost of a default one.
        costs.setdefault("fixedPrice", pricing.default_cost)
    prices = {name: to_nano(Decimal(text)) for name, text in row.pricing.items() if name in LEGACY_NAMES}
    compared = [Compared(name, price, costs[name]) for name, price in prices.items() if name in costs]
    if not compared:
        return Profitability(row, "unknown", _why_unknown(row, confidence), confidence)
    compared.sort(key=lambda one: (one.margin is not None, one.margin or 0, one.name))
    worst = compared[0]
    if worst.gain < 0:
        state, words = "loss", f"Each {WORDS[worst.name]} loses {format_decimal(to_usd(-worst.gain))} USD."
    elif worst.margin is None or worst.margin < THIN:
        state, words = "thin", f"Each {WORDS[worst.name]} leaves {format_decimal(to_usd(worst.gain))} USD."
    else:
        state, words = "good", f"Each {WORDS[worst.name]} leaves {format_decimal(to_usd(worst.gain))} USD."
    return Profitability(row, state, words, confidence, compared)


def _why_unknown(row: ExistingModel, confidence: str) -> str:
    if not row.provider_cost:
        return "Its cost is not known yet." if confidence in ("", "unknown") else "Its cost was not put beside yet."
    own = ", ".join(WORDS[name] for name in row.pricing if name in WORDS)
    theirs = ", ".join(WORDS[name] for name in row.provider_cost if name in WORDS)
    return f"Its price is per {own}, its cost per {theirs}: they can't be compared."


def _suggested() -> dict[int, str]:
    """The likeliest suggested counterpart of each model, by key."""
    found: dict[int, str] = {}
    pairs = Equivalence.objects.filter(state=Equivalence.State.SUGGESTED).select_related("left", "right")
    for pair in pairs.order_by("-score", "pk"):
        found.setdefault(pair.left_id, str(pair.right))
        found.setdefault(pair.right_id, str(pair.left))
    return found


def profitability_csv(found: Iterable[Profitability]) -> str:
    """The analysis as CSV, one line a price; no amount is negative, for there is a column for losses."""
    rows = []
    for one in found:
        head = [one.row.provider_name, one.row.legacy_id, one.row.name, one.state]
        lines = [_numbers(line) for line in one.compared] or [[""] * 6]
        rows += [(*head, *numbers, one.confidence, one.words) for numbers in lines]
    return as_csv(_HEAD, rows)


def _numbers(line: Compared) -> list[str]:
    share = f"{Decimal(100 * line.cost) / line.price:.2f}" if line.price else ""
    amounts = (line.price, line.cost, max(line.gain, 0), max(-line.gain, 0))
    return [WORDS[line.name], *(format_decimal(to_usd(amount)) for amount in amounts), share]
