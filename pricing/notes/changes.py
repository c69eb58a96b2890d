"""What a text says changes a price: options that add to it, and cases that multiply it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from pricing.counting.requests import Field
from pricing.money import format_decimal
from pricing.notes.counting import Reader
from pricing.notes.draft import Draft, Tier
from pricing.notes.subjects import subject_condition
from pricing.notes.tiers import read_tiers
from pricing.notes.wording import Condition, audio_field, option_field, resolution_condition, unused, used

_FACTORS = {"double": "2", "doubled": "2", "doubles": "2", "twice": "2", "triple": "3", "tripled": "3", "half": "0.5"}


def factor_of(words: str) -> str | None:
    """The factor that words name: "double", "2.2x", "1.25x more", "30% more", "2 times"; None when they name none."""
    if match := re.search(r"(\d+(?:\.\d+)?)\s*(?:x\b|times\b)", words):
        return format_decimal(Decimal(match[1]))
    if match := re.search(r"(\d+(?:\.\d+)?)\s*%\s*(more|less|increase|premium)?", words):
        share = Decimal(match[1]) / 100
        if match[2] == "less":
            return format_decimal(1 - share)
        return format_decimal(1 + share)
    return next((factor for word, factor in _FACTORS.items() if re.search(rf"\b{word}\b", words)), None)


def add_multiplier(draft: Draft, name: str, factor: str | dict[str, Any], when: list[Condition]) -> None:
    """Note a multiplier, once for each case."""
    entry: dict[str, Any] = {"name": name, "factor": factor}
    if when:
        entry["when"] = when
    if entry not in draft.multipliers:
        draft.multipliers.append(entry)


def _multiplied(match: re.Match[str], draft: Draft, fields: Mapping[str, Field]) -> bool:
    factor = factor_of(match["factor"])
    condition = subject_condition(match["subject"], fields)
    if factor is None:
        return False
    if condition is None:
        draft.problems.append(f"no field carries {match['subject'].strip()!r}")
        return True
    add_multiplier(draft, match["subject"].strip(), factor, [condition])
    return True


def _longer_input(match: re.Match[str], draft: Draft, _fields: Mapping[str, Field]) -> bool:
    condition = {"quantity": {"of": "input_video_seconds"}, "above": match["n"]}
    add_multiplier(draft, f"input video over {match['n']} s", factor_of(match["factor"]) or "1", [condition])
    return True


def _more_frames(match: re.Match[str], draft: Draft, fields: Mapping[str, Field]) -> bool:
    name = option_field("frames", fields)
    default = fields[name].get("default") if name else None
    if name is None or default is None:
        return False
    add_multiplier(
        draft,
        "more than the default frames",
        factor_of(match["factor"]) or "1",
        [{"field": name, "above": str(default)}],
    )
    return True


def _steps_above(match: re.Match[str], draft: Draft, fields: Mapping[str, Field]) -> bool:
    name = option_field("inference steps", fields)
    if name is None or match["base"] != match["share"]:
        return False
    quantity = {"of": "field", "field": name, "minimum": match["base"], "divide_by": match["base"]}
    add_multiplier(draft, f"steps above {match['base']}", quantity, [])
    return True


def _fps_steps(match: re.Match[str], draft: Draft, _fields: Mapping[str, Field]) -> bool:
    step = match["step"]
    quantity = {"of": "fps", "round": "up", "to": step, "divide_by": step}
    add_multiplier(draft, f"each begun {step} frames per second", quantity, [])
    return True


def _once(match: re.Match[str], draft: Draft, fields: Mapping[str, Field]) -> bool:
    condition = subject_condition(match["subject"], fields)
    if condition is None:
        draft.remarks.append(f"the model has no {match['subject'].strip()!r}")
        return True
    draft.charges.append({"name": match["subject"].strip(), "price": match["price"], "when": [condition], "once": True})
    return True


def _adds(match: re.Match[str], draft: Draft, fields: Mapping[str, Field]) -> bool:
    words = match["subject"].strip()
    conditions = _views(words, fields) or [condition for condition in (subject_condition(words, fields),) if condition]
    if not conditions:
        draft.remarks.append(f"the model has no {words!r}")
        return True
    tiers, unread = read_tiers(match["rest"], fields, whole_text=match["rest"])
    if unread:
        return False
    with_audio = [tier for tier in tiers if tier.audio]
    plain = [tier for tier in tiers if not tier.audio]
    audio = audio_field(fields)
    if with_audio and audio:
        # "$0.10 (or $0.15 with audio)": the second price stands for both options together.
        draft.charges = [_unless(charge, audio, conditions) for charge in draft.charges]
        _charge(draft, f"{words} with audio", with_audio, [*conditions, used(fields[audio])], fields)
        conditions = [*conditions, unused(fields[audio])]
    _charge(draft, words, plain, conditions, fields)
    return True


def _unless(charge: dict[str, Any], audio: str, conditions: list[Condition]) -> dict[str, Any]:
    """A charge for sound alone does not fall due where a price for both options stands."""
    if any(condition.get("field") == audio for condition in charge.get("when", [])):
        excluded = [{"field": item["field"], "is_not": item["is"]} for item in conditions if "is" in item]
        return {**charge, "when": [*charge["when"], *excluded]}
    return charge


def _charge(
    draft: Draft, name: str, tiers: list[Tier], conditions: list[Condition], fields: Mapping[str, Field]
) -> None:
    if not tiers:
        return
    price: Any = _amount(tiers[0])
    if len(tiers) > 1:
        price = []
        for tier in tiers:
            condition, _lost = resolution_condition(tier.resolutions, fields)
            if condition:
                price.append({"when": [condition], "price": _amount(tier)})
    draft.charges.append({"name": name, "price": price, "when": conditions})


def _amount(tier: Tier) -> str:
    return format_decimal(tier.amount or Decimal(0))


def _views(words: str, fields: Mapping[str, Field]) -> list[Condition]:
    """ "multi-view images (back/left/right)": any of the fields named in the brackets is set."""
    bracket = re.search(r"\(([a-z]+(?:/[a-z]+)+)\)", words)
    if not bracket:
        return []
    names = [name for part in bracket[1].split("/") for name in fields if name.startswith(f"{part}_")]
    return [{"fields": names, "given": True}] if names else []


def _each_option(match: re.Match[str], draft: Draft, fields: Mapping[str, Field]) -> bool:
    for part in re.split(r",|\band\b|\bor\b", match["names"]):
        name = option_field(part.strip(), fields)
        if name is None:
            draft.remarks.append(f"the model has no {part.strip()!r}")
            continue
        draft.charges.append({"name": part.strip(), "price": match["price"], "when": [used(fields[name])]})
    return True


def _variant(match: re.Match[str], draft: Draft, fields: Mapping[str, Field]) -> bool:
    condition = subject_condition(match["subject"], fields)
    if condition is None:
        draft.problems.append(f"no field carries {match['subject'].strip()!r}")
        return True
    draft.tiers.append(Tier(Decimal(match["price"]), conditions=[condition], variant=True))
    return True


def _without_audio(match: re.Match[str], draft: Draft, fields: Mapping[str, Field]) -> bool:
    name = next((name for name, item in fields.items() if item.get("media") == "audio"), None)
    if name is None:
        return False
    draft.charges.append(
        {
            "name": f"{match['n']} characters of speech",
            "price": match["price"],
            "per": {"of": "characters", "divide_by": match["n"]},
            "when": [{"field": name, "given": False}],
        }
    )
    return True


def _per_candidate(match: re.Match[str], draft: Draft, fields: Mapping[str, Field]) -> bool:
    name = option_field(match["subject"], fields)
    if name is None:
        draft.remarks.append(f"the model has no {match['subject']!r}")
        return True
    draft.charges.append(
        {
            "name": f"{match['n']} s for each additional {match['subject']}",
            "price": match["price"],
            "per": {"of": "seconds", "divide_by": match["n"]},
            "times": [{"of": "field", "field": name, "over": "1"}],
        }
    )
    return True


_PRICE = r"\$(?P<price>\d+(?:\.\d+)?)"
_TIMES = r"(?P<factor>double[ds]?|twice(?: as much)?|triple|\d+(?:\.\d+)?x(?: more)?|\d+% more)"
_ADDED = (
    r"(?:^|(?<=, )|(?<=\band ))(?:enabling |using )?(?P<subject>[a-z][a-z \-]*?(?: \([a-z/]+\))?) adds "
    r"(?P<rest>\$[\d.]+(?: for \d+p(?:(?:/|, and | and |, )\d+p)*)?(?:,? and \$[\d.]+ for \d+p)?"
    r"(?: \(or \$[\d.]+ with audio\))?)"
)
READERS: tuple[tuple[re.Pattern[str], Reader], ...] = (
    (
        re.compile(r"^if input video duration is greater than (?P<n>\d+) ?s the cost will (?P<factor>double)$"),
        _longer_input,
    ),
    (re.compile(rf"^more than the default frames will cost {_TIMES}$"), _more_frames),
    (
        re.compile(r"^additional inference steps above (?P<base>\d+) incur a 1/(?P<share>\d+) multiplier each\b.*$"),
        _steps_above,
    ),
    (re.compile(r"up to (?P<step>30)fps : 1x multiplier.*$"), _fps_steps),
    (re.compile(r"^up to \d+fps : \dx multiplier$"), lambda *_: True),
    (re.compile(rf"^(?P<subject>[\w ]+?) (?:outputs? )?will be charged at {_TIMES} the standard rate$"), _multiplied),
    (re.compile(rf"^for (?P<subject>\w+) (?:the )?price will be {_TIMES}$"), _multiplied),
    (re.compile(rf"^price {_TIMES} for (?P<subject>\w+)(?: output)?$"), _multiplied),
    (re.compile(rf"^processing at (?P<subject>\w+) {_TIMES} the cost(?: for any resolution)?$"), _multiplied),
    (re.compile(rf"^(?P<subject>[\w ]+?) (?:outputs? |videos? |images? )?costs? {_TIMES}$"), _multiplied),
    (re.compile(r"^(?P<subject>[\w ]+?) adds (?P<factor>\d+%)$"), _multiplied),
    (re.compile(rf"^the prices? (?:is|are) {_TIMES} for (?P<subject>\w+) durations?$"), _multiplied),
    (
        re.compile(
            rf"^for (?P<subject>\d+s) videos, costs? (?:are )?{_TIMES}(?: the \d+s base)?"
            r"(?: for [\dp/ and]+)?(?: \([^)]*\))?$"
        ),
        _multiplied,
    ),
    (re.compile(rf"^enabling (?P<subject>[\w ]+?) will {_TIMES} the billed seconds$"), _multiplied),
    (re.compile(rf"^if (?P<subject>\w+) (?:is|are) used, your request will cost {_TIMES}$"), _multiplied),
    (re.compile(rf"^if you include (?P<subject>[\w ]+?) in your request, it will cost {_TIMES}$"), _multiplied),
    (re.compile(rf"^if (?P<subject>[\w ]+?) is used, an additional {_PRICE} will be charged$"), _once),
    (
        re.compile(rf"^if audio is not provided,? for every (?P<n>\d+) characters your request will cost {_PRICE}$"),
        _without_audio,
    ),
    (
        re.compile(rf"^(?:note: )?you'll be charged {_PRICE} per (?P<n>\d+)s per additional (?P<subject>[\w ]+)$"),
        _per_candidate,
    ),
    (re.compile(rf",? plus an additional {_PRICE} each for (?P<names>[\w ,]+?) options if selected$"), _each_option),
    (re.compile(rf"\(or {_PRICE} if you are using an? (?P<subject>\w+) style\)"), _variant),
    (re.compile(rf"^if you use (?P<subject>\w+) it will cost {_PRICE}$"), _variant),
    (
        re.compile(
            rf"^if you include an? (?P<subject>\w+) in your request, it will cost {_PRICE} per request instead of.*$"
        ),
        _variant,
    ),
    (re.compile(_ADDED), _adds),
)
