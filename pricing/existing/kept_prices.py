"""What a request costs by the owner's own price of an existing model, in the legacy shape."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from pricing.counting.amounts import Amount, known, missing, multiply
from pricing.counting.counts import outputs
from pricing.counting.durations import output_seconds
from pricing.counting.requests import Request

KEPT_WORDS = "the price of the existing collection stands"


def kept_price(pricing: Mapping[str, str], request: Request) -> Amount:
    """The price in USD: fixed a request, by the image, or by the second of video, the first of them that is there."""
    if "fixedPrice" in pricing:
        return known(Decimal(pricing["fixedPrice"]), "a fixed price per request")
    if "image" in pricing:
        count = outputs(request)
        return multiply(known(Decimal(pricing["image"]), ""), count, count.basis)
    if "video" in pricing:
        length = output_seconds(request)
        return multiply(known(Decimal(pricing["video"]), ""), length, length.basis)
    return missing("number of tokens", basis="a price per token, and nobody knows the number of tokens before")
