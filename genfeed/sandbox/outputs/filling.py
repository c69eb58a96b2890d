"""Filling a model's output schema with values, and real files where it wants files."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

from genfeed.sandbox.media.making import Wish, make
from genfeed.sandbox.outputs.contract import Contract, Schema
from genfeed.sandbox.outputs.kinds import kind_of
from genfeed.sandbox.outputs.measures import Measures

DEEPEST = 6
MOST_ITEMS = 8
Value = Any


@dataclass(slots=True)
class Filling:
    """One output in the making. `keep` stores a file and gives its address; `files` collects what was wished for."""

    contract: Contract
    given: dict[str, Any]
    measures: Measures
    seed: str
    keep: Callable[[Wish], str]
    is_nsfw: bool = False
    most_files: int | None = None
    file_count: int | None = None
    without_files: bool = False
    inference_time: float = 0.0
    files: list[Wish] = field(default_factory=list)

    def fill(self) -> dict[str, Any]:
        """The output. Optional fields stay null, but the first file is made where otherwise there were none."""
        schema = self.contract.resolve(self.contract.outputs or {})
        properties: dict[str, Schema] = schema.get("properties") or {}
        if not properties:
            made = self.value("output", schema, 0)
            if isinstance(made, dict) and made:
                return made
            return {"output": f"Made by the sandbox from {self.measures.text[:80]!r}."}
        required = set(schema.get("required", ()))
        output: dict[str, Any] = {}
        optional: list[str] = []
        for name, one in properties.items():
            if self.without_files and self._wants_files(one):
                continue
            if name not in required and _is_nullable(one):
                output[name] = None
                optional.append(name)
            else:
                output[name] = self.value(name, one, 0)
        if not self.files and not self.without_files:
            for name in optional:
                if self._wants_files(properties[name]):
                    output[name] = self.value(name, _not_null(properties[name]), 0)
                    break
        return output

    def value(self, name: str, schema: Schema, depth: int) -> Value:
        """A value for one field."""
        component = _component(schema)
        schema = self.contract.resolve(schema)
        if depth > DEEPEST:
            return None
        if choices := schema.get("anyOf") or schema.get("oneOf"):
            return self.value(name, next((one for one in choices if one.get("type") != "null"), {}), depth)
        if name in self.plain and not schema.get("properties"):
            return self.plain[name]()
        if _is_file(schema):
            return self._file(name, component, schema)
        if "const" in schema or "enum" in schema:
            return schema["const"] if "const" in schema else schema["enum"][0]
        kind = schema.get("type")
        if kind == "array":
            return self._list(name, schema, depth)
        if kind == "object" or "properties" in schema:
            return self._object(name, schema, depth)
        if "default" in schema:
            return schema["default"]
        if kind == "string":
            return self._keep(self._wish(name, "")) if schema.get("format") == "uri" else self._text(name)
        return {"integer": 1, "number": 1.0, "boolean": False}.get(str(kind))

    @property
    def plain(self) -> dict[str, Callable[[], Value]]:
        """Fields whose meaning is clear from their name."""
        return {
            "seed": self._seed,
            "used_seed": self._seed,
            "has_nsfw_concepts": self._flags,
            "nsfw_content_detected": self._flags,
            "timings": lambda: {"inference": self.inference_time},
            "duration": lambda: self.measures.seconds,
            "duration_ms": lambda: round(self.measures.seconds * 1000),
            "file_size": lambda: len(make(self.files[-1])),
        }

    def _seed(self) -> int:
        seed = self.given.get("seed")
        return seed if isinstance(seed, int) and not isinstance(seed, bool) else crc32(self.seed.encode())

    def _flags(self) -> Value:
        properties = self.contract.resolve(self.contract.outputs or {}).get("properties") or {}
        names = ("has_nsfw_concepts", "nsfw_content_detected")
        if any(self.contract.resolve(properties.get(name) or {}).get("type") == "boolean" for name in names):
            return self.is_nsfw
        return [self.is_nsfw] * self._count(self.measures.count)

    def _count(self, wished: int) -> int:
        if self.file_count is not None:
            return self.file_count
        return wished if self.most_files is None else min(wished, self.most_files)

    def _text(self, name: str) -> str:
        if name.endswith("url"):
            return self._keep(self._wish(name, ""))
        if "prompt" in name:
            return self.measures.text
        return f"Made by the sandbox from {self.measures.text[:80]!r}."

    def _list(self, name: str, schema: Schema, depth: int) -> list[Value]:
        items = schema.get("items") or {}
        count = max(1, schema.get("minItems") or 1)
        if self._wants_files(items) or name == "images":
            count = self._count(self.measures.count)
        return [self.value(name, items, depth + 1) for _ in range(min(count, max(MOST_ITEMS, self.measures.count)))]

    def _object(self, name: str, schema: Schema, depth: int) -> Value:
        properties: dict[str, Schema] = schema.get("properties") or {}
        if not properties and name == "images":
            return self._file(name, "Image", {})
        required = set(schema.get("required", ()))
        return {
            inner: None if inner not in required and _is_nullable(one) and inner != "glb"
            else self.value(inner, _not_null(one), depth + 1)
            for inner, one in properties.items()
        }  # fmt: skip

    def _wants_files(self, schema: Schema) -> bool:
        schema = self.contract.resolve(_not_null(schema))
        if schema.get("type") == "array":
            return self._wants_files(schema.get("items") or {})
        return _is_file(schema) or (schema.get("type") == "string" and schema.get("format") == "uri")

    def _wish(self, name: str, component: str) -> Wish:
        kind = kind_of(name, component, self.contract.category, self.given)
        measures = self.measures
        seed = f"{self.seed}/{len(self.files)}"
        return Wish(kind, seed, measures.width, measures.height, measures.seconds, measures.fps)

    def _keep(self, wish: Wish) -> str:
        self.files.append(wish)
        return self.keep(wish)

    def _file(self, name: str, component: str, schema: Schema) -> dict[str, Any]:
        """A file object, with those facts that its schema has room for."""
        wish = self._wish(name, component)
        url = self._keep(wish)
        facts: dict[str, Any] = {
            "url": url,
            "content_type": wish.content_type,
            "file_name": url.rsplit("/", 1)[-1][:120] if not url.startswith("data:") else f"output.{wish.kind}",
            "width": wish.width,
            "height": wish.height,
            "duration": wish.seconds,
            "fps": float(wish.fps),
            "num_frames": wish.frames,
            "sample_rate": 22050 if wish.kind == "mp3" else 8000,
            "channels": 1,
        }
        room: dict[str, Schema] = schema.get("properties") or {name: {} for name in ("url", "content_type")}
        required = schema.get("required", ())
        made = {inner: facts[inner] for inner in room if inner in facts}
        for inner in required:
            if made.get(inner) is None and not _is_nullable(room.get(inner) or {}):
                made[inner] = self.value(inner, room.get(inner) or {}, 1)
        return made


def _component(schema: Schema) -> str:
    if "$ref" in schema:
        return str(schema["$ref"].rsplit("/", 1)[-1])
    for one in (*schema.get("allOf", ()), *schema.get("anyOf", ())):
        if "$ref" in one:
            return _component(one)
    return ""


def _is_file(schema: Schema) -> bool:
    return "url" in (schema.get("properties") or {})


def _is_nullable(schema: Schema) -> bool:
    return any(one.get("type") == "null" for one in schema.get("anyOf", ()))


def _not_null(schema: Schema) -> Schema:
    choices = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    return choices[0] if choices else schema
