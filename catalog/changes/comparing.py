"""What changed between two versions of a model's schema, and whether callers break.

Breaking: an input field removed or renamed, a new required one, a type or an enum narrowed, a bound tightened, a
default changed in a way that changes the cost, an output removed, renamed or of another type. All else is compatible.
"""

from collections.abc import Iterable
from typing import Any

from catalog.changes.fields import Change, compare_field
from catalog.changes.renames import renamed_pairs
from catalog.changes.words import group_words, sentence
from catalog.schemas.fields import Field
from catalog.schemas.mapping import MappedSchema, canonical

_WORDS = frozenset({"title", "description", "examples", "example", "ui", "_fal_ui_field", "limit_description"})


def diff_schemas(old: MappedSchema | dict[str, Any], new: MappedSchema | dict[str, Any]) -> list[Change]:
    """The changes from `old` to `new` (mapped schemas, or dicts with the same keys), inputs first, in the old order.

    A change is JSON-serialisable: {"side": "input" or "output", "path": "loras[].scale", "kind", "breaking", "old",
    "new", "words"}. Kinds: field_added, field_removed, field_renamed (output_… for outputs), required_added,
    required_dropped, null_allowed, null_refused, type_changed, enum_narrowed, enum_widened, presets_changed,
    bound_tightened, bound_loosened, default_changed, description_changed, deprecated, undeprecated, object_opened,
    object_closed; where no field differs but the schemas do, wording_changed (titles, examples, order: nothing that a
    caller depends on) or schema_changed (the same fields written in another way). Equal schemas: [].
    """
    changes = [
        *_compare_lists("input", "", _part(old, "inputs"), _part(new, "inputs")),
        *_compare_lists("output", "", _part(old, "outputs"), _part(new, "outputs")),
    ]
    for side in ("input", "output"):
        before, after = canonical(_part(old, f"{side}_schema")), canonical(_part(new, f"{side}_schema"))
        if before != after and not any(change["side"] == side for change in changes):
            is_wording = _without_words(before) == _without_words(after)
            changes.append(_change(side, "", "wording_changed" if is_wording else "schema_changed"))
    for change in changes:
        change["words"] = sentence(change)
    return changes


def change_class(changes: Iterable[Change]) -> str:
    """ "breaking" when one of the changes is, else "compatible"."""
    return "breaking" if any(change["breaking"] for change in changes) else "compatible"


def readable_diff(changes: Iterable[Change]) -> list[str]:
    """Sentences for a person, the breaking ones first; the same change at many fields is one sentence."""
    in_order = sorted(changes, key=lambda change: not change["breaking"])
    return group_words(in_order)


def _without_words(schema: Any) -> Any:
    """A schema without what it says to people only; properties of such names fall out too, on both sides."""
    if isinstance(schema, list):
        return [_without_words(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {key: _without_words(value) for key, value in schema.items() if key not in _WORDS and key[:2] != "x-"}


def _part(schema: MappedSchema | dict[str, Any], name: str) -> Any:
    return schema.get(name) if isinstance(schema, dict) else getattr(schema, name)


def _change(
    side: str, path: str, kind: str, *, breaking: bool = False, before: Any = None, after: Any = None
) -> Change:
    return {"side": side, "path": path, "kind": kind, "breaking": breaking, "old": before, "new": after}


def _compare_lists(side: str, prefix: str, old: list[Field] | None, new: list[Field] | None) -> list[Change]:
    """The fields of one object, and what lies in them. `prefix` ends with a dot, or is empty at the root."""
    before = {field["name"]: field for field in old or ()}
    after = {field["name"]: field for field in new or ()}
    gone = [field for name, field in before.items() if name not in after]
    come = [field for name, field in after.items() if name not in before]
    renamed = renamed_pairs(gone, come)
    changes: list[Change] = []
    for name, field in before.items():
        if name in after:
            changes += _compare_one(side, f"{prefix}{name}", field, after[name])
        elif name in renamed:
            target = renamed[name]
            kind = "field_renamed" if side == "input" else "output_renamed"
            changes.append(
                _change(side, f"{prefix}{name}", kind, breaking=True, before=name, after=f"{prefix}{target}")
            )
            changes += _compare_one(side, f"{prefix}{target}", field, after[target])
        else:
            changes.append(_removed(side, f"{prefix}{name}", field))
    taken = set(renamed.values())
    changes += [_added(side, f"{prefix}{field['name']}", field) for field in come if field["name"] not in taken]
    return changes


def _compare_one(side: str, path: str, old: Field, new: Field) -> list[Change]:
    changes = compare_field(side, path, old, new)
    if old["type"] != new["type"] and "any" in (old["type"], new["type"]):
        return changes  # nothing is known on one side, so all fields below would only repeat it
    if side == "input" and bool(old.get("fields")) != bool(new.get("fields")):
        return changes  # opened or closed as a whole, which is said
    changes += _compare_lists(side, f"{path}.", old.get("fields"), new.get("fields"))
    if "items" in old and "items" in new:
        changes += _compare_one(side, f"{path}[]", old["items"], new["items"])
    return changes


def _removed(side: str, path: str, field: Field) -> Change:
    if side == "input":
        return _change(side, path, "field_removed", breaking=True, before=_summary(field))
    # The files of fal's first schemas listed the bytes they were made of. No JSON answer ever carried them.
    never_there = field.get("format") == "binary" and not field["required"]
    return _change(side, path, "output_removed", breaking=not never_there, before=_summary(field))


def _added(side: str, path: str, field: Field) -> Change:
    if side == "output":
        return _change(side, path, "output_added", after=_summary(field))
    return _change(side, path, "field_added", breaking=field["required"], after=_summary(field))


def _summary(field: Field) -> dict[str, Any]:
    """Enough of a field to say what it is."""
    return {key: field[key] for key in ("type", "required", "nullable", "default", "enum", "format") if key in field}
