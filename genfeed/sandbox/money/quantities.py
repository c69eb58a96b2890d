"""How many units of a flat price row a request has used. Only the row's unit is looked at."""

import re
from collections.abc import Callable
from decimal import Decimal
from math import ceil
from zlib import crc32

from genfeed.sandbox.money.work import MILLION, Work

BUCKET = re.compile(r"(\d+) (seconds|frames)")
ONE = Decimal(1)


def units_of(unit: str, work: Work, *, endpoint_id: str, rounds_up: bool) -> Decimal:
    """The quantity in `unit`. What a unit counts is not always known; then the id decides, and always alike."""
    name = unit.strip().lower()
    if name in SIMPLE:
        return SIMPLE[name](work)
    if name == "megapixels":
        return work.whole_megapixels if rounds_up else work.megapixels
    if bucket := BUCKET.fullmatch(name):
        size = int(bucket[1])
        return Decimal(ceil(work.seconds / size)) if bucket[2] == "seconds" else Decimal(work.measures.frames) / size
    return _opaque(endpoint_id, work)


def _tokens(work: Work) -> Decimal:
    return work.video_tokens if work.is_film else work.text_tokens


def _opaque(endpoint_id: str, work: Work) -> Decimal:
    weight = Decimal(1 + crc32(endpoint_id.encode()) % 20)
    return weight * (work.seconds if work.is_film else work.count)


SIMPLE: dict[str, Callable[[Work], Decimal]] = {
    "images": lambda work: work.count,
    "image": lambda work: work.count,
    "seconds": lambda work: work.seconds,
    "input seconds": lambda work: work.seconds,
    "minutes": lambda work: work.seconds / 60,
    "minute of video": lambda work: work.seconds / 60,
    "compute seconds": lambda work: Decimal(str(round(work.compute_seconds, 4))),
    "1000 characters": lambda work: work.characters / 1000,
    "steps": lambda work: work.steps,
    "processed megapixels": lambda work: work.binary_megapixels + work.input_pictures,
    "1m tokens": lambda work: _tokens(work) / MILLION,
    "1000 tokens": lambda work: _tokens(work) / 1000,
    "frames": lambda work: Decimal(work.measures.frames),
    "videos": lambda work: Decimal(work.measures.count),
    "audios": lambda work: Decimal(work.measures.count),
    "generations": lambda _work: ONE,
    "requests": lambda _work: ONE,
    "trainings": lambda _work: ONE,
    "cloned voices": lambda _work: ONE,
    "1": lambda _work: ONE,
}
