"""Archives, weights and texts."""

import io
import struct
import zipfile

import orjson

from genfeed.sandbox.media.pictures import Colour, png

ZIP_DATE = (2026, 1, 1, 0, 0, 0)


def zip_of_pictures(first: Colour, second: Colour, *, comment: str = "") -> bytes:
    """An archive with two small pictures."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for number, colours in enumerate(((first, second), (second, first))):
            archive.writestr(zipfile.ZipInfo(f"frame_{number:04}.png", ZIP_DATE), png(64, 64, *colours))
        archive.comment = comment.encode()
    return file.getvalue()


def safetensors(*, comment: str = "") -> bytes:
    """Weights: one tensor of four zeros."""
    tensor = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}
    head = orjson.dumps({"__metadata__": {"comment": comment}, "lora.weight": tensor})
    head += b" " * (-len(head) % 8)
    return struct.pack("<Q", len(head)) + head + bytes(16)


def json_text(*, comment: str = "") -> bytes:
    """A JSON object."""
    return orjson.dumps({"made_by": "sandbox", "comment": comment})


def plain_text(*, comment: str = "") -> bytes:
    """A line of text."""
    return f"Made by the sandbox. {comment}\n".encode()
