"""The provider's price texts: read live and kept beside the model. Nobody promises them, so nothing depends on them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from catalog.providers.base import NotOfferedError, PriceText, ProviderError
from catalog.providers.reader import CatalogReader
from pricing.models import ModelPricing

logger = logging.getLogger(__name__)

# Models that the gallery does not list are asked for one by one: a few a sync, each at most once a day.
MOST_SINGLE_PAGES = 20
AGAIN_AFTER = timedelta(days=1)


@dataclass
class TextsRead:
    """Texts by endpoint id, and in words why there are not more."""

    texts: dict[str, PriceText] = field(default_factory=dict)
    problem: str = ""


def read_texts(provider: CatalogReader, lacking: Iterable[str]) -> TextsRead:
    """Reads what the provider says about its prices. Never raises: what could be read is returned.

    `lacking`: endpoint ids whose own page may be read where the gallery does not list them.
    """
    found = TextsRead()
    try:
        for text in provider.fetch_price_texts():
            found.texts[text.endpoint_id] = text
        for endpoint_id in [one for one in lacking if one not in found.texts][:MOST_SINGLE_PAGES]:
            # No page is an answer too, which is remembered by the time.
            found.texts[endpoint_id] = provider.fetch_price_text(endpoint_id) or PriceText(endpoint_id)
    except NotOfferedError:
        pass
    except ProviderError as error:
        found.problem = str(error)
    except Exception as error:
        # Whatever a page nobody promises may hold, the prices are more important.
        logger.exception("price texts of %s could not be read", provider.name)
        found.problem = f"The price texts could not be read ({type(error).__name__}); the log tells more."
    return found


def lacking_texts(pricing: Mapping[str, ModelPricing], endpoint_ids: Iterable[str], *, now: datetime) -> list[str]:
    """The models whose own page may be read: never had a text and were not asked about for a day, oldest first."""
    waiting = []
    for endpoint_id in endpoint_ids:
        row = pricing.get(endpoint_id)
        if row is None or row.texts_at is None:
            waiting.append((datetime.min.replace(tzinfo=now.tzinfo), endpoint_id))
        elif not (row.price_note or row.billing_message) and now - row.texts_at > AGAIN_AFTER:
            waiting.append((row.texts_at, endpoint_id))
    return [endpoint_id for _, endpoint_id in sorted(waiting)]


def keep_texts(rows: Mapping[str, ModelPricing], texts: Mapping[str, PriceText], *, now: datetime) -> set[int]:
    """Writes texts onto the stored rows (by endpoint id); returns the keys of models whose texts or machine changed."""
    changed = []
    for endpoint_id, text in texts.items():
        row = rows.get(endpoint_id)
        if row is None:
            continue
        new = (text.note, text.billing_message, text.machine_type)
        if (row.price_note, row.billing_message, row.machine_type) != new:
            row.price_note, row.billing_message, row.machine_type = new
            changed.append(row)
    # Rows that are there, upserted: far faster than one UPDATE with a CASE for each column.
    ModelPricing.objects.bulk_create(
        changed,
        update_conflicts=True,
        unique_fields=["model"],
        update_fields=["price_note", "billing_message", "machine_type"],
    )
    read = [rows[endpoint_id].pk for endpoint_id in texts if endpoint_id in rows]
    ModelPricing.objects.filter(pk__in=read).update(texts_at=now)
    return {row.model_id for row in changed}
