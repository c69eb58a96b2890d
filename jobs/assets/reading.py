"""What a stored file is, read from its bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

from genfeed.media.headers import MediaFacts, UnreadableMediaError, read_audio, read_image, read_video
from genfeed.media.sniffing import HEAD_BYTES, extension_of, kind_of, sniff

_READ = {"image": read_image, "video": read_video, "audio": read_audio}
# Parsers of headers meet strangers' bytes: whatever they raise means that nothing is known.
_BROKEN = (UnreadableMediaError, ValueError, ArithmeticError, LookupError, EOFError, TypeError, MemoryError)


@dataclass(frozen=True, slots=True)
class Read:
    """Type and kind by the bytes, a name with the right ending, and the facts of the header."""

    content_type: str
    kind: str
    name: str
    facts: MediaFacts


def read_file(file: BinaryIO, name: str) -> Read:
    """Looks into a file of any kind; unknown ones are `application/octet-stream`."""
    file.seek(0)
    content_type = sniff(file.read(HEAD_BYTES), name)
    kind = kind_of(content_type)
    try:
        facts = _READ[kind](file) if kind in _READ else MediaFacts()
    except _BROKEN:
        facts = MediaFacts()
    return Read(content_type, kind, _with_ending(name, content_type), facts)


def _with_ending(name: str, content_type: str) -> str:
    """The name, ending as its content does: what a browser saves must open. Unknown contents are never a page."""
    stem, dot, ending = name.rpartition(".")
    usual = extension_of(content_type)
    if usual == "bin":
        return f"{name}.bin" if ending.lower() in ("html", "htm", "svg", "xml", "xhtml", "js") else name
    same = {"jpeg": "jpg", "tif": "tiff", "htm": "html", "m4v": "mp4", "mkv": "webm", "npz": "zip", "oga": "ogg"}
    if same.get(ending.lower(), ending.lower()) == usual and dot:
        return name
    known = dot and ending.isalnum() and len(ending) <= 11 and not ending.isdigit()
    return f"{stem if known else name}.{usual}"
