"""From the body of a choice to requirements: words become limits, and what makes no sense is refused by name."""

from __future__ import annotations

import re
from typing import Any

from catalog import published
from genfeed.clients.errors import ApiError
from pricing.api_shapes import SelectBody
from pricing.choosing.requirements import Needs, budget, tier_of
from pricing.equivalents import offered_equivalents
from pricing.estimates.addressing import find_model
from pricing.money import NotMoney, parse_price, to_nano

_LINES = re.compile(r"(\d{2,5})\s*p?", re.I)
_KILO = re.compile(r"(\d{1,2}(?:\.\d)?)\s*k", re.I)
_PAIR = re.compile(r"(\d{2,5})\s*[x×*]\s*(\d{2,5})", re.I)
_LARGEST = 32_768


def read_needs(body: SelectBody, catalog: published.Published) -> Needs:
    """What a request to choose from a catalog requires. Raises ApiError naming what is missing or makes no sense."""
    task, media_type, exclude, kind = body.task, body.media_type, tuple(body.exclude), body.kind
    instead_of, same_models = None, frozenset[int]()
    if body.instead_of is not None:
        # One that clients may no longer call is the very reason to ask for another.
        entry = find_model(body.instead_of, within=catalog, is_admin=True)
        kind = entry.kind  # type: ignore[assignment]
        instead_of = f"{entry.provider}:{entry.id}"
        exclude = (*exclude, instead_of)
        # Another task that is named is what is wanted, not the same model, and may well make something else.
        if task in (None, entry.category):
            task, media_type = entry.category or None, media_type or entry.media_type  # type: ignore[assignment]
            if media_type == entry.media_type:
                same_models = frozenset(one.pk for one in offered_equivalents(entry.pk, kind=kind, within=catalog))
    if task is None and media_type is None:
        raise _refused("task", "neither a task nor a media type is named", "Send task, media_type or instead_of.")
    if task is not None:
        _check_task(task, catalog)
    if body.provider is not None:
        _check_provider(body.provider, catalog)
    limits = [budget(body.budget)] if body.budget else []
    limits += [_max_price(body.max_price)] if body.max_price is not None else []
    return Needs(
        task=task,
        media_type=media_type,
        kind=kind,
        provider=body.provider,
        max_price=min(limits, default=None),
        max_latency=body.max_latency,
        min_tier=tier_of(body.quality) if body.quality else None,
        min_lines=_min_lines(body.min_resolution, media_type or _made_by(task, catalog)),
        min_seconds=body.min_duration,
        inputs=tuple(dict.fromkeys(body.inputs)),
        capabilities=tuple(dict.fromkeys(body.capabilities)),
        exclude=exclude,
        instead_of=instead_of,
        same_models=same_models,
        strategy=body.strategy or ("fastest" if body.urgency == "high" else "cheapest"),
    )


def _made_by(task: str | None, catalog: published.Published) -> str | None:
    """What models of a task make."""
    made = (entry.media_type for entry in catalog.entries if entry.enabled and entry.category == task)
    return next(made, None)


def _check_task(task: str, catalog: published.Published) -> None:
    known = sorted({entry.category for entry in catalog.entries if entry.enabled and entry.category})
    if task not in known:
        raise _refused("task", f"there is no task {task!r}", f"Tasks are: {', '.join(known) or 'none yet'}.")


def _check_provider(slug: str, catalog: published.Published) -> None:
    known = sorted({entry.provider for entry in catalog.entries})
    if slug not in known:
        hint = f"Providers are: {', '.join(known) or 'none yet'}."
        raise _refused("provider", f"there is no provider {slug!r}", hint)


def _max_price(value: Any) -> int:
    try:
        return to_nano(parse_price(value, what="max_price"))
    except NotMoney as error:
        raise _refused("max_price", str(error), 'Send an amount in USD such as "0.05".') from None


def _min_lines(value: str | float | None, media_type: str | None) -> int | None:
    return None if value is None else read_lines(value, media_type)


def read_lines(value: str | float, media_type: str | None) -> int:
    """The shorter side in pixels of "1080p", "4K", "1024x768" or a number. Raises ApiError for anything else."""
    text = f"{value:.0f}" if isinstance(value, float) and value.is_integer() else str(value).strip()
    lines = 0
    if match := _LINES.fullmatch(text):
        lines = int(match[1])
    elif match := _KILO.fullmatch(text):
        lines = int(float(match[1]) * (540 if media_type == "video" else 1024))
    elif match := _PAIR.fullmatch(text):
        lines = min(int(match[1]), int(match[2]))
    if not 0 < lines <= _LARGEST:
        raise _refused("min_resolution", f"{text[:40]!r} is no resolution", "Send 1080p, 4K, 1024x1024 or a number.")
    return lines


def _refused(path: str, message: str, hint: str) -> ApiError:
    details = {"problems": [{"path": path, "message": message}]}
    return ApiError("invalid_request", f"{path}: {message}.", hint, details=details)
