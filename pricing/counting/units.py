"""What the provider's unit strings mean: one table for all that were seen; nothing is guessed beyond it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class UnitMeaning:
    """What one unit is, in the vocabulary of quantities: `block` of `quantity` make one unit.

    `rounds_up` counts begun blocks as whole ones; `times_outputs` counts the quantity for each output; `quantity` is
    None where no request tells how many units it will take.
    """

    unit: str
    quantity: str | None
    block: Decimal = Decimal(1)
    rounds_up: bool = False
    times_outputs: bool = False
    words: str = ""


# fal Platform API, GET /models/pricing: every unit string of the recorded catalog, and singular forms seen since.
_TABLE: tuple[UnitMeaning, ...] = (
    UnitMeaning("images", "outputs", words="images asked for"),
    UnitMeaning("image", "outputs", words="images asked for"),
    UnitMeaning("generations", "outputs", words="one per output asked for"),
    UnitMeaning("videos", "outputs", words="videos asked for"),
    UnitMeaning("audios", "outputs", words="audios asked for"),
    UnitMeaning("requests", "requests", words="one per request"),
    UnitMeaning("1", "requests", words="one per request"),
    UnitMeaning("trainings", "requests", words="one per training"),
    UnitMeaning("cloned voices", "requests", words="one voice per request"),
    UnitMeaning("seconds", "seconds", words="seconds of output, of the input where the output follows it"),
    UnitMeaning("input seconds", "input_seconds", words="seconds of the input file"),
    UnitMeaning("minutes", "seconds", Decimal(60), words="minutes of output, of the input where the output follows it"),
    UnitMeaning("minute of video", "seconds", Decimal(60), words="minutes of video"),
    UnitMeaning("megapixels", "megapixels", times_outputs=True, words="megapixels of all outputs, of all video frames"),
    UnitMeaning("processed megapixels", "processed_megapixels", words="whole megapixels in and out"),
    UnitMeaning("characters", "characters", words="characters of the text"),
    UnitMeaning("steps", "steps", words="steps of the training"),
    UnitMeaning("train units", "steps", words="steps of the training"),
    UnitMeaning("frames", "frames", words="frames of the output"),
    UnitMeaning("tokens", "video_tokens", words="video tokens: height × width × 24 × seconds ÷ 1024"),
    UnitMeaning("compute seconds", None, words="seconds of GPU time, known only afterwards"),
    UnitMeaning("units", None, words="units that only the bill explains"),
    UnitMeaning("unit", None, words="units that only the bill explains"),
    UnitMeaning("credits", None, words="credits that only the bill explains"),
    UnitMeaning("video segments", None, words="segments that only the bill explains"),
    UnitMeaning("", None, words="no unit named"),
)
UNITS: dict[str, UnitMeaning] = {meaning.unit: meaning for meaning in _TABLE}

_BLOCK = re.compile(r"^(\d+)(m|k)?\s+(seconds|frames|characters|tokens|steps|images)$")


def normalise_unit(unit: str) -> str:
    """The unit as it is compared: stripped, lower case, single spaces."""
    return " ".join(unit.split()).lower()


def unit_meaning(unit: str) -> UnitMeaning | None:
    """What a unit string means: from the table, or a block of something in it ("30 seconds"); else None."""
    name = normalise_unit(unit)
    if name in UNITS:
        return UNITS[name]
    match = _BLOCK.match(name)
    if not match:
        return None
    block = Decimal(match[1]) * {"": 1, "k": 1_000, "m": 1_000_000}[match[2] or ""]
    base = UNITS[match[3]]
    rounds_up = match[3] == "seconds"
    quantity = "input_frames" if match[3] == "frames" else base.quantity
    return UnitMeaning(name, quantity, block, rounds_up, base.times_outputs, f"blocks of {name}")


def is_derivable(unit: str) -> bool:
    """Whether a request's input can tell how many units it takes, at least in principle."""
    meaning = unit_meaning(unit)
    return meaning is not None and meaning.quantity is not None
