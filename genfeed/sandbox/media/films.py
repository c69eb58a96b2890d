"""MP4 films: H.264 in an ISO base media file, of a given size, length and frame rate, a few kilobytes each."""

import struct

from genfeed.sandbox.media.h264 import parameter_sets, same_picture, whole_picture
from genfeed.sandbox.media.pictures import Colour

MATRIX = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)


def mp4(width: int, height: int, frames: int, fps: int, colour: Colour, *, comment: str = "") -> bytes:
    """A film of one colour. Odd sizes become even, as the codec wants them."""
    width, height, frames = max(2, width // 2 * 2), max(2, height // 2 * 2), max(1, frames)
    sps, pps = parameter_sets(width, height)
    samples = [whole_picture(width, height, colour)]
    # Frame numbers repeat after 16 pictures, so no more than 16 different ones are made.
    repeated = [same_picture(width, height, number) for number in range(16)]
    samples += [repeated[number % 16] for number in range(1, frames)]
    coded = [struct.pack(">I", len(sample)) + sample for sample in samples]
    ftyp = _box(b"ftyp", b"isom\x00\x00\x02\x00isomavc1mp41")
    note = _box(b"free", comment.encode())
    sizes = [len(one) for one in coded]
    # The table of places needs the length of the header, which does not depend on what stands in it.
    head = ftyp + note + _moov(width, height, frames, fps, sps, pps, sizes, place=0)
    moov = _moov(width, height, frames, fps, sps, pps, sizes, place=len(head) + 8)
    return ftyp + note + moov + _box(b"mdat", *coded)


def _moov(
    width: int, height: int, frames: int, fps: int, sps: bytes, pps: bytes, sizes: list[int], *, place: int
) -> bytes:
    mvhd = _full(b"mvhd", struct.pack(">IIIIIH10x", 0, 0, fps, frames, 65536, 256), MATRIX, bytes(24), b"\0\0\0\2")
    tkhd = _box(
        b"tkhd", struct.pack(">IIIIII8xHHHH", 3, 0, 0, 1, 0, frames, 0, 0, 0, 0), MATRIX,
        struct.pack(">II", width << 16, height << 16),
    )  # fmt: skip
    mdhd = _full(b"mdhd", struct.pack(">IIIIHH", 0, 0, fps, frames, 0x55C4, 0))
    hdlr = _full(b"hdlr", struct.pack(">I4s12x", 0, b"vide"), b"film\0")
    dinf = _box(b"dinf", _full(b"dref", b"\0\0\0\1", _box(b"url ", b"\0\0\0\1")))
    sets = bytes((1, *sps[1:4], 0xFF, 0xE1)) + struct.pack(">H", len(sps)) + sps + b"\1"
    avcc = _box(b"avcC", sets, struct.pack(">H", len(pps)), pps)
    entry = struct.pack(">6xH16xHHIIIH32xHh", 1, width, height, 0x480000, 0x480000, 0, 1, 24, -1)
    stbl = _box(
        b"stbl",
        _full(b"stsd", b"\0\0\0\1", _box(b"avc1", entry, avcc)),
        _full(b"stts", struct.pack(">III", 1, frames, 1)),
        _full(b"stss", struct.pack(">II", 1, 1)),
        _full(b"stsc", struct.pack(">IIII", 1, 1, frames, 1)),
        _full(b"stsz", struct.pack(f">II{frames}I", 0, frames, *sizes)),
        _full(b"stco", struct.pack(">II", 1, place)),
    )
    minf = _box(b"minf", _box(b"vmhd", struct.pack(">IQ", 1, 0)), dinf, stbl)
    return _box(b"moov", mvhd, _box(b"trak", tkhd, _box(b"mdia", mdhd, hdlr, minf)))


def _box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I", 8 + len(body)) + kind + body


def _full(kind: bytes, *parts: bytes) -> bytes:
    return _box(kind, bytes(4), *parts)
