"""Entry points of the background worker."""

from catalog.providers import base
from genfeed.journal import request_ids
from pricing.price_sync import sync_prices
from pricing.rule_reading import read_rules


def sync_all_prices() -> str:
    """Reads the prices of every provider, without the catalog; the text is what django-q2 shows as the result."""
    request_ids.begin()
    return " ".join(sync_prices(None, slug=entry.slug).summary() for entry in base.registered())


def read_all_rules() -> str:
    """Reads again what changed among texts, rows and schemas, asking nobody."""
    request_ids.begin()
    result = read_rules()
    return f"{result.read} read, {result.active} rules made active, {result.proposed} proposed."
