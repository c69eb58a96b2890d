"""Following fal's cursors: opaque, to their end, and never in a circle."""

from collections.abc import Iterator
from typing import Any

from catalog.providers.base import ProviderBadAnswerError
from catalog.providers.reading import JsonReader, Params

# A page of the listing is about 100 models whatever is asked for; nothing real comes near this many pages.
MOST_PAGES = 2_000


def pages(
    reader: JsonReader, path: str, name: str, params: Params, *, exact: bool = False
) -> Iterator[tuple[int, list[Any]]]:
    """The rows under `name` page by page, numbered from 1; raises ProviderBadAnswerError where pages make no sense.

    `exact` reads numbers as Decimal, never through a float.
    """
    provider = reader.provider
    cursor: str | None = None
    seen: set[str] = set()
    for number in range(1, MOST_PAGES + 1):
        body = reader.get(path, params if cursor is None else {**params, "cursor": cursor}, exact=exact)
        rows = body.get(name)
        if not isinstance(rows, list):
            raise ProviderBadAnswerError(
                f"{provider} answered page {number} without a list of {name.replace('_', ' ')}."
            )
        yield number, rows
        cursor = body.get("next_cursor")
        if cursor is None:
            if body.get("has_more"):
                raise ProviderBadAnswerError(
                    f"{provider} says that page {number} is not the last, but not what follows."
                )
            return
        if not isinstance(cursor, str) or cursor in seen:
            raise ProviderBadAnswerError(
                f"{provider} sends us in a circle: page {number} leads back to an earlier one."
            )
        seen.add(cursor)
    raise ProviderBadAnswerError(f"{provider} listed {MOST_PAGES} pages without an end.")
