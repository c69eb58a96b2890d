"""What a request may ask for at most, beyond what its model's schema says: settings, and narrower ones per client."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django.conf import settings

from catalog.validating.problems import Problem
from pricing.counting.quantities import QUANTITIES
from pricing.counting.requests import Request
from pricing.money import format_decimal

# cap -> the quantities that it bounds, and what they are called.
CAPS: dict[str, tuple[tuple[str, ...], str]] = {
    "images": (("outputs",), "outputs"),
    "megapixels": (("megapixels",), "megapixels an output"),
    "seconds": (("seconds",), "seconds"),
    "frames": (("frames",), "frames"),
}
_PROMPTS = ("prompt", "text", "negative_prompt", "script", "lyrics")


def default_caps() -> dict[str, int]:
    """The caps of the settings; 0 means none."""
    return {
        "images": settings.MAX_IMAGES,
        "megapixels": settings.MAX_MEGAPIXELS,
        "seconds": settings.MAX_SECONDS,
        "frames": settings.MAX_FRAMES,
        "prompt_characters": settings.MAX_PROMPT_CHARACTERS,
    }


def over_caps(request: Request, own: Mapping[str, int] | None = None) -> list[Problem]:
    """What of a request is over a cap; `own`: the client's caps, which go before those of the settings.

    Quantities that the request does not tell (files whose length nobody knows) are the provider's to judge.
    """
    caps = {**default_caps(), **(own or {})}
    problems = []
    for name, (quantities, words) in CAPS.items():
        cap = caps[name]
        if not cap:
            continue
        for quantity in quantities:
            amount = QUANTITIES[quantity](request)
            if quantity == "megapixels":
                amount = _of_one(request, amount)
            if amount.low is not None and amount.low > cap:
                message = f"the request asks for {_short(amount.low)} {words} ({amount.basis}), and {cap} are allowed"
                problems.append(Problem("", "over_cap", message, "ask for less, or have the limit raised"))
    return problems + _long_texts(request, caps["prompt_characters"])


def _of_one(request: Request, amount: Any) -> Any:
    """Megapixels come for all outputs together; the cap is for one."""
    outputs = QUANTITIES["outputs"](request)
    if amount.low is None or not outputs.known or not outputs.low:
        return amount
    return type(amount)(amount.low / outputs.low, None, amount.basis)


def _long_texts(request: Request, cap: int) -> list[Problem]:
    problems = []
    for name in _PROMPTS:
        item = request.fields.get(name)
        value = request.given.get(name)
        # A length that the model states itself was checked with its schema.
        if not cap or item is None or not isinstance(value, str) or _states_length(item) or len(value) <= cap:
            continue
        message = f"the text has {len(value)} characters, and {cap} are allowed"
        problems.append(Problem(name, "over_cap", message, "shorten it, or have the limit raised"))
    return problems


def _states_length(item: Mapping[str, Any]) -> bool:
    return any(item.get(name) is not None for name in ("maxLength", "max_length"))


def _short(number: Decimal) -> str:
    return format_decimal(round(number, 2))
