"""Reading fal's answers about requests: billed units, logs, errors; nothing in them is trusted to be there."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Any

import httpx
import orjson

from catalog.providers.queue import Answer
from genfeed.net.bounded_json import read_told

_KEPT_HEADERS = (
    "x-fal-request-id",
    "x-fal-billable-units",
    "x-fal-error-type",
    "x-fal-retryable",
    "x-fal-needs-retry",
    "x-fal-request-timeout-type",
    "retry-after",
    "content-type",
)
_LONGEST = 20_000
_DATA_URI = re.compile(r"data:[\w/+.-]+;base64,[A-Za-z0-9+/=]{200,}")
_MOST_UNITS = Decimal(10) ** 12


def answer_of(call: str, response: httpx.Response) -> Answer:
    """The answer for the record: headers that matter, and a body without long files in it."""
    headers = {name: response.headers[name][:500] for name in _KEPT_HEADERS if name in response.headers}
    body = _DATA_URI.sub("data:…", response.text[: 4 * _LONGEST])[:_LONGEST].replace("\x00", "")
    return Answer(call, response.status_code, headers, body)


def body_of(response: httpx.Response) -> Any:
    """The JSON of an answer, None where it is none."""
    try:
        return read_told(response.content, any_number=True)
    except (orjson.JSONDecodeError, RecursionError):
        return None


def detail_of(response: httpx.Response) -> Any:
    """What an error says: `detail`, a text or a list of entries; else the message of a Platform error."""
    body = body_of(response)
    if not isinstance(body, dict):
        return ""
    if "detail" in body:
        return body["detail"]
    error = body.get("error")
    return str(error.get("message", "")) if isinstance(error, dict) else str(error or "")


def is_result_itself(response: httpx.Response) -> bool:
    """Whether a 5xx is a request's own result: then it bears the id of its request, or the type of its error."""
    return "x-fal-request-id" in response.headers or "x-fal-error-type" in response.headers


def is_locked(response: httpx.Response) -> bool:
    """Whether fal has locked the account: a 403 whose detail says so (the one thing that only the text tells)."""
    detail = detail_of(response) if response.status_code == 403 else ""
    return isinstance(detail, str) and "locked" in detail.lower()


def read_units(response: httpx.Response) -> Decimal | None:
    """The billed units of a result, exact; None without a usable header."""
    text = response.headers.get("x-fal-billable-units", "").strip()
    try:
        units = Decimal(text)
    except InvalidOperation:
        return None
    return units if units.is_finite() and 0 <= units <= _MOST_UNITS else None


def read_retryable(response: httpx.Response) -> bool | None:
    """Whether fal says that trying again may help."""
    told = response.headers.get("x-fal-retryable", "").lower()
    return {"true": True, "1": True, "false": False, "0": False}.get(told)


def read_logs(logs: Any) -> list[dict[str, Any]]:
    """The entries of a log window that can be read: message, level, timestamp, as texts."""
    found = []
    for entry in logs if isinstance(logs, list) else []:
        if isinstance(entry, dict) and isinstance(entry.get("message"), str):
            found.append(
                {
                    "message": entry["message"][:2000],
                    "level": str(entry.get("level") or "INFO")[:10],
                    "timestamp": str(entry.get("timestamp") or "")[:40],
                }
            )
    return found
