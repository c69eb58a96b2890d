"""A backup is made while everything runs, and put back elsewhere it is the same installation."""

import dataclasses
import hashlib
import json
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from genfeed.backup import database, making, manifest, secrets
from genfeed.journal.models import Alert, AuditEvent
from jobs.assets.storage import storage
from jobs.dispatching.dispatcher import Dispatcher
from jobs.models import Job, Status
from tests.backup.conftest import Elsewhere, back_up
from tests.jobs.assets.conftest import make_asset
from tests.jobs.conftest import Run
from tests.jobs.doubles import make_caller, make_job
from tests.sandbox_server import RunningSandbox

pytestmark = pytest.mark.django_db(transaction=True)

# Waits for all jobs to end, and tells how they did.
_ENDED = """
import json, time
from jobs.models import OPEN, Job
from pricing.ledger.checking import check_ledger
until = time.monotonic() + 60
while Job.objects.filter(status__in=OPEN).exists() and time.monotonic() < until:
    time.sleep(0.1)
print(json.dumps([
    {job.input["prompt"]: [job.status, (job.error or {}).get("code"), job.charge] for job in Job.objects.all()},
    [str(one) for one in check_ledger()],
]))
"""


def test_jobs_that_were_under_way_end_once_where_they_are_put_back(
    run: Run, sandbox: RunningSandbox, elsewhere: Elsewhere, dispatcher: Dispatcher, tmp_path: Path
) -> None:
    caller = make_caller()
    run(job=make_job(caller, input={"prompt": "done before"}))
    under_way = make_job(caller, input={"prompt": "at the provider"})
    sandbox.faults(processing_ms=20_000)
    run(lambda job: job.status == Status.SUBMITTED, job=under_way)
    waiting = make_job(caller, input={"prompt": "sent after the backup"})
    make_job(caller, input={"prompt": "never sent"})
    Job.objects.filter(input__prompt="never sent").update(next_at="2100-01-01T00:00:00Z")

    folder = back_up(tmp_path / "backups")

    # What was backed up runs on for a while, and is lost then.
    run(lambda job: job.status == Status.SUBMITTED, job=waiting)
    accepted = sandbox.queue()["accepted"]
    said = elsewhere.manage("restore", str(folder))
    sandbox.faults(processing_ms=0)
    working = elsewhere.start("dispatch")
    try:
        ended, mismatches = json.loads(elsewhere.shell(_ENDED))
    finally:
        working.terminate()
        working.communicate(timeout=30)

    assert "The ledger is proven. 2 jobs that waited are looked for" in said
    assert {prompt: told[:2] for prompt, told in ended.items()} == {
        "done before": ["succeeded", None],
        "at the provider": ["succeeded", None],
        "sent after the backup": ["succeeded", None],
        # Nobody can know that it was not sent, so it is not sent again.
        "never sent": ["failed", "submit_unknown"],
    }
    assert ended["never sent"][2] in (None, 0)
    assert (sandbox.queue()["accepted"], mismatches) == (accepted, [])


def test_files_and_their_checksums_are_what_they_were(elsewhere: Elsewhere, tmp_path: Path) -> None:
    asset = make_asset()
    with storage().open(asset.storage_name) as file:
        content = file.read()

    folder = back_up(tmp_path / "backups")
    elsewhere.manage("restore", str(folder))

    there = elsewhere.var / "media" / "assets" / asset.storage_name
    assert there.read_bytes() == content
    told = manifest.read(folder)
    assert (told.media_files, told.media_bytes) == (1, len(content))
    assert f"{hashlib.sha256(content).hexdigest()}  media/{asset.storage_name}" in (folder / manifest.SUMS).read_text()


def test_nothing_is_put_into_what_is_not_empty(tmp_path: Path) -> None:
    folder = back_up(tmp_path / "backups")

    with pytest.raises(CommandError, match="The database is not empty"):
        call_command("restore", str(folder))


@pytest.mark.parametrize("damage", ["changed", "missing", "added"])
def test_a_damaged_backup_is_refused_before_anything_is_changed(
    damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asset = make_asset()
    folder = back_up(tmp_path / "backups")
    file = folder / "media" / asset.storage_name
    if damage == "changed":
        file.write_bytes(file.read_bytes()[:-1] + b"!")
    elif damage == "missing":
        file.unlink()
    else:
        (folder / "media" / "more.png").write_bytes(b"")
    monkeypatch.setattr(database, "require_empty", lambda: None)
    monkeypatch.setattr("genfeed.backup.media.require_empty", lambda: None)
    monkeypatch.setattr(database, "load", lambda *_: pytest.fail("the database was touched"))

    with pytest.raises(CommandError, match="The backup is damaged"):
        call_command("restore", str(folder))


def test_a_backup_is_of_one_moment_while_others_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # So that there is more than one piece.
    monkeypatch.setattr(database, "_PAGES", 20)
    over, written = threading.Event(), []

    def write() -> None:
        try:
            while not over.is_set():
                AuditEvent.objects.create(action="a", actor_name="b", object_type="c", object_id="d", object_name="e")
                written.append(1)
        finally:
            connection.close()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        deadline = time.monotonic() + 30
        while len(written) < 5:
            assert time.monotonic() < deadline, "nothing was written"
            time.sleep(0.01)
        before = len(written)
        folder = back_up(tmp_path / "backups")
    finally:
        over.set()
        thread.join(30)

    assert len(written) > before
    manifest.verify(folder, lambda *_: None)


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite is copied, in no transaction")
def test_a_long_dump_is_not_taken_for_a_sleeper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    dump = database._run

    def slow(*arguments: object) -> None:
        time.sleep(1.5)
        dump(*arguments)

    settings.TRANSACTION_IDLE_SECONDS = 1
    connection.close()
    monkeypatch.setattr(database, "_run", slow)

    try:
        folder = back_up(tmp_path / "backups")
    finally:
        connection.close()

    manifest.verify(folder, lambda *_: None)


def test_secrets_are_left_out_unless_they_are_wanted(tmp_path: Path, settings: Any) -> None:
    folder = back_up(tmp_path / "backups")

    for file in folder.rglob("*"):
        if file.is_file():
            assert settings.SECRET_KEY.encode() not in file.read_bytes()
            assert settings.ENCRYPTION_KEYS.encode() not in file.read_bytes()
    assert manifest.read(folder).secrets == ""


def test_secrets_without_a_passphrase_are_readable_by_their_owner_alone_and_that_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], settings: Any
) -> None:
    folder = back_up(tmp_path / "backups", "--with-secrets")

    file = folder / secrets.PLAIN
    assert file.stat().st_mode & 0o777 == 0o600
    assert json.loads(file.read_text())["SECRET_KEY"] == settings.SECRET_KEY
    assert "holds this installation's secrets unsealed" in capsys.readouterr().err


def test_sealed_secrets_are_opened_by_their_passphrase_alone(tmp_path: Path, settings: Any) -> None:
    phrase, other = tmp_path / "phrase", tmp_path / "other"
    phrase.write_text("correct horse battery\n")
    other.write_text("something else entirely\n")
    folder = back_up(tmp_path / "backups", "--with-secrets", "--passphrase-file", str(phrase))
    told = manifest.read(folder)

    assert settings.SECRET_KEY not in (folder / secrets.SEALED).read_text()
    assert secrets.read(folder, told, "correct horse battery")["SECRET_KEY"] == settings.SECRET_KEY
    with pytest.raises(CommandError, match="does not open"):
        call_command("restore", str(folder), "--with-secrets", "--passphrase-file", str(other))


def test_a_backup_made_with_other_keys_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = back_up(tmp_path / "backups")
    monkeypatch.setattr(database, "require_empty", lambda: None)
    monkeypatch.setattr("genfeed.backup.media.require_empty", lambda: None)
    monkeypatch.setattr(secrets, "digests", lambda: {"secret_key": "a", "encryption_keys": ["b"]})

    with pytest.raises(CommandError, match="other ENCRYPTION_KEYS"):
        call_command("restore", str(folder))


def test_a_backup_of_a_newer_program_is_refused(tmp_path: Path) -> None:
    folder = back_up(tmp_path / "backups")
    migrations = manifest.read(folder).migrations | {"jobs": "9999_of_the_future"}
    as_if_told(folder, migrations=migrations)

    with pytest.raises(CommandError, match="migrations that this one lacks"):
        call_command("restore", str(folder))


def as_if_told(folder: Path, **other: Any) -> None:
    """Has the manifest of a backup say something else, as if it had been made so."""
    told = dataclasses.replace(manifest.read(folder), **other)
    manifest.write(folder, told, manifest.sums_of(folder))


def test_a_backup_of_another_kind_of_database_is_refused(tmp_path: Path) -> None:
    folder = back_up(tmp_path / "backups")
    as_if_told(folder, database="oracle")

    with pytest.raises(CommandError, match="The backup is of oracle, and DATABASE_URL names"):
        call_command("restore", str(folder))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("manifest.json", b'{"format": 1}', "damaged: manifest.json was changed"),
        ("manifest.json", b'{"format": 1, "made', "no manifest.json that can be read"),
        ("manifest.json", b"\xff\xfe", "no manifest.json that can be read"),
        ("manifest.json", b'{"format": 2}', "made by a newer program"),
        ("SHA256SUMS", b"\xff\xfe", "no SHA256SUMS that can be read"),
        ("SHA256SUMS", b"", "damaged: manifest.json was changed"),
        ("SHA256SUMS", None, "no SHA256SUMS"),
    ],
)
def test_a_backup_whose_own_words_are_damaged_is_refused_in_a_sentence(
    tmp_path: Path, name: str, content: bytes | None, words: str
) -> None:
    folder = back_up(tmp_path / "backups")
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(content)

    with pytest.raises(CommandError, match=words):
        call_command("restore", str(folder))


def test_who_names_the_folder_of_all_backups_is_led_to_the_newest(tmp_path: Path) -> None:
    folder = back_up(tmp_path / "backups")

    with pytest.raises(CommandError, match=rf"Name one of them, such as the newest, {folder}\."):
        call_command("restore", str(folder.parent))


def test_sealed_secrets_that_are_damaged_are_told_so(tmp_path: Path) -> None:
    folder = back_up(tmp_path / "backups", "--with-secrets")
    (folder / secrets.PLAIN).write_text('{"SECRET_KEY": "x')

    with pytest.raises(CommandError, match=r"damaged: secrets\.json can't be read"):
        call_command("restore", str(folder), "--with-secrets")


def test_only_the_newest_are_kept_and_files_take_no_place_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asset = make_asset()
    into = tmp_path / "backups"
    (into / "2020-01-01T00-00-00Z.unfinished").mkdir(parents=True)
    (into / "notes").mkdir()
    started = manifest.now()
    moments = iter([started.replace(second=second) for second in range(3)])
    monkeypatch.setattr(manifest, "now", lambda: next(moments))

    folders = [back_up(into, "--keep", "2") for _ in range(3)]

    left = sorted(path.name for path in into.iterdir())
    assert left == [folders[1].name, folders[2].name, "notes"]
    first, second = (folder / "media" / asset.storage_name for folder in folders[1:])
    assert first.stat().st_ino == second.stat().st_ino
    manifest.verify(folders[2], lambda *_: None)


def test_a_backup_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise OSError("No space left on device")

    make_asset()
    monkeypatch.setattr("genfeed.backup.media.copy", fail)

    with pytest.raises(CommandError, match="No space left on device"):
        call_command("backup", str(tmp_path / "backups"))

    assert list((tmp_path / "backups").iterdir()) == []


def test_files_in_another_storage_are_listed(tmp_path: Path, settings: Any) -> None:
    settings.STORAGES = {**settings.STORAGES, "assets": {"BACKEND": "django.core.files.storage.InMemoryStorage"}}
    asset = make_asset()

    folder = back_up(tmp_path / "backups")

    assert (folder / "media.txt").read_text() == f"{asset.storage_name}\n"
    assert (manifest.read(folder).media, making.existing(tmp_path / "backups")) == ("storage", [folder])


def test_no_password_is_in_a_command_line_or_an_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        connection, "get_connection_params", lambda: {"host": "db", "password": "hunter 2", "context": object()}
    )
    monkeypatch.setenv("PGPASSWORD", "hunter 2")

    with database._service() as environ:
        assert "hunter" not in str(environ)
        file = Path(environ["PGSERVICEFILE"])
        assert file.read_text() == "[genfeed]\nhost=db\npassword=hunter 2\n"
        assert file.stat().st_mode & 0o777 == 0o600
    assert not file.exists()


@pytest.mark.skipif(connection.vendor != "sqlite", reason="of SQLite's files")
def test_a_copy_of_sqlite_is_one_file_that_stands_alone(tmp_path: Path) -> None:
    folder = back_up(tmp_path / "backups")

    with closing(sqlite3.connect(f"file:{folder / database.SQLITE}?mode=ro&immutable=1", uri=True)) as copied:
        assert copied.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert copied.execute("SELECT count(*) FROM django_migrations").fetchone()[0] > 60


def test_two_backups_are_not_made_in_one_folder_at_once(tmp_path: Path) -> None:
    into = tmp_path / "backups"
    with making.alone(into):
        unfinished = into / "2026-01-01T00-00-00Z.unfinished"
        unfinished.mkdir()

        with pytest.raises(CommandError, match="Another backup is being made"):
            call_command("backup", str(into), "--keep", "1")

        assert unfinished.exists()
    back_up(into, "--keep", "1")
    assert not unfinished.exists()


def test_staff_are_told_of_a_backup_that_fails_until_one_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(database, "dump", lambda *_: (_ for _ in ()).throw(OSError("No space left on device")))
        with pytest.raises(CommandError):
            call_command("backup", str(tmp_path / "backups"))

    alert = Alert.objects.get(code="backup_failed")
    assert ("No space left on device" in alert.text, alert.level) == (True, "critical")
    back_up(tmp_path / "backups")
    alert.refresh_from_db()
    assert alert.resolved_at is not None


@pytest.mark.skipif(connection.vendor != "sqlite", reason="pg_dump says it in words of its own")
def test_a_database_that_can_not_be_copied_is_told_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(database, "_check", fail)

    with pytest.raises(CommandError, match="could not be copied: database or disk is full"):
        call_command("backup", str(tmp_path / "backups"))
