"""Which of the fields that went and came are one field under a new name."""

from difflib import SequenceMatcher
from typing import Any

from catalog.changes.fields import cost_role
from catalog.schemas.fields import Field

ALIKE = 0.65  # from 0 (nothing in common) to 1
MAX_PAIRS = 400  # compared, at about a millisecond each


def renamed_pairs(gone: list[Field], come: list[Field]) -> dict[str, str]:
    """Old name → new name, for fields of one type that are alike by name and description; the most alike first."""
    if not gone or not come or len(gone) * len(come) > MAX_PAIRS:
        return {}
    scored = []
    for old in gone:
        for new in come:
            likeness = _likeness(old, new)
            if likeness >= ALIKE:
                names = sorted((old["name"], new["name"]))
                scored.append((-likeness, names, old["name"], new["name"]))
    pairs: dict[str, str] = {}
    for _, _, old_name, new_name in sorted(scored):
        if old_name not in pairs and new_name not in pairs.values():
            pairs[old_name] = new_name
    return pairs


def _likeness(old: Field, new: Field) -> float:
    if old["type"] != new["type"] or old.get("media") != new.get("media"):
        return 0.0
    if len({cost_role(old["name"]), cost_role(new["name"])} - {None}) == 2 or not _shares_choices(old, new):
        return 0.0  # "num_frames" and "num_images" are worded alike and are two things
    by_name = _ratio(old["name"], new["name"])
    one, other = _text(old), _text(new)
    if not one or not other:  # a name alone must speak for itself
        return by_name if by_name >= 0.8 else 0.0
    return (by_name + 2 * _ratio(one, other)) / 3


def _shares_choices(old: Field, new: Field) -> bool:
    before, after = old.get("enum"), new.get("enum")
    return before is None or after is None or any(value in after for value in before)


def _ratio(one: str, other: str) -> float:
    """The same both ways, which SequenceMatcher alone is not."""
    first, second = sorted((one[:200], other[:200]))
    return SequenceMatcher(None, first, second, autojunk=False).ratio()


def _text(field: Field) -> str:
    text: Any = field.get("description") or ""
    return " ".join(text.lower().split())
