"""A film in one colour as H.264 (baseline): one whole picture, then pictures that say "as before".

The first block carries the colour as the mean of its differences from mid grey; every other block is predicted from
its neighbours without a correction, so the colour spreads over the frame.
"""

from genfeed.sandbox.media.bits import BitWriter
from genfeed.sandbox.media.pictures import Colour

BLOCK = 16
QP = 36
FRAME_NUMBER_BITS = 4
# One step of a mean at this quantiser moves the picture by 4 (luma) and about 3 (chroma); levels are kept small.
LUMA_STEP, CHROMA_STEP = 10, 8


def parameter_sets(width: int, height: int) -> tuple[bytes, bytes]:
    """The sequence and the picture parameter set."""
    columns, rows = -(-width // BLOCK), -(-height // BLOCK)
    sps = BitWriter()
    for value in (66, 0xC0, 51):  # baseline, constrained, level 5.1
        sps.number(value, 8)
    for value in (0, FRAME_NUMBER_BITS - 4, 2, 1):  # id, frame numbers, order as coded, one reference
        sps.golomb(value)
    sps.put("0")
    sps.golomb(columns - 1)
    sps.golomb(rows - 1)
    sps.put("11")  # frames only, direct 8x8
    right, bottom = (columns * BLOCK - width) // 2, (rows * BLOCK - height) // 2
    sps.put("1" if right or bottom else "0")
    if right or bottom:
        for value in (0, right, 0, bottom):
            sps.golomb(value)
    sps.put("0")
    pps = BitWriter()
    pps.golomb(0)
    pps.golomb(0)
    pps.put("00")
    for value in (0, 0, 0):
        pps.golomb(value)
    pps.put("000")
    pps.signed_golomb(QP - 26)
    pps.signed_golomb(0)
    pps.signed_golomb(0)
    pps.put("100")  # deblocking is controlled by the slices
    return _unit(0x67, sps), _unit(0x68, pps)


def whole_picture(width: int, height: int, colour: Colour) -> bytes:
    """The first frame."""
    count = -(-width // BLOCK) * -(-height // BLOCK)
    bits = BitWriter()
    for value in (0, 7, 0):  # first block, an I slice, parameter set 0
        bits.golomb(value)
    bits.number(0, FRAME_NUMBER_BITS)
    bits.golomb(0)  # number of this whole picture
    bits.put("00")  # kept as a short-term reference
    bits.signed_golomb(0)
    bits.golomb(1)  # no deblocking
    luma, blue, red = _levels(colour)
    bits.golomb(1 + 2 + 4)  # 16x16, predicted by the mean, chroma means coded
    bits.golomb(0)
    bits.signed_golomb(0)
    _mean(bits, luma, none="1", one="000101", zeros="1")
    _mean(bits, blue, none="01", one="000111", zeros="1")
    _mean(bits, red, none="01", one="000111", zeros="1")
    plain = BitWriter()
    plain.golomb(1 + 2)
    plain.golomb(0)
    plain.signed_golomb(0)
    plain.put("1")
    bits.put("".join(plain.parts) * (count - 1))
    return _unit(0x65, bits)


def same_picture(width: int, height: int, number: int) -> bytes:
    """A frame in which every block is skipped. `number` counts from 1."""
    bits = BitWriter()
    for value in (0, 5, 0):  # first block, a P slice, parameter set 0
        bits.golomb(value)
    bits.number(number % (1 << FRAME_NUMBER_BITS), FRAME_NUMBER_BITS)
    bits.put("00" + "0")  # one reference, no reordering, sliding window
    bits.signed_golomb(0)
    bits.golomb(1)
    bits.golomb(-(-width // BLOCK) * -(-height // BLOCK))
    return _unit(0x41, bits)


def _levels(colour: Colour) -> tuple[int, int, int]:
    red, green, blue = colour
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    steps = (luma - 128) / LUMA_STEP, (blue - luma) * 0.564 / CHROMA_STEP, (red - luma) * 0.713 / CHROMA_STEP
    return _level(steps[0]), _level(steps[1]), _level(steps[2])


def _level(steps: float) -> int:
    """A level that has a plain code: 0, or 2 to 8 in either direction."""
    size = min(8, round(abs(steps)))
    return 0 if size < 2 else size if steps > 0 else -size


def _mean(bits: BitWriter, level: int, *, none: str, one: str, zeros: str) -> None:
    if level == 0:
        bits.put(none)
        return
    code = 2 * abs(level) - (2 if level > 0 else 1) - 2
    bits.put(one + "0" * code + "1" + zeros)


def _unit(kind: int, bits: BitWriter) -> bytes:
    """A NAL unit: stop bit, alignment, and no three bytes that look like a start code."""
    bits.put("1")
    raw = bits.to_bytes()
    out = bytearray([kind])
    zeros = 0
    for byte in raw:
        if zeros >= 2 and byte <= 3:
            out.append(3)
            zeros = 0
        out.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return bytes(out)
