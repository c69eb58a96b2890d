"""Which kind of file belongs into a field of an output."""

from typing import Any

from genfeed.sandbox.media.making import TYPES

# Words in the name of a field, the first that is found decides.
BY_NAME = (
    ("glb", "glb"), ("fbx", "obj"), ("usdz", "glb"), ("obj", "obj"), ("mtl", "txt"), ("ply", "ply"), ("stl", "stl"),
    ("zip", "zip"), ("archive", "zip"), ("dataset", "zip"), ("exr", "zip"), ("safetensors", "safetensors"),
    ("lora", "safetensors"), ("weights", "safetensors"), ("embedding", "safetensors"), ("latents", "safetensors"),
    ("config", "json"), ("json", "json"), ("lottie", "json"), ("caption", "txt"), ("subtitle", "txt"), ("srt", "txt"),
    ("thumbnail", "image"), ("spritesheet", "image"), ("mask", "image"), ("texture", "image"), ("render", "image"),
    ("visualization", "image"), ("image", "image"), ("video", "video"), ("gif", "gif"), ("audio", "audio"),
    ("speech", "audio"), ("song", "audio"), ("vocals", "audio"), ("music", "audio"), ("stem", "audio"),
    ("mesh", "glb"), ("model", "glb"), ("splat", "ply"), ("gaussian", "ply"), ("svg", "svg"),
)  # fmt: skip
BY_CATEGORY = (
    ("3d", "glb"), ("video", "video"), ("audio", "audio"), ("speech", "audio"), ("image", "image"),
    ("training", "safetensors"), ("vision", "image"),
)  # fmt: skip
PICTURES = ("png", "jpeg", "webp", "gif", "svg")
USUAL = {"image": "png", "video": "mp4", "audio": "wav"}
FORMATS = {"jpg": "jpeg", "mpeg": "mp3", "pcm": "wav", "flac": "wav", "opus": "mp3", "aac": "mp3"}


def kind_of(name: str, component: str, category: str, given: dict[str, Any]) -> str:
    """A key of TYPES for the field `name`, whose schema is called `component`, of a model of this category."""
    group = _group(f"{name} {component}".lower(), name.lower(), category)
    asked = str(given.get("output_format") or given.get("format") or given.get("audio_format") or "").lower()
    asked = asked.split("_", 1)[0].removeprefix(".")
    asked = FORMATS.get(asked, asked)
    if group == "image":
        return asked if asked in PICTURES else USUAL[group]
    if group == "audio":
        return asked if asked in ("mp3", "wav") else "mp3" if asked == "" and "speech" in category else USUAL[group]
    if group == "video":
        return "gif" if asked == "gif" else USUAL[group]
    if group == "glb" and asked in ("obj", "stl", "ply"):
        return asked
    return group if group in TYPES else "json"


def _group(words: str, name: str, category: str) -> str:
    for part, kind in BY_NAME:
        if part in name:
            return kind
    for part, kind in BY_NAME:
        if part in words:
            return kind
    made = category.rsplit("-to-", 1)[-1]
    return next((kind for part, kind in BY_CATEGORY if part in made), "json")
