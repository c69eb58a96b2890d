"""Which kind of media a field carries: vendor hints, file extensions, content types, names and descriptions tell."""

import re
from typing import Any

# Words of field names and descriptions. A name is read from its end ("image_to_video_url": video; "image_archive_url":
# file), a description from its start ("URL of the image to turn into a video" is an image).
_WORDS = {
    "image": "image images img photo photos picture pictures mask masks frame frames portrait face selfie logo"
    " thumbnail texture sketch screenshot depth canny png jpg jpeg webp svg",
    "video": "video videos clip clips movie footage mp4 webm",
    "audio": "audio audios voice voices music song sound speech instrumental vocals vocal stem stems bass drums guitar"
    " piano mp3 wav midi",
    "3d": "3d mesh meshes glb gltf obj fbx usdz stl ply splat splats gaussian pbr mtl",
    "file": "zip archive tar safetensors npz weights checkpoint embedding latents pdf csv json dataset document lora"
    " config srt subtitles captions font model",
}
_KIND_OF_WORD = {word: kind for kind, words in _WORDS.items() for word in words.split()}
_KIND_OF_EXTENSION = {
    extension: kind
    for kind, extensions in {
        "image": "png jpg jpeg webp bmp tif tiff svg avif heic exr",
        "video": "mp4 mov webm mkv m4v avi",
        "audio": "mp3 wav flac ogg m4a aac opus mid midi",
        "3d": "glb gltf obj fbx usdz stl ply splat mtl",
        "file": "zip tar gz safetensors pt ckpt json csv pdf txt srt yaml yml npz docx",
    }.items()
    for extension in extensions.split()
}
_HINTS = {
    "image": "image",
    "image_mask": "image",
    "mask": "image",
    "video": "video",
    "audio": "audio",
    "3d": "3d",
    "url": "file",
    "file": "file",
}
_LIMITS = (
    *("max_file_size", "max_pixels", "min_width", "max_width", "min_height", "max_height"),
    *("min_duration", "max_duration", "min_fps", "max_fps", "min_aspect_ratio", "max_aspect_ratio"),
)
_EVERYWHERE = "image/png"  # the example of a content type that fal's plain File has, whatever the file is
_FILE_SIGNS = frozenset({"content_type", "file_name", "file_size", "file_data"})
_ARCHIVE = re.compile(r"\b(zip|tar|archive|safetensors|npz|npy)\b", re.IGNORECASE)
_URL_TEXT = re.compile(r"\s*(the |a |optional )*(public )?(url|uri|base64[- ]encoded)\b", re.IGNORECASE)
_URL_NAME = re.compile(r"(^|_)(url|urls|uri|uris)$")
_NOT_MEDIA = re.compile(r"webhook|callback|lora|repo|website|endpoint|proxy|_id$|_ids$|_name$|_path$|^path$")


def file_kind(name: str, flat: dict[str, Any], fields: list[dict[str, Any]]) -> str | None:
    """The media kind of an object (or a list of them) that looks like a file: a url beside a type, name or size."""
    by_name = {field["name"]: field for field in fields}
    if "url" not in by_name or not (_FILE_SIGNS & set(by_name) or {"width", "height"} <= set(by_name)):
        return None
    content_type = by_name.get("content_type", {})
    return (
        _kind_of_types([content_type.get("default")])
        or _kind_of_urls(_examples(flat))
        or _kind_of_archive(flat.get("description"))
        or _kind_of_name(_split_camel(flat.get("x-name", "")))
        or _kind_of_name(name)
        or _kind_of_measures(set(by_name))
        or _kind_of_types([example for example in content_type.get("examples", ()) if example != _EVERYWHERE])
        or _kind_of_description(flat.get("description"))
        or "file"
    )


def url_kind(name: str, flat: dict[str, Any], kind: str) -> str | None:
    """The media kind of a string that holds a URL (or a data URI); None when it is no URL of media."""
    if kind not in ("string", "any") or flat.get("enum") or flat.get("presets"):
        return None
    hint = _hint(flat)
    if hint in ("image", "video", "audio", "3d"):
        return hint
    if _NOT_MEDIA.search(name.lower()):
        return None
    examples = _examples(flat)
    if hint is None and not _is_url(name, flat, examples):
        return None
    return (
        _kind_of_urls(examples)
        or _kind_of_archive(flat.get("description"))
        or _kind_of_name(name)
        or _kind_of_description(flat.get("description"))
        or _kind_of_description(flat.get("title"))
        or "file"
    )


def media_limits(flat: dict[str, Any]) -> dict[str, float]:
    """What the provider says a file may be ("x-fal" and beside it): max_file_size in bytes, pixels, seconds."""
    hints = flat.get("x-fal")
    said = {**flat, **(hints if isinstance(hints, dict) else {})}
    return {
        key: said[key] for key in _LIMITS if isinstance(said.get(key), int | float) and not isinstance(said[key], bool)
    }


def _hint(flat: dict[str, Any]) -> str | None:
    ui = flat.get("ui")
    hint = flat.get("_fal_ui_field") or (ui.get("field") if isinstance(ui, dict) else None)
    return _HINTS.get(hint) if isinstance(hint, str) else None


def _examples(flat: dict[str, Any]) -> list[str]:
    """Example values that are text, those in lists and objects too; at most 50."""
    waiting = [flat.get("default"), flat.get("example"), *(flat.get("examples") or ())][:50]
    found: list[str] = []
    while waiting and len(found) < 50:
        value = waiting.pop(0)
        if isinstance(value, str):
            found.append(value)
        elif isinstance(value, list | dict):
            waiting += list(value.values() if isinstance(value, dict) else value)[:50]
    return found


def _is_url(name: str, flat: dict[str, Any], examples: list[str]) -> bool:
    if _URL_NAME.search(name.lower()) or flat.get("format") == "binary":
        return True
    if examples:
        return all(text.startswith(("https://", "http://", "data:")) for text in examples)
    return bool(_URL_TEXT.match(flat.get("description", "")))


def _kind_of_urls(urls: list[str]) -> str | None:
    for url in urls:
        if url.startswith("data:"):
            return _kind_of_types([url[5:]])
        if not url.startswith(("https://", "http://")):
            continue
        extension = url.split("?")[0].split("#")[0].rsplit("/", 1)[-1].rpartition(".")[2].lower()
        if extension in _KIND_OF_EXTENSION:
            return _KIND_OF_EXTENSION[extension]
    return None


def _kind_of_types(types: list[Any]) -> str | None:
    for text in types:
        main = text.partition("/")[0].lower() if isinstance(text, str) else ""
        if main in ("image", "video", "audio"):
            return main
        if main == "model":
            return "3d"
    return None


def _kind_of_measures(names: set[str]) -> str | None:
    """What only one kind of file has."""
    if names & {"fps", "num_frames"}:
        return "video"
    if names & {"sample_rate", "channels", "bitrate"}:
        return "audio"
    if {"width", "height"} <= names:
        return "video" if "duration" in names else "image"
    return None


def _kind_of_archive(description: Any) -> str | None:
    """An archive of images is no image."""
    return "file" if isinstance(description, str) and _ARCHIVE.search(description[:120]) else None


def _kind_of_name(name: str) -> str | None:
    for word in reversed(re.split(r"[^a-z0-9]+", name.lower())):
        if word in _KIND_OF_WORD:
            return _KIND_OF_WORD[word]
    return None


def _kind_of_description(text: Any) -> str | None:
    if not isinstance(text, str):
        return None
    for word in re.findall(r"[a-z0-9]+", text[:300].lower()):
        if word in _KIND_OF_WORD:
            return _KIND_OF_WORD[word]
    return None


def _split_camel(name: Any) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name) if isinstance(name, str) else ""
