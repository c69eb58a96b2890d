"""Files: served with ranges and for a time, uploaded in three ways, and broken on request."""

import time
from typing import Any

import httpx
import pytest

from tests.sandbox.caller import FLUX, FOX, Caller


def made(fal: Caller, **options: Any) -> str:
    """The address of a picture that a model made."""
    return fal.run(FLUX, FOX | {"output_format": "png"}, **options).json()["images"][0]["url"]


def broken(fal: Caller, **effects: Any) -> str:
    fal.sandbox.faults(jobs=[effects])
    return made(fal)


def test_files_are_for_everybody(fal: Caller) -> None:
    answer = fal.sandbox.client.get(made(fal))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    assert answer.content.startswith(b"\x89PNG")
    assert answer.headers["access-control-allow-origin"] == "*"


def test_the_same_input_makes_the_same_file_and_another_seed_another(fal: Caller) -> None:
    urls = [fal.run(given=FOX | {"seed": seed}).json()["images"][0]["url"] for seed in (1, 1, 2)]
    first, again, other = (fal.client.get(url).content for url in urls)
    assert first == again != other


@pytest.mark.parametrize(
    ("asked", "start", "end"), [("bytes=0-9", 0, 10), ("bytes=100-", 100, None), ("bytes=-5", -5, None)]
)
def test_a_range_is_answered_with_206(fal: Caller, asked: str, start: int, end: int | None) -> None:
    url = made(fal)
    whole = fal.client.get(url).content
    answer = fal.client.get(url, headers={"Range": asked})
    assert answer.status_code == 206
    assert answer.content == whole[start:end]
    assert answer.headers["content-range"].endswith(f"/{len(whole)}")


def test_a_range_past_the_end_is_416(fal: Caller) -> None:
    assert fal.client.get(made(fal), headers={"Range": "bytes=99999999-"}).status_code == 416


def test_head_tells_the_length(fal: Caller) -> None:
    url = made(fal)
    answer = fal.client.head(url)
    assert (answer.content, int(answer.headers["content-length"])) == (b"", len(fal.client.get(url).content))


def test_a_file_is_gone_after_its_lifetime(fal: Caller) -> None:
    url = made(fal, headers={"X-Fal-Object-Lifecycle-Preference": '{"expiration_duration_seconds": 0.2}'})
    assert fal.client.get(url).status_code == 200
    time.sleep(0.3)
    assert fal.client.get(url).status_code == 404


def test_a_file_can_fail(fal: Caller) -> None:
    assert fal.client.get(broken(fal, file_status=503)).status_code == 503


def test_a_file_can_be_larger_than_anybody_expects(fal: Caller) -> None:
    answer = fal.client.get(broken(fal, file_bytes=3_000_000))
    assert (len(answer.content), answer.content[:4]) == (3_000_000, b"\x89PNG")
    assert "content-length" not in answer.headers


def test_a_file_can_claim_a_wrong_type(fal: Caller) -> None:
    answer = fal.client.get(broken(fal, file_type="text/html"))
    assert (answer.headers["content-type"], answer.content[:4]) == ("text/html", b"\x89PNG")


def test_a_file_can_be_a_web_page(fal: Caller) -> None:
    answer = fal.client.get(broken(fal, file_html=True))
    assert (answer.headers["content-type"], answer.content[:9]) == ("image/png", b"<!DOCTYPE")


def test_a_file_can_break_off(fal: Caller) -> None:
    with pytest.raises(httpx.TransportError):
        fal.client.get(broken(fal, file_cut=True))


def test_a_file_can_be_slow(fal: Caller) -> None:
    url = broken(fal, file_seconds=0.4)
    start = time.monotonic()
    assert fal.client.get(url).content.startswith(b"\x89PNG")
    assert time.monotonic() - start >= 0.4


def test_a_file_can_lie_elsewhere(fal: Caller) -> None:
    assert broken(fal, file_url="http://169.254.169.254/latest") == "http://169.254.169.254/latest"


def test_a_file_can_lead_elsewhere(fal: Caller) -> None:
    answer = fal.client.get(broken(fal, file_redirect="http://10.0.0.1/"))
    assert (answer.status_code, answer.headers["location"]) == (302, "http://10.0.0.1/")


def test_sync_mode_gives_data_uris(fal: Caller) -> None:
    url = fal.run(given=FOX | {"sync_mode": True, "output_format": "png"}).json()["images"][0]["url"]
    assert url.startswith("data:image/png;base64,iVBOR")


def test_a_file_is_uploaded_to_the_address_that_was_given_out(fal: Caller) -> None:
    asked = fal.client.post(
        "/rest/storage/upload/initiate?storage_type=fal-cdn-v3",
        json={"content_type": "image/png", "file_name": "a b.png"},
    ).json()
    plain = fal.sandbox.client
    assert plain.put(asked["upload_url"], content=b"12345", headers={"Content-Type": "image/png"}).status_code == 200
    answer = plain.get(asked["file_url"])
    assert (answer.content, answer.headers["content-type"]) == (b"12345", "image/png")
    assert asked["file_url"].startswith(f"{fal.sandbox.cdn_url}/files/")
    assert asked["file_url"].endswith("/a_b.png")


def test_an_address_that_was_not_given_out_takes_nothing(fal: Caller) -> None:
    assert fal.client.put("/cdn/files/b/1234/a.png", content=b"1").status_code == 404


def test_large_files_come_in_parts(fal: Caller) -> None:
    asked = fal.client.post("/rest/storage/upload/initiate-multipart", json={"file_name": "a.bin"}).json()
    parts = [fal.client.put(f"{asked['upload_url']}/{number}", content=text) for number, text in ((2, b"b"), (1, b"a"))]
    done = fal.client.post(f"{asked['upload_url']}/complete", json={"parts": [part.json() for part in parts]})
    assert done.status_code == 200
    assert fal.client.get(asked["file_url"]).content == b"ab"


def test_a_token_opens_the_upload_of_the_cdn(fal: Caller) -> None:
    token = fal.client.post("/rest/storage/auth/token?storage_type=fal-cdn-v3", json={}).json()
    assert set(token) == {"token", "token_type", "base_url", "expires_at"}
    headers = {"Authorization": f"{token['token_type']} {token['token']}", "Content-Type": "text/plain"}
    answer = fal.sandbox.client.post(f"{token['base_url']}/files/upload", content=b"hello", headers=headers)
    assert fal.client.get(answer.json()["access_url"]).content == b"hello"


def test_without_a_token_the_cdn_takes_nothing(fal: Caller) -> None:
    assert fal.client.post("/cdn/files/upload", content=b"hello").status_code == 401


def test_the_old_storage_is_refused(fal: Caller) -> None:
    answer = fal.client.post("/rest/storage/upload/initiate?storage_type=gcs", json={})
    assert (answer.status_code, answer.json()) == (400, {"detail": "Invalid storage type"})


def test_uploads_need_a_key(fal: Caller) -> None:
    assert fal.sandbox.client.post("/rest/storage/upload/initiate", json={}).status_code == 401


def test_an_uploaded_file_expires(fal: Caller) -> None:
    asked = fal.client.post(
        "/rest/storage/upload/initiate",
        json={},
        headers={"X-Fal-Object-Lifecycle-Preference": '{"expiration_duration_seconds": 0.1}'},
    ).json()
    fal.client.put(asked["upload_url"], content=b"1")
    time.sleep(0.2)
    assert fal.client.get(asked["file_url"]).status_code == 404


def test_a_token_for_realtime_is_a_json_string(fal: Caller) -> None:
    answer = fal.client.post("/rest/tokens/", json={"allowed_apps": ["flux"], "token_expiration": 120})
    assert isinstance(answer.json(), str)
