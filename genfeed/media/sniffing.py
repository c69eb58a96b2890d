"""What a file is, by its first bytes: names and declared types are claims of whoever sent it."""

from __future__ import annotations

import re

HEAD_BYTES = 4_096
UNKNOWN = "application/octet-stream"
_STARTS = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"v/1\x01", "image/x-exr"),
    (b"\x1aE\xdf\xa3", "video/webm"),
    (b"ID3", "audio/mpeg"),
    (b"fLaC", "audio/flac"),
    (b"OggS", "audio/ogg"),
    (b"MThd", "audio/midi"),
    (b"glTF", "model/gltf-binary"),
    (b"ply\n", "model/ply"),
    (b"ply\r\n", "model/ply"),
    (b"Kaydara FBX Binary", "model/fbx"),
    (b"PK\x03\x04", "application/zip"),
    (b"PK\x05\x06", "application/zip"),
    (b"\x1f\x8b", "application/gzip"),
    (b"%PDF-", "application/pdf"),
)
_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}
_BRANDS = {
    b"avif": "image/avif", b"avis": "image/avif", b"heic": "image/heic", b"heix": "image/heic", b"mif1": "image/heic",
    b"qt  ": "video/quicktime", b"M4A ": "audio/mp4", b"M4B ": "audio/mp4",
}  # fmt: skip
# What a name may say where the bytes leave it open: of texts and of archives.
_TEXTS = {"obj": "model/obj", "mtl": "model/mtl", "stl": "model/stl", "csv": "text/csv", "srt": "application/x-subrip"}
_ARCHIVES = {"usdz": "model/vnd.usdz+zip", "npz": "application/zip"}
# What may stand before the root of an SVG, each with its end. One expression for all of it would try every way to read
# many of them, which are more than there are atoms.
_BEFORE_ROOT = ((b"<?xml", b">"), (b"<!--", b"-->"), (b"<!doctype svg", b">"))
_SVG = re.compile(rb"<svg\b")
_HTML = re.compile(rb"<(!doctype\s+html|html|head|body|script|iframe|meta|title)\b", re.IGNORECASE)
_EXTENSIONS = {
    "image/png": "png", "image/jpeg": "jpg", "image/gif": "gif", "image/webp": "webp", "image/bmp": "bmp",
    "image/tiff": "tiff", "image/avif": "avif", "image/heic": "heic", "image/svg+xml": "svg", "image/x-exr": "exr",
    "video/mp4": "mp4", "video/quicktime": "mov", "video/webm": "webm", "video/x-msvideo": "avi",
    "audio/mpeg": "mp3", "audio/wav": "wav", "audio/flac": "flac", "audio/ogg": "ogg", "audio/mp4": "m4a",
    "audio/aac": "aac", "audio/midi": "mid", "model/gltf-binary": "glb", "model/ply": "ply", "model/fbx": "fbx",
    "model/obj": "obj", "model/mtl": "mtl", "model/stl": "stl", "model/vnd.usdz+zip": "usdz", "text/csv": "csv",
    "application/x-safetensors": "safetensors", "application/zip": "zip", "application/gzip": "gz",
    "application/pdf": "pdf", "application/json": "json", "application/x-subrip": "srt", "text/plain": "txt",
    "text/html": "html", "application/xml": "xml",
}  # fmt: skip


def sniff(head: bytes, name: str = "") -> str:
    """The content type of a file from its first `HEAD_BYTES`; the name's ending decides only between kinds of one."""
    ending = name.rpartition(".")[2].lower()
    for start, content_type in _STARTS:
        if head.startswith(start):
            return _ARCHIVES.get(ending, content_type) if content_type == "application/zip" else content_type
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:12], UNKNOWN)
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide"):
        return _BRANDS.get(head[8:12], "video/mp4") if head[4:8] == b"ftyp" else "video/quicktime"
    if len(head) > 3 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:
        # A frame of sound: layer 0 is AAC in ADTS, the others are MPEG audio.
        return "audio/mpeg" if head[1] & 0x06 else "audio/aac"
    if len(head) > 9 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 100_000_000:
        return "application/x-safetensors"
    return _of_text(head, ending)


def kind_of(content_type: str) -> str:
    """image, video, audio, 3d, archive, text or other."""
    main, _, rest = content_type.partition("/")
    if main in ("image", "video", "audio", "text"):
        return main
    if main == "model":
        return "3d"
    if rest in ("zip", "gzip"):
        return "archive"
    return "text" if rest in ("json", "xml", "x-subrip") else "other"


def extension_of(content_type: str) -> str:
    """The usual ending of a file's name, without the dot; "bin" where nothing is known."""
    return _EXTENSIONS.get(content_type, "bin")


def _of_text(head: bytes, ending: str) -> str:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not text or b"\0" in head:
        # Binary STL has no mark of its own.
        return "model/stl" if ending == "stl" and head else UNKNOWN
    try:
        head[: len(head) - 3].decode() if len(head) == HEAD_BYTES else head.decode()
    except UnicodeDecodeError:
        return UNKNOWN
    if _HTML.search(text[:1_024]) and not re.search(rb"<svg\b", text[:64], re.IGNORECASE):
        return "text/html"
    if _is_svg(text):
        return "image/svg+xml"
    if text.startswith(b"<"):
        return "application/xml"
    if ending in _TEXTS:
        return _TEXTS[ending]
    return "application/json" if text[:1] in (b"{", b"[") else "text/plain"


def _is_svg(text: bytes) -> bool:
    rest = text.lower()
    while True:
        rest = rest.lstrip()
        end = next((end for start, end in _BEFORE_ROOT if rest.startswith(start)), None)
        if end is None:
            return bool(_SVG.match(rest))
        rest = rest.partition(end)[2]
