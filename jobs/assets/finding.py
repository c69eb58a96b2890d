"""The files in an output: by the model's output schema, and by what looks like a file where the schema is silent."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

# Outputs with more files than this are archives in disguise; what is beyond stays at the provider.
MOST_FILES = 500
_DEEPEST = 40
_WEB = ("http://", "https://")
_URL_NAME = re.compile(r"(^|_)(url|urls|uri|uris)$")
_NSFW = ("has_nsfw_concepts", "has_nsfw_content", "nsfw_content_detected", "nsfw", "is_nsfw")
_MIME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]{0,40}/[A-Za-z0-9][A-Za-z0-9.+-]{0,40}")
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
Place = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """A file in an output: its address or data URI, everywhere it stands, and what is said of it."""

    url: str
    places: list[Place]
    promised: str
    name: str
    is_nsfw: bool
    told: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Spot:
    url: str
    place: Place
    promised: str
    name: str
    is_nsfw: bool
    told: Mapping[str, Any] = field(default_factory=dict)


def files_in(output: Any, outputs: Iterable[Mapping[str, Any]]) -> list[Found]:
    """Each file of an output once, in the order in which they stand there; at most `MOST_FILES`."""
    found: dict[str, Found] = {}
    for spot in _walk(output, (), {"fields": list(outputs)}, "", False):
        known = found.get(spot.url)
        if known is None:
            if len(found) == MOST_FILES:
                break
            found[spot.url] = Found(spot.url, [spot.place], spot.promised, spot.name, spot.is_nsfw, spot.told)
        else:
            is_nsfw = known.is_nsfw or spot.is_nsfw
            found[spot.url] = Found(
                spot.url,
                [*known.places, spot.place],
                known.promised or spot.promised,
                known.name,
                is_nsfw,
                known.told or spot.told,
            )
    return list(found.values())


def safe_name(text: str, fallback: str = "file") -> str:
    """A file name that holds nothing but letters, digits, dots, dashes and underscores, at most 100 of them."""
    name = _UNSAFE.sub("_", text.replace("\\", "/").rpartition("/")[2]).strip("._")
    return name[-100:].lstrip("._-") or fallback


def _walk(value: Any, place: Place, field: Mapping[str, Any], media: str, is_nsfw: bool) -> Iterator[_Spot]:
    """`field` is what the schema says of the value, empty where it is silent; `media` the kind promised so far."""
    media = str(field.get("media") or media)
    if len(place) > _DEEPEST:
        return
    if isinstance(value, Mapping):
        fields = {item["name"]: item for item in field.get("fields") or () if isinstance(item, Mapping)}
        flags = _flags_of(value)
        for key, inner in value.items():
            own = is_nsfw or flags is True
            if isinstance(flags, list) and isinstance(inner, list) and key not in _NSFW:
                for index, one in enumerate(inner):
                    flagged = own or bool(index < len(flags) and flags[index] is True)
                    known = (fields.get(key) or {}).get("items") or {}
                    yield from _walk(one, (*place, key, index), known, _media_of(fields.get(key), media), flagged)
            elif isinstance(inner, str):
                if _is_file(key, inner, fields.get(key), media):
                    promised = _media_of(fields.get(key), media)
                    name = value.get("file_name") if _URL_NAME.search(key) else None
                    told = facts_told(value) if _URL_NAME.search(key) else {}
                    yield _Spot(inner, (*place, key), promised, _name_of(inner, name, (*place, key)), own, told)
            else:
                named = "file" if _URL_NAME.search(key) else ""
                yield from _walk(inner, (*place, key), fields.get(key) or {}, named, own)
    elif isinstance(value, list):
        items = field.get("items") or {}
        for index, inner in enumerate(value):
            yield from _walk(inner, (*place, index), items, media, is_nsfw)
    elif isinstance(value, str) and _is_file("", value, None, media):
        yield _Spot(value, place, media, _name_of(value, None, place), is_nsfw)


def facts_told(value: Mapping[str, Any]) -> dict[str, Any]:
    """What the provider says of a file beside its address: MIME type, bytes, seconds; nothing that can't be so."""
    told: dict[str, Any] = {}
    content_type = value.get("content_type")
    if isinstance(content_type, str) and _MIME.fullmatch(content_type):
        told["content_type"] = content_type.lower()
    size, seconds = value.get("file_size"), value.get("duration")
    if isinstance(size, int) and not isinstance(size, bool) and 0 < size < 10**15:
        told["size"] = size
    if isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 < seconds < 10**7:
        told["seconds"] = seconds
    return told


def _media_of(field: Mapping[str, Any] | None, inherited: str) -> str:
    return str((field or {}).get("media") or inherited)


def _is_file(key: str, text: str, field: Mapping[str, Any] | None, media: str) -> bool:
    """Whether a text is the address of a file: a data URI, or a web address where the schema or its name says so."""
    if text.startswith("data:"):
        return "," in text[:200]
    if not text.startswith(_WEB):
        return False
    if field is not None and field.get("media"):
        return True
    return bool(_URL_NAME.search(key)) or (bool(media) and not key)


def _flags_of(value: Mapping[str, Any]) -> bool | list[Any] | None:
    """What stands beside the files about their content: one flag, or one for each of a list."""
    for name in _NSFW:
        flag = value.get(name)
        if isinstance(flag, bool):
            return flag
        if isinstance(flag, list):
            return flag
    return None


def _name_of(url: str, told: Any, place: Place) -> str:
    own = "-".join(str(part) for part in place if part not in ("url", "")) or "file"
    if isinstance(told, str) and told:
        return safe_name(told, own)
    if url.startswith("data:"):
        return safe_name(own)
    return safe_name(unquote(urlsplit(url).path), own)
