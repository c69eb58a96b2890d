"""Files that clients bring, over HTTP."""

from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from genfeed.sandbox.media.making import Wish, make
from jobs.assets import fetching
from jobs.assets.models import Asset
from tests.jobs.assets.conftest import key_of, make_asset
from tests.sandbox_server import RunningSandbox

pytestmark = pytest.mark.django_db

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x03\0\0\0\x02\x08\x02\0\0\0" + b"\0" * 4 + b"\0\0\0\0IEND\xaeB\x60\x82"


def upload(content: bytes = PNG, name: str = "a.png", **options: Any) -> Any:
    return key_of(**options).post("/api/v1/uploads", {"file": SimpleUploadedFile(name, content)})


def film(seconds: float) -> bytes:
    return make(Wish(kind="mp4", seed="a", width=320, height=240, seconds=seconds))


def test_a_file_is_stored_and_read_once() -> None:
    answer = upload()

    body = answer.json()
    assert answer.status_code == 201
    assert (body["state"], body["content_type"], body["width"], body["height"]) == ("stored", "image/png", 3, 2)
    assert key_of().get(body["url"].removeprefix("http://testserver")).status_code == 200


@pytest.mark.once
def test_a_films_length_is_known() -> None:
    assert upload(film(3), "a.mp4").json()["seconds"] == pytest.approx(3, abs=0.1)


@pytest.mark.once
def test_a_large_file_is_moved_and_not_copied(media: Path, tmp_path: Path) -> None:
    content = PNG + bytes(3_000_000)

    assert upload(content).json()["size"] == len(content)
    assert [path for path in tmp_path.iterdir() if path.is_file()] == []


@pytest.mark.once
def test_the_name_and_the_claimed_type_do_not_count() -> None:
    body = upload(PNG, "../../evil.html").json()

    assert (body["name"], body["content_type"]) == ("evil.png", "image/png")


@pytest.mark.once
@pytest.mark.parametrize("content", [b"<html><script>alert(1)</script>", b"\0\1\2\3\4"])
def test_pages_and_unknown_files_are_not_taken(content: bytes, media: Path) -> None:
    answer = upload(content)

    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media")
    assert Asset.objects.count() == 0


@pytest.mark.once
def test_a_file_beyond_the_cap_is_not_taken(settings: Any) -> None:
    settings.UPLOAD_MAX_BYTES = 1_000

    assert upload(PNG + bytes(2_000)).status_code == 413
    assert upload(PNG + bytes(200_000)).json()["code"] == "payload_too_large"


@pytest.mark.once
@pytest.mark.parametrize("body", [{}, {"other": "x"}])
def test_a_form_without_a_file_is_told_what_to_send(body: dict[str, str]) -> None:
    answer = key_of().post("/api/v1/uploads", body)

    assert (answer.status_code, "multipart/form-data" in answer.json()["hint"]) == (400, True)


@pytest.mark.once
def test_an_empty_file_is_refused() -> None:
    assert upload(b"").status_code == 400


def post_json(body: bytes) -> Any:
    return key_of().post("/api/v1/uploads", body, content_type="application/json")


def test_a_file_at_an_address_is_fetched_afterwards(sandbox: RunningSandbox) -> None:
    made = sandbox.client.post(
        "/run/fal-ai/flux/dev", json={"prompt": "a fox"}, headers={"Authorization": "Key sandbox-key:sandbox-secret"}
    ).json()
    answer = post_json(b'{"url": "%s"}' % made["images"][0]["url"].encode())
    assert (answer.status_code, answer.json()["state"]) == (202, "pending")

    for asset in fetching.claim(10):
        fetching.apply(asset, fetching.ask(asset))

    body = key_of().get(f"/api/v1/uploads/{answer.json()['id']}").json()
    assert (body["state"], body["kind"]) == ("stored", "image")


@pytest.mark.once
@pytest.mark.parametrize(
    "url", ["ftp://example.com/a", "file:///etc/passwd", "http://user:pw@example.com/a", "http://example.com:22/", "x"]
)
def test_an_address_that_is_never_fetched_is_refused_at_once(url: str) -> None:
    assert post_json(b'{"url": "%s"}' % url.encode()).status_code == 400


@pytest.mark.once
@pytest.mark.parametrize("url", ["http://127.0.0.1/a", "http://169.254.169.254/", "http://[::ffff:10.0.0.1]/a"])
def test_an_address_inside_of_a_network_is_refused_when_it_is_fetched(url: str) -> None:
    post_json(b'{"url": "%s"}' % url.encode())

    for asset in fetching.claim(10):
        fetching.apply(asset, fetching.ask(asset))

    assert Asset.objects.get().state == "refused"


@pytest.mark.once
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"url": 1}', b'{"url": "https://h/a", "x": 1}'])
def test_json_that_is_no_upload_is_told_what_to_send(body: bytes) -> None:
    assert post_json(body).status_code == 400


def test_a_deleted_file_is_gone(media: Path) -> None:
    made = upload().json()

    answer = key_of().delete(f"/api/v1/uploads/{made['id']}")

    assert (answer.json()["state"], answer.json()["url"]) == ("expired", None)
    assert [path for path in media.rglob("*") if path.is_file()] == []
    assert key_of().delete(f"/api/v1/uploads/{made['id']}").status_code == 200


def test_another_clients_upload_can_be_neither_read_nor_deleted() -> None:
    made = upload().json()
    other = key_of("Other")

    assert other.get(f"/api/v1/uploads/{made['id']}").status_code == 404
    assert other.delete(f"/api/v1/uploads/{made['id']}").status_code == 404
    assert Asset.objects.get().state == "stored"


def test_a_file_of_a_job_is_not_deleted_as_an_upload() -> None:
    assert key_of().delete(f"/api/v1/uploads/{make_asset().pk}").status_code == 404


def test_reading_does_not_allow_writing() -> None:
    assert (
        key_of("Acme", "jobs:read").post("/api/v1/uploads", {"file": SimpleUploadedFile("a", PNG)}).status_code == 403
    )


def test_a_scanner_sees_uploads_too(settings: Any) -> None:
    settings.ASSET_SCANNER = "tests.jobs.assets.test_uploads.suspicious"

    answer = upload()

    assert (answer.status_code, answer.json()["code"], Asset.objects.count()) == (422, "content_refused", 0)


def suspicious(*_: Any, **__: Any) -> str:
    return "Something.Evil"
