"""A price sentence as tiers: each amount with the words that belong to it, whichever stands first."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from itertools import pairwise

from pricing.counting.requests import Field
from pricing.notes.draft import Tier
from pricing.notes.tokens import Token, tokenise

_QUALIFIERS = ("resolution", "duration", "audio", "condition", "other")


def read_tiers(
    sentence: str, fields: Mapping[str, Field], *, whole_text: str, cents_are_dollars: bool = False
) -> tuple[list[Tier], list[str]]:
    """Tiers of a cleaned sentence, and the words that were not understood. No amount: no tiers."""
    tokens = tokenise(sentence, fields, whole_text=whole_text)
    unread = [token.text for token in tokens if token.kind == "unread"]
    tokens = [_as_amount(token, cents_are_dollars) for token in tokens if token.kind != "unread"]
    places = [place for place, token in enumerate(tokens) if token.kind == "amount"]
    if not places:
        return [], unread
    groups, prefix = _groups(tokens, places)
    tiers = [_tier(tokens[place], group) for place, group in zip(places, groups, strict=True)]
    _inherit(tiers, groups, prefix)
    _spread(tiers)
    _spread_unit(tiers, groups[-1])
    return tiers, unread


def _as_amount(token: Token, cents_are_dollars: bool) -> Token:
    if token.kind != "cents":
        return token
    # "$0.008 cents" is dollars with a slip; without the row's consent bare cents are cents, and the sign stands there.
    return Token("amount", token.value if cents_are_dollars else token.value / 100, token.text)


def _groups(tokens: list[Token], places: list[int]) -> tuple[list[list[Token]], list[Token]]:
    """For each amount the tokens that belong to it, and those that belong to all."""
    head, tail = tokens[: places[0]], tokens[places[-1] + 1 :]
    words_first = len(places) > 1 and _qualifies(head) and not _qualifies(tail) and _between_all(tokens, places)
    groups: list[list[Token]] = []
    for number, place in enumerate(places):
        after = tokens[place + 1 : places[number + 1] if number + 1 < len(places) else len(tokens)]
        if not words_first:
            groups.append(after)
            continue
        before = head if number == 0 else tokens[places[number - 1] + 1 : place]
        own = _after_break(before) if number else before
        groups.append(own + _before_break(after))
    return groups, [] if words_first else head


def _between_all(tokens: list[Token], places: list[int]) -> bool:
    """Whether each further amount has qualifiers of its own before it, or only adds to the one before."""
    for first, second in pairwise(places):
        between = tokens[first + 1 : second]
        if not _qualifies(between) and not any(token.kind == "add" for token in between):
            return False
    return True


def _qualifies(tokens: list[Token]) -> bool:
    return any(token.kind in _QUALIFIERS for token in tokens)


def _before_break(tokens: list[Token]) -> list[Token]:
    taken: list[Token] = []
    for token in tokens:
        if token.kind == "break" or token.kind == "add" or token.kind in _QUALIFIERS:
            break
        taken.append(token)
    return taken


def _after_break(tokens: list[Token]) -> list[Token]:
    taken = len(_before_break(tokens))
    return tokens[taken:]


def _tier(amount: Token, group: list[Token]) -> Tier:
    tier = Tier(amount.value)
    for token in group:
        _qualify(tier, token)
    return tier


def _qualify(tier: Tier, token: Token) -> None:
    if token.kind == "per" and tier.per is None:
        tier.per = token.value
    elif token.kind == "resolution":
        tier.resolutions.append(token.value)
    elif token.kind == "duration":
        tier.durations.append(token.value)
    elif token.kind == "audio":
        tier.audio = token.value
    elif token.kind == "condition":
        tier.conditions.append(token.value)
    elif token.kind == "other":
        tier.otherwise = True


def _inherit(tiers: list[Tier], groups: list[list[Token]], prefix: list[Token]) -> None:
    """Words before the first amount qualify all; a unit once said holds on; "along with" adds to the tier before."""
    for tier in tiers:
        for token in prefix:
            if token.kind == "per" and tier.per is not None:
                continue
            _qualify(tier, token)
    for number in range(1, len(tiers)):
        tier, before = tiers[number], tiers[number - 1]
        added = any(token.kind == "add" for token in groups[number - 1]) or any(
            token.kind == "add" for token in groups[number]
        )
        if added and not (tier.kinds() - before.kinds()):
            tier.added = True
            tier.resolutions = tier.resolutions or list(before.resolutions)
            tier.conditions = tier.conditions or [copy(condition) for condition in before.conditions]
        elif tier.per is None:
            tier.per = before.per


def _spread(tiers: list[Tier]) -> None:
    """ "$A without audio or $B with audio for 720p or 1080p": what only the last tier has may belong to all."""
    if len(tiers) < 2:
        return
    last, others = tiers[-1], tiers[:-1]
    for kind in ("resolutions", "durations"):
        own = getattr(last, kind)
        if not own or any(getattr(tier, kind) for tier in others) or last.added:
            continue
        if all(tier.kinds() and tier.kinds() == last.kinds() - {kind} for tier in others):
            for tier in others:
                setattr(tier, kind, list(own))


def _spread_unit(tiers: list[Tier], last: list[Token]) -> None:
    """ "$A (audio off) or $B (audio on) per second": a unit after the last tier's own words is the unit of all."""
    kinds = [token.kind for token in last]
    if "per" not in kinds or not any(kind in _QUALIFIERS for kind in kinds[: kinds.index("per")]):
        return
    if any(tier.per is not None for tier in tiers[:-1]) or any(tier.added for tier in tiers):
        return
    for tier in tiers:
        tier.per = tiers[-1].per
