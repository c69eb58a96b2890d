"""Files that claim to be enormous cost what their header takes, and files made to be walked over for ever end."""

import io
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from genfeed.media.frugal import FARTHEST
from genfeed.media.headers import MediaFacts, UnreadableMediaError, read_audio, read_image, read_video
from genfeed.media.png_alpha import LONGEST_SIDE, UnreadableMaskError, marked_by_brightness
from genfeed.media.sniffing import sniff
from jobs.assets.reading import read_file
from tests.cpu_bound import bounded_cpu
from tests.media import bombs
from tests.media.files import box, mp4

HUGE = 100_000
CLAIMS = {
    "png": bombs.png(HUGE, HUGE),
    "webp": bombs.webp(HUGE, HUGE),
    "avif": bombs.avif(HUGE, HUGE),
    "bmp": b"BM" + bytes(16) + struct.pack("<ll", HUGE, HUGE) + bytes(40),
}


@pytest.mark.parametrize("kind", CLAIMS)
def test_an_image_that_claims_ten_thousand_megapixels_is_as_large_as_it_says_and_takes_no_memory(kind: str) -> None:
    tracemalloc.start()
    try:
        facts = read_image(io.BytesIO(CLAIMS[kind]))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert (facts.width, facts.height) == (HUGE, HUGE)
    assert peak < 1_000_000


@pytest.mark.parametrize("file", [bombs.gif(60_000, 1, frames=200_000), bombs.webp(9, 60_000, frames=200_000)])
def test_an_image_of_many_frames_is_read_by_its_header_alone(file: bytes) -> None:
    opened = io.BytesIO(file)

    # The sides of this GIF are beyond 32,767 pixels.
    with suppress(UnreadableMediaError):
        read_image(opened)

    assert opened.tell() < 1_000


@pytest.mark.parametrize("side", [2**31, 2**32 - 1])
@pytest.mark.parametrize("make", [bombs.png, bombs.avif])
def test_a_side_that_no_database_holds_is_no_size(make: Callable[[int, int], bytes], side: int) -> None:
    read = read_file(io.BytesIO(make(side, 10)), "a")

    assert read.kind == "image"
    assert read.facts == MediaFacts()


@pytest.mark.parametrize("kind", CLAIMS)
def test_an_image_that_is_cut_off_is_none_or_as_large_as_it_says(kind: str) -> None:
    for end in range(len(CLAIMS[kind])):
        try:
            facts = read_image(io.BytesIO(CLAIMS[kind][:end]))
        except UnreadableMediaError:
            continue
        assert (facts.width, facts.height) == (HUGE, HUGE)


def test_an_image_is_as_wide_as_its_own_properties_say_and_not_those_of_its_thumbnail() -> None:
    facts = [read_image(io.BytesIO(bombs.avif(640, 480, turned=turned))) for turned in (False, True)]

    assert [(one.width, one.height) for one in facts] == [(640, 480), (480, 640)]


def test_references_that_multiply_inside_of_an_image_are_not_followed() -> None:
    # 1.5 KB that stand for ten million places, and as much more for each byte of the 200 MB that a file may have.
    file = bombs.avif(640, 480, inside=bombs.endless_extents(150))

    with bounded_cpu(0.5):
        assert read_image(io.BytesIO(file)).width == 640


def test_boxes_without_end_are_not_counted_to_the_end() -> None:
    boxes = box(b"free") * 2_000_000

    with bounded_cpu(1.0):
        for file in (bombs.avif(640, 480, before=boxes), bombs.avif(640, 480, before=boxes)[:-100]):
            with pytest.raises(UnreadableMediaError):
                read_image(io.BytesIO(file))


@pytest.mark.parametrize(
    ("read", "start", "body"),
    [
        (read_image, b"\xff\xd8\xff\xe0\0\2", b"\0"),
        (read_image, b"P5 ", b"9"),
    ],
    ids=["markers of a JPEG", "a side in digits"],
)
def test_a_header_without_end_is_not_read_to_the_end(
    read: Callable[[io.BytesIO], MediaFacts], start: bytes, body: bytes
) -> None:
    file = io.BytesIO(start + body * (60_000_000 // len(body)))

    with bounded_cpu(2.0), pytest.raises(UnreadableMediaError):
        read(file)


def test_a_sound_that_comes_in_one_endless_piece_is_not_kept() -> None:
    page = b"OggS\0\2" + bytes(8) + bytes(4) + bytes(8) + b"\xff" + b"\xff" * 255 + bytes(255 * 255)
    file = io.BytesIO(page * 2_500)
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableMediaError):
            read_audio(file)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 100_000_000


def test_boxes_in_boxes_do_not_bury_the_reader() -> None:
    nested = b""
    for _ in range(2_000):
        nested = box(b"trak", nested)
    file = box(b"ftyp", b"isom\0\0\0\0isom") + box(b"moov", nested)

    assert read_file(io.BytesIO(file), "a").facts == MediaFacts()


@pytest.mark.parametrize("place", [FARTHEST + 1, 2**63 - 100, 2**64 - 1])
def test_a_place_that_no_file_has_is_the_files_fault_and_not_our_disks(tmp_path: Path, place: int) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(box(b"ftyp", b"isom\0\0\0\0isom") + struct.pack(">I4sQ", 1, b"mdat", place) + mp4())

    with path.open("rb") as file:
        read = read_file(file, "a.mp4")

    assert (read.content_type, read.facts) == ("video/mp4", MediaFacts())


def test_a_length_that_no_film_has_is_none() -> None:
    mvhd = box(b"mvhd", b"\1" + bytes(19) + struct.pack(">IQ", 1, 2**64 - 2))

    with pytest.raises(UnreadableMediaError):
        read_video(io.BytesIO(box(b"ftyp", b"isom\0\0\0\0isom") + box(b"moov", mvhd)))


@pytest.mark.parametrize("before", [b"<?xml>", b"<?xml?>", b"<!-->-->", b"<!doctype svg>", b"<?xml ", b"<!--"])
def test_what_stands_before_an_svg_is_read_once(before: bytes) -> None:
    with bounded_cpu():
        assert sniff(before * 600) == "application/xml"


def test_an_svg_with_entities_is_known_and_never_expanded() -> None:
    names = [f"e{number}" for number in range(9)]
    entities = "".join(f'<!ENTITY {one} "{f"&{other};" * 10}">' for one, other in zip(names[1:], names, strict=False))
    laughs = f'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY e0 "ha">{entities}]><svg><text>&e8;</text></svg>'

    read = read_file(io.BytesIO(laughs.encode()), "a.svg")

    assert (read.kind, read.facts) == ("image" if read.content_type == "image/svg+xml" else "text", MediaFacts())


@pytest.mark.parametrize(
    ("width", "height"), [(1, LONGEST_SIDE + 1), (LONGEST_SIDE + 1, 1), (100_000, 100_000), (0, 9)]
)
def test_a_mask_that_is_too_large_is_refused_before_it_is_unpacked(width: int, height: int) -> None:
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    body = zlib.compress(bytes(100_000))
    file = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + bytes(4)
    file += struct.pack(">I", len(body)) + b"IDAT" + body + bytes(4)

    with pytest.raises(UnreadableMaskError, match="16 megapixels"):
        marked_by_brightness(file)
