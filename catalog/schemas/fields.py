"""Read the fields of a self-contained JSON Schema: flat, typed, in the order the provider wants them shown."""

from typing import Any

import orjson

from catalog.schemas.media_kinds import file_kind, media_limits, url_kind
from catalog.schemas.refs import JSON_TYPES

Field = dict[str, Any]
"""One property, JSON-serialisable.

Always: name, type (string|integer|number|boolean|array|object|any), required, nullable. Where known: default, enum,
minimum, maximum, exclusive_minimum, exclusive_maximum, multiple_of, min_length, max_length, min_items, max_items,
pattern, format, title, description, examples, deprecated; media (image|video|audio|3d|file) when it carries media,
and media_limits (what the provider says a file may be: max_file_size in bytes, max_width in pixels, max_duration in
seconds …); presets (values that may stand for the whole: the enum part of enum-or-object); fields (of an object, or
of the object part); items (the element of an array); open (an object that takes further properties).
"""

# References can multiply without end, so reading is bounded: in levels of fields in fields, in steps for one property
# of the root, and in steps for all of them. The recorded documents need up to 7 levels, 171 and 364 steps.
MAX_DEPTH = 8
MAX_STEPS = 2_000
MAX_TOTAL_STEPS = 50_000
MAX_UNION_DEPTH = 40
MAX_VARIANTS = 50

_COPIED = {
    "default": "default",
    "minimum": "minimum",
    "maximum": "maximum",
    "exclusiveMinimum": "exclusive_minimum",
    "exclusiveMaximum": "exclusive_maximum",
    "multipleOf": "multiple_of",
    "minLength": "min_length",
    "maxLength": "max_length",
    "minItems": "min_items",
    "maxItems": "max_items",
    "pattern": "pattern",
    "format": "format",
    "title": "title",
    "description": "description",
    "examples": "examples",
    "deprecated": "deprecated",
}
_IN_PLACE = ("anyOf", "oneOf", "allOf")
_OF_OBJECTS = frozenset({"properties", "required", "additionalProperties", "x-fal-order-properties", "x-name"})


def fields_of(schema: dict[str, Any]) -> tuple[list[Field], bool]:
    """The fields of `schema`, a self-contained JSON Schema of an object, and whether nothing had to be cut short.

    Empty when it names no properties. All properties of the root are always there; what lies in them may be cut.
    """
    reader = _Reader(schema.get("$defs", {}))
    fields = reader.fields(reader.flat(schema), above=())
    return fields, not reader.was_cut


class _Reader:
    """Reads one schema; counts its steps, so that no document can make it run for ever."""

    def __init__(self, defs: dict[str, Any]) -> None:
        self.defs = defs
        self.steps_left = MAX_STEPS
        self.total_left = MAX_TOTAL_STEPS
        self.was_cut = False

    def fields(self, flat: dict[str, Any], above: tuple[str, ...]) -> list[Field]:
        """`above`: the names of the schemas that these fields are in, outermost first; "" for one without a name."""
        properties: dict[str, Any] = flat.get("properties", {})
        required = set(flat.get("required", ()))
        made = []
        for name in _shown_order(properties, required, flat.get("x-fal-order-properties")):
            if not above:
                self.steps_left = min(MAX_STEPS, self.total_left)
            made.append(self.field(name, properties[name], required=name in required, above=above))
        return made

    def field(self, name: str, schema: Any, *, required: bool, above: tuple[str, ...]) -> Field:
        flat = self.flat(schema)
        kind = _type_of(flat)
        result: Field = {"name": name, "type": kind, "required": required, "nullable": flat.get("nullable", False)}
        result |= {ours: flat[theirs] for theirs, ours in _COPIED.items() if theirs in flat}
        if "example" in flat and "examples" not in flat:
            result["examples"] = [flat["example"]]
        if flat.get("enum"):
            result["enum"] = flat["enum"]
        if flat.get("presets"):
            result["presets"] = flat["presets"]
        own_name = flat.get("x-name", "")
        is_inside_itself = own_name != "" and own_name in above
        may_go_deeper = len(above) < MAX_DEPTH and self.steps_left > 0 and not is_inside_itself
        inside = (*above, own_name)
        if flat.get("properties") and may_go_deeper:
            result["fields"] = self.fields(flat, inside)
        if kind == "object" and flat.get("additionalProperties", not flat.get("properties")) is not False:
            result["open"] = True
        if "items" in flat and may_go_deeper:
            result["items"] = self.field(name, flat["items"], required=True, above=inside)
        _add_media(result, flat)
        return result

    def flat(self, schema: Any) -> dict[str, Any]:
        """`schema` without $ref, allOf, anyOf and oneOf: nullable is a flag, the parts of a union are united."""
        flat, variants = self._open(schema, frozenset(), 0)
        variants = [variant for variant in variants if not _is_null(variant)] if variants is not None else None
        if variants is None:
            return flat
        if len(variants) == 1:
            return _over(flat, variants[0])
        return _over(flat, _union(variants))

    def _open(
        self, schema: Any, seen: frozenset[str], depth: int
    ) -> tuple[dict[str, Any], list[dict[str, Any]] | None]:
        """What holds in any case, and the variants of the union in it (flat, null included) or None."""
        if not isinstance(schema, dict):
            return {}, None
        flat = {key: value for key, value in schema.items() if key not in _IN_PLACE and key not in ("$ref", "$defs")}
        variants: list[dict[str, Any]] | None = None
        _read_types(flat)
        if self.steps_left <= 0 or depth > MAX_UNION_DEPTH:
            self.was_cut = True
            return flat, None
        self.steps_left -= 1
        self.total_left -= 1
        for above, part in [*_referred(self.defs, schema, seen), *((seen, part) for part in schema.get("allOf", ()))]:
            if self.steps_left <= 0:
                # What is left would be copied into what is there, one after another.
                self.was_cut = True
                break
            below, below_variants = self._open(part, above, depth + 1)
            flat = _over(flat, below)
            variants = below_variants if variants is None else variants
        for union in ("anyOf", "oneOf"):
            if union not in schema:
                continue
            variants = []
            for member in schema[union]:
                if self.steps_left <= 0:
                    self.was_cut = True
                    break
                member_flat, inner = self._open(member, seen, depth + 1)
                variants += [member_flat] if inner is None else [_over(member_flat, one) for one in inner]
            variants = variants[:MAX_VARIANTS]
        if variants is not None and any(map(_is_null, variants)):
            flat["nullable"] = True
        return flat, variants


def _referred(defs: dict[str, Any], schema: dict[str, Any], seen: frozenset[str]) -> list[tuple[frozenset[str], Any]]:
    reference = schema.get("$ref")
    if not isinstance(reference, str) or reference in seen:
        return []
    name = reference.removeprefix("#/$defs/")
    target = defs.get(name)
    # The name says what the object is ("Image", "VideoFile"); it stands behind a title of its own.
    named = {"x-name": name, **target} if isinstance(target, dict) else target
    return [(seen | {reference}, named)]


def _read_types(flat: dict[str, Any]) -> None:
    """`type` to one word, `const` to an enum, null to a flag, in place."""
    kinds = flat.get("type")
    if isinstance(kinds, list):
        others = [kind for kind in kinds if kind != "null"]
        if "null" in kinds and others:
            flat["nullable"] = True
        flat["type"] = _one_type(others or ["null"])
    if "const" in flat:
        flat["enum"] = [flat["const"]]
    if flat.get("nullable") and isinstance(flat.get("enum"), list):
        flat["enum"] = [value for value in flat["enum"] if value is not None]


def _one_type(kinds: list[str]) -> str:
    different = set(kinds)
    if len(different) == 1:
        return kinds[0]
    return "number" if different == {"integer", "number"} else "any"


def _is_null(flat: dict[str, Any]) -> bool:
    return flat.get("type") == "null" or flat.get("enum") == [None]


def _over(upper: dict[str, Any], lower: dict[str, Any]) -> dict[str, Any]:
    """Both at once: what `upper` says goes first, properties and required are added up."""
    both = {**lower, **upper}
    if lower.get("nullable"):
        both["nullable"] = True
    if "properties" in upper and "properties" in lower:
        both["properties"] = {**lower["properties"], **upper["properties"]}
    if "required" in upper and "required" in lower:
        both["required"] = [*upper["required"], *lower["required"]]
    if "x-fal-order-properties" in upper and "x-fal-order-properties" in lower:
        both["x-fal-order-properties"] = [*_names(lower), *_names(upper)]
    return both


def _names(flat: dict[str, Any]) -> list[Any]:
    order = flat.get("x-fal-order-properties")
    return order if isinstance(order, list) else []


def _union(variants: list[dict[str, Any]]) -> dict[str, Any]:
    """What holds of "one of these": the common type, all values, the widest bounds, the fields of the objects."""
    objects = [variant for variant in variants if _type_of(variant) == "object"]
    others = [variant for variant in variants if _type_of(variant) != "object"]
    result: dict[str, Any] = {"type": _one_type([_type_of(variant) for variant in variants] or ["any"])}
    for variant in objects:
        shape = {key: value for key, value in variant.items() if key in _OF_OBJECTS}
        required = set(variant.get("required", ())) & set(result.get("required", variant.get("required", ())))
        result = {**_over(result, shape), "required": sorted(required)}
    for variant in others:
        result |= {key: variant[key] for key in ("items", "ui", "_fal_ui_field", "format") if key in variant}
    values = [value for variant in others for value in variant.get("enum", ())]
    if values and not objects and all("enum" in variant for variant in others):
        result["enum"] = _distinct(values)
    elif values:
        result["presets"] = _distinct(values)
        if objects and all("enum" in variant for variant in others):
            result["type"] = "object"
    for key, widest in (("minimum", min), ("maximum", max), ("minLength", min), ("maxLength", max)):
        bounds = [variant[key] for variant in others if key in variant]
        if bounds and len(bounds) == len(others):
            result[key] = widest(bounds)
    return result


def _distinct(values: list[Any]) -> list[Any]:
    return list({orjson.dumps(value, option=orjson.OPT_SORT_KEYS): value for value in values}.values())


def _type_of(flat: dict[str, Any]) -> str:
    kind = flat.get("type")
    if isinstance(kind, str) and kind in JSON_TYPES and kind != "null":
        return kind
    if flat.get("properties"):
        return "object"
    if "items" in flat or "prefixItems" in flat:
        return "array"
    if flat.get("enum"):
        return _one_type([_type_of_value(value) for value in flat["enum"]])
    return "any"


def _type_of_value(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    names = {str: "string", int: "integer", float: "number", list: "array", dict: "object"}
    return names.get(type(value), "any")


def _shown_order(properties: dict[str, Any], required: set[str], wanted: Any) -> list[str]:
    """The provider's order, as a list or by places; what it does not name follows, required first, then by alphabet."""
    named = [name for name in wanted if isinstance(name, str)] if isinstance(wanted, list) else []
    first = [name for name in dict.fromkeys(named) if name in properties]
    rest = sorted(
        set(properties) - set(first), key=lambda name: (_own_place(properties[name]), name not in required, name)
    )
    return [*first, *rest]


def _own_place(schema: Any) -> float:
    """The place that a property names by itself (Cog's x-order), after all others where it names none."""
    place = schema.get("x-order") if isinstance(schema, dict) else None
    return place if isinstance(place, int) and not isinstance(place, bool) else float("inf")


def _add_media(result: Field, flat: dict[str, Any]) -> None:
    if result["type"] == "array":
        element = result.get("items", {})
        kind = element.get("media")
        if kind == "file":  # the list often says more than its element
            kind = file_kind(result["name"], flat, element.get("fields", [])) or kind
        if element.get("type") == "string" and kind in ("file", None) and "enum" not in element:
            kind = url_kind(result["name"], flat, "string") or kind
    elif result.get("fields"):
        kind = file_kind(result["name"], flat, result["fields"])
        if kind is not None:  # the whole object is the file; its url is not another one
            for inner in result["fields"]:
                inner.pop("media", None)
    else:
        kind = url_kind(result["name"], flat, result["type"])
    if kind is None:
        return
    result["media"] = kind
    limits = media_limits(flat) or result.get("items", {}).get("media_limits")
    if limits:
        result["media_limits"] = limits
