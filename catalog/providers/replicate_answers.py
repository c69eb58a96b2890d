"""Reading Replicate's answers about predictions: state, failure, what was billed. Nothing is trusted to be there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import httpx
import orjson

from catalog.providers.queue import Answer
from genfeed.net.bounded_json import read_told

_KEPT_HEADERS = ("ratelimit-remaining", "ratelimit-reset", "retry-after", "content-type")
_LONGEST = 20_000
_DATA_URI = re.compile(r"data:[\w/+.-]+;base64,[A-Za-z0-9+/=]{200,}")
_MOST = Decimal(10) ** 12
_LOG_LINES = 100
# "aborted" is a deadline that came before the start, "canceled" one that came later, or a cancel.
STATES = {
    "starting": "queued",
    "processing": "running",
    "succeeded": "completed",
    "failed": "completed",
    "canceled": "completed",
    "aborted": "completed",
}
_CODE = re.compile(r"\bE\d{3,4}\b")
# Platform codes in the text of an error, as (status, error type) of a result; all others are the model's own trouble.
_CODES = {
    "E005": (422, "content_policy_violation"),
    "E6716": (504, "startup_timeout"),
    "E1001": (500, "out_of_memory"),
}
# Metrics that are billed, and the units of estimates that they count.
_COUNTS: dict[str, tuple[str, ...]] = {
    "image_output_count": ("images", "image", "outputs"),
    "image_count": ("images", "image", "outputs"),
    "video_output_count": ("videos", "video", "outputs"),
    "audio_output_count": ("audios", "audio", "outputs"),
    "video_output_duration_seconds": ("seconds",),
    "audio_output_duration_seconds": ("seconds",),
    "image_output_megapixel_count": ("megapixels",),
    "character_input_count": ("characters",),
    "run_count": ("requests",),
    "predict_time": ("compute seconds",),
}


def answer_of(call: str, response: httpx.Response) -> Answer:
    """The answer for the record: headers that matter, and a body without long files or the input in it.

    The input is known, and may hold secrets that are kept nowhere in clear.
    """
    headers = {name: response.headers[name][:500] for name in _KEPT_HEADERS if name in response.headers}
    body = body_of(response)
    rows = body.get("results") if isinstance(body.get("results"), list) else [body]
    shown = [one for one in rows or [] if isinstance(one, dict) and one.get("input")]
    for one in shown:
        one["input"] = "…"
    text = orjson.dumps(body).decode() if shown else response.text
    text = _DATA_URI.sub("data:…", text[: 4 * _LONGEST])[:_LONGEST].replace("\x00", "")
    return Answer(call, response.status_code, headers, text)


def body_of(response: httpx.Response) -> dict[str, Any]:
    """The JSON object of an answer, empty where it is none."""
    try:
        body = read_told(response.content, any_number=True)
    except (orjson.JSONDecodeError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def detail_of(response: httpx.Response) -> Any:
    """What an error says: its fields as {loc, msg, type} where it names them, else its text."""
    body = body_of(response)
    fields = body.get("invalid_fields")
    if isinstance(fields, list) and fields:
        return [
            {"loc": _place(one), "msg": str(one.get("description", ""))[:500], "type": str(one.get("type", ""))[:80]}
            for one in fields
            if isinstance(one, dict)
        ]
    return str(body.get("detail") or body.get("title") or "")[:2000]


def _place(field: Mapping[str, Any]) -> list[str]:
    """Where a field stands, inside the input; "input" alone is the whole, which a missing field is told of."""
    parts = str(field.get("field", "")).split(".")
    return parts[1:] if parts[0] == "input" else parts


def failure_of(prediction: Mapping[str, Any]) -> tuple[int, str]:
    """(status, error type) of a prediction that did not succeed, as results have them."""
    status = prediction.get("status")
    if status == "canceled":
        return 499, "client_cancelled"
    if status == "aborted":
        return 504, "startup_timeout"
    error = str(prediction.get("error") or "")
    if "flagged as sensitive" in error.lower():
        return _CODES["E005"]
    return next((_CODES[code] for code in _CODE.findall(error) if code in _CODES), (500, ""))


def counts_of(prediction: Mapping[str, Any]) -> dict[str, Decimal]:
    """What was billed, by unit: of the metrics, which stay when all else of a prediction is deleted."""
    if prediction.get("status") == "aborted":
        return dict.fromkeys((unit for units in _COUNTS.values() for unit in units), Decimal(0))
    metrics = prediction.get("metrics")
    found: dict[str, Decimal] = {}
    for name, units in _COUNTS.items():
        count = _count(metrics.get(name)) if isinstance(metrics, dict) else None
        if count is not None:
            found |= {unit: count for unit in units if unit not in found}
    return found


def _count(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        # A float's shortest text is the number that was written.
        count = Decimal(str(value))
    except InvalidOperation:
        return None
    return count if count.is_finite() and 0 <= count <= _MOST else None


def logs_of(prediction: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The last lines of a prediction's log."""
    logs = prediction.get("logs")
    lines = [line for line in logs.splitlines() if line.strip()] if isinstance(logs, str) else []
    return [{"message": line[:2000], "level": "INFO", "timestamp": ""} for line in lines[-_LOG_LINES:]]


def moment(text: Any) -> datetime | None:
    """A moment as Replicate writes them."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
