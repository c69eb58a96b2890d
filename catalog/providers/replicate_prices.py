"""Where Replicate's prices come from: the pages of models where they can be read, else a table of what is published."""

from __future__ import annotations

import logging
import re
import tomllib
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson
from django.conf import settings

from catalog.providers.base import PriceRow, ProviderError, ProviderRejectedError
from catalog.providers.reading import JsonReader
from catalog.providers.replicate_billing import Billing, NotReadableError, amount, row_of, tier_of

logger = logging.getLogger(__name__)

_SHIPPED = Path(__file__).with_suffix(".toml")
_JSON = re.compile(r'<script[^>]*type="application/json"[^>]*>(.*?)</script>', re.DOTALL)
_DEEPEST = 12
# Pages on which nobody can be read: what stands in for them is the same for all.
_HIDDEN_IN_A_ROW = 2


class TableError(ProviderError):
    """The file of REPLICATE_PRICES can't be used; the message says why."""


class Table:
    """Published prices: of machines by second, and of models."""

    def __init__(self, *documents: dict[str, Any]) -> None:
        self.hardware = {sku: amount(usd) for one in documents for sku, usd in one.get("hardware", {}).items()}
        self.machines = {name: sku for one in documents for name, sku in one.get("machines", {}).items()}
        models = {name: said for one in documents for name, said in one.get("models", {}).items()}
        self.models = {name: self._read(said) for name, said in models.items()}

    def _read(self, said: dict[str, Any]) -> Billing:
        if "hardware" in said:
            return self.on(said["hardware"])
        return _of_tiers([(row.get("title"), row.get("price"), row.get("when", {})) for row in said.get("tiers", [])])

    def on(self, machine: str) -> Billing:
        """Billing by the second of a machine, by its sku or as pages name it."""
        plain = machine.strip().removeprefix("Nvidia ").removesuffix(" GPU")
        sku = plain if plain in self.hardware else self.machines.get(plain, "")
        if sku not in self.hardware:
            return Billing(problem=f"runs on {machine[:60]!r}, whose price is not known")
        return Billing(machine=sku, usd_per_second=self.hardware[sku])


@lru_cache(maxsize=4)
def _table(own: str, changed: float) -> Table:
    documents = [tomllib.loads(_SHIPPED.read_text())]
    if own:
        documents.append(tomllib.loads(Path(own).read_text()))
    return Table(*documents)


def table() -> Table:
    """The shipped table with the operator's own over it; raises TableError."""
    own = settings.REPLICATE_PRICES
    try:
        return _table(own, Path(own).stat().st_mtime if own else 0.0)
    except (OSError, tomllib.TOMLDecodeError, NotReadableError, AttributeError, TypeError) as error:
        raise TableError(f"REPLICATE_PRICES can't be read: {error}.") from None


def read_page(html: str, known: Table) -> Billing | None:
    """What a model's page says of its price; None where it is no page of a model (an interstitial, for example)."""
    for text in _JSON.findall(html):
        try:
            found = _with_billing(orjson.loads(text), _DEEPEST)
        except orjson.JSONDecodeError:
            continue
        if found is not None:
            return _read(found, known)
    return None


def _with_billing(value: Any, depth: int) -> dict[str, Any] | None:
    """The first object that holds a `billingConfig`, wherever it stands."""
    if depth == 0:
        return None
    if isinstance(value, dict):
        if "billingConfig" in value:
            return value
        value = list(value.values())
    if isinstance(value, list):
        return next((found for one in value if (found := _with_billing(one, depth - 1)) is not None), None)
    return None


def _read(page: dict[str, Any], known: Table) -> Billing:
    config = page["billingConfig"]
    if isinstance(config, dict):
        rows = []
        for tier in _list(config.get("current_tiers")):
            when = {str(one.get("title")): one.get("value") for one in _list(tier.get("criteria"))}
            rows += [(one.get("title"), one.get("price"), when) for one in _list(tier.get("prices"))]
        return _of_tiers(rows)
    hardware, price = page.get("hardware"), str(page.get("price") or "")
    if isinstance(hardware, str) and hardware:
        found = known.on(hardware)
        if price.endswith(" per second"):
            # What the page says of this model goes before the table.
            try:
                return Billing(machine=found.machine or hardware[:40], usd_per_second=amount(price.split()[0]))
            except NotReadableError as error:
                return Billing(problem=str(error))
        return found
    return Billing(problem="its page names no price")


def _list(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _of_tiers(rows: list[tuple[Any, Any, Any]]) -> Billing:
    if not rows:
        return Billing(problem="its page names no price")
    try:
        return Billing(tiers=tuple(tier_of(title, price, when) for title, price, when in rows))
    except NotReadableError as error:
        return Billing(problem=str(error))


def fetch_prices(
    web: JsonReader,
    endpoint_ids: Sequence[str],
    found: dict[str, Billing],
    *,
    progress: Callable[[int], None] | None = None,
) -> dict[str, PriceRow]:
    """Price rows by endpoint id, and into `found` how each is billed. Pages are a courtesy: at most REPLICATE_PAGES of
    them are read, and none after two in a row that stay hidden. A model whose page was not read tells nothing: it is
    best named first the next time."""
    known, rows = table(), {}
    left, hidden = settings.REPLICATE_PAGES, 0
    for done, endpoint_id in enumerate(endpoint_ids, start=1):
        billing = known.models.get(endpoint_id)
        has_turn = billing is None and left > 0 and hidden < _HIDDEN_IN_A_ROW
        if has_turn:
            left -= 1
            try:
                billing = read_page(web.get_text(f"/{endpoint_id}"), known)
                hidden = 0 if billing else hidden + 1
            except ProviderRejectedError as error:
                billing = Billing(problem="it has no page") if error.status == 404 else None
                hidden += billing is None
            except ProviderError as error:
                hidden += 1
                logger.info("the page of %s could not be read: %s", endpoint_id, error)
        if billing is None:
            rows[endpoint_id] = PriceRow(
                endpoint_id, problem="its page was not read", answered=False, was_asked=has_turn
            )
        else:
            found[endpoint_id] = billing
            row = row_of(endpoint_id, billing)
            if row:
                rows[endpoint_id] = row
        if progress:
            progress(done)
    return rows
