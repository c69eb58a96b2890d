"""The words of a price sentence as tokens: amounts, what they are per, what qualifies them, and what is left unread."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pricing.counting.requests import Field
from pricing.notes.draft import Per
from pricing.notes.wording import audio_field, named_choices, option_field, unused, used


@dataclass(frozen=True, slots=True)
class Token:
    """One word or phrase; `kind` is amount, cents, per, resolution, duration, audio, condition, other, add, break
    or unread.
    """

    kind: str
    value: Any
    text: str


_SECONDS = {"of": "seconds"}
_MEDIA = r"(?:generated|output|video|audio|input|processed)"


def _per_seconds(text: str) -> Per:
    if re.search(r"\binput\b", text):
        what = (
            "input_audio_seconds" if "audio" in text else "input_video_seconds" if "video" in text else "input_seconds"
        )
        return Per({"of": what}, name="input seconds")
    return Per(dict(_SECONDS), name="seconds")


def _per_block(match: re.Match[str]) -> Per:
    block = match["block"]
    quantity = {**(_per_seconds(match[0]).quantity or {}), "divide_by": block}
    return Per(quantity, name=f"{block} seconds")


def _per_count(match: re.Match[str]) -> Per:
    of = {"character": "characters", "step": "steps"}[match["what"]]
    quantity: dict[str, Any] = {"of": of}
    if match.groupdict().get("which"):
        # Which text is counted; building finds the field.
        quantity["field"] = match["which"]
    if Decimal(match["n"] or 1) != 1:
        quantity["divide_by"] = match["n"]
    return Per(quantity, name=f"{match['n'] or ''} {of}".strip())


def _per_frames(match: re.Match[str]) -> Per:
    block = match["n"]
    quantity: dict[str, Any] = {"of": "input_frames" if "input" in match[0] or block else "frames"}
    if block:
        quantity["divide_by"] = block
    return Per(quantity, name=f"{block or ''} frames".strip())


def _minutes(match: re.Match[str]) -> Per:
    return Per({**(_per_seconds(match[0]).quantity or {}), "divide_by": "60"}, name="minutes")


_EVERY = r"(?:per|for every|for each|for a single|each|every|a|/)"
_OF_MEDIA = (
    rf"(?:\s+of\s+(?:the\s+)?(?:{_MEDIA}\s+)*(?:videos?|audio|output|music|speech|input)(?:\s+(?:data|input))?"
    r"(?:\s+(?:you\s+)?generated?)?)?"
)
_PER: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], Per]], ...] = tuple(
    (re.compile(pattern), make)
    for pattern, make in (
        (r"per compute seconds?", lambda _m: Per(None, name="compute seconds")),
        (r"per (?:1m|million|1000) (?:input |output )?tokens", lambda _m: Per(None, name="output tokens")),
        (r"per second of output and per sample", lambda _m: Per(dict(_SECONDS), True, name="seconds")),
        (
            r"per megapixel per second",
            lambda _m: Per(dict(_SECONDS), also=({"of": "megapixels"},), name="seconds"),
        ),
        (rf"(?:per|for every|each)\s+(?P<block>\d+)s of (?:the )?(?:{_MEDIA}\s+)*(?:audio|video|output)s?", _per_block),
        (rf"{_EVERY}\s*(?:{_MEDIA}\s+)*minutes?{_OF_MEDIA}", _minutes),
        (
            rf"(?:{_EVERY})\s*(?:{_MEDIA}\s+)*(?:seconds?|sec|s)\b{_OF_MEDIA}(?:\s+a video)?",
            lambda m: _per_seconds(m[0]),
        ),
        (r"for every second a video", lambda m: _per_seconds(m[0])),
        (r"per (?P<n>\d+)?\s?(?:(?P<which>preview) )?(?P<what>character)s?", _per_count),
        (r"for every (?P<n>\d+) (?P<what>character)s", _per_count),
        (r"per (?P<n>\d+)? ?(?P<what>step)s?(?: training runs?)?", _per_count),
        (r"per training run", lambda _m: Per({"of": "requests"}, name="trainings")),
        (r"per (?P<n>\d+)? ?frames?(?: of (?:the )?(?:input )?videos?(?: input)?)?", _per_frames),
        (
            r"per megapixel of (?:context frames plus )?(?:generated )?video data \(width x height x frames\)",
            lambda m: Per(
                {"of": "context_video_megapixels" if "context" in m[0] else "video_megapixels"}, name="video megapixels"
            ),
        ),
        (
            r"per megapixel (?:of input and output|on both input and output side)",
            lambda _m: Per({"of": "processed_megapixels"}, name="megapixels in and out"),
        ),
        (r"per (?:processed )?megapixel", lambda _m: Per({"of": "megapixels"}, True, name="megapixels")),
        (
            r"(?:per|for an?|each|for 1|for a single) (?:generated |output )?image|/image",
            lambda _m: Per({"of": "outputs"}, name="images"),
        ),
        (
            r"per (?:request|generation|unit|created voice|edit)\b|each request|per video (?:generation|request)s?",
            lambda _m: Per({"of": "requests"}, name="requests"),
        ),
        (
            r"(?:per|each|every|for every|a single) video(?! second)(?: generation)?s?|/video",
            lambda _m: Per({"of": "outputs"}, name="videos"),
        ),
    )
)
_RESOLUTION = re.compile(r"\b(?:true_)?\d{3,4}p\b|\b[1248]k\b(?!\s*\w*\s*characters)|\b\d{3,4}x\d{3,4}\b")
_RESOLUTION_INSIDE = re.compile(r"(per|each|every|for every)\s+(\d{3,4}p)\s+(video seconds?|videos?|image)")
_DURATION_INSIDE = re.compile(r"(?:per|each|every|for every) (\d+)s (videos?)(?: generations?)?")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)s\b(?:\s+videos?)?")
_AMOUNT = re.compile(r"\$(\d+(?:\.\d+)?)(\s*cents?\b)?(?:\s*each\b)?")
_ADD = re.compile(r"along with(?: an?)?|plus(?: an additional)?|and an additional")
_AUDIO = (
    (re.compile(r"without (?:any )?audio|audio off|silent"), False),
    (re.compile(r"with audio(?: on)?|audio on|with sound"), True),
    (re.compile(r"\bwithout(?=\s*(?:$|[,.;]|or\b))"), False),
    (re.compile(r"\bwith(?=\s*(?:$|[.;]))"), True),
)
_OTHER = re.compile(r"any other (?:size|resolution)")
_UP_TO = re.compile(r"up to (?:(\d{3,4})p|(\d+)mp)\b")
_RANGE = re.compile(r"\d{3,4}p to (\d{3,4})p\b")
_ABOVE = re.compile(r"(?:above|over|more than) (\d{3,4})p\b")
_SWITCH = re.compile(r"([a-z][a-z ]+?): (on|off)\b")
_BREAK = re.compile(r"[,;()]|\bor\b|\band\b|-(?=\s)|:")
_FILLER = re.compile(
    r"(?:your|you|the|a|an|it|this|that|model|requests?|request's|will|would|cost|costs|costing|be|charged|priced|billed|for|of|at|with|"
    r"in|to|is|are|on|as|generations?|generating|generated?|generates?|upscaling|processing|videos?|images?|audios?|output|outputs|price|pricing|"
    r"current|currently|resolutions?|qualit(?:y|ies)|modes?|templates?|textures?|materials?|types?|run|training|requests?|usd|per|each|every|single|"
    r"rate|sora|one|only|using|when|input|\d+|s|generation's|designing|voice|edit|get|you'll|you've|per|style|also)\b|[.'\"/]"
)
_WORD = re.compile(r"\S+?(?=[\s,;()]|$)|\S")


def tokenise(sentence: str, fields: Mapping[str, Field], *, whole_text: str) -> list[Token]:
    """Split a cleaned sentence into tokens. Names of choices count when the text names two of a field's values."""
    named = named_choices(whole_text, fields)
    has_audio = audio_field(fields) is not None
    tokens: list[Token] = []
    position = 0
    while position < len(sentence):
        if sentence[position].isspace():
            position += 1
            continue
        found, position = _next(sentence, position, fields, named, has_audio)
        tokens += found
    return tokens


def _next(
    sentence: str, at: int, fields: Mapping[str, Field], named: dict[str, tuple[str, list[Any]]], has_audio: bool
) -> tuple[list[Token], int]:
    if match := _AMOUNT.match(sentence, at):
        value = Decimal(match[1])
        return [Token("cents" if match[2] else "amount", value, match[0])], match.end()
    if match := _ADD.match(sentence, at):
        return [Token("add", None, match[0])], match.end()
    if match := _RESOLUTION_INSIDE.match(sentence, at):
        per = _per(f"per {match[3]}")
        return [Token("resolution", match[2], match[2]), Token("per", per, match[0])], match.end()
    if match := _DURATION_INSIDE.match(sentence, at):
        return [Token("duration", Decimal(match[1]), match[0])], match.end()
    for pattern, make in _PER:
        if match := pattern.match(sentence, at):
            return [Token("per", make(match), match[0])], match.end()
    if match := _OTHER.match(sentence, at):
        return [Token("other", None, match[0])], match.end()
    if (found := _range(sentence, at)) is not None:
        return [Token("condition", found[0], sentence[at : found[1]])], found[1]
    if match := _RESOLUTION.match(sentence, at):
        return [Token("resolution", match[0], match[0])], match.end()
    if match := _DURATION.match(sentence, at):
        return [Token("duration", Decimal(match[1]), match[0])], match.end()
    if match := _SWITCH.match(sentence, at):
        name = option_field(match[1], fields)
        if name:
            condition = used(fields[name]) if match[2] == "on" else unused(fields[name])
            return [Token("condition", condition, match[0])], match.end()
    for pattern, is_on in _AUDIO:
        if (match := pattern.match(sentence, at)) and (has_audio or "audio" in match[0]):
            return [Token("audio", is_on, match[0])], match.end()
    if token := _choice(sentence, at, fields, named):
        return [token], at + len(token.text)
    if match := _BREAK.match(sentence, at):
        return [Token("break", None, match[0])], match.end()
    if match := _FILLER.match(sentence, at):
        return [], match.end()
    match = _WORD.match(sentence, at)
    word = match[0] if match else sentence[at]
    return [Token("unread", word, word)], at + len(word)


def _range(sentence: str, at: int) -> tuple[dict[str, Any], int] | None:
    """A range of sizes, which is about the output's lines or megapixels, not about a choice."""
    if match := _UP_TO.match(sentence, at):
        if match[2]:
            return {"quantity": {"of": "megapixels"}, "at_most": match[2]}, match.end()
        return {"quantity": {"of": "lines"}, "at_most": match[1]}, match.end()
    if match := _RANGE.match(sentence, at):
        return {"quantity": {"of": "lines"}, "at_most": match[1]}, match.end()
    if match := _ABOVE.match(sentence, at):
        return {"quantity": {"of": "lines"}, "above": match[1]}, match.end()
    return None


def _per(words: str) -> Per | None:
    for pattern, make in _PER:
        if match := pattern.match(words):
            return make(match)
    return None


def _choice(
    sentence: str, at: int, fields: Mapping[str, Field], named: dict[str, tuple[str, list[Any]]]
) -> Token | None:
    if at and sentence[at - 1].isalnum():
        return None
    for phrase in sorted(named, key=len, reverse=True):
        if sentence.startswith(phrase, at) and not sentence[at + len(phrase) : at + len(phrase) + 1].isalnum():
            name, values = named[phrase]
            return Token("condition", {"field": name, "is": values}, phrase)
    # "without textures" names the choice "no" of a field called texture.
    match = re.match(r"without ([a-z]+)", sentence[at:])
    absent = option_field(match[1], fields) if match else None
    if match and absent:
        none = [value for value in fields[absent].get("enum", []) if str(value).lower() in ("no", "none", "off")]
        if none:
            return Token("condition", {"field": absent, "is": none}, match[0])
    return None
