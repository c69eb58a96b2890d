"""Headers of media files: sizes, lengths and frame rates, and nothing invented for what is none."""

import io
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genfeed.media.headers import UnreadableMediaError, read_audio, read_image, read_video
from tests.media.bombs import avif
from tests.media.files import gif, mp4, png, wav


@pytest.mark.parametrize("file", [png(640, 480), gif(640, 480)], ids=["png", "gif"])
def test_the_size_of_an_image_is_read(file: bytes) -> None:
    facts = read_image(io.BytesIO(file))
    assert (facts.width, facts.height) == (640, 480)


def test_the_length_of_a_sound_is_read() -> None:
    assert read_audio(io.BytesIO(wav(2.5))).seconds == Fraction(5, 2)


@pytest.mark.parametrize("header_last", [False, True])
def test_a_video_tells_size_length_frames_and_rate(header_last: bool) -> None:
    facts = read_video(io.BytesIO(mp4(width=1920, height=1080, frames=81, fps=16, header_last=header_last)))
    assert (facts.width, facts.height, facts.frames) == (1920, 1080, 81)
    assert (facts.seconds, facts.fps) == (Fraction(81, 16), 16)


def test_a_turned_video_is_as_wide_as_it_is_shown() -> None:
    facts = read_video(io.BytesIO(mp4(width=1920, height=1080, turned=True)))
    assert (facts.width, facts.height) == (1080, 1920)


def test_the_sound_of_an_mp4_file_has_a_length() -> None:
    facts = read_audio(io.BytesIO(mp4(frames=100, fps=10, audio_only=True)))
    assert (facts.seconds, facts.frames) == (10, None)


@pytest.mark.parametrize(
    "file",
    [
        b"",
        b"x",
        b"not media at all, but long enough to look at" * 10,
        b"\x89PNG\r\n\x1a\n",
        b"RIFF\x00\x00\x00\x00WAVE",
    ],
)
@pytest.mark.parametrize("read", [read_image, read_audio, read_video])
def test_what_is_no_media_is_refused_in_words(read: object, file: bytes) -> None:
    with pytest.raises(UnreadableMediaError):
        read(io.BytesIO(file))  # type: ignore[operator]


def test_svg_is_not_parsed() -> None:
    bomb = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><svg width="9" height="9">&b;</svg>'
    with pytest.raises(UnreadableMediaError, match="pixels"):
        read_image(io.BytesIO(bomb))


def test_a_video_whose_header_is_cut_off_is_refused() -> None:
    whole = mp4()
    with pytest.raises(UnreadableMediaError):
        read_video(io.BytesIO(whole[: whole.index(b"moov") + 50]))


def test_a_header_that_claims_to_be_huge_is_not_read() -> None:
    claim = b"\x00\x00\x00\x10ftypisom\x00\x00\x00\x00" + b"\x7f\xff\xff\xffmoov" + bytes(100)
    with pytest.raises(UnreadableMediaError, match="too large"):
        read_video(io.BytesIO(claim))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_damaged_video_is_read_or_refused_and_nothing_else(data: st.DataObject) -> None:
    file = bytearray(mp4(filling=10))
    for position in data.draw(st.lists(st.integers(0, len(file) - 1), max_size=12)):
        file[position] = data.draw(st.integers(0, 255))
    try:
        facts = read_video(io.BytesIO(bytes(file[: data.draw(st.integers(0, len(file)))])))
    except UnreadableMediaError:
        return
    assert facts.seconds is None or facts.seconds >= 0


@settings(max_examples=150, deadline=None)
@given(
    st.binary(max_size=300),
    st.sampled_from(
        [b"", b"\xff\xd8\xff\xe0", b"ID3", b"OggS", b"fLaC", b"RIFF", b"GIF89a", avif(9, 9), avif(9, 9)[:90]]
    ),
)
def test_any_bytes_are_read_or_refused_and_nothing_else(body: bytes, start: bytes) -> None:
    for read in (read_image, read_audio, read_video):
        try:
            read(io.BytesIO(start + body))
        except UnreadableMediaError:
            continue
