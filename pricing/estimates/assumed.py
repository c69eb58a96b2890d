"""What a video of a usual length would cost, where nothing says how long the one that is asked about will be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings

from pricing.estimates.facts import Facts
from pricing.estimates.quotes import Quote, quote_checked
from pricing.margins.book import RuleBook

LENGTH = "output_video_seconds"


def of_usual_length(
    facts: Facts, filled: Mapping[str, Any], quote: Quote, *, book: RuleBook, client_id: int | None
) -> Quote | None:
    """The quote of the same request for a video of `ASSUMED_VIDEO_SECONDS`, where `quote` lacks its length alone.

    None where the request has a price, makes no video, or lacks something else too. It is an order of magnitude for
    people: nothing is held or charged by it.
    """
    if quote.price is not None or facts.media_type != "video" or facts.kind != "inference" or LENGTH in quote.media:
        return None
    media = {**quote.media, LENGTH: str(settings.ASSUMED_VIDEO_SECONDS)}
    found = quote_checked(facts, filled, media=media, book=book, client_id=client_id, history=False)
    return None if found.price is None else found
