"""Facts about a request's input files, read from their headers: bounded in files, bytes and time, and SSRF-safe."""

from __future__ import annotations

import base64
import binascii
import io
import logging
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from django.conf import settings

from genfeed.media.headers import MediaFacts, UnreadableMediaError, read_audio, read_image, read_video
from genfeed.net.addresses import GuardError
from genfeed.net.guarded import GuardedClient
from genfeed.net.remote_file import RemoteFile
from pricing.counting.requests import make_request, pace_setting_files
from pricing.estimates.facts import Facts

logger = logging.getLogger(__name__)

MOST_FILES = 16
LONGEST_DATA_URI = 1_500_000
# A look at files holds a web thread while it waits for strangers: the others go on answering.
_seats = threading.BoundedSemaphore(2)
_readers = ThreadPoolExecutor(max_workers=8, thread_name_prefix="probe")
_READ = {"image": read_image, "video": read_video, "audio": read_audio}


@dataclass(frozen=True)
class Finding:
    """What was found of one file: facts, or in words why there are none."""

    field: str
    kind: str
    facts: MediaFacts | None
    problem: str = ""


@dataclass(frozen=True)
class Probed:
    """Media facts by name (decimal strings), and what could not be looked at, each with its field."""

    media: dict[str, str]
    problems: list[str]


@dataclass
class Budget:
    """What all looks of one API request together may spend."""

    files: int = MOST_FILES
    ends_at: float = 0.0

    @classmethod
    def start(cls) -> Budget:
        """A budget whose time begins now."""
        return cls(ends_at=time.monotonic() + settings.PROBE_SECONDS)


def probe(facts: Facts, input: Mapping[str, Any], told: Mapping[str, Any] | None, budget: Budget) -> Probed:
    """Look at the input files that set size and length of the output. Facts that were told win. Never raises."""
    wanted = list(_wanted(facts, input))
    if not wanted:
        return Probed(dict(told or {}), [])
    if not _seats.acquire(blocking=False):
        return Probed(dict(told or {}), ["too many files are being looked at just now; tell the facts in `media`"])
    try:
        findings = _look_at(wanted, budget)
    finally:
        _seats.release()
    media = facts_of_findings(findings)
    problems = [f"{found.field}: {found.problem}" for found in findings if found.problem]
    return Probed(media | {name: value for name, value in (told or {}).items() if value is not None}, problems)


def facts_of_findings(findings: list[Finding]) -> dict[str, str]:
    """Media facts by name: the first video's and audio's own, the size of all images together.

    A video's size goes before an image's, because the output then follows the video.
    """
    found: dict[str, Fraction | int] = {}
    images = [one for one in findings if one.kind == "image"]
    sizes = [(one.facts.width, one.facts.height) for one in images if one.facts]
    areas = [width * height for width, height in sizes if width and height]
    if images and images[0].facts and len(areas) == len(images):
        found["input_images_mp"] = Fraction(sum(areas), 10**6)
        found |= _size(images[0].facts)
    for one in findings:
        if one.kind == "video" and one.facts and "input_video_seconds" not in found:
            found |= _size(one.facts)
            if one.facts.seconds:
                found["input_video_seconds"] = one.facts.seconds
            if one.facts.frames and one.facts.fps:
                found |= {"input_frames": one.facts.frames, "input_fps": one.facts.fps}
        if one.kind == "audio" and one.facts and one.facts.seconds:
            found.setdefault("input_audio_seconds", one.facts.seconds)
    return {name: _decimal(value) for name, value in found.items()}


def _size(fact: MediaFacts) -> dict[str, Fraction | int]:
    return {"input_width": fact.width, "input_height": fact.height} if fact.width and fact.height else {}


def _decimal(value: Fraction | int) -> str:
    """At most six decimals: a header's clock ticks in millionths at best."""
    text = f"{float(value):.6f}"
    return text.rstrip("0").rstrip(".")


def _wanted(facts: Facts, input: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    request = make_request(facts.inputs, input)
    for kind in _READ:
        for field, url in pace_setting_files(request, kind):
            yield field, kind, url


def _look_at(wanted: list[tuple[str, str, str]], budget: Budget) -> list[Finding]:
    running: list[tuple[tuple[str, str, str], Future[Finding] | None]] = []
    for one in wanted:
        if budget.files <= 0:
            running.append((one, None))
            continue
        budget.files -= 1
        running.append((one, _readers.submit(_look, *one, budget.ends_at)))
    wait([future for _, future in running if future], timeout=max(0.0, budget.ends_at - time.monotonic()))
    return [_outcome(one, future) for one, future in running]


def _outcome(wanted: tuple[str, str, str], future: Future[Finding] | None) -> Finding:
    field, kind, _ = wanted
    if future is None:
        return Finding(field, kind, None, f"only {MOST_FILES} files are looked at in one request")
    if not future.done():
        future.cancel()
        return Finding(field, kind, None, "the host did not answer in time")
    error = future.exception()
    if error is not None:
        # A stranger's file may break a parser in ways that nobody foresaw; that is never the caller's crash.
        logger.warning("reading the header of %s failed", field, exc_info=error)
        return Finding(field, kind, None, "the file can't be read")
    return future.result()


def _look(field: str, kind: str, url: str, ends_at: float) -> Finding:
    """One file. Whatever it holds or its host does ends in words."""
    try:
        if url.startswith("data:"):
            return Finding(field, kind, _READ[kind](_inline(url)))
        left = ends_at - time.monotonic()
        if left <= 0:
            return Finding(field, kind, None, "no time was left to look at it")
        with GuardedClient(seconds=left, allow=settings.SSRF_ALLOW) as client:
            return Finding(field, kind, _READ[kind](RemoteFile(client, url)))
    except (GuardError, UnreadableMediaError) as error:
        return Finding(field, kind, None, str(error))


def _inline(url: str) -> io.BytesIO:
    """The file in a data URI. Raises UnreadableMediaError."""
    head, comma, body = url.partition(",")
    if not comma or len(url) > LONGEST_DATA_URI or not head.endswith(";base64"):
        raise UnreadableMediaError("a data URI that is not looked into")
    try:
        return io.BytesIO(base64.b64decode(body, validate=True))
    except (binascii.Error, ValueError):
        raise UnreadableMediaError("a data URI that is not base64") from None
