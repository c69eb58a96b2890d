"""How a text says that things are counted: at which frame rate, rounded how, at least how many."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from pricing.counting.requests import Field
from pricing.notes.draft import Draft

Reader = Callable[[re.Match[str], Draft, Mapping[str, Field]], bool]
_SECONDS_AT = re.compile(
    r"[,(]?\s*(?:where )?(?:(?:video |generated )?seconds are )?(?:calculated |billed |counted )?(?:at )?"
    r"(\d+) frames per second"
    r"(?: after downsampling)?\)?"
)


def _fps(match: re.Match[str], draft: Draft, _fields: Mapping[str, Field]) -> bool:
    draft.fps = match[1]
    return True


def _megapixels_up(_match: re.Match[str], draft: Draft, _fields: Mapping[str, Field]) -> bool:
    draft.rounds_megapixels = True
    return True


def _rounded_to(match: re.Match[str], draft: Draft, _fields: Mapping[str, Field]) -> bool:
    draft.rounding = {"round": "nearest" if "nearest" in match[1] and "up" not in match[1] else "up", "to": match["to"]}
    return True


def _seconds_up(_match: re.Match[str], draft: Draft, _fields: Mapping[str, Field]) -> bool:
    draft.rounding = {"round": "up"}
    return True


def _minimum(match: re.Match[str], draft: Draft, _fields: Mapping[str, Field]) -> bool:
    draft.minimums["steps" if (match["what"] or "").startswith("step") else "seconds"] = match["n"]
    if match.groupdict().get("rest"):
        draft.examples.append(f"minimum: {match['rest']}")
    return True


def _least_charge(match: re.Match[str], draft: Draft, _fields: Mapping[str, Field]) -> bool:
    draft.least_charge = match["n"]
    return True


def _by_input_audio(_match: re.Match[str], draft: Draft, _fields: Mapping[str, Field]) -> bool:
    draft.seconds_of = "input_audio_seconds"
    return True


def _roughly(_match: re.Match[str], draft: Draft, _fields: Mapping[str, Field]) -> bool:
    draft.remarks.append("the text calls its price rough")
    return True


def _nothing(_match: re.Match[str], _draft: Draft, _fields: Mapping[str, Field]) -> bool:
    return True


READERS: tuple[tuple[re.Pattern[str], Reader], ...] = (
    (_SECONDS_AT, _fps),
    (re.compile(r"^images are billed by rounding up to the nearest megapixel$"), _megapixels_up),
    (re.compile(r",? rounded up to the nearest megapixel"), _megapixels_up),
    (re.compile(r",? (rounded to the nearest) (?P<to>\d+)s"), _rounded_to),
    (re.compile(r",? (rolling up to (?:the )?closest) (?P<to>\d+)s increments?"), _rounded_to),
    (re.compile(r"^seconds (are rounded up to the nearest) multiple of (?P<to>\d+)$"), _rounded_to),
    (re.compile(r"^video seconds will be rounded upwards.*$"), _seconds_up),
    (re.compile(r",? rounded up$"), _seconds_up),
    (re.compile(r",? with a minimum of (?P<n>\d+) ?(?:s\b|(?P<what>billable seconds))(?: - (?P<rest>.*))?$"), _minimum),
    (re.compile(r",? with a minimum of (?P<n>\d+)(?P<what>s)\b"), _minimum),
    (re.compile(r"\(?minimum of (?P<n>\d+) (?P<what>steps) is charged\)?"), _minimum),
    (re.compile(r",? with a minimum (?:charge|cost|price) of \$(?P<n>\d+(?:\.\d+)?)(?: per request)?$"), _least_charge),
    (re.compile(r",? based on the length of the input audio"), _by_input_audio),
    (re.compile(r",? regardless of resolution|,? at a \d+fps rate|,? \(1080p not supported for 10s\)"), _nothing),
    (re.compile(r",? more resolutions arriving soon$| in single-\w+ mode\b"), _nothing),
)
# After the readers of special sentences, some of which tell rough prices from exact ones.
LAST: tuple[tuple[re.Pattern[str], Reader], ...] = ((re.compile(r"\broughly\b|\bapproximately\b"), _roughly),)
