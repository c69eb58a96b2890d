"""Models that are sold below their cost: by a fixed price, or by the own price of an existing model.

Margin and markup can't do that; a price that does not follow the cost can, as soon as the cost rises.
"""

from __future__ import annotations

from collections.abc import Iterator

from django.db.models import Exists, OuterRef
from django.utils import timezone

from catalog.models import AIModel
from genfeed.clients.models import Client
from genfeed.journal import links
from genfeed.journal.alerts import raise_alert, resolve
from genfeed.journal.models import Alert
from pricing.existing.profitability import analyze_existing_profitability
from pricing.margins.book import in_force, load_book
from pricing.models import ExistingModel, MarginRule
from pricing.money import format_usd
from pricing.prices.alerts import FEW
from pricing.selling.defaults import default_prices

CODE = "margin_negative"
MANY = "many"
_NAMED = 100


def tell_losses() -> int:
    """Raises an alert for each enabled model that is sold below its cost, one for all where they are many.

    Resolves those whose cause is gone, and repeats none that says the same already. Returns how many models lose.
    """
    losing: dict[int, list[str]] = {}
    for key, loss in (*_by_own_price(), *_by_fixed_price()):
        losing.setdefault(key, []).append(loss)
    models = AIModel.objects.select_related("provider").in_bulk(losing)
    said = {f"{models[key].provider.slug}:{models[key].endpoint_id}": (models[key], losing[key]) for key in losing}
    told = dict(Alert.objects.filter(code=CODE, resolved_at=None).values_list("subject", "text"))
    if len(said) > FEW:
        lines = [f"{subject}: {words[0]}" for subject, (_, words) in sorted(said.items())][:_NAMED]
        title = f"{len(said)} models are sold below their cost"
        _tell(told, MANY, title, "\n".join(lines), links.to_page("pricing_marginrule_changelist"))
        said = {MANY: next(iter(said.values()))}
    else:
        for subject, (model, words) in said.items():
            text = "\n".join([*words, "Raise the price, or switch the model off."])
            url = links.to_page("catalog_aimodel_change", model.pk)
            _tell(told, subject, f"{model.name or model.endpoint_id} is sold below its cost", text, url)
    for subject in told.keys() - said.keys():
        resolve(CODE, subject)
    return len(losing)


def _tell(told: dict[str, str], subject: str, title: str, text: str, url: str) -> None:
    if told.get(subject[:300]) != text:
        raise_alert(CODE, subject, title, text, level=Alert.Level.CRITICAL, url=url)


def _by_own_price() -> Iterator[tuple[int, str]]:
    for found in analyze_existing_profitability():
        if found.state == "loss" and found.row.keeps_price and found.row.model.enabled:
            yield found.row.model_id, f"Its own price is below its cost. {found.words}"


def _by_fixed_price() -> Iterator[tuple[int, str]]:
    """Default requests at a fixed price, to everybody and to each client with a fixed price of its own."""
    fixed = MarginRule.objects.filter(in_force(timezone.now()), mode="fixed")
    if not fixed.exists():
        return
    book = load_book()
    kept = set(ExistingModel.objects.filter(keeps_price=True).values_list("model_id", flat=True))
    clients = Client.customers.filter(Exists(fixed.filter(client=OuterRef("pk"))), is_active=True)
    for client in (None, *clients):
        for key, row in default_prices(book, client.pk if client else None).items():
            applied = book.applied(row, client.pk if client else None)
            # What a client pays like everybody is told once.
            is_own = client is None or applied.rule_id != book.applied(row).rule_id
            if applied.terms.mode == "fixed" and row.price < row.cost and is_own and key not in kept:
                whose = f" to {client.name}" if client else ""
                yield key, f"{format_usd(row.price)} USD a request{whose} at a cost of {format_usd(row.cost)} USD."
