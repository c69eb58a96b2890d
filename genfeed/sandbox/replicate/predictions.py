"""Predictions: checked when they are made, run for a moment, counted by what they made, emptied after an hour."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any

from genfeed.sandbox.effects import Effects
from genfeed.sandbox.files.store import Files
from genfeed.sandbox.media.making import Wish
from genfeed.sandbox.replicate.catalog import ENDINGS, Offered

ENDED = ("succeeded", "failed", "canceled", "aborted")
SECRET = b"replicate sandbox signs with it."
KEPT_SECONDS = 3600


@dataclass(slots=True)
class Switches:
    """What goes otherwise than usual; every one of them by POST /_sandbox/replicate."""

    processing_ms: int = 100
    credit: bool = True
    throttle: int = 0  # so many creations are refused with 429
    lose: int = 0  # so many are made, and answered with a 502
    error: str = ""  # with it every run fails
    abort: bool = False
    hide_pages: bool = False
    forget: bool = False  # outputs are deleted at once
    forge: bool = False  # webhooks are signed with another secret


@dataclass(slots=True)
class Prediction:
    """One run. Moments are Unix seconds."""

    id: str
    offered: Offered
    given: dict[str, Any]
    webhook: str
    made_at: float
    status: str = "starting"
    started_at: float | None = None
    ended_at: float | None = None
    output: Any = None
    error: str | None = None
    metrics: dict[str, Any] = field(default_factory=dict)

    def to_json(self, base_url: str, *, is_removed: bool) -> dict[str, Any]:
        """As every answer and webhook shows it."""
        address = f"{base_url}/replicate/v1/predictions/{self.id}"
        moments = {"started_at": stamp(self.started_at), "completed_at": stamp(self.ended_at)}
        return {
            "id": self.id,
            "model": self.offered.endpoint_id,
            "version": "hidden" if self.offered.is_official else self.offered.version,
            "input": None if is_removed else self.given,
            "logs": "" if is_removed or self.started_at is None else "Running …\nDone\n",
            "output": None if is_removed else self.output,
            "data_removed": is_removed,
            "error": self.error,
            "source": "api",
            "status": self.status,
            "created_at": stamp(self.made_at),
            **{name: at for name, at in moments.items() if at},
            "urls": {"web": f"https://replicate.com/p/{self.id}", "get": address, "cancel": f"{address}/cancel"},
            "metrics": self.metrics,
        }

    def finish(self, files: Files, base_url: str, switches: Switches) -> None:
        """Makes what was asked for, or fails as told."""
        now = time.time()
        if switches.abort:
            self.end("aborted", now)
            return
        if switches.error:
            self.error = switches.error
        else:
            self.output = _output(self, files, base_url, now)
        self.metrics = _metrics(self)
        self.end("failed" if switches.error else "succeeded", now)

    def end(self, status: str, now: float) -> None:
        """Ends it; a canceled one has its time counted."""
        self.status, self.ended_at = status, now
        if self.started_at is not None:
            self.metrics.setdefault("predict_time", round(now - self.started_at, 6))
            self.metrics["total_time"] = round(now - self.made_at, 6)


def stamp(at: float | None) -> str | None:
    """A moment as Replicate writes it."""
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")


def signed(body: bytes, *, is_forged: bool) -> dict[str, str]:
    """The headers of a webhook."""
    message_id, moment = f"msg_{token_hex(8)}", str(int(time.time()))
    key = b"somebody else's" if is_forged else SECRET
    digest = hmac.new(key, f"{message_id}.{moment}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": moment,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def problems(offered: Offered, given: Any) -> list[dict[str, str]]:
    """What is wrong with an input, as `invalid_fields`."""
    if not isinstance(given, dict):
        return [{"type": "invalid_type", "field": "input", "description": "Expected object"}]
    schema = offered.schemas["Input"]
    found = [
        {"type": "required", "field": "input", "description": f"{name} is required"}
        for name in schema.get("required", [])
        if name not in given
    ]
    for name, value in given.items():
        told = schema["properties"].get(name)
        place = f"input.{name}"
        if told is None:
            why = f"Additional property {name} is not allowed"
            found.append({"type": "additional_property_not_allowed", "field": "input", "description": why})
        elif "allOf" in told and value not in offered.schemas[name]["enum"]:
            why = f"Must be one of: {offered.schemas[name]['enum']}"
            found.append({"type": "enum", "field": place, "description": why})
        elif isinstance(value, int) and value > told.get("maximum", value):
            why = f"Must be less than or equal to {told['maximum']}"
            found.append({"type": "number_lte", "field": place, "description": why})
    return found


def _seconds(prediction: Prediction) -> float:
    given = prediction.given
    return float(given.get("duration") or given.get("seconds") or 5)


def _count(prediction: Prediction) -> int:
    return int(prediction.given.get("num_outputs") or prediction.given.get("max_images") or 1)


def _output(prediction: Prediction, files: Files, base_url: str, now: float) -> Any:
    gives = prediction.offered.said["gives"]
    if gives == "text":
        return ["Some ", "words", "."]
    if gives == "line":
        return "Some words."
    if gives == "object":
        return {"text": "Some words."}
    ending = str(prediction.given.get("output_format") or ENDINGS[gives])
    made = []
    for number in range(_count(prediction) if gives == "images" else 1):
        width, height = prediction.given.get("width") or 512, prediction.given.get("height") or 512
        wish = Wish(ending, f"{prediction.id}{number}", width, height, seconds=_seconds(prediction))
        made.append(base_url + files.add_made(wish, lifetime=KEPT_SECONDS, effects=Effects(), now=now))
    return made if gives == "images" else made[0]


def _metrics(prediction: Prediction) -> dict[str, Any]:
    """Billing metrics of what is billed per output; nothing but time of what is billed by machine."""
    bills = prediction.offered.said.get("bills")
    if not isinstance(bills, list) or prediction.error:
        return {}
    side = (prediction.given.get("width") or 1024) * (prediction.given.get("height") or 1024)
    pictures = prediction.given.get("input_images") or []
    known = {
        "image_output_count": _count(prediction),
        "image_output_megapixel_count": round(side / 1_000_000, 6),
        "image_input_megapixel_count": len(pictures),
        "video_output_duration_seconds": _seconds(prediction),
        "audio_output_duration_seconds": _seconds(prediction),
        "character_input_count": len(str(prediction.given.get("text", ""))),
        "token_input_count": 10,
        "token_output_count": 3,
        "run_count": 1,
    }
    return {tier["metric"]: known[tier["metric"]] for tier in bills}
