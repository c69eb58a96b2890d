"""The file that carries a catalog: a line that says what it is, a header, its signature, then gzip of JSON lines.

The signature covers everything before it, and the header carries the digest of everything after it: a file is known to
be whole and the signer's before a byte of it is unpacked. gzip, because the whole catalog takes 1.0 MB and 0.15 s of
CPU with it; xz would save a third of the bytes for thirteen times the CPU, and zstd is not in Python 3.12.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any, Literal

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from catalog.exchange.signing import is_signed
from genfeed.net.bounded_json import storable

MAGIC = b"GENFEED-CATALOG\n"
FORMAT = 1
LARGEST_FILE = 64 * 2**20
LARGEST_UNPACKED = 256 * 2**20
_LONGEST_HEADER = 4096
_LEVEL = 6

Reason = Literal["not_an_export", "format", "key", "signature", "truncated", "damaged", "older", "gap", "empty"]


class BadExportError(Exception):
    """An export that is not taken; `reason` says what is wrong with it in one word, the message to a person."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Header:
    """What a file says of itself. `since` 0: the whole catalog, else what changed after that revision.

    `state` is a digest of the whole catalog at that revision. `size` and `sha256` are those of the packed part.
    """

    format: int
    revision: int
    since: int
    state: str
    made_at: str
    size: int
    unpacked: int
    sha256: str
    key: str


@dataclass(frozen=True)
class Export:
    """A file that was checked: its header, the signature in base64, and its lines still packed."""

    header: Header
    signature: str
    packed: bytes

    def lines(self) -> Iterator[Any]:
        """The JSON lines, the first of which is the table of contents; raises BadExportError."""
        raw = _unpack(self.packed, self.header.unpacked)
        try:
            for line in raw.splitlines():
                yield storable(orjson.loads(line), line)
        except (orjson.JSONDecodeError, RecursionError):
            raise BadExportError("damaged", "The export holds a line that is no JSON, or nested too deeply.") from None


def write(
    lines: Iterable[bytes], key: Ed25519PrivateKey, *, revision: int, since: int, state: str, made_at: str
) -> bytes:
    """The file of these JSON lines, signed."""
    raw = b"\n".join(lines)
    packed = gzip.compress(raw, _LEVEL, mtime=0)
    header = Header(
        format=FORMAT,
        revision=revision,
        since=since,
        state=state,
        made_at=made_at,
        size=len(packed),
        unpacked=len(raw),
        sha256=sha256(packed).hexdigest(),
        key=base64.b64encode(key.public_key().public_bytes_raw()).decode(),
    )
    signed = MAGIC + orjson.dumps(asdict(header)) + b"\n"
    return signed + base64.b64encode(key.sign(signed)) + b"\n" + packed


def read(content: bytes, *, public_key: str) -> Export:
    """The export in a file, known to be whole and signed with this key; raises BadExportError for any other."""
    if not content.startswith(MAGIC):
        if MAGIC.startswith(content):
            raise BadExportError("truncated", "The export is cut off at its very beginning.")
        raise BadExportError("not_an_export", "This is no export of a GenFeed catalog.")
    header_line, signature, packed = _parts(content)
    header = _header(header_line)
    if header.key != public_key:
        raise BadExportError(
            "key",
            "The export is signed with another key than the one that is trusted here. If the cloud has a new key, "
            "compare its fingerprint with the operator's and run the command once with --trust-new-key.",
        )
    if not is_signed(MAGIC + header_line + b"\n", signature, public_key):
        raise BadExportError("signature", "The export's signature is wrong: it was changed, or is not the cloud's.")
    if len(packed) < header.size:
        raise BadExportError(
            "truncated", f"The export is cut off: {len(packed):,} of {header.size:,} bytes are there. Get it again."
        )
    if len(packed) > header.size or sha256(packed).hexdigest() != header.sha256:
        raise BadExportError("damaged", "The export's content is not what its signed header says. Get it again.")
    return Export(header, base64.b64encode(signature).decode(), packed)


def signer(content: bytes) -> str:
    """The public key that a file names as its own, unproven: for pinning at first use; raises BadExportError."""
    if not content.startswith(MAGIC):
        raise BadExportError("not_an_export", "This is no export of a GenFeed catalog.")
    return _header(_parts(content)[0]).key


def _parts(content: bytes) -> tuple[bytes, bytes, bytes]:
    """Header line, signature, packed lines."""
    header_end = content.find(b"\n", len(MAGIC), len(MAGIC) + _LONGEST_HEADER)
    signature_end = content.find(b"\n", header_end + 1, header_end + 200) if header_end > 0 else -1
    if signature_end < 0:
        if len(content) < len(MAGIC) + _LONGEST_HEADER:
            raise BadExportError("truncated", "The export is cut off before its content begins.")
        raise BadExportError("not_an_export", "The export has no readable header.")
    try:
        signature = base64.b64decode(content[header_end + 1 : signature_end], validate=True)
    except (binascii.Error, ValueError):
        raise BadExportError("signature", "The signature of the export can't be read.") from None
    return content[len(MAGIC) : header_end], signature, content[signature_end + 1 :]


def _header(line: bytes) -> Header:
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError:
        found = None
    number = found.get("format") if isinstance(found, dict) else None
    if isinstance(number, int) and number != FORMAT:
        raise BadExportError(
            "format",
            f"The export has format {number}, this installation reads format {FORMAT}. Bring the older of the two up "
            "to date.",
        )
    try:
        header = Header(**found)
    except TypeError:
        raise BadExportError("damaged", "The header of the export can't be read.") from None
    numbers = (header.format, header.revision, header.since, header.size, header.unpacked)
    texts = (header.state, header.made_at, header.sha256, header.key)
    # As large and as long as a database takes; texts without the null characters that it does not.
    good_numbers = all(type(one) is int and 0 <= one < 2**62 for one in numbers)
    if not good_numbers or not all(isinstance(one, str) and len(one) <= 64 and "\0" not in one for one in texts):
        raise BadExportError("damaged", "The header of the export can't be read.")
    if header.size > LARGEST_FILE or header.unpacked > LARGEST_UNPACKED:
        raise BadExportError("damaged", "The export says that it is larger than any catalog.")
    return header


def _unpack(packed: bytes, size: int) -> bytes:
    """Exactly so many bytes, or BadExportError; never unpacks more."""
    unpacker = zlib.decompressobj(wbits=31)
    try:
        raw = unpacker.decompress(packed, size + 1)
    except zlib.error:
        raise BadExportError("damaged", "The export's content can't be unpacked.") from None
    if len(raw) != size or not unpacker.eof:
        raise BadExportError("damaged", "The export unpacks to another size than it says.")
    return raw
