"""How long the output of a request is, in seconds, and how many frames it has."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal
from typing import Any

from pricing.counting.amounts import Amount, add, between, known, missing, scale
from pricing.counting.requests import Field, Request, as_number, is_given, offers_media, takes_media

FRAME_FIELDS = ("num_frames", "number_of_frames", "frames", "n_frames", "video_frames")
FPS_FIELDS = ("frames_per_second", "fps", "frame_rate", "export_fps", "output_fps", "target_fps")
INTERPOLATED_FIELD = "num_interpolated_frames"
# Switches that make the output as long as an input, whatever the length fields say.
MATCH_FRAMES = ("match_input_num_frames", "match_video_length")
MATCH_AUDIO = ("match_audio_length",)
MATCH_FPS = ("match_input_frames_per_second", "match_input_fps")

_NAME = re.compile(
    r"^(?:(?:video|audio|music|output|track|clip|song|total|target|extend|generation)_)*"
    r"(?:duration|length|seconds|num_seconds)(?:_(?:seconds?|secs?|s|ms|milliseconds|total))*$|^seconds_total$"
)
_SECONDS = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(?:s|secs?|seconds?)?\s*$", re.I)
# A request does not show whether sound or video comes out; either fact settles the length.
_EITHER_OUTPUT = "output_audio_seconds or output_video_seconds"
# What is added to the input: "extend_after_duration" beside "extend_before_duration".
_EXTENDS = re.compile(r"^extend_(?:before|after|start|end|left|right)_(?:duration|seconds)$")
_SEGMENTS = re.compile(r"^num(?:ber_of)?_(?:segments|clips|chunks)$|^num_video_segments$")
_SEGMENT_LENGTHS = re.compile(
    r"first segment is ~?(\d+(?:\.\d+)?) ?s\w*, (?:each |all )?(?:additional|further|other|following) segments? "
    r"(?:are|is) ~?(\d+(?:\.\d+)?) ?s",
    re.I,
)
_STATED_FPS = re.compile(r"(\d{2})\s*(?:fps|frames per second)", re.I)


def output_seconds(request: Request, *, fps: Decimal | None = None) -> Amount:
    """Seconds of output: the fact if told, a duration field, frames ÷ fps, else the length of the input media.

    `fps` is the rate at which the provider counts seconds, where its text states one; the model's own rate does not
    matter then.
    """
    told = _told(request)
    if told and fps is None:
        return told
    if fps is not None and (has_frames(request) or "output_frames" in request.media):
        count = output_frames(request)
        return scale(count, 1 / fps, f"at {fps} frames per second")
    if told:
        return told
    duration = duration_field(request)
    if duration and not (request.value(duration) is None and has_frames(request)):
        return _from_duration(request, duration)
    parts = _from_parts(request)
    if parts:
        return parts
    if has_frames(request) and not (
        request.value(frames_field(request) or "") is None and takes_media(request, "video")
    ):
        return _from_frames(request)
    segments = _from_segments(request)
    return segments if segments else _extended(input_seconds(request), request)


def duration_field(request: Request) -> str | None:
    """The model's own field for the length of the output; plain `duration` before its relatives."""
    names = [name for name in request.fields if _NAME.match(name)]
    return min(names, key=lambda name: (name != "duration", name)) if names else None


def read_seconds(name: str, value: Any) -> Decimal | None:
    """Seconds from "5", 5, "8s", 5.5, or milliseconds where the field's name ends so; None for auto, null, others."""
    if isinstance(value, bool) or value is None:
        return None
    match = _SECONDS.match(str(value))
    if not match:
        return None
    seconds = Decimal(match[1])
    return seconds / 1000 if re.search(r"_(ms|milliseconds)$", name) else seconds


def has_frames(request: Request) -> bool:
    """Whether the model lets the request choose a number of frames."""
    return frames_field(request) is not None


def frames_field(request: Request) -> str | None:
    """The name of the model's frame count field."""
    return next((name for name in FRAME_FIELDS if request.has(name)), None)


def output_frames(request: Request) -> Amount:
    """Frames of output: the fact if told, the input's where a switch says so, else the frame count field."""
    if "output_frames" in request.media:
        return known(request.media["output_frames"], "output frames as told")
    if _switched(request, MATCH_FRAMES) and takes_media(request, "video"):
        return input_frames(request)
    if _switched(request, MATCH_AUDIO) and takes_media(request, "audio"):
        rate = _own_fps(request)
        seconds = input_audio_seconds(request)
        return scale(seconds, rate, f"at {rate} frames per second") if rate else missing("output_frames")
    name = frames_field(request)
    if name:
        count = as_number(request.value(name))
        if count is not None:
            # Frames put between others are not counted; where there are some, no text says so.
            between_frames = as_number(request.value(INTERPOLATED_FIELD)) or 0
            return known(count, f"{name} {count}", assumed=between_frames > 0)
        if takes_media(request, "video"):
            return input_frames(request)
        return between(request.numbers(name), name, basis=f"{name} is not set")
    duration = duration_field(request)
    rate = _own_fps(request)
    if duration and rate:
        return scale(_from_duration(request, duration), rate, f"at {rate} frames per second")
    if takes_media(request, "video"):
        return input_frames(request)
    return missing("output_frames")


def input_frames(request: Request) -> Amount:
    """Frames of the input video: the fact, or its seconds times its rate."""
    if "input_frames" in request.media:
        return known(request.media["input_frames"], "input frames as told")
    seconds, rate = request.media.get("input_video_seconds"), request.media.get("input_fps")
    if seconds is not None and rate is not None:
        return known(seconds * rate, f"input video of {seconds} s at {rate} frames per second")
    return missing("input_frames")


def input_video_seconds(request: Request) -> Amount:
    """Seconds of the input video: the fact, or frames ÷ rate."""
    if "input_video_seconds" in request.media:
        return known(request.media["input_video_seconds"], "input video length as told")
    frames, rate = request.media.get("input_frames"), request.media.get("input_fps")
    if frames is not None and rate:
        return known(frames / rate, f"input video of {frames} frames at {rate} frames per second")
    return missing("input_video_seconds")


def input_audio_seconds(request: Request) -> Amount:
    """Seconds of the input audio, as told."""
    if "input_audio_seconds" in request.media:
        return known(request.media["input_audio_seconds"], "input audio length as told")
    return missing("input_audio_seconds")


def input_seconds(request: Request) -> Amount:
    """Seconds of the input that sets the pace; of audio and video both, the one told, or what they agree on."""
    audio, video = takes_media(request, "audio"), takes_media(request, "video")
    if audio and video:
        facts = [input_audio_seconds(request), input_video_seconds(request)]
        told = [fact for fact in facts if fact.known]
        if not told:
            return missing("output_video_seconds", basis="neither the audio's nor the video's length is known")
        if len({fact.low for fact in told}) == 1:
            return told[0]
        return between(
            [fact.low for fact in told if fact.low is not None],
            "output_video_seconds",
            basis="audio and video differ in length",
        )
    if audio:
        return input_audio_seconds(request)
    if video:
        return input_video_seconds(request)
    if offers_media(request.fields, "audio") and "input_audio_seconds" in request.media:
        return input_audio_seconds(request)
    if offers_media(request.fields, "video") and "input_video_seconds" in request.media:
        return input_video_seconds(request)
    return missing(_EITHER_OUTPUT, basis="nothing in the request says how long the output will be")


def _told(request: Request) -> Amount | None:
    for name in ("output_video_seconds", "output_audio_seconds"):
        if name in request.media:
            return known(request.media[name], f"{name.replace('_', ' ')} as told")
    return None


def _from_duration(request: Request, name: str) -> Amount:
    value = request.value(name)
    seconds = read_seconds(name, value)
    if seconds is not None:
        return known(seconds, f"{name} {value}")
    choices = [read_seconds(name, choice) for choice in request.fields[name].get("enum", [])]
    settled = [choice for choice in choices if choice is not None]
    if settled:
        return between(settled, name, basis=f"{name} is {value if value is not None else 'not set'}")
    low, high = (read_seconds(name, request.fields[name].get(side)) for side in ("minimum", "maximum"))
    basis = f"{name} is {value if value is not None else 'not set'}"
    return between([low, high], name, basis=basis) if low and high else missing(name, basis=basis)


def _from_parts(request: Request) -> Amount | None:
    """The sum over a list of parts that each have a duration (transitions, shots)."""
    for item in request.fields.values():
        inner = {part["name"]: part for part in item.get("items", {}).get("fields", [])}
        name = next((part for part in inner if part == "duration"), None)
        if name is None:
            continue
        parts = request.value(item["name"])
        if not isinstance(parts, list) or not parts:
            return _unsaid_parts(request, item, inner[name])
        total = Decimal(0)
        for part in parts:
            value = part.get(name, inner[name].get("default")) if isinstance(part, dict) else None
            seconds = read_seconds(name, value)
            if seconds is None:
                return missing(f"{item['name']}[].{name}")
            total += seconds
        return known(total, f"sum of {item['name']}[].{name}")
    return None


def _unsaid_parts(request: Request, item: Field, duration: Field) -> Amount | None:
    """Transitions that are not spelled out have their default length, one between each two images."""
    default = read_seconds("duration", duration.get("default"))
    if "transition" not in item["name"] or default is None:
        return None
    images = request.value("image_urls")
    if not isinstance(images, list) or len(images) < 2:
        return missing("image_urls")
    return known(default * (len(images) - 1), f"{len(images) - 1} transitions of {default} s", assumed=True)


def _from_segments(request: Request) -> Amount | None:
    """The length that a number of segments makes, where its description says how long each is; the input must agree."""
    name = next((name for name in request.fields if _SEGMENTS.match(name)), None)
    lengths = _SEGMENT_LENGTHS.search(str(request.fields[name].get("description", ""))) if name else None
    count = as_number(request.value(name)) if name else None
    if not lengths or count is None or count < 1:
        return None
    seconds = Decimal(lengths[1]) + (count - 1) * Decimal(lengths[2])
    told = input_seconds(request)
    if told.known and told.low is not None and abs(told.low - seconds) * 100 > seconds:
        words = f"{name} {count} and the input differ in length"
        return between([told.low, seconds], "output_video_seconds", basis=words)
    return known(seconds, f"{name} {count}, {lengths[1]} s and {lengths[2]} s each", assumed=True)


def _extended(length: Amount, request: Request) -> Amount:
    """A length with what the request adds before and after it."""
    for name in filter(_EXTENDS.match, request.fields):
        seconds = read_seconds(name, request.value(name))
        if seconds is None:
            return missing(name)
        if seconds:
            length = replace(
                add(length, known(seconds, "")), basis=f"{length.basis} and {name} {seconds}", missing=length.missing
            )
    return length


def _from_frames(request: Request) -> Amount:
    count = output_frames(request)
    if _switched(request, MATCH_FPS) and takes_media(request, "video"):
        if "input_fps" not in request.media:
            return missing("input_fps")
        rate: Decimal | None = request.media["input_fps"]
    else:
        rate = _own_fps(request)
    if not rate and any(name in request.media for name in ("input_audio_seconds", "input_video_seconds")):
        return replace(input_seconds(request), assumed=True)
    if not rate:
        return missing("output_video_seconds", basis="frames are known, the frame rate is not")
    return scale(count, 1 / rate, f"at {rate} frames per second")


def _own_fps(request: Request) -> Decimal | None:
    for name in FPS_FIELDS:
        if request.has(name):
            rate = as_number(request.value(name))
            if rate:
                return rate
    counted = frames_field(request)
    stated = _STATED_FPS.search(str(request.fields[counted].get("description", ""))) if counted else None
    return Decimal(stated[1]) if stated else None


def _switched(request: Request, names: tuple[str, ...]) -> bool:
    return any(request.has(name) and is_given(request.value(name)) for name in names)
