"""Which rules of a model stand after its texts were read again: a pure choice over the rules that are there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from pricing.models import PriceRule
from pricing.notes.reading import NoteReading

_BY_HAND = "A rule that was not read from texts stands; this one would not become active by itself."


@dataclass
class Choice:
    """Rules to retire, rules to keep (changed in place, to be saved), and one to add."""

    retire: list[PriceRule] = field(default_factory=list)
    keep: list[PriceRule] = field(default_factory=list)
    new: PriceRule | None = None


def choose(reading: NoteReading, live: Iterable[PriceRule], retired_by_person: PriceRule | None) -> Choice:
    """What a reading does to the active and proposed rules of a model.

    A rule that says the same stays, with a person's decision about it. Another one that was read is retired. A text
    that was not understood becomes a proposed rule without content, so that a person sees it and can write one.
    """
    rules = list(live)
    read_before = [rule for rule in rules if rule.source == PriceRule.Source.NOTE]
    others = {rule.state for rule in rules if rule.source != PriceRule.Source.NOTE}
    if reading.rule is None and not reading.problems:
        return Choice(retire=read_before)
    body, billed_in = reading.rule or {}, reading.billed_in or ""
    state = _state(reading, others)
    same = next((rule for rule in read_before if (rule.body, rule.billed_in) == (body, billed_in)), None)
    if same is not None and (same.decided_by or same.state == state):
        _describe(same, reading, by_hand=bool(others))
        return Choice(retire=[rule for rule in read_before if rule is not same], keep=[same])
    if retired_by_person is not None and (retired_by_person.body, retired_by_person.billed_in) == (body, billed_in):
        return Choice(retire=read_before)
    if state in others:
        # Somebody's own draft has the place of the proposed rule.
        return Choice(retire=read_before)
    rule = PriceRule(
        source=PriceRule.Source.NOTE, state=state, body=body, billed_in=billed_in, created_by="note reader"
    )
    _describe(rule, reading, by_hand=bool(others))
    return Choice(retire=read_before, new=rule)


def _state(reading: NoteReading, others: set[str]) -> str:
    if reading.rule is not None and reading.state == "active" and PriceRule.State.ACTIVE not in others:
        return PriceRule.State.ACTIVE
    return PriceRule.State.PROPOSED


def _describe(rule: PriceRule, reading: NoteReading, *, by_hand: bool) -> None:
    rule.problems = reading.problems
    rule.remarks = [*reading.remarks, *([_BY_HAND] if by_hand and reading.state == "active" else [])]
    rule.contradicts_row = reading.contradicts_row
