"""Price sentences in the descriptions of a model's own fields: what a value of the field does to the price."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from pricing.counting.counts import OUTPUT_FIELDS
from pricing.counting.requests import Field
from pricing.money import format_decimal
from pricing.notes.changes import add_multiplier, factor_of
from pricing.notes.draft import Draft
from pricing.notes.wording import Condition, choices, duration_condition, resolution_condition, used

_Reader = Callable[[re.Match[str], Field, Draft, Mapping[str, Field]], None]

_SAME = Decimal("0.01")
_RAISES = re.compile(r"(?:increases|will increase) (?:the )?[a-z ]*price\b(?! by)")
_SPEAKS_OF_PRICE = re.compile(r"\$|\bcosts?\b|\bpric|\bbill|\bmultiplier\b|\bpremium\b")


def read_descriptions(draft: Draft, fields: Mapping[str, Field]) -> None:
    """Add what field descriptions say to a draft, except about fields that its texts have settled already."""
    settled = _settled(draft)
    for item in fields.values():
        _read_parts(draft, item)
    for name, item in fields.items():
        if name in settled:
            said = Draft()
            _read(item, said, fields)
            _refuse_contradiction(draft, said, item)
        else:
            _read(item, draft, fields)


def _read(item: Field, draft: Draft, fields: Mapping[str, Field]) -> None:
    text = _plain(str(item.get("description", "")))
    if not _SPEAKS_OF_PRICE.search(text):
        return
    for pattern, reader in _READERS:
        match = pattern.search(text)
        if match:
            reader(match, item, draft, fields)
            return


def _refuse_contradiction(draft: Draft, said: Draft, item: Field) -> None:
    """A note that makes a choice so many times dearer, and a description that makes it so many other times dearer."""
    prices = _prices_by_value(draft, item)
    factors = {
        str(value): Decimal(multiplier["factor"])
        for multiplier in said.multipliers
        for condition in multiplier.get("when", [])
        for value in condition.get("is", [])
        if multiplier["factor"] != "unknown"
    }
    plain = [price for value, price in prices.items() if value not in factors]
    for value, factor in factors.items():
        if value in prices and len(set(plain)) == 1 and abs(prices[value] / plain[0] - factor) > factor * _SAME:
            times = format_decimal(round(prices[value] / plain[0], 4).normalize())
            draft.problems.append(
                f"the note makes {item['name']} {value} {times} times as dear, the field's description "
                f"{format_decimal(factor)} times"
            )


def _prices_by_value(draft: Draft, item: Field) -> dict[str, Decimal]:
    """What each resolution costs by the note, where it costs one thing only."""
    found: dict[str, set[Decimal]] = {}
    for tier in draft.tiers:
        condition, _lost = resolution_condition(tier.resolutions, {item["name"]: item})
        for value in condition["is"] if condition and tier.amount and not tier.added else []:
            found.setdefault(str(value), set()).add(tier.amount or Decimal(0))
    return {value: prices.pop() for value, prices in found.items() if len(prices) == 1}


def _read_parts(draft: Draft, item: Field) -> None:
    """A part of an object that raises the price by nobody says how much: then the object as a whole may."""
    parts = (_plain(str(part.get("description", ""))) for part in item.get("fields", []))
    if any(_RAISES.search(text) for text in parts):
        _times(f"{item['name']} may cost more", "unknown", {"field": item["name"], "given": True}, draft)


def _plain(text: str) -> str:
    return " ".join(re.sub(r"\*\*|`", "", text).split()).lower()


def _settled(draft: Draft) -> set[str]:
    """Fields that the note or the billing message speak of; their word counts, not the description's."""
    conditions = [*draft.conditions(), *(condition for tier in draft.tiers for condition in tier.conditions)]
    names = {str(condition["field"]) for condition in conditions if "field" in condition}
    for part in (*draft.multipliers, *draft.charges):
        for quantity in (part.get("factor"), part.get("per"), *part.get("times", [])):
            if isinstance(quantity, dict) and "field" in quantity:
                names.add(quantity["field"])
    if any(tier.resolutions for tier in draft.tiers):
        names |= {"resolution", "target_resolution"}
    if any(tier.durations for tier in draft.tiers) and len({tuple(tier.durations) for tier in draft.tiers}) > 1:
        names.add("duration")
    if any(tier.audio is not None for tier in draft.tiers):
        names |= {"generate_audio", "enable_audio"}
    if draft.fps or draft.further_second is not None:
        names.add("num_frames")
    return names


def _times(name: str, factor: str | None, condition: Condition | None, draft: Draft) -> None:
    if factor and condition:
        add_multiplier(draft, name, factor, [condition])


def _choice_costs(match: re.Match[str], item: Field, draft: Draft, fields: Mapping[str, Field]) -> None:
    """ "720p costs 2x more, 1080p costs 4x more", "8s videos cost double", "9s costs 2x more".

    A factor on lengths is noted apart: a price that counts seconds has it in it already.
    """
    for value, words in re.findall(r"(\d+p|\d+s)(?: \w+)? costs? (double|\d+(?:\.\d+)?x)", match[0]):
        own = {item["name"]: item}
        seconds = [Decimal(value[:-1])] if value.endswith("s") else []
        condition = duration_condition(seconds, own) if seconds else resolution_condition([value], own)[0]
        if seconds:
            draft.length_factors.add(f"{item['name']} {value}")
        _times(f"{item['name']} {value}", factor_of(words), condition, draft)


def _units_by_choice(match: re.Match[str], item: Field, draft: Draft, _fields: Mapping[str, Field]) -> None:
    """ "480p is 0.5 billing units, and 720p is 1 billing unit"."""
    for value, units in re.findall(r"(\d+p) is (\d+(?:\.\d+)?) (?:billing )?units?", match[0]):
        condition, _lost = resolution_condition([value], {item["name"]: item})
        if units != "1":
            _times(f"{item['name']} {value}", units, condition, draft)


def _values_beginning(match: re.Match[str], item: Field, draft: Draft, _fields: Mapping[str, Field]) -> None:
    """ "Vector images cost 2X as much": all values that begin with the word."""
    hits = [value for value in choices(item) if str(value).lower().startswith(match["word"])]
    if hits:
        _times(
            f"{item['name']} {match['word']}", factor_of(match["factor"]), {"field": item["name"], "is": hits}, draft
        )


def _one_value(match: re.Match[str], item: Field, draft: Draft, _fields: Mapping[str, Field]) -> None:
    """ "The HighPack option … triple the billable units", "Extreme-High … bills at double the base rate"."""
    word = match["word"]
    hits = [value for value in choices(item) if str(value).lower() == word or str(value).lower().endswith(f"-{word}")]
    exact = [value for value in hits if str(value).lower().count("-") == max(str(hit).count("-") for hit in hits)]
    if exact:
        _times(f"{item['name']} {word}", factor_of(match["factor"]), {"field": item["name"], "is": exact}, draft)


def _listed(match: re.Match[str], item: Field, draft: Draft, _fields: Mapping[str, Field]) -> None:
    """ "Dynamic presets (2x multiplier): glass, whisper, …": the values named in the list."""
    values = {value.strip() for value in match["list"].split(",")}
    hits = [value for value in choices(item) if str(value).lower() in values]
    if hits:
        _times(
            f"{item['name']} {match['word']}", factor_of(match["factor"]), {"field": item["name"], "is": hits}, draft
        )


def _when_used(match: re.Match[str], item: Field, draft: Draft, _fields: Mapping[str, Field]) -> None:
    _times(item["name"], factor_of(match["factor"]), used(item), draft)


def _when_off(match: re.Match[str], item: Field, draft: Draft, _fields: Mapping[str, Field]) -> None:
    share = Decimal(match["share"]) / 100
    _times(f"{item['name']} off", format_decimal(share), {"field": item["name"], "is": [False]}, draft)


def _more_frames(match: re.Match[str], item: Field, draft: Draft, _fields: Mapping[str, Field]) -> None:
    draft.length_factors.add(f"more than {match['n']} frames")
    _times(
        f"more than {match['n']} frames",
        factor_of(match["factor"]),
        {"field": item["name"], "above": match["n"]},
        draft,
    )


def _extra_once(match: re.Match[str], item: Field, draft: Draft, _fields: Mapping[str, Field]) -> None:
    draft.charges.append({"name": item["name"], "price": match["price"], "when": [used(item)], "once": True})


def _several_outputs(match: re.Match[str], item: Field, draft: Draft, _fields: Mapping[str, Field]) -> None:
    """ "Generating 2 songs costs 1.5x the price of generating 1 song": together, not each."""
    count, factor = Decimal(match["n"]), Decimal(match["factor"])
    if item["name"] in OUTPUT_FIELDS:
        # The base counts each output, so what remains of the factor is its share of the count.
        condition: dict[str, Any] = {"field": item["name"], "is": [int(count)]}
        _times(f"{match['n']} at once", format_decimal(factor / count), condition, draft)


def _dearer(_match: re.Match[str], item: Field, draft: Draft, _fields: Mapping[str, Field]) -> None:
    """ "Increases … price when set to true": nobody says by how much."""
    _times(f"{item['name']} costs more", "unknown", used(item), draft)


_FACTOR = r"(?P<factor>double|triple|twice|half|\d+(?:\.\d+)?\s*(?:x|times))"
_READERS: tuple[tuple[re.Pattern[str], _Reader], ...] = (
    (re.compile(r"\d+p is \d+(?:\.\d+)? (?:billing )?units?.*"), _units_by_choice),
    (re.compile(r"(?:\d+p|\d+s)(?: \w+)? costs? (?:double|\d+(?:\.\d+)?x).*"), _choice_costs),
    (
        re.compile(r"generating (?P<n>\d+) \w+ costs (?P<factor>\d+(?:\.\d+)?)x the price of generating 1\b"),
        _several_outputs,
    ),
    (
        re.compile(
            r"greater than (?P<n>\d+), the video will be generated with (?P<factor>\d+(?:\.\d+)?x) more billing units"
        ),
        _more_frames,
    ),
    (re.compile(rf"the (?P<word>[\w-]+) option .*?{_FACTOR} the billable units"), _one_value),
    (
        re.compile(
            r"(?:^|[.,] )'?(?P<word>[\w-]+)'? (?:enables|uses) (?:(?! enables | uses ).)*? "
            rf"(?:bills at |and ){_FACTOR} the (?:base rate|cost)"
        ),
        _one_value,
    ),
    (re.compile(rf"(?:^|[.,] )'?(?P<word>[\w-]+)'? will cost (?:roughly )?{_FACTOR} as much as"), _one_value),
    (re.compile(rf"(?:^|[.,] )(?P<word>[a-z]+) images cost {_FACTOR} as much"), _values_beginning),
    (re.compile(r"(?P<word>[a-z]+) presets \((?P<factor>(?!1x)\d+x) multiplier\): (?P<list>[^.]*)\."), _listed),
    (re.compile(r"silent videos .*?cost (?P<share>\d+)% of the audio version"), _when_off),
    (re.compile(r"\(extra \$(?P<price>\d+(?:\.\d+)?) per generation\)"), _extra_once),
    (re.compile(r"(?:increase the price by|adds) ~?(?P<price>\d+\.\d+) credits"), _extra_once),
    (re.compile(r"(?:increases the cost by|adds|result in an?) (?P<factor>\d+%)"), _when_used),
    (re.compile(r"(?P<factor>\d+(?:\.\d+)?x) cost multiplier on the base price"), _when_used),
    (re.compile(r"cost (?P<factor>\d+(?:\.\d+)?x) more billing units"), _when_used),
    (re.compile(r"increases [a-z ]*price when set to be true|increases [a-z ]*price when set to true"), _dearer),
    (re.compile(r"price charged would be (?P<factor>\d+ times) that of"), _when_used),
)
