"""Costs by the names of the legacy shape: `image`, `video`, `input`, `output`, `fixedPrice` (DESIGN section 6)."""

from decimal import Decimal

from catalog.schemas.examples import example_input
from pricing.counting.quantities import measure
from pricing.counting.requests import Request, make_request
from pricing.counting.units import unit_meaning
from pricing.estimates.costs import COMPUTE_SECONDS, Estimate
from pricing.estimates.facts import Facts

_MILLION = 1_000_000


def legacy_costs(facts: Facts, answer: Estimate, unit: str | None, unit_cost: Decimal | None) -> dict[str, Decimal]:
    """USD: `image` for one default image, `video` for one second of a default video, `input` and `output` for a
    million tokens of text, else `fixedPrice` for one default request; empty where none of these is known.

    An upper bound of GPU time is no price of anything, and so is not told here.
    """
    if answer.confidence == "bounded" and answer.unit == COMPUTE_SECONDS:
        return {}
    request = make_request(facts.inputs, example_input(facts.inputs))
    tokens = _million_tokens(facts, unit, unit_cost)
    if tokens is not None:
        return {"input": tokens, "output": tokens}
    media = facts.media_type if facts.kind == "inference" else ""
    if media == "image":
        cost = _image(answer, request, unit, unit_cost)
    elif media == "video":
        cost = _video_second(answer, request, unit, unit_cost)
    else:
        cost = None
    if cost is not None:
        return {media: cost}
    return {} if answer.cost is None else {"fixedPrice": answer.cost}


def _million_tokens(facts: Facts, unit: str | None, unit_cost: Decimal | None) -> Decimal | None:
    meaning = unit_meaning(unit) if unit else None
    if facts.media_type != "text" or unit_cost is None or meaning is None or meaning.quantity != "video_tokens":
        return None
    return unit_cost * _MILLION / meaning.block


def _image(answer: Estimate, request: Request, unit: str | None, unit_cost: Decimal | None) -> Decimal | None:
    if answer.cost is None:
        return unit_cost if unit in ("images", "image") else None
    count = measure("outputs", request)
    return answer.cost / count.low if count.known and count.low else None


def _video_second(answer: Estimate, request: Request, unit: str | None, unit_cost: Decimal | None) -> Decimal | None:
    if answer.cost is None:
        meaning = unit_meaning(unit) if unit else None
        by_the_second = meaning is not None and meaning.quantity == "seconds" and unit_cost is not None
        return unit_cost / meaning.block if by_the_second else None  # type: ignore[operator, union-attr]
    seconds, count = measure("seconds", request), measure("outputs", request)
    if seconds.known and seconds.low and count.known and count.low:
        return answer.cost / (seconds.low * count.low)
    return None
