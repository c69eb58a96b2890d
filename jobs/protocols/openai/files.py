"""Files that come in a form: kept as uploads of the client, and put where the model takes images and masks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile, UploadedFile

from genfeed.media.png_alpha import UnreadableMaskError, has_alpha, marked_by_brightness
from jobs.assets.uploading import store_upload
from jobs.protocols.openai.errors import refused
from jobs.protocols.openai.mapping import Fitted
from jobs.protocols.openai.reading import Asked
from pricing.counting.requests import media_kind

Field = dict[str, Any]

# A picture that the output begins with or is made from, before those that it only looks like or ends with.
_FIRST = ("image", "start", "first", "input", "source", "reference", "ref")
_NO_START = ("end", "last", "tail", "style", "control", "mask", "texture", "face", "depth", "pose")
_LARGEST_MASK = 52_428_800


def put_images(fitted: Fitted, param: str, files: Iterable[UploadedFile | str], client_id: int) -> None:
    """Puts files, or addresses and ids of files, where the model takes its images. Raises ApiError."""
    given = list(files)
    item = _image_field(fitted.fields, len(given))
    if item is None:
        one = any(_takes_images(field) for field in fitted.fields.values())
        message = "the model takes one image." if one else "the model takes no image."
        raise refused(param, message, "Send one image." if one else "Choose a model that does.")
    named = [one if isinstance(one, str) else _stored(fitted, one, client_id) for one in given]
    fitted.put(param, item["name"], named if item["type"] == "array" else named[0])


def brought(asked: Asked, param: str) -> list[UploadedFile | str]:
    """The files of a parameter, and the addresses, data URIs and `asset:` ids in the place of some. Raises ApiError."""
    found: list[UploadedFile | str] = [*asked.files.get(param, ())]
    given = asked.values.get(param, [])
    for one in given if isinstance(given, list) else [given]:
        named = (one.get("image_url") or one.get("file_id")) if isinstance(one, dict) else one
        if not isinstance(named, str) or not named:
            hint = "Send a file in a form, a web address, a data URI, or asset:ast_…."
            raise refused(param, f"{str(one)[:40]!r} names no file.", hint)
        found.append(named)
    return found


def put_mask(fitted: Fitted, param: str, file: UploadedFile | str, client_id: int) -> None:
    """Puts a mask where the model takes one: white is what changes, and so is what was transparent. Raises ApiError."""
    named = [one for one in fitted.fields.values() if "mask" in one["name"] and one.get("media") == "image"]
    item = min(named, key=lambda one: (not one["required"], len(one["name"])), default=None)
    if item is None or item["type"] == "array":
        raise refused(param, "the model takes no mask.", "Choose a model that does, or leave it out.")
    if isinstance(file, str):
        fitted.put(param, item["name"], file)
        return
    if (file.size or 0) > _LARGEST_MASK:
        raise refused(param, f"a mask may have {_LARGEST_MASK} bytes.", "Send a smaller one.")
    data = file.read()
    file.seek(0)
    if has_alpha(data):
        try:
            file = SimpleUploadedFile("mask.png", marked_by_brightness(data), content_type="image/png")
        except UnreadableMaskError as error:
            raise refused(param, f"the mask can't be read: {error}.", "Send a plain PNG with transparency.") from None
    fitted.put(param, item["name"], _stored(fitted, file, client_id))


def _stored(fitted: Fitted, file: UploadedFile, client_id: int) -> str:
    fitted.stored.append(store_upload(file, client_id))
    return f"asset:{fitted.stored[-1].pk}"


def _image_field(fields: Mapping[str, Field], count: int) -> Field | None:
    """The field for so many images: what must be given goes first, then what its name says it begins with."""
    fitting = [one for one in fields.values() if _takes_images(one) and (count == 1 or one["type"] == "array")]
    return min(fitting, key=lambda one: (not one["required"], *_rank(one, count)), default=None)


def _takes_images(item: Field) -> bool:
    is_plain = item["type"] == "string" or (
        item["type"] == "array" and item.get("items", {}).get("type", "string") == "string"
    )
    words = item["name"].lower().split("_")
    return is_plain and media_kind(item) == "image" and not any(word in _NO_START for word in words)


def _rank(item: Field, count: int) -> tuple[int, bool]:
    first = item["name"].lower().split("_")[0]
    return (_FIRST.index(first) if first in _FIRST else len(_FIRST)), (item["type"] == "array") == (count == 1)
