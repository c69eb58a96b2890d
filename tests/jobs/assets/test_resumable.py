"""Files that come in pieces, by the tus protocol."""

import base64
import errno
import hashlib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import FileSystemStorage
from django.test import Client as HttpClient
from django.utils import timezone

from genfeed.clients.models import Client
from genfeed.journal.audit import SYSTEM
from jobs.assets import fetching, parts, receiving, retention
from jobs.assets.models import Asset, PartialUpload, UploadPart
from tests.jobs.assets.conftest import key_of
from tests.jobs.assets.test_uploads import film

pytestmark = pytest.mark.django_db

PATH = "/api/v1/uploads/resumable"
BODY = "application/offset+octet-stream"
TUS = {"Tus-Resumable": "1.0.0"}


def pairs(**texts: str) -> str:
    return ",".join(f"{key} {base64.b64encode(text.encode()).decode()}" for key, text in texts.items())


def begin(length: int, key: HttpClient | None = None, **texts: str) -> Any:
    headers = {**TUS, "Upload-Length": str(length), "Upload-Metadata": pairs(**texts)}
    return (key or key_of()).post(PATH, headers=headers)


def send(url: str, offset: int, content: bytes, key: HttpClient | None = None, **headers: str) -> Any:
    headers = {**TUS, "Upload-Offset": str(offset), **headers}
    return (key or key_of()).patch(url, content, content_type=BODY, headers=headers)


def offset_of(url: str) -> Any:
    return key_of().head(url, headers=TUS)


def finish() -> Asset:
    for asset in fetching.claim(10):
        fetching.apply(asset, fetching.ask(asset))
    return Asset.objects.get()


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_file_that_comes_in_pieces_is_stored_and_read(media: Path) -> None:
    content = film(3)
    url = begin(len(content), filename="Holiday.mp4").headers["Location"]
    assert send(url, 0, content[:500]).headers["Upload-Offset"] == "500"
    assert send(url, 500, content[500:]).headers["Upload-Offset"] == str(len(content))

    asset = finish()

    assert (asset.state, asset.name, asset.size, asset.seconds) == (
        "stored", "Holiday.mp4", len(content), pytest.approx(3, abs=0.1),
    )  # fmt: skip
    assert asset.sha256 == hashlib.sha256(content).hexdigest()
    assert [path.read_bytes() for path in files_below(media)] == [content]
    assert PartialUpload.objects.count() == 0


@pytest.mark.once
def test_the_address_ends_in_the_files_id_and_its_state_can_be_read_meanwhile() -> None:
    url = begin(10).headers["Location"]

    answer = key_of().get(f"/api/v1/uploads/{url.rpartition('/')[2]}").json()

    assert (answer["state"], answer["url"]) == ("partial", None)


def test_the_offset_says_where_to_go_on() -> None:
    url = begin(10, filename="a.png").headers["Location"]
    send(url, 0, b"0123")

    answer = offset_of(url)

    told = {name: answer.headers[name] for name in ("Upload-Offset", "Upload-Length", "Cache-Control")}
    assert told == {"Upload-Offset": "4", "Upload-Length": "10", "Cache-Control": "no-store"}
    assert answer.headers["Upload-Metadata"] == pairs(filename="a.png")
    assert "Upload-Expires" in answer.headers


def test_a_caller_that_missed_the_last_answer_hears_that_all_is_here() -> None:
    content = film(1)
    url = begin(len(content)).headers["Location"]
    send(url, 0, content)
    finish()

    assert offset_of(url).headers["Upload-Offset"] == str(len(content))


def test_bytes_at_another_offset_are_refused_and_change_nothing() -> None:
    url = begin(10).headers["Location"]
    send(url, 0, b"0123")

    assert send(url, 2, b"xx").status_code == 409
    assert offset_of(url).headers["Upload-Offset"] == "4"


def test_of_two_senders_of_the_same_bytes_one_wins(monkeypatch: pytest.MonkeyPatch, media: Path) -> None:
    url = begin(4).headers["Location"]
    new_name = parts.new_name

    def beaten(asset: Asset, offset: int) -> str:
        monkeypatch.setattr(parts, "new_name", new_name)
        assert send(url, 0, b"win").status_code == 204
        return new_name(asset, offset)

    monkeypatch.setattr(parts, "new_name", beaten)

    assert send(url, 0, b"lo").status_code == 409
    assert [path.read_bytes() for path in files_below(media)] == [b"win"]
    assert offset_of(url).headers["Upload-Offset"] == "3"


def test_a_body_that_breaks_off_is_kept_as_far_as_it_came() -> None:
    url = begin(10).headers["Location"]
    upload = PartialUpload.objects.select_related("asset").get()
    pieces = iter([b"012", b"34"])

    def read(_: int) -> bytes:
        try:
            return next(pieces)
        except StopIteration:
            raise OSError("connection lost") from None

    receiving.receive(upload, read)

    assert offset_of(url).headers["Upload-Offset"] == "5"


def test_a_long_body_is_kept_part_by_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiving, "PART_BYTES", 4)
    url = begin(10).headers["Location"]

    send(url, 0, b"0123456789")

    assert list(UploadPart.objects.order_by("offset").values_list("offset", flat=True)) == [0, 4, 8]


@pytest.mark.once
def test_bytes_with_another_checksum_are_refused_and_forgotten(media: Path) -> None:
    url = begin(10).headers["Location"]
    wrong = base64.b64encode(hashlib.sha1(b"other").digest()).decode()

    assert send(url, 0, b"0123", **{"Upload-Checksum": f"sha1 {wrong}"}).status_code == 460
    assert (offset_of(url).headers["Upload-Offset"], files_below(media)) == ("0", [])


@pytest.mark.once
@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "md5"])
def test_bytes_with_their_checksum_are_taken(algorithm: str) -> None:
    url = begin(10).headers["Location"]
    right = base64.b64encode(hashlib.new(algorithm, b"0123").digest()).decode()

    assert send(url, 0, b"0123", **{"Upload-Checksum": f"{algorithm} {right}"}).status_code == 204


@pytest.mark.once
def test_a_file_with_another_sha256_than_told_is_not_stored(media: Path) -> None:
    content = film(1)
    send(begin(len(content), sha256="0" * 64).headers["Location"], 0, content)

    asset = finish()

    assert (asset.state, "SHA-256" in asset.problem, files_below(media)) == ("failed", True, [])


def test_an_attempt_that_was_overtaken_leaves_the_parts_to_the_other(media: Path) -> None:
    content = film(1)
    send(begin(len(content)).headers["Location"], 0, content)
    (slow,) = fetching.claim(1)
    outcome = fetching.ask(slow)
    Asset.objects.update(next_at=timezone.now())
    (other,) = fetching.claim(1)
    fetching.apply(slow, outcome)

    fetching.apply(other, fetching.ask(other))

    assert Asset.objects.get().state == "stored"
    assert [path.read_bytes() for path in files_below(media)] == [content]


@pytest.mark.once
def test_what_is_of_no_known_kind_is_refused_in_the_end() -> None:
    send(begin(5).headers["Location"], 0, b"\0\1\2\3\4")

    assert finish().state == "refused"


def test_a_file_that_is_given_up_leaves_nothing(media: Path) -> None:
    url = begin(10).headers["Location"]
    send(url, 0, b"0123")

    assert key_of().delete(url, headers=TUS).status_code == 204
    assert (offset_of(url).status_code, files_below(media), UploadPart.objects.count()) == (410, [], 0)


def test_a_file_that_is_not_completed_in_time_is_given_up(media: Path) -> None:
    url = begin(10).headers["Location"]
    send(url, 0, b"0123")
    PartialUpload.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    assert offset_of(url).status_code == 410
    assert retention.drop_parts() == 1
    assert (files_below(media), Asset.objects.get().state) == ([], "expired")


def test_a_byte_in_time_keeps_the_others() -> None:
    url = begin(10).headers["Location"]
    PartialUpload.objects.update(expires_at=timezone.now() + timedelta(seconds=30))
    send(url, 0, b"0123")

    assert PartialUpload.objects.get().expires_at > timezone.now() + timedelta(hours=1)


def test_parts_that_a_killed_process_left_are_deleted_with_the_rest(media: Path) -> None:
    url = begin(10).headers["Location"]
    send(url, 0, b"0123")
    asset = Asset.objects.get()
    (media / str(asset.client_id) / "parts" / asset.pk / "4-lost").write_bytes(b"45")

    retention.remove_file(asset, problem="over")

    assert files_below(media) == []


def test_erasing_a_client_takes_its_incomplete_files_too(media: Path) -> None:
    send(begin(10).headers["Location"], 0, b"0123")

    retention.erase_client(Client.objects.get(), actor=SYSTEM)

    assert files_below(media) == []


def test_another_clients_upload_can_be_neither_seen_nor_continued_nor_deleted() -> None:
    url = begin(10).headers["Location"]
    other = key_of("Other")

    statuses = [
        other.head(url, headers=TUS).status_code,
        send(url, 0, b"x", key=other).status_code,
        other.delete(url, headers=TUS).status_code,
    ]

    assert statuses == [404, 404, 404]


@pytest.mark.once
@pytest.mark.parametrize(
    ("length", "told", "status"),
    [("4", {"Upload-Checksum": "sha1 AAAA"}, 460), ("4", {"Upload-Checksum": "crc32 AAAA"}, 400), ("3", {}, 413)],
)
def test_refused_first_bytes_leave_no_upload(length: str, told: dict[str, str], status: int, media: Path) -> None:
    headers = {**TUS, "Upload-Length": length, **told}

    answer = key_of().post(PATH, b"0123", content_type=BODY, headers=headers)

    assert answer.status_code == status
    assert (Asset.objects.count(), PartialUpload.objects.count(), files_below(media)) == (0, 0, [])


@pytest.mark.once
def test_first_bytes_that_find_no_room_leave_no_part(monkeypatch: pytest.MonkeyPatch, media: Path) -> None:
    monkeypatch.setattr(receiving, "PART_BYTES", 2)
    saved, save = [], FileSystemStorage.save

    def save_one(*args: Any, **options: Any) -> str:
        if saved:
            raise OSError(errno.ENOSPC, "no space left")
        saved.append(save(*args, **options))
        return saved[0]

    monkeypatch.setattr(FileSystemStorage, "save", save_one)

    answer = key_of().post(PATH, b"0123", content_type=BODY, headers={**TUS, "Upload-Length": "4"})

    assert (answer.status_code, len(saved)) == (507, 1)
    assert (Asset.objects.count(), UploadPart.objects.count(), files_below(media)) == (0, 0, [])


@pytest.mark.once
def test_more_bytes_than_announced_are_refused() -> None:
    url = begin(3).headers["Location"]

    assert send(url, 0, b"0123").status_code == 413


@pytest.mark.once
def test_a_file_beyond_the_cap_is_refused_before_it_comes(settings: Any) -> None:
    settings.RESUMABLE_MAX_BYTES = 1_000

    assert begin(1_001).json()["code"] == "payload_too_large"


def test_a_client_has_only_so_many_open(settings: Any) -> None:
    settings.MAX_PARTIAL_UPLOADS = 1
    begin(10)

    answer = begin(10)

    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_in_flight")


@pytest.mark.once
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Upload-Length": "10"}, 412),
        ({"Tus-Resumable": "0.2.2", "Upload-Length": "10"}, 412),
        ({**TUS}, 400),
        ({**TUS, "Upload-Length": "-1"}, 400),
        ({**TUS, "Upload-Length": "0"}, 400),
        ({**TUS, "Upload-Length": "10", "Upload-Metadata": "filename ???"}, 400),
    ],
)
def test_what_is_not_of_the_protocol_is_told_so(headers: dict[str, str], status: int) -> None:
    answer = key_of().post(PATH, headers=headers)

    assert (answer.status_code, answer.headers["Tus-Resumable"]) == (status, "1.0.0")
    assert answer.json()["hint"]


@pytest.mark.once
def test_what_it_can_do_is_told_without_a_key() -> None:
    answer = HttpClient().options(PATH)

    assert answer.status_code == 204
    assert answer.headers["Tus-Version"] == "1.0.0"
    assert {"creation", "expiration", "termination", "checksum"} <= set(answer.headers["Tus-Extension"].split(","))


@pytest.mark.once
def test_the_first_bytes_may_come_with_the_announcement() -> None:
    headers = {**TUS, "Upload-Length": "10"}

    answer = key_of().post(PATH, b"0123", content_type=BODY, headers=headers)

    assert (answer.status_code, answer.headers["Upload-Offset"]) == (201, "4")


@pytest.mark.once
def test_a_full_storage_is_a_507_and_keeps_what_was_there(monkeypatch: pytest.MonkeyPatch) -> None:
    url = begin(10).headers["Location"]
    send(url, 0, b"0123")

    def full(*_: Any, **__: Any) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(FileSystemStorage, "_save", full)
        assert send(url, 4, b"456789").status_code == 507
    assert offset_of(url).headers["Upload-Offset"] == "4"
