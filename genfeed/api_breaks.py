"""What a new OpenAPI document breaks for callers of an older one. Additions break nobody."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

# What a caller sends may only become freer; what a caller reads may only say more.
Way = Literal["sent", "read"]
Schema = dict[str, Any]

_METHODS = ("get", "put", "post", "delete", "patch", "head", "options", "trace")
_LEAST = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_TOLD = ("pattern", "multipleOf", "uniqueItems")
_MOST = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")


def find_breaks(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """One sentence for each break, with the operation and the place in it, in the order of the older document."""
    compared = _Compared(old, new)
    found: list[str] = []
    for path, item in old.get("paths", {}).items():
        if path not in new.get("paths", {}):
            found.append(f"{path}: the path was removed")
            continue
        for method in _METHODS:
            if method not in item:
                continue
            name = f"{method.upper()} {path}"
            now = new["paths"][path].get(method)
            found += [f"{name}: the method was removed"] if now is None else compared.operation(name, item[method], now)
    return found


@dataclass(frozen=True, slots=True)
class _Compared:
    """Two documents, in which references are looked up."""

    old: dict[str, Any]
    new: dict[str, Any]

    def operation(self, name: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
        if "operationId" in old and new.get("operationId") != old["operationId"]:
            yield f"{name}: the operation was {old['operationId']} and is {new.get('operationId')}"
        yield from _refused_now(name, old, new)
        yield from self._parameters(name, old, new)
        yield from self._body(name, old.get("requestBody"), new.get("requestBody"))
        for status, answer in old.get("responses", {}).items():
            now = new.get("responses", {}).get(status)
            if now is None:
                # An error that is not told any more is no harm; the success that was waited for is.
                if status.startswith("2"):
                    yield f"{name}: the answer {status} was removed"
                continue
            yield from self._contents(f"{name} {status}", answer.get("content", {}), now.get("content", {}), "read")

    def _parameters(self, name: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
        before, after = ({(one["in"], one["name"]): one for one in it.get("parameters", [])} for it in (old, new))
        for key, one in before.items():
            place = f"{name} {key[0]} {key[1]}"
            if key not in after:
                yield f"{place}: the parameter was removed"
                continue
            if after[key].get("required") and not one.get("required"):
                yield f"{place}: the parameter is required now"
            yield from self.schema(place, one.get("schema", {}), after[key].get("schema", {}), "sent")
        for key, one in after.items():
            if key not in before and one.get("required"):
                yield f"{name} {key[0]} {key[1]}: a required parameter was added"

    def _body(self, name: str, old: dict[str, Any] | None, new: dict[str, Any] | None) -> Iterator[str]:
        place = f"{name} body"
        if new and new.get("required") and not (old and old.get("required")):
            yield f"{place}: a body is required now"
        if old and not new:
            yield f"{place}: the body was removed"
        elif old and new:
            yield from self._contents(place, old.get("content", {}), new.get("content", {}), "sent")

    def _contents(self, place: str, old: dict[str, Any], new: dict[str, Any], way: Way) -> Iterator[str]:
        for kind, content in old.items():
            if kind not in new:
                yield f"{place}: {kind} was removed"
                continue
            yield from self.schema(place, content.get("schema", {}), new[kind].get("schema", {}), way)

    def schema(
        self, place: str, old: Schema, new: Schema, way: Way, seen: frozenset[tuple[int, int]] = frozenset()
    ) -> list[str]:
        """What breaks at a place. Each alternative must have one on the other side that takes, or is, the same."""
        pair = (id(old), id(new))
        if pair in seen:
            # A schema that holds itself.
            return []
        seen |= {pair}
        before, after = list(_alternatives(old, self.old)), list(_alternatives(new, self.new))
        found = list(_other_default(place, old, new)) if way == "sent" else []
        # What was sent must still be taken; what is read must have been foreseen.
        for one in before if way == "sent" else after:
            others = after if way == "sent" else before
            pairs = [(one, other) if way == "sent" else (other, one) for other in others]
            tries = [self._alike(place, was, becomes, way, seen) for was, becomes in pairs if _fits(was, becomes, way)]
            if not tries:
                return [f"{place}: the type was {_types(before)} and is {_types(after)}"]
            found += [text for text in min(tries, key=len) if text not in found]
        return found

    def _alike(self, place: str, old: Schema, new: Schema, way: Way, seen: frozenset[tuple[int, int]]) -> list[str]:
        return [
            *(_narrowed(place, old, new) if way == "sent" else ()),
            *self._properties(place, old, new, way, seen),
            *self._inside(place, old, new, way, seen),
        ]

    def _properties(
        self, place: str, old: Schema, new: Schema, way: Way, seen: frozenset[tuple[int, int]]
    ) -> Iterator[str]:
        before, after = old.get("properties", {}), new.get("properties", {})
        needed_before, needed = set(old.get("required", [])), set(new.get("required", []))
        for name, one in before.items():
            inner = f"{place} .{name}"
            if name not in after:
                yield f"{inner}: the {'field' if way == 'sent' else 'property'} was removed"
                continue
            if way == "sent" and name in needed - needed_before:
                yield f"{inner}: the field is required now"
            if way == "read" and name in needed_before - needed:
                yield f"{inner}: the property may be missing now"
            yield from self.schema(inner, one, after[name], way, seen)
        if way == "sent":
            for name in sorted(needed - set(before)):
                yield f"{place} .{name}: a required field was added"

    def _inside(
        self, place: str, old: Schema, new: Schema, way: Way, seen: frozenset[tuple[int, int]]
    ) -> Iterator[str]:
        if _type(old) == "array":
            yield from self.schema(f"{place} []", old.get("items", {}), new.get("items", {}), way, seen)
        before, after = old.get("additionalProperties", True), new.get("additionalProperties", True)
        if isinstance(before, dict) and isinstance(after, dict):
            yield from self.schema(f"{place} .*", before, after, way, seen)
        elif way == "sent" and after is False and before is not False:
            yield f"{place}: other fields are not taken any more"


def _alternatives(schema: Schema, document: dict[str, Any]) -> Iterator[Schema]:
    """The schemas of which one holds, without references."""
    while "$ref" in schema:
        place: Any = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            place = place[part]
        schema = place
    types = schema.get("type")
    if options := schema.get("anyOf") or schema.get("oneOf"):
        for one in options:
            yield from _alternatives(one, document)
    elif isinstance(types, list):
        for one in types:
            yield {**schema, "type": one}
    else:
        yield schema


def _type(schema: Schema) -> str:
    return str(schema.get("type") or ("object" if "properties" in schema else "anything"))


def _types(schemas: list[Schema]) -> str:
    told = (f"{_type(one)} ({one['format']})" if "format" in one else _type(one) for one in schemas)
    return " or ".join(dict.fromkeys(told))


def _fits(old: Schema, new: Schema, way: Way) -> bool:
    """Whether the side that must allow more takes the other's type and format."""
    wide, narrow = (new, old) if way == "sent" else (old, new)
    types = (_type(wide), _type(narrow))
    if types[0] not in (types[1], "anything") and types != ("number", "integer"):
        return False
    return wide.get("format") in (None, narrow.get("format"))


def _other_default(place: str, old: Schema, new: Schema) -> Iterator[str]:
    """What whoever sends nothing gets otherwise."""
    if "default" in old and (now := new.get("default", "none")) != old["default"]:
        yield f"{place}: the default was {old['default']!r} and is {now!r}"


def _refused_now(name: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    """Proofs of who calls that were enough; none at all is the weakest of them."""
    before, after = ([_told(sorted(one)) or "nobody" for one in it.get("security") or [{}]] for it in (old, new))
    if "nobody" not in after:
        yield from (f"{name}: who calls as {one} is refused now" for one in before if one not in after)


def _narrowed(place: str, old: Schema, new: Schema) -> Iterator[str]:
    before, after = _values(old), _values(new)
    if after is not None:
        if before is None:
            yield f"{place}: only {_told(after)} are taken now"
        elif gone := [one for one in before if one not in after]:
            yield f"{place}: {_told(gone)} are not taken any more"
    for names, sign in ((_LEAST, 1), (_MOST, -1)):
        for name in names:
            if name in new and (name not in old or (new[name] - old[name]) * sign > 0):
                yield f"{place}: {name} was {old.get(name, 'none')} and is {new[name]}"
    for name in _TOLD:
        # Whether another one takes all that the old one took, nobody can say.
        if new.get(name) and new[name] != old.get(name):
            yield f"{place}: {name} was {old.get(name, 'none')} and is {new[name]}"


def _values(schema: Schema) -> list[Any] | None:
    return [schema["const"]] if "const" in schema else schema.get("enum")


def _told(values: list[Any]) -> str:
    return ", ".join(map(repr, values))
