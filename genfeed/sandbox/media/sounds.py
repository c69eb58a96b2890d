"""WAV and MP3 sounds of a given length."""

import math
import struct

WAV_RATE = 8000
# MPEG-2 layer III, 22,050 Hz, one channel, 8 kbit/s: 576 samples in 26 bytes.
MP3_HEAD = bytes((0xFF, 0xF3, 0x10, 0xC4))
MP3_RATE, MP3_SAMPLES, MP3_FRAME = 22050, 576, 26


def wav(seconds: float, *, pitch: int = 440, comment: str = "") -> bytes:
    """A tone, 8-bit mono at 8,000 Hz."""
    count = max(1, round(seconds * WAV_RATE))
    second = bytes(128 + round(40 * math.sin(2 * math.pi * pitch * at / WAV_RATE)) for at in range(WAV_RATE))
    samples = (second * (count // WAV_RATE + 1))[:count]
    note = comment.encode("latin-1", "replace") + b"\x00"
    info = b"INFO" + _chunk(b"ICMT", note)
    form = struct.pack("<HHIIHH", 1, 1, WAV_RATE, WAV_RATE, 1, 8)
    body = b"WAVE" + _chunk(b"fmt ", form) + _chunk(b"LIST", info) + _chunk(b"data", samples)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _chunk(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + b"\x00" * (len(body) % 2)


def mp3(seconds: float, *, comment: str = "") -> bytes:
    """Silence: frames whose side information says that nothing follows."""
    frames = max(1, round(seconds * MP3_RATE / MP3_SAMPLES))
    note = b"\x00eng\x00" + comment.encode("latin-1", "replace")
    tag = b"COMM" + struct.pack(">IH", len(note), 0) + note
    size = len(tag)
    head = b"ID3\x03\x00\x00" + bytes((size >> shift) & 127 for shift in (21, 14, 7, 0))
    return head + tag + (MP3_HEAD + bytes(MP3_FRAME - 4)) * frames
