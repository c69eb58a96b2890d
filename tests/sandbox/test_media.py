"""The files are real: their headers say what was asked for, and programs made for them open them."""

import io
import struct
import wave
import zipfile

import imagesize
import orjson
import pytest
from tinytag import TinyTag

from genfeed.sandbox.media.making import PICTURES, Wish, make

SIZES = [(1, 1), (64, 64), (1023, 577), (1024, 768)]


@pytest.mark.parametrize("kind", sorted(PICTURES))
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_pictures_have_their_size(kind: str, width: int, height: int) -> None:
    assert imagesize.get(io.BytesIO(make(Wish(kind, "a seed", width, height)))) == (width, height)


@pytest.mark.parametrize(("kind", "tolerance"), [("wav", 0.001), ("mp3", 0.03), ("mp4", 0.001)])
@pytest.mark.parametrize("seconds", [0.5, 5.0, 61.25])
def test_sounds_and_films_have_their_length(kind: str, tolerance: float, seconds: float) -> None:
    file = io.BytesIO(make(Wish(kind, "a seed", seconds=seconds)))
    assert TinyTag.get(filename=f"a.{kind}", file_obj=file).duration == pytest.approx(seconds, abs=tolerance)


def test_a_film_tells_its_size_and_frames() -> None:
    film = make(Wish("mp4", "a seed", width=1080, height=1920, seconds=4, fps=30))
    track = film.index(b"tkhd") + 4 + 76
    assert struct.unpack(">II", film[track : track + 8]) == (1080 << 16, 1920 << 16)
    counts = film.index(b"stsz") + 4 + 8
    assert struct.unpack(">I", film[counts : counts + 4]) == (120,)


def test_the_places_of_a_film_lead_to_its_pictures() -> None:
    film = make(Wish("mp4", "a seed", seconds=1))
    offset = film.index(b"stco") + 4 + 8
    (place,) = struct.unpack(">I", film[offset : offset + 4])
    assert place == film.index(b"mdat") + 4
    (length,) = struct.unpack(">I", film[place : place + 4])
    assert film[place + 4] == 0x65
    assert film[place + 4 + length + 4] == 0x41


def test_a_wave_can_be_read() -> None:
    with wave.open(io.BytesIO(make(Wish("wav", "a seed", seconds=2)))) as sound:
        assert (sound.getnframes(), sound.getframerate()) == (16_000, 8_000)


def test_an_archive_can_be_unpacked() -> None:
    archive = zipfile.ZipFile(io.BytesIO(make(Wish("zip", "a seed"))))
    assert archive.testzip() is None
    assert imagesize.get(io.BytesIO(archive.read("frame_0000.png"))) == (64, 64)


def test_a_solid_has_a_scene_and_its_points() -> None:
    solid = make(Wish("glb", "a seed"))
    magic, version, length, size, kind = struct.unpack("<4sIII4s", solid[:20])
    assert (magic, version, length, kind) == (b"glTF", 2, len(solid), b"JSON")
    document = orjson.loads(solid[20 : 20 + size])
    (data,) = struct.unpack("<I", solid[20 + size : 24 + size])
    assert document["buffers"][0]["byteLength"] == data
    assert document["meshes"]


def test_weights_name_their_tensors() -> None:
    weights = make(Wish("safetensors", "a seed"))
    (size,) = struct.unpack("<Q", weights[:8])
    assert "lora.weight" in orjson.loads(weights[8 : 8 + size])


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp", "gif", "svg", "mp4", "wav", "mp3", "glb", "obj", "ply", "zip"])
def test_the_seed_decides_the_bytes(kind: str) -> None:
    first, other = (make(Wish(kind, seed, 32, 32)) for seed in ("one", "two"))
    make.cache_clear()
    assert make(Wish(kind, "one", 32, 32)) == first != other
