"""Replicate's models as every provider tells its own: Cog's documents rewritten, and what a model makes inferred.

Cog documents say what a model takes and gives, not which kind of file; nor is there a category in any answer. Both are
inferred from collections, the example, names and descriptions, and marked as inferred.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from catalog.schemas.media_kinds import url_kind

OUTPUT = "output"
_KINDS = ("image", "video", "audio", "3d")
# What the collections of Replicate are about, where a category follows from it.
_COLLECTIONS = {
    "text-to-image": "text-to-image",
    "image-editing": "image-to-image",
    "super-resolution": "image-to-image",
    "ai-image-restoration": "image-to-image",
    "remove-backgrounds": "image-to-image",
    "image-to-text": "image-to-text",
    "text-to-video": "text-to-video",
    "image-to-video": "image-to-video",
    "ai-video-enhancement": "video-to-video",
    "text-to-speech": "text-to-speech",
    "speech-to-text": "speech-to-text",
    "ai-music-generation": "text-to-audio",
    "3d-models": "image-to-3d",
    "language-models": "llm",
    "vision-models": "image-to-text",
}
_DEEPEST = 20
_EXTENSIONS = {
    **dict.fromkeys(("png", "jpg", "jpeg", "webp", "svg", "gif"), "image"),
    **dict.fromkeys(("mp4", "webm", "mov"), "video"),
    **dict.fromkeys(("mp3", "wav", "flac", "ogg", "m4a"), "audio"),
    **dict.fromkeys(("glb", "obj", "ply", "gltf"), "3d"),
}
_WORDS = (
    ("3d", re.compile(r"\b(3d|mesh|meshes|gaussian splat\w*)\b")),
    ("video", re.compile(r"\b(videos?|animat\w+|film|lip.?sync\w*)\b")),
    ("audio", re.compile(r"\b(audio|music\w*|speech|voice|song|sound|tts)\b")),
    ("image", re.compile(r"\b(images?|photos?|pictures?|portraits?|inpaint\w*|upscal\w*|art|faces?|diffusion|sdxl)\b")),
)


def document_of(endpoint_id: str, cog: Any, makes: str) -> dict[str, Any] | None:
    """The document of a model as the mapper reads it; None where Cog's names no input. `makes`: the kind of its files.

    A result is an object everywhere, so what the model gives stands in it as `output`.
    """
    schemas = _schemas_of(cog)
    if not isinstance(schemas.get("Input"), dict):
        return None
    kept = {name: _with_kind(one, makes) for name, one in schemas.items() if name not in ("Input", "Output")}
    given = _with_kind(_whole(schemas.get("Output", {})), makes)
    result = {"type": "object", "required": [OUTPUT], "properties": {OUTPUT: given}}
    return {
        "openapi": cog.get("openapi", "3.0.2"),
        "info": {"title": endpoint_id},
        "paths": {
            f"/{endpoint_id}": {"post": {"requestBody": _json(_inputs(schemas["Input"]))}},
            f"/{endpoint_id}/requests/{{request_id}}": {"get": {"responses": {"200": _json(result)}}},
        },
        "components": {"schemas": kept},
    }


def category_of(
    cog: Any, *, collections: Iterable[str], example: Any, name: str, description: str
) -> tuple[str, str, str]:
    """(category, kind of its files, what said so); ("", "file", "nothing") where nothing tells."""
    for slug in collections:
        if slug in _COLLECTIONS:
            category = _COLLECTIONS[slug]
            target = category.rpartition("-to-")[2]
            return (
                category,
                {"speech": "audio"}.get(target, target if target in _KINDS else "file"),
                f"collection {slug}",
            )
    schemas = _schemas_of(cog)
    output = schemas.get("Output")
    if not isinstance(output, dict):
        return "", "file", "nothing"
    if not _holds_files(output, schemas, 0):
        kind, said = ("text", "its output schema") if _is_text(output) else ("json", "its output schema")
    else:
        kind, said = _kind_of_example(example), "its example"
        if not kind:
            kind, said = _kind_of_words(f"{name} {description}"), "its name and description"
    if not kind:
        return "", "file", "nothing"
    source = _source(schemas.get("Input"))
    category = "llm" if (source, kind) == ("text", "text") else f"{source}-to-{kind}"
    return category, kind if kind in _KINDS else "file", said


def _schemas_of(cog: Any) -> dict[str, Any]:
    """The schemas of Cog's document by name; whoever builds a model writes it, so nothing in it is sure."""
    components = cog.get("components") if isinstance(cog, dict) else None
    schemas = components.get("schemas") if isinstance(components, dict) else None
    return schemas if isinstance(schemas, dict) else {}


def _json(schema: Any) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": schema}}}


def _inputs(schema: dict[str, Any]) -> dict[str, Any]:
    """The input schema, each address of a file with the kind that its name and description tell."""
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        return schema
    return {**schema, "properties": {name: _input(name, one) for name, one in properties.items()}}


def _input(name: str, schema: Any) -> Any:
    if not isinstance(schema, dict):
        return schema
    if isinstance(schema.get("items"), dict) and schema["items"].get("format") == "uri":
        return {**schema, "items": _input(name, {"description": schema.get("description", ""), **schema["items"]})}
    if schema.get("format") != "uri" or not (kind := _kind_of_input(name, schema)):
        return schema
    return {**schema, "ui": {"field": kind}}


def _kind_of_input(name: str, schema: dict[str, Any]) -> str:
    """The kind of a file that goes in, "" for an address of something else."""
    return url_kind(name, {**schema, "format": "binary"}, "string") or ""


def _whole(output: Any) -> Any:
    """A text that is streamed in pieces is one: `concatenate` says that they belong together."""
    if not isinstance(output, dict) or output.get("x-cog-array-display") != "concatenate" or not _is_text(output):
        return output
    return {"type": "string", **{name: output[name] for name in ("title", "description") if name in output}}


def _with_kind(schema: Any, kind: str) -> Any:
    """An output schema whose addresses of files carry their kind, wherever they stand."""
    if isinstance(schema, list):
        return [_with_kind(one, kind) for one in schema]
    if not isinstance(schema, dict):
        return schema
    deeper = {key: _with_kind(one, kind) if isinstance(one, dict | list) else one for key, one in schema.items()}
    return {**deeper, "ui": {"field": kind}} if schema.get("format") == "uri" else deeper


def _holds_files(schema: Any, schemas: dict[str, Any], depth: int) -> bool:
    """Whether a file may come out, also of what the schema refers to."""
    if depth > _DEEPEST or not isinstance(schema, list | dict):
        return False
    if isinstance(schema, list):
        return any(_holds_files(one, schemas, depth + 1) for one in schema)
    reference = schema.get("$ref")
    if isinstance(reference, str):
        return _holds_files(schemas.get(reference.rpartition("/")[2]), schemas, depth + 1)
    return schema.get("format") == "uri" or any(_holds_files(one, schemas, depth + 1) for one in schema.values())


def _is_text(output: dict[str, Any]) -> bool:
    items = output.get("items")
    is_list = output.get("type") == "array" and isinstance(items, dict) and items.get("type") == "string"
    return output.get("type") == "string" or is_list


def _source(inputs: Any) -> str:
    properties = inputs.get("properties") if isinstance(inputs, dict) else None
    if not isinstance(properties, dict):
        return "text"
    required = inputs.get("required")
    required = required if isinstance(required, list) else []
    files = {
        name: kind
        for name, one in properties.items()
        if isinstance(one, dict) and one.get("format") == "uri" and (kind := _kind_of_input(name, one)) in _KINDS
    }
    needed = [kind for name, kind in files.items() if name in required]
    if needed:
        return "video" if "video" in needed else needed[0]
    has_words = any(name in properties for name in ("prompt", "text", "input_text", "lyrics"))
    return "text" if has_words or not files else next(iter(files.values()))


def _kind_of_example(example: Any) -> str:
    waiting, steps = [example.get("output") if isinstance(example, dict) else None], 0
    while waiting and steps < 50:
        value, steps = waiting.pop(0), steps + 1
        if isinstance(value, dict):
            waiting += list(value.values())
        elif isinstance(value, list):
            waiting += value[:5]
        elif isinstance(value, str) and value.startswith("http"):
            kind = _EXTENSIONS.get(value.split("?")[0].rpartition(".")[2].lower())
            if kind:
                return kind
    return ""


def _kind_of_words(text: str) -> str:
    return next((kind for kind, words in _WORDS if words.search(text.lower().replace("-", " "))), "")
