"""fal's own list of requests, where a submit is looked for whose answer was lost (Platform API, by-endpoint)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from catalog.providers.fal_answers import answer_of, body_of
from catalog.providers.queue import FoundRequest, UnreachableError

_PAGE = 100
_MOST_PAGES = 20
# fal's clock and ours are not the same.
_SKEW = timedelta(seconds=60)


def find_requests(
    ask: Callable[[dict[str, Any]], httpx.Response], endpoint_id: str, *, since: datetime
) -> list[FoundRequest]:
    """The requests to an endpoint since a moment, newest first, with inputs. Raises UnreachableError."""
    found: list[FoundRequest] = []
    cursor = ""
    for _ in range(_MOST_PAGES):
        params = {
            "endpoint_id": endpoint_id,
            "start": (since - _SKEW).astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "limit": _PAGE,
            "expand": "payloads",
            **({"cursor": cursor} if cursor else {}),
        }
        response = ask(params)
        body = body_of(response)
        if response.status_code >= 300 or not isinstance(body, dict) or not isinstance(body.get("items"), list):
            raise UnreachableError("fal's list of requests could not be read.", answer_of("find", response))
        found += [_read(item) for item in body["items"] if isinstance(item, dict) and item.get("request_id")]
        cursor = str(body.get("next_cursor") or "")
        if not cursor or not body.get("has_more"):
            break
    return found


def _read(item: dict[str, Any]) -> FoundRequest:
    return FoundRequest(
        request_id=str(item["request_id"])[:80],
        endpoint_id=str(item.get("endpoint_id", "")),
        sent_at=_moment(item.get("sent_at")) or _moment(item.get("started_at")),
        input=item.get("json_input"),
        ended=bool(item.get("ended_at")),
    )


def _moment(text: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
