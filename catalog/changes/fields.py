"""Compare one field of two schema versions: type, null, required, choices, bounds, default, words."""

import re
from typing import Any

from catalog.schemas.fields import Field

Change = dict[str, Any]

# A changed default of these fields changes what a request costs that does not send the field: the roles by which
# providers bill. Matched against the name of the field and, for what lies in it (image_size.width), of the field at the
# root.
COST_ROLES = {
    "count": r"^(num|number_of|max)_(images|videos|samples|results|outputs|generations)$|^(n|batch_size|count)$",
    "size": r"^((\w+_)?(image|video|output|canvas|shot|texture)_size|size|width|height)$",
    "resolution": r"(^|_)resolution$",
    "megapixels": r"(^|_)(megapixels|mp)$",
    "aspect ratio": r"^((target|output|validation)_)?aspect_ratio$",
    "duration": r"(^|_)(duration(_seconds)?|seconds(_total)?|length_ms|(audio|video|music)_length)$",
    "frames": r"(^|_)(num|number_of)_(\w+_)?frames$|^frames$",
    "frame rate": r"(^|_)(fps|frame_rate|frames_per_second)$",
    "steps": r"(^|_)(steps|steps_num|num_steps)$",
    "quality": r"(^|_)quality$|^(detail|performance)$",
    "mode and speed": r"^(mode|speed|tier|acceleration|model|model_name)$|(^|_)turbo$"
    r"|(^|_)(turbo|pro|rendering|reasoning|thinking|enhancement|upscale)_(mode|speed|tier|level|type)$",
    "audio": r"^(generate|enable|with)_audio(_switch)?$|^audio$",
    "upscale factor": r"^(upscale|upscaling|scale|upsampling)_(factor|ratio)$|^(upscale|scale)$",
    "tokens": r"^max_(new_|output_|completion_)?tokens$",
    "web search": r"web_search$",
}
_ROLES = [(role, re.compile(pattern)) for role, pattern in COST_ROLES.items()]
# Said of the request only: a lora has a scale, and a voice a speed, without a price.
_ROOT_ONLY = re.compile(r"^(scale|upscale|scale_factor|mode|model|speed|audio)$")

_LOWER = {"minimum": "exclusive_minimum", "min_length": None, "min_items": None}
_UPPER = {"maximum": "exclusive_maximum", "max_length": None, "max_items": None}


def compare_field(side: str, path: str, old: Field, new: Field) -> list[Change]:
    """What changed about the field itself, without what lies in it; "words" are put in by the caller."""
    found: list[tuple[str, Any, Any, bool]] = []  # kind, before, after, whether it breaks a caller's input
    kept_type = old["type"] == new["type"]
    if not kept_type:
        found.append(("type_changed", old["type"], new["type"], not _is_widened(old, new)))
    found += _null_and_required(old, new)
    if kept_type or {old["type"], new["type"]} == {"integer", "number"}:
        found += _choices(old, new)
        found += _bounds(old, new)
        found += _openness(old, new)
    if not _same(old.get("default"), new.get("default")):
        breaks = cost_role(path) is not None and not new["required"]
        found.append(("default_changed", old.get("default"), new.get("default"), breaks))
    if _plain(old.get("description")) != _plain(new.get("description")):
        found.append(("description_changed", old.get("description"), new.get("description"), False))
    if bool(old.get("deprecated")) != bool(new.get("deprecated")):
        found.append(("deprecated" if new.get("deprecated") else "undeprecated", None, None, False))
    return [
        {
            "side": side,
            "path": path,
            "kind": kind,
            "breaking": breaks if side == "input" else kind == "type_changed" and not _is_widened(new, old),
            "old": before,
            "new": after,
        }
        for kind, before, after, breaks in found
    ]


def cost_role(path: str) -> str | None:
    """The role in COST_ROLES that a field at this path ("image_size.width") has; None: it has no say in the cost."""
    names = path.replace("[]", "").split(".")
    inner = names[-1:] if len(names) > 1 and not _ROOT_ONLY.search(names[-1]) else []
    return next((role for name in [names[0], *inner] for role, pattern in _ROLES if pattern.search(name)), None)


def _is_widened(old: Field, new: Field) -> bool:
    """Whether all that the old type took is taken by the new one. For outputs, ask it the other way round."""
    if (old["type"], new["type"]) == ("integer", "number"):
        return True
    return new["type"] == "any" and "enum" not in new


def _null_and_required(old: Field, new: Field) -> list[tuple[str, Any, Any, bool]]:
    found: list[tuple[str, Any, Any, bool]] = []
    if old["nullable"] != new["nullable"]:
        found.append(("null_allowed", False, True, False) if new["nullable"] else ("null_refused", True, False, True))
    if old["required"] != new["required"]:
        found.append(
            ("required_added", False, True, True) if new["required"] else ("required_dropped", True, False, False)
        )
    return found


def _choices(old: Field, new: Field) -> list[tuple[str, Any, Any, bool]]:
    before, after = old.get("enum"), new.get("enum")
    if before is None and after is None:
        before, after = old.get("presets", []), new.get("presets", [])
        if (
            new["type"] != "object"
        ):  # beside free text presets are suggestions; beside an object they are the only words
            is_same = not _minus(before, after) and not _minus(after, before)
            return [] if is_same else [("presets_changed", before, after, False)]
    if before is None:
        return [("enum_narrowed", None, after, True)]
    if after is None:
        return [("enum_widened", before, None, False)]
    found: list[tuple[str, Any, Any, bool]] = []
    if gone := _minus(before, after):
        found.append(("enum_narrowed", gone, [], True))
    if come := _minus(after, before):
        found.append(("enum_widened", [], come, False))
    return found


def _bounds(old: Field, new: Field) -> list[tuple[str, Any, Any, bool]]:
    found: list[tuple[str, Any, Any, bool]] = []
    for name, exclusive in _LOWER.items():
        found += _bound(name, _limit(old, name, exclusive, 1), _limit(new, name, exclusive, 1), tighter_is_more=True)
    for name, exclusive in _UPPER.items():
        found += _bound(name, _limit(old, name, exclusive, -1), _limit(new, name, exclusive, -1), tighter_is_more=False)
    before, after = old.get("media_limits", {}), new.get("media_limits", {})
    for name in sorted({*before, *after}):
        sides = [(one[name], 0) if name in one else None for one in (before, after)]
        found += _bound(name, sides[0], sides[1], tighter_is_more=name.startswith("min_"))
    for name in ("pattern", "format", "multiple_of"):
        found += _rule(name, old.get(name), new.get(name))
    return found


def _limit(field: Field, name: str, exclusive: str | None, step: int) -> tuple[float, int] | None:
    """(number, 0 or `step` when the number itself is excluded); None without a limit. A minimum length of 0 is none."""
    limits = [(field[name], 0)] if name in field else []
    if exclusive is not None and exclusive in field:
        limits.append((field[exclusive], step))
    if not limits or (name in ("min_length", "min_items") and limits[0][0] == 0):
        return None
    return max(limits) if step > 0 else min(limits)


def _bound(
    name: str, before: tuple[float, int] | None, after: tuple[float, int] | None, *, tighter_is_more: bool
) -> list[tuple[str, Any, Any, bool]]:
    if before == after:
        return []
    tightened = before is None or (after is not None and (after > before) is tighter_is_more)
    kind = "bound_tightened" if tightened else "bound_loosened"
    return [(kind, _said(name, before), _said(name, after), tightened)]


def _said(name: str, limit: tuple[float, int] | None) -> dict[str, Any]:
    if limit is None:
        return {name: None}
    return {name if limit[1] == 0 else f"exclusive_{name}": limit[0]}


def _rule(name: str, before: Any, after: Any) -> list[tuple[str, Any, Any, bool]]:
    """A rule that can be there, be gone or be another; another may refuse what was right, so it counts as both."""
    if _same(before, after):
        return []
    tightened = ("bound_tightened", {name: before}, {name: after}, True)
    loosened = ("bound_loosened", {name: before}, {name: after}, False)
    if before is None:
        return [tightened]
    return [loosened] if after is None else [tightened, loosened]


def _openness(old: Field, new: Field) -> list[tuple[str, Any, Any, bool]]:
    if bool(old.get("open")) == bool(new.get("open")):
        return []
    return [("object_opened", False, True, False)] if new.get("open") else [("object_closed", True, False, True)]


def _minus(values: list[Any], others: list[Any]) -> list[Any]:
    known = {_key(other) for other in others}
    return [value for value in values if _key(value) not in known]


def _same(one: Any, other: Any) -> bool:
    """Equal as JSON: 1 is 1.0, and true is not 1. What is absent is null."""
    return bool(_key(one) == _key(other))


def _key(value: Any) -> Any:
    """Hashable, and equal for what is equal as JSON."""
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, list):
        return ("list", *map(_key, value))
    if isinstance(value, dict):
        return ("dict", frozenset((name, _key(inner)) for name, inner in value.items()))
    return value


def _plain(text: Any) -> str:
    return " ".join(text.split()) if isinstance(text, str) else ""
