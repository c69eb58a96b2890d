"""What a client asks for, read from the fields of a request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from genfeed.clients.errors import ApiError
from jobs.accepting.accept import Cache, Wanted
from jobs.accepting.null_characters import refuse_null_characters
from jobs.accepting.webhook_urls import check_webhook_url
from pricing.money import NotMoney, parse_usd

_LONGEST_NAME = 100
_LONGEST_VALUE = 500


def read_wanted(
    model: str,
    *,
    input: Mapping[str, Any],
    media: Mapping[str, Any] | None,
    webhook_url: str | None,
    max_price: str | None,
    cache: bool | str,
    metadata: Mapping[str, Any],
    priority: str,
    idempotency_key: str = "",
    body_digest: str = "",
) -> Wanted:
    """The request of one job. Raises ApiError for an address, an amount or notes that can't be."""
    return Wanted(
        model=model,
        input=input,
        media=media,
        webhook_url=check_webhook_url(webhook_url) if webhook_url else "",
        max_price=read_price(max_price, what="max_price"),
        cache=read_cache(cache),
        metadata=read_metadata(metadata),
        low_priority=priority == "low",
        idempotency_key=idempotency_key,
        body_digest=body_digest,
    )


def read_cache(asked: bool | str) -> Cache:
    """Whether a stored result will do: `false`, `true` where the seed is fixed, or "any_seed"."""
    if asked == "any_seed":
        return "any_seed"
    return "seed" if asked else ""


def read_metadata(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    """The notes of a client; raises ApiError where they are too long, or hold what can't be stored."""
    refuse_null_characters({"metadata": metadata})
    for name, value in metadata.items():
        if len(name) > _LONGEST_NAME or (isinstance(value, str) and len(value) > _LONGEST_VALUE):
            raise ApiError(
                "invalid_request",
                f"metadata.{name[:_LONGEST_NAME]}: names have at most {_LONGEST_NAME} characters, "
                f"values {_LONGEST_VALUE}.",
                "Shorten it, or keep it on your side under the job's id.",
            )
    return metadata


def read_price(text: str | None, *, what: str) -> int | None:
    """An amount in USD as nano-USD, None for none; raises ApiError for what is none."""
    if text is None:
        return None
    hint = 'Send USD as a decimal string, e.g. "0.05".'
    try:
        amount = parse_usd(text, what=what)
    except NotMoney as error:
        raise ApiError("invalid_request", f"{error}.", hint) from None
    if amount < 0:
        raise ApiError("invalid_request", f"{what} can't be negative.", hint)
    return amount
