"""Reading price texts into a proposed rule: price note, billing message, sentences in field descriptions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from pricing.counting.counts import STEP_FIELDS
from pricing.counting.requests import Field, as_number
from pricing.counting.units import normalise_unit, unit_meaning
from pricing.money import format_decimal
from pricing.notes import changes, counting, specials
from pricing.notes.building import build_rule
from pricing.notes.cleaning import clean, sentences
from pricing.notes.counting import Reader
from pricing.notes.descriptions import read_descriptions
from pricing.notes.draft import Draft, Per, Tier
from pricing.notes.examples import Example, try_examples
from pricing.notes.noise import is_example, is_noise
from pricing.notes.slips import mend
from pricing.notes.tiers import read_tiers
from pricing.rules.check import BadRule, Rule, check_rule
from pricing.rules.rows import row_rule

_READERS: tuple[tuple[Any, Reader], ...] = (*counting.READERS, *specials.READERS, *changes.READERS, *counting.LAST)
# Eight times the longest text that was ever seen. What is longer is no price text, and reading takes the square of it.
_LONGEST_TEXT = 4_000
_OPAQUE = ("compute seconds", "output tokens")


@dataclass(frozen=True, slots=True)
class PriceRow:
    """The provider's flat row: its unit price in USD and its unit."""

    unit_price: Decimal
    unit: str


@dataclass(frozen=True, slots=True)
class NoteReading:
    """What the texts of one model say. `rule` is None when they hold no price rule beyond the row.

    State `active`: read completely, mapped onto real fields, examples reproduced. `problems` are why it is not;
    `remarks` tell what else a person may want to know, a contradiction with the row among it. `billed_in` names the
    unit that the text puts in place of the row's, where no request tells its quantity: "compute seconds" or
    "output tokens". `contradicts_row`: the row's price is none of the text's, which a person should look at.
    """

    rule: Rule | None
    state: Literal["active", "proposed"]
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    examples: list[Example] = field(default_factory=list)
    billed_in: str | None = None
    contradicts_row: bool = False


def read_note(texts: Sequence[str | None], fields: Sequence[Field], row: PriceRow | None) -> NoteReading:
    """Read a model's price texts (note first, then billing message) and its field descriptions into a rule.

    Sources: `pricingInfoOverride` and `billingMessage` of fal's gallery API, descriptions of the model's input schema.
    """
    by_name = {item["name"]: item for item in fields}
    draft = Draft()
    whole = " ".join(clean(text[:_LONGEST_TEXT]) for text in texts if text)
    if any(len(text or "") > _LONGEST_TEXT for text in texts):
        draft.problems.append(f"the text is longer than {_LONGEST_TEXT} characters; the rest was not read")
    for text in texts:
        for sentence in sentences((text or "")[:_LONGEST_TEXT]):
            _read_sentence(sentence, draft, by_name, whole, row)
    read_descriptions(draft, by_name)
    _settle_run(draft, by_name, row)
    _settle_base(draft, by_name, row)
    mend(draft, row.unit_price if row else None)
    rule = None if draft.opaque else build_rule(draft, by_name, row.unit_price if row else None)
    return _judge(rule, draft, fields, row)


def _judge(rule: Rule | None, draft: Draft, fields: Sequence[Field], row: PriceRow | None) -> NoteReading:
    problems, remarks = list(dict.fromkeys(draft.problems)), list(dict.fromkeys(draft.remarks))
    if draft.opaque:
        problems.append("priced by something that no request tells: compute seconds or tokens of a language model")
    if rule is None:
        return NoteReading(None, "proposed", problems, remarks, billed_in=draft.billed_in)
    try:
        check_rule(rule)
    except BadRule as error:
        return NoteReading(None, "proposed", [*problems, *error.problems], remarks)
    unit_price = row.unit_price if row else None
    examples = try_examples(rule, draft.examples, fields, unit_price)
    failed = [example for example in examples if example.reproduced is False]
    for example in failed:
        said = f"example not reproduced: {example.text!r} gives {example.computed}"
        # Rates that the row confirms outweigh an example that contradicts them.
        (remarks if _row_confirms(draft, row) else problems).append(said)
    contradicts = row is not None and any(tier.amount for tier in draft.tiers) and not _row_confirms(draft, row)
    if row and contradicts:
        remarks.append(f"the row says {row.unit_price} per {row.unit!r}, which is none of the text's prices")
    state: Literal["active", "proposed"] = "proposed" if problems else "active"
    return NoteReading(rule, state, problems, remarks, examples, contradicts_row=contradicts)


def _row_confirms(draft: Draft, row: PriceRow | None) -> bool:
    stated = [draft.further_second, *(tier.amount for tier in draft.tiers)]
    return row is not None and row.unit_price in stated


def _read_sentence(sentence: str, draft: Draft, fields: Mapping[str, Field], whole: str, row: PriceRow | None) -> None:
    if is_noise(sentence):
        return
    if is_example(sentence):
        draft.examples.append(sentence)
        return
    rest = sentence
    for pattern, reader in _READERS:
        match = pattern.search(rest)
        while match and match[0].strip() and reader(match, draft, fields):
            rest = f"{rest[: match.start()]} {rest[match.end() :]}".strip(" .,;")
            match = pattern.search(rest)
        if not rest or rest in ("and", "or"):
            return
    slips = row is not None and f"${_plain(row.unit_price)} cent" in rest
    tiers, unread = read_tiers(rest, fields, whole_text=whole, cents_are_dollars=slips)
    if slips:
        draft.remarks.append("the text says cents where the row says dollars")
    if unread:
        draft.problems.append(f"not understood: {' '.join(unread)!r} in {sentence!r}")
    opaque = [tier.per.name for tier in tiers if tier.per is not None and tier.per.name in _OPAQUE]
    if opaque:
        draft.opaque, draft.billed_in = True, opaque[0]
        return
    draft.tiers += tiers


def _settle_base(draft: Draft, fields: Mapping[str, Field], row: PriceRow | None) -> None:
    """Without a price of its own, a text changes the row's price: its charge is where the changes start from."""
    if draft.opaque or draft.has_base or any(not tier.variant for tier in draft.tiers):
        return
    if not (draft.tiers or draft.charges or draft.multipliers or draft.rounds_megapixels or draft.rounding):
        return
    rule = row_rule(row.unit, fields) if row else None
    if rule is None:
        draft.problems.append("the texts change a price that neither they nor the row name")
        draft.opaque = True
        return
    charge = rule["charges"][0]
    draft.tiers.append(Tier(None, Per(charge["per"], "times" in charge, name=charge["name"])))


def _settle_run(draft: Draft, fields: Mapping[str, Field], row: PriceRow | None) -> None:
    """How many steps a run's price stands for: as many as make it from the row's price per step, else the default."""
    if draft.linear_run is None:
        return
    steps: Decimal | None = None
    if row and row.unit_price and unit_meaning(row.unit) and normalise_unit(row.unit) == "steps":
        steps = draft.linear_run / row.unit_price
    elif name := next((name for name in STEP_FIELDS if name in fields), None):
        steps = as_number(fields[name].get("default"))
    if not steps:
        draft.problems.append("the text does not say how many steps its price stands for")
        return
    per = {"of": "steps", "divide_by": format_decimal(steps)}
    draft.charges.append(
        {"name": f"runs of {format_decimal(steps)} steps", "price": format_decimal(draft.linear_run), "per": per}
    )


def _plain(value: Decimal) -> str:
    return f"{value:f}"
