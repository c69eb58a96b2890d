"""What an earlier step's request tells about the files that it hands to later ones: their length and size."""

from __future__ import annotations

from pricing.counting.amounts import Amount
from pricing.counting.counts import outputs
from pricing.counting.durations import output_seconds
from pricing.counting.image_sizes import output_size
from pricing.counting.requests import Request
from pricing.money import format_decimal


def handed_facts(media: str | None, source: Request) -> dict[str, str]:
    """Media facts about a file of this kind that the source request makes, as far as it tells; nothing is assumed."""
    found: dict[str, str] = {}
    if media in ("video", "audio"):
        length = output_seconds(source)
        if _certain(length) and length.low is not None:
            found[f"input_{media}_seconds"] = format_decimal(length.low)
    if media in ("image", "video"):
        size = output_size(source)
        if size.width and size.height and not size.assumed:
            found |= {"input_width": str(int(size.width)), "input_height": str(int(size.height))}
    return found


def handed_count(source: Request) -> int | None:
    """How many outputs the source request makes, where it tells."""
    count = outputs(source)
    return int(count.low) if _certain(count) and count.low is not None else None


def _certain(amount: Amount) -> bool:
    return amount.known and not amount.assumed
