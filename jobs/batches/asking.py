"""What a client asks for in a batch: each item with what all have in common laid under it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson

from genfeed.clients.errors import ApiError
from jobs.accepting.accept import Wanted
from jobs.accepting.asking import read_metadata, read_price, read_wanted
from jobs.accepting.webhook_urls import check_webhook_url
from jobs.assets.inline import is_data, too_many
from jobs.assets.texts import texts_in
from jobs.batches.accepting import WantedBatch
from jobs.batches.api_shapes import BatchBody, BatchItemBody

# In all items together.
MOST_COMMON_BYTES = 268_435_456
MOST_FILES = 2_000


def read_batch(body: BatchBody, *, provider_key: str, idempotency_key: str, body_digest: str) -> WantedBatch:
    """The batch that a body asks for. What is wrong with one item is its own error; raises ApiError for the rest.

    `provider_key` is the caller's own for all items, or "".
    """
    if (body.items is None) == (body.prompts is None):
        raise ApiError(
            "invalid_request",
            "A batch has either items or prompts.",
            'Send "items": [{"input": {…}}, …], or "prompts": ["…", …] where only the prompt differs.',
        )
    _refuse_multiplied(body, len(body.items or body.prompts or ()))
    items = body.items or [BatchItemBody.model_validate({"input": {"prompt": prompt}}) for prompt in body.prompts or []]
    return WantedBatch(
        items=[_item(body, item, provider_key) for item in items],
        mode=body.mode,
        webhook_url=check_webhook_url(body.webhook_url) if body.webhook_url else "",
        max_total_price=read_price(body.max_total_price, what="max_total_price"),
        metadata=read_metadata(body.metadata),
        idempotency_key=idempotency_key,
        body_digest=body_digest,
    )


def _refuse_multiplied(body: BatchBody, count: int) -> None:
    """What all items have in common is kept with each of them: some megabytes of it would become gigabytes."""
    size = len(orjson.dumps([body.input, body.media])) * count
    if size > MOST_COMMON_BYTES:
        raise ApiError(
            "payload_too_large",
            f"What the items have in common would take {size:,} bytes, laid under {count} of them, and "
            f"{MOST_COMMON_BYTES:,} are the most.",
            "Upload files at /api/v1/uploads and name them by their ids, or send fewer items at once.",
        )
    own = sum(_files_in(item.input) for item in body.items or ())
    if (files := own + _files_in(body.input) * count) > MOST_FILES:
        raise too_many(files, MOST_FILES)


def _files_in(input: Mapping[str, Any]) -> int:
    return sum(is_data(text) for text, _ in texts_in(input))


def _item(body: BatchBody, item: BatchItemBody, provider_key: str) -> Wanted | ApiError:
    model = item.model or body.model
    if model is None:
        return ApiError("invalid_request", "The item names no model.", "Name one here, or for the whole batch.")
    try:
        wanted = read_wanted(
            model,
            input={**body.input, **item.input},
            media={**(body.media or {}), **(item.media or {})} or None,
            webhook_url=item.webhook_url,
            max_price=body.max_price if item.max_price is None else item.max_price,
            cache=body.cache if item.cache is None else item.cache,
            metadata=item.metadata,
            priority=item.priority or body.priority,
        )
    except ApiError as error:
        return error
    return replace(wanted, provider_key=provider_key)
