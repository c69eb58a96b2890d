"""The rows of this Replicate's models, in its own notation: Cog documents, choices behind allOf, no word on media."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

_TYPES = {"text": "string", "file": "string", "secret": "string", "integer": "integer", "number": "number"}
_FILE: dict[str, Any] = {"type": "string", "format": "uri"}
OUTPUTS: dict[str, dict[str, Any]] = {
    "image": {**_FILE, "title": "Output"},
    "images": {"type": "array", "items": _FILE, "title": "Output"},
    "video": {**_FILE, "title": "Output"},
    "audio": {**_FILE, "title": "Output"},
    "3d": {**_FILE, "title": "Output"},
    "text": {
        "type": "array",
        "items": {"type": "string"},
        "title": "Output",
        "x-cog-array-type": "iterator",
        "x-cog-array-display": "concatenate",
    },
    "line": {"type": "string", "title": "Output"},
    "object": {"type": "object", "title": "Output", "properties": {"text": {"type": "string"}}},
    "nothing": {"title": "Output"},
}
ENDINGS = {"image": "webp", "images": "webp", "video": "mp4", "audio": "mp3", "3d": "glb", "nothing": "png"}


@dataclass(frozen=True)
class Offered:
    """One model: what the table says, its version (empty where it has none) and its schemas."""

    said: dict[str, Any]
    version: str
    schemas: dict[str, Any]

    @property
    def endpoint_id(self) -> str:
        return str(self.said["id"])

    @property
    def is_official(self) -> bool:
        return bool(self.said.get("is_official"))

    def row(self, base_url: str) -> dict[str, Any]:
        """As the listing shows it: heavy with an example, null where there is nothing."""
        owner, _, name = self.endpoint_id.partition("/")
        return {
            "url": f"https://replicate.com/{self.endpoint_id}",
            "owner": owner,
            "name": name,
            "description": self.said["about"],
            "visibility": "public",
            "github_url": None,
            "paper_url": None,
            "license_url": None,
            "run_count": 1000,
            "cover_image_url": None,
            "default_example": self._example(base_url) if self.version else None,
            "latest_version": self._newest() if self.version else None,
            "is_official": self.is_official,
            "created_at": "2026-01-01T00:00:00Z",
            "weights_url": None,
        }

    def _newest(self) -> dict[str, Any]:
        document = {
            "openapi": "3.0.2",
            "info": {"title": "Cog", "version": "0.1.0"},
            "paths": {
                "/predictions": {"post": {"summary": "Predict"}},
                "/predictions/{prediction_id}/cancel": {"post": {"summary": "Cancel"}},
            },
            "components": {"schemas": self.schemas},
        }
        return {
            "id": self.version,
            "created_at": "2026-01-02T03:04:05.678901Z",
            "cog_version": "0.16.9",
            "openapi_schema": document,
        }

    def _example(self, base_url: str) -> dict[str, Any]:
        ending = ENDINGS.get(self.said["gives"])
        output = f"{base_url}/cdn/files/b/example/out.{ending}" if ending else "some words"
        return {
            "id": hashlib.sha1(self.endpoint_id.encode(), usedforsecurity=False).hexdigest()[:26],
            "model": self.endpoint_id,
            "version": "hidden" if self.is_official else self.version,
            "input": {},
            "logs": "step\n" * 500,
            "output": [output] if self.said["gives"] == "images" else output,
            "error": "",
            "status": "succeeded",
            "metrics": {"predict_time": 3.2},
        }


@lru_cache(maxsize=1)
def offered() -> dict[str, Offered]:
    """All models by owner/name."""
    rows = tomllib.loads(Path(__file__).with_name("models.toml").read_text())["models"]
    return {row["id"]: _offered(row) for row in rows}


def _offered(said: dict[str, Any]) -> Offered:
    if said.get("is_empty"):
        return Offered(said, "", {})
    schemas: dict[str, Any] = {"Output": OUTPUTS[said["gives"]], "Status": {"enum": ["starting", "succeeded"]}}
    properties: dict[str, Any] = {}
    for place, (name, kind) in enumerate(said["takes"].items()):
        properties[name] = {"x-order": place, **_property(name, kind, schemas)}
    # In no order that anybody could rely on.
    shuffled = dict(sorted(properties.items(), key=lambda item: hashlib.md5(item[0].encode()).digest()))  # noqa: S324
    needed = [name for name, kind in said["takes"].items() if isinstance(kind, str) and "!" in kind]
    schemas["Input"] = {
        "type": "object",
        "title": "Input",
        "properties": shuffled,
        **({"required": needed} if needed else {}),
    }
    return Offered(said, hashlib.sha256(said["id"].encode()).hexdigest(), schemas)


def _property(name: str, kind: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    title = name.replace("_", " ").capitalize()
    if isinstance(kind, list):
        word = "integer" if isinstance(kind[0], int) else "string"
        schemas[name] = {"enum": kind, "type": word, "title": name, "description": "An enumeration."}
        return {"allOf": [{"$ref": f"#/components/schemas/{name}"}], "default": kind[0], "description": title}
    plain = kind.rstrip("!*")
    if plain == "flag":
        return {"type": "boolean", "title": title, "default": False}
    found: dict[str, Any] = {"type": _TYPES[plain], "title": title, "description": title}
    if plain == "file":
        found |= {"format": "uri"}
    if plain == "secret":
        found |= {"format": "password", "writeOnly": True, "x-cog-secret": True}
    if name in ("num_outputs", "max_images"):
        found |= {"minimum": 1, "maximum": 4, "default": 1}
    if name == "duration":
        found |= {"minimum": 3, "maximum": 15, "default": 5}
    if kind.endswith("*"):
        return {"type": "array", "items": _FILE, "title": title, "default": [], "description": title}
    return found
