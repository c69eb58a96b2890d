"""What a request says, in JSON or as a form with files: its parameters by name."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import orjson
from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest

from genfeed.clients.errors import ApiError
from genfeed.net.bounded_json import read_json
from jobs.accepting.null_characters import refuse_null_characters

_PIECE = 1_048_576
# What a form adds around its files.
_FORM_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Asked:
    """Parameters that were given, without nulls; of a form all of them are texts, and files stand apart."""

    values: dict[str, Any]
    files: dict[str, list[UploadedFile]] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """A parameter that is a text, "" where it is not given. Raises ApiError."""
        value = self.values.get(name, "")
        if not isinstance(value, str):
            raise ApiError("invalid_request", f"{name}: it must be a text.", "Send it so.", details={"param": name})
        return value


def read_asked(request: HttpRequest) -> Asked:
    """The parameters of a request. Raises ApiError."""
    if (request.content_type or "").startswith("multipart/"):
        return _of_form(request)
    try:
        body = read_json(request.body or b"{}")
    except orjson.JSONDecodeError as error:
        raise ApiError("invalid_request", f"The body is no valid JSON: {error}.", "Send JSON, or a form.") from None
    if not isinstance(body, dict):
        raise ApiError("invalid_request", "The body is no object.", 'Send {"model": …, "prompt": …}.')
    refuse_null_characters(body)
    return Asked({name: value for name, value in body.items() if value is not None})


def digest_of(request: HttpRequest, asked: Asked) -> str:
    """SHA-256 of what must be the same for a repetition; a form is written anew with another boundary each time."""
    digest = hashlib.sha256(f"{request.method} {request.path}\n".encode())
    digest.update(orjson.dumps(asked.values, option=orjson.OPT_SORT_KEYS))
    for name in sorted(asked.files):
        for file in asked.files[name]:
            digest.update(f"\n{name} {file.size} ".encode())
            for piece in file.chunks(_PIECE):
                digest.update(piece)
            file.seek(0)
    return digest.hexdigest()


def _of_form(request: HttpRequest) -> Asked:
    length = request.META.get("CONTENT_LENGTH") or "0"
    most = settings.UPLOAD_MAX_BYTES + _FORM_BYTES
    if not (length.isascii() and length.isdigit()) or int(length[:20]) > most:
        raise ApiError("payload_too_large", f"A form may have {most} bytes.", "Send fewer or smaller files.")
    values: dict[str, Any] = {}
    for name, given in request.POST.lists():
        outer, _, inner = name.removesuffix("[]").partition("[")
        value: Any = given if name.endswith("[]") else given[-1]
        if inner:
            held = values.setdefault(outer, {})
            if isinstance(held, dict):
                held[inner.rstrip("]")] = value
        else:
            values[outer] = value
    refuse_null_characters(values)
    files: dict[str, list[UploadedFile]] = {}
    for name in request.FILES:
        files.setdefault(name.removesuffix("[]"), []).extend(request.FILES.getlist(name))
    return Asked(values, files)
