"""Small media files with headers as real ones have them."""

import io
import struct
import wave
import zlib


def png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def gif(width: int, height: int) -> bytes:
    return b"GIF89a" + struct.pack("<HH", width, height) + b"\x00\x00\x00;"


def wav(seconds: float, rate: int = 8000) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        sound.writeframes(bytes(int(seconds * rate) * 2))
    return file.getvalue()


def box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I", 8 + len(body)) + kind + body


def mp4(
    *,
    width: int = 1280,
    height: int = 720,
    frames: int = 120,
    fps: int = 24,
    turned: bool = False,
    header_last: bool = False,
    filling: int = 1000,
    audio_only: bool = False,
) -> bytes:
    """An MP4 file with one track; `filling` bytes of media; the header before or behind them."""
    matrix = (0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30) if turned else (65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)
    tkhd = box(b"tkhd", struct.pack(">IIIIII8xHHHH", 3, 0, 0, 1, 0, frames, 0, 0, 0, 0), struct.pack(">9i", *matrix),
               struct.pack(">II", width << 16, height << 16))  # fmt: skip
    mdhd = box(b"mdhd", struct.pack(">IIIIIHH", 0, 0, 0, fps, frames, 0, 0))
    hdlr = box(b"hdlr", struct.pack(">II4s12x", 0, 0, b"soun" if audio_only else b"vide"), b"handler\x00")
    stts = box(b"stts", struct.pack(">IIII", 0, 1, frames, 1))
    trak = box(b"trak", tkhd, box(b"mdia", mdhd, hdlr, box(b"minf", box(b"stbl", stts))))
    mvhd = box(b"mvhd", struct.pack(">IIIII", 0, 0, 0, fps, frames), bytes(80))
    ftyp, moov, mdat = box(b"ftyp", b"isom\x00\x00\x02\x00isom"), box(b"moov", mvhd, trak), box(b"mdat", bytes(filling))
    return ftyp + mdat + moov if header_last else ftyp + moov + mdat
