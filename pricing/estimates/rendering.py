"""Quotes, problems and errors as the API shows them."""

from __future__ import annotations

from typing import Any

from catalog.validating.problems import Problem
from genfeed.clients.errors import ApiError
from genfeed.journal import request_ids
from pricing.estimates.assumed import LENGTH
from pricing.estimates.quotes import InputRefusedError, Quote
from pricing.money import format_usd

MOST_NAMED = 5


def render_quote(quote: Quote, *, shows_cost: bool) -> dict[str, Any]:
    """The estimate: amounts as decimal strings in USD. Cost, unit price and the words that name them only to staff and
    in core mode."""
    answer: dict[str, Any] = {
        "model": quote.model,
        "price": usd(quote.price),
        "currency": "USD",
        "unit": quote.unit,
        "units": quote.units,
        "confidence": quote.confidence,
        "basis": quote.basis if shows_cost else quote.reasons,
        "low": usd(quote.low),
        "high": usd(quote.high),
        "missing": list(quote.missing),
    }
    if shows_cost:
        answer |= {"cost": usd(quote.cost), "unit_price": quote.unit_price}
    return answer


def render_assumed(quote: Quote, *, shows_cost: bool) -> dict[str, Any]:
    """What a video of the length that was assumed would cost."""
    answer: dict[str, Any] = {"output_video_seconds": quote.media[LENGTH], "price": usd(quote.price)}
    return answer | ({"cost": usd(quote.cost)} if shows_cost else {})


def usd(nano: int | None) -> str | None:
    """An amount as JSON shows it; null where it is unknown."""
    return None if nano is None else format_usd(nano)


def input_error(error: InputRefusedError, *, where: str = "") -> ApiError:
    """The error for an input that the model does not take, with every problem named."""
    return problems_error(error.problems, where=where)


def problems_error(problems: list[Problem], *, where: str = "") -> ApiError:
    """`unknown_field` where that is all that is wrong, else `invalid_input`; `where` goes before each path."""
    code = "unknown_field" if all(problem.code == "unknown_field" for problem in problems) else "invalid_input"
    shown = [
        {
            "path": ".".join(part for part in (where, problem.path) if part),
            "code": problem.code,
            "message": problem.message,
            "hint": problem.hint,
        }
        for problem in problems
    ]
    words = "; ".join(_said(item) for item in shown[:MOST_NAMED])
    more = f"; and {len(shown) - MOST_NAMED} more" if len(shown) > MOST_NAMED else ""
    hint = shown[0]["hint"] if len(shown) == 1 else "Correct the fields that details.problems names."
    return ApiError(code, f"{words}{more}.", _sentence(hint), details={"problems": shown})


def _said(item: dict[str, str]) -> str:
    return f"{item['path']}: {item['message']}" if item["path"] else item["message"]


def _sentence(text: str) -> str:
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "?")) else f"{text}."


def render_error(error: ApiError) -> dict[str, Any]:
    """An error inside of an answer, in the shape that errors have everywhere."""
    body = {"code": error.code, "message": error.message, "hint": error.hint, "requestId": request_ids.current()}
    return body if error.details is None else {**body, "details": error.details}
