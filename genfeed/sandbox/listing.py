"""Cutting a list of models into pages, with the faults that a listing can have.

Cursors are the page number in base64url without padding, as fal's are ("Mg" is page 2).
"""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, replace

from genfeed.sandbox.answers import PlatformError
from genfeed.sandbox.catalog import Model, make_model
from genfeed.sandbox.faults import Faults


@dataclass(frozen=True, slots=True)
class Page:
    """One page and the cursor of the next, None at the end."""

    models: Sequence[Model]
    next_cursor: str | None


def encode_cursor(page: int) -> str:
    """The cursor of a page (counted from 1)."""
    return base64.urlsafe_b64encode(str(page).encode()).rstrip(b"=").decode()


def decode_cursor(cursor: str) -> int:
    """The page a cursor stands for. Raises PlatformError (400) for what was never a cursor."""
    try:
        text = base64.urlsafe_b64decode(cursor.rstrip("=") + "=" * (-len(cursor.rstrip("=")) % 4))
        page = int(text) if text.isdigit() else 0
    except (binascii.Error, ValueError):
        page = 0
    if page < 1:
        raise PlatformError(400, "Invalid request parameters: cursor is not valid")
    return page


def cut(models: Sequence[Model], number: int, size: int) -> Page:
    """Page `number` of a list without faults."""
    start = (number - 1) * size
    more = start + size < len(models)
    return Page(models[start : start + size], encode_cursor(number + 1) if more else None)


def cut_with_faults(models: Sequence[Model], number: int, size: int, faults: Faults) -> Page:
    """Page `number` of the whole listing as the switched-on faults bend it."""
    models = _without_metadata(models, faults.missing_metadata)
    models = _with_duplicates(models, faults.duplicate_ids)
    shown = number - 1 if faults.repeat_page == number and number > 1 else number
    page = replace(cut(models, number, size), models=cut(models, shown, size).models)
    if faults.never_ending and page.next_cursor is None:
        page = Page(_past_the_end(models, number, size, faults.never_ending), encode_cursor(number + 1))
    if faults.loop_cursor is not None and number >= faults.loop_cursor and page.next_cursor is not None:
        return replace(page, next_cursor=encode_cursor(faults.loop_cursor))
    return page


def _chosen(models: Sequence[Model], which: int | list[str]) -> list[Model]:
    if isinstance(which, int):
        return list(models[:which])
    wanted = set(which)
    return [model for model in models if model.endpoint_id in wanted]


def _without_metadata(models: Sequence[Model], which: int | list[str]) -> Sequence[Model]:
    if not which:
        return models
    bare = {model.endpoint_id for model in _chosen(models, which)}
    return [
        replace(model, head_keyed=model.head_bare, head_anonymous=model.head_bare)
        if model.endpoint_id in bare
        else model
        for model in models
    ]


def _with_duplicates(models: Sequence[Model], which: int | list[str]) -> Sequence[Model]:
    return [*models, *_chosen(models, which)] if which else models


def _past_the_end(models: Sequence[Model], number: int, size: int, kind: str) -> Sequence[Model]:
    last = max(1, -(-len(models) // size))
    if number <= last:
        return cut(models, number, size).models
    if kind == "empty":
        return []
    if kind == "repeat":
        return cut(models, last, size).models
    rows = (
        {"endpoint_id": f"fal-ai/never-ending/{number}-{at}", "metadata": {"status": "active"}} for at in range(size)
    )
    return [make_model(row, base_url="") for row in rows]
