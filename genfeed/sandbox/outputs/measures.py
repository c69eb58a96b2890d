"""How large, how long and how many: what an input asks for, read from the fields that carry it."""

import re
from dataclasses import dataclass
from typing import Any

Input = dict[str, Any]
PRESETS = {
    "square_hd": (1024, 1024),
    "square": (512, 512),
    "portrait_4_3": (768, 1024),
    "portrait_3_4": (768, 1024),
    "portrait_16_9": (576, 1024),
    "landscape_4_3": (1024, 768),
    "landscape_16_9": (1024, 576),
}
# The shorter side of a film and the square root of a picture's area, by the word in `resolution`.
SHORT_SIDES = {
    "240p": 240, "360p": 360, "480p": 480, "512p": 512, "540p": 540, "580p": 580, "720p": 720, "768p": 768,
    "1080p": 1080, "1440p": 1440, "2160p": 2160, "2k": 1440, "4k": 2160,
}  # fmt: skip
EDGES = {"0.5k": 512, "1k": 1024, "2k": 2048, "4k": 4096}
COUNTS = ("num_images", "num_samples", "num_outputs", "num_videos", "num_songs", "number_of_images")
SECONDS = ("duration", "duration_seconds", "seconds_total", "music_duration", "audio_length", "seconds_length")
RATES = ("fps", "frames_per_second", "frame_rate", "output_fps", "target_fps")
FRAMES = ("num_frames", "number_of_frames", "frames")
NUMBER = re.compile(r"\d+(?:\.\d+)?")
RATIO = re.compile(r"(\d+):(\d+)")
TEXTS = ("text", "gen_text", "text_input", "prompt", "script", "lyrics", "input", "inputs", "dialogue")
USUAL_SECONDS, USUAL_FPS, USUAL_EDGE = 5.0, 24, 1024
MOST, LONGEST_SECONDS = 64, 36_000.0


@dataclass(frozen=True, slots=True)
class Measures:
    """What is made: `count` things of this size; `seconds` and `fps` speak of films and sounds."""

    width: int
    height: int
    count: int
    seconds: float
    fps: int
    text: str

    @property
    def frames(self) -> int:
        """How many frames a film has."""
        return max(1, round(self.seconds * self.fps))


def measure(given: Input, *, is_film: bool, input_seconds: float | None) -> Measures:
    """What an input (with its defaults) asks for. `input_seconds`: the length of a film or sound that it names."""
    width, height = _size(given, is_film=is_film)
    fps = next((rate for name in RATES if (rate := _whole(given.get(name)))), USUAL_FPS)
    return Measures(
        width=width,
        height=height,
        count=min(MOST, next((count for name in COUNTS if (count := _whole(given.get(name)))), 1)),
        seconds=min(_seconds(given, fps) or input_seconds or USUAL_SECONDS, LONGEST_SECONDS),
        fps=min(fps, 240),
        text=_text(given),
    )


def _text(given: Input) -> str:
    """The text that is spoken or drawn; a dialogue is a list of objects with a text each."""
    for name in TEXTS:
        value = given.get(name)
        if isinstance(value, str) and value:
            return value
        if isinstance(value, list):
            return " ".join(str(one.get("text", "")) for one in value if isinstance(one, dict))
    return ""


def _whole(value: Any) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 1:
        return None
    return int(value)


def _seconds(given: Input, fps: int) -> float | None:
    for name in SECONDS:
        value = given.get(name)
        if isinstance(value, str) and (found := NUMBER.search(value)):
            value = float(found[0])
        if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
            return float(value)
    if isinstance(length := given.get("music_length_ms"), int | float) and length > 0:
        return float(length) / 1000
    frames = next((count for name in FRAMES if (count := _whole(given.get(name)))), None)
    return frames / fps if frames else None


def _size(given: Input, *, is_film: bool) -> tuple[int, int]:
    for name in ("image_size", "video_size", "output_size", "size"):
        if (size := _explicit(given.get(name))) is not None:
            return size
    if (width := _whole(given.get("width"))) and (height := _whole(given.get("height"))):
        return min(width, 16384), min(height, 16384)
    ratio = RATIO.search(str(given.get("aspect_ratio", "")))
    across, up = (int(ratio[1]), int(ratio[2])) if ratio else ((16, 9) if is_film else (1, 1))
    if not across or not up:
        across = up = 1
    word = str(given.get("resolution") or given.get("target_resolution") or "").lower().replace(" ", "")
    if not is_film or word in ("1k",):
        edge = EDGES.get(word) or SHORT_SIDES.get(word) or USUAL_EDGE
        scale = float(edge * edge / (across * up)) ** 0.5
        return _even(across * scale), _even(up * scale)
    short = SHORT_SIDES.get(word, 720)
    return (_even(short * across / up), short) if across >= up else (short, _even(short * up / across))


def _explicit(value: Any) -> tuple[int, int] | None:
    if isinstance(value, str):
        if value in PRESETS:
            return PRESETS[value]
        parts = re.fullmatch(r"(\d{2,5})\s*[x*×]\s*(\d{2,5})", value)
        return (int(parts[1]), int(parts[2])) if parts else None
    if isinstance(value, dict) and (width := _whole(value.get("width"))) and (height := _whole(value.get("height"))):
        return min(width, 16384), min(height, 16384)
    return None


def _even(value: float) -> int:
    return max(2, round(value / 2) * 2)
