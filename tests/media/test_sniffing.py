"""What a file is by its bytes, whatever it calls itself."""

import pytest

from genfeed.media.sniffing import UNKNOWN, extension_of, kind_of, sniff


@pytest.mark.parametrize(
    ("head", "name", "expected"),
    [
        (b"\x89PNG\r\n\x1a\n....", "a.html", "image/png"),
        (b"\xff\xd8\xff\xe0", "", "image/jpeg"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "", "image/webp"),
        (b"RIFF\x10\0\0\0WAVEfmt ", "", "audio/wav"),
        (b"RIFF\x10\0\0\0JUNK", "", UNKNOWN),
        (b"\0\0\0\x18ftypisom", "", "video/mp4"),
        (b"\0\0\0\x18ftypqt  ", "", "video/quicktime"),
        (b"\0\0\0\x18ftypM4A ", "", "audio/mp4"),
        (b"\0\0\0\x18ftypavif", "", "image/avif"),
        (b"\x1aE\xdf\xa3....", "", "video/webm"),
        (b"ID3\x04", "", "audio/mpeg"),
        (b"\xff\xfb\x90\x00", "", "audio/mpeg"),
        (b"\xff\xf1\x50\x80", "", "audio/aac"),
        (b"glTF\x02\0\0\0", "", "model/gltf-binary"),
        (b"PK\x03\x04....", "a.zip", "application/zip"),
        (b"PK\x03\x04....", "a.usdz", "model/vnd.usdz+zip"),
        (b'\x10\0\0\0\0\0\0\0{"a":1}', "", "application/x-safetensors"),
        (b"# a cube\nv 0 0 0\n", "a.obj", "model/obj"),
        (b"# a cube\nv 0 0 0\n", "a.txt", "text/plain"),
        (b'{"a": 1}', "", "application/json"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "", "image/svg+xml"),
        (b"<?xml version='1.0'?>\n<!-- made -->\n<svg/>", "a.png", "image/svg+xml"),
        (b"<!DOCTYPE html><html></html>", "a.png", "text/html"),
        (b"\xef\xbb\xbf  <HTML>", "", "text/html"),
        (b"<!-- svg --><script>alert(1)</script>", "a.svg", "text/html"),
        (b"<a><b/></a>", "a.html", "application/xml"),
        (b"\0\1\2\3", "a.html", UNKNOWN),
        (b"", "a.png", UNKNOWN),
        ("grüß dich".encode(), "", "text/plain"),
        (b"\xe9\xe8\xe7 latin", "", UNKNOWN),
    ],
)
def test_bytes_say_what_a_file_is(head: bytes, name: str, expected: str) -> None:
    assert sniff(head, name) == expected


@pytest.mark.parametrize(
    ("content_type", "kind", "extension"),
    [
        ("image/png", "image", "png"),
        ("video/mp4", "video", "mp4"),
        ("audio/wav", "audio", "wav"),
        ("model/gltf-binary", "3d", "glb"),
        ("application/zip", "archive", "zip"),
        ("application/json", "text", "json"),
        ("application/x-safetensors", "other", "safetensors"),
        (UNKNOWN, "other", "bin"),
    ],
)
def test_a_type_has_a_kind_and_an_ending(content_type: str, kind: str, extension: str) -> None:
    assert (kind_of(content_type), extension_of(content_type)) == (kind, extension)
