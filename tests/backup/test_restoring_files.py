"""Files of a backup where they have no place, or are not: told before or after, never passed over in silence."""

from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from genfeed.backup import database, media, restoring
from genfeed.backup.manifest import BackupError
from jobs.assets.storage import storage
from tests.backup.conftest import back_up
from tests.jobs.assets.conftest import make_asset

pytestmark = pytest.mark.django_db(transaction=True)

_ELSEWHERE = {"BACKEND": "django.core.files.storage.InMemoryStorage"}


@pytest.fixture
def as_if_empty(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """This installation takes a backup of itself for one to be put back; what would be done to it is noted."""
    done: list[str] = []
    monkeypatch.setattr(database, "require_empty", lambda: None)
    monkeypatch.setattr(media, "require_empty", lambda: None)
    monkeypatch.setattr(database, "load", lambda *_: done.append("database"))
    return done


def test_files_are_not_dropped_in_silence_where_they_would_have_no_place(
    tmp_path: Path, settings: Any, as_if_empty: list[str]
) -> None:
    make_asset()
    folder = back_up(tmp_path / "backups")
    settings.STORAGES = {**settings.STORAGES, "assets": _ELSEWHERE}

    with pytest.raises(CommandError, match="The backup has 1 files in itself, and ASSET_STORAGE names a storage"):
        call_command("restore", str(folder))

    assert as_if_empty == []


def test_files_that_lie_in_a_storage_that_is_not_set_are_spoken_of(
    tmp_path: Path, settings: Any, as_if_empty: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = settings.STORAGES
    settings.STORAGES = {**before, "assets": _ELSEWHERE}
    make_asset()
    folder = back_up(tmp_path / "backups")
    settings.STORAGES = before

    call_command("restore", str(folder))

    assert "The files lie in another storage, which ASSET_STORAGE does not name here" in capsys.readouterr().err


@pytest.mark.parametrize(("has_it", "words"), [(True, ""), (False, "1 of 1 files that were looked for are not in")])
def test_some_files_are_looked_for_in_their_storage(
    tmp_path: Path, settings: Any, as_if_empty: list[str], capsys: pytest.CaptureFixture[str], has_it: bool, words: str
) -> None:
    settings.STORAGES = {**settings.STORAGES, "assets": _ELSEWHERE}
    asset = make_asset()
    folder = back_up(tmp_path / "backups")
    if not has_it:
        storage().delete(asset.storage_name)

    call_command("restore", str(folder))

    said = capsys.readouterr().err
    assert said.startswith(words)
    assert bool(said) is not has_it


def test_a_storage_that_can_not_be_asked_is_no_failure_and_is_told(
    tmp_path: Path, settings: Any, as_if_empty: list[str], capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    settings.STORAGES = {**settings.STORAGES, "assets": _ELSEWHERE}
    make_asset()
    folder = back_up(tmp_path / "backups")

    def fail(*_: Any) -> bool:
        raise OSError("S3: AccessDenied")

    monkeypatch.setattr(storage(), "exists", fail)
    call_command("restore", str(folder))

    assert "The storage of the files can't be asked: S3: AccessDenied." in capsys.readouterr().err


def test_files_that_were_left_out_are_spoken_of(
    tmp_path: Path, as_if_empty: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    asset = make_asset()
    folder = back_up(tmp_path / "backups", "--without-files")
    storage().delete(asset.storage_name)

    call_command("restore", str(folder))

    assert "1 files were left out of the backup" in capsys.readouterr().err


def test_the_database_stays_empty_where_the_files_find_no_room(
    tmp_path: Path, as_if_empty: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_asset()
    folder = back_up(tmp_path / "backups")

    def fail(*_: Any) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(media.shutil, "copyfile", fail)

    with pytest.raises(CommandError, match=r"No space left on device\. The database is as empty as it was"):
        call_command("restore", str(folder))

    assert as_if_empty == []


def test_a_restore_that_breaks_off_says_that_nothing_may_start(
    tmp_path: Path, as_if_empty: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = back_up(tmp_path / "backups")

    def fail(*_: Any, **__: Any) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(restoring, "call_command", fail)

    with pytest.raises(CommandError, match=r"Start nothing.* `restore --database-is-back`"):
        call_command("restore", str(folder))

    assert as_if_empty == ["database"]


@pytest.mark.skipif(connection.vendor != "sqlite", reason="pg_restore says it in words of its own")
def test_a_database_that_can_not_be_put_back_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / database.SQLITE).write_bytes(b"no database at all, but long enough to be read as one" * 100)
    before = connection.settings_dict["NAME"]
    connection.settings_dict["NAME"] = str(tmp_path / "other.sqlite3")
    try:
        with pytest.raises(BackupError, match=r"could not be put back into .*other.sqlite3: file is not a database"):
            database.load(tmp_path, lambda *_: None)
    finally:
        connection.close()
        connection.settings_dict["NAME"] = before
