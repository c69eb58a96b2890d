"""What a backup is: a folder with a manifest and a list of checksums, which `sha256sum -c` reads as well."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from django.conf import settings

FORMAT = 1
MANIFEST, SUMS, MEDIA = "manifest.json", "SHA256SUMS", "media"
_PIECE = 1024 * 1024

Progress = Callable[[str, int, int], None]


class BackupError(Exception):
    """Why there is no backup, or why it was not put back, in a sentence that says what to do."""


@dataclass(frozen=True)
class Manifest:
    """What a backup says of itself.

    `migrations`: the last of each app. `counts`: rows of tables that a person knows. `media`: `folder`, or `storage`
    where the files lie elsewhere and media.txt names them, or `none`. `keys`: digests of SECRET_KEY and of each of
    ENCRYPTION_KEYS.
    """

    format: int
    made_at: str
    version: str
    mode: str
    database: str
    database_version: str
    migrations: dict[str, str]
    counts: dict[str, int]
    media: str
    media_files: int
    media_bytes: int
    secrets: str
    keys: dict[str, Any]


def version() -> str:
    """This program's version."""
    with (settings.BASE_DIR / "pyproject.toml").open("rb") as file:
        return str(tomllib.load(file)["project"]["version"])


def now() -> datetime:
    """To the second, in UTC: folders are named by it."""
    return datetime.now(UTC).replace(microsecond=0)


def write(folder: Path, manifest: Manifest, sums: dict[str, str]) -> None:
    """Writes the manifest and, last of all, the checksums: a folder without them is no backup."""
    text = json.dumps(asdict(manifest), indent=1) + "\n"
    (folder / MANIFEST).write_text(text)
    sums = sums | {MANIFEST: hashlib.sha256(text.encode()).hexdigest()}
    (folder / SUMS).write_text("".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items())))


def read(folder: Path) -> Manifest:
    """Raises BackupError where the folder is none, one of a newer program, or its manifest was changed."""
    try:
        told = json.loads((folder / MANIFEST).read_text())
    except (OSError, ValueError):
        raise BackupError(f"{folder} is no backup: it has no {MANIFEST} that can be read.") from None
    if not isinstance(told, dict) or told.get("format") != FORMAT:
        raise BackupError(f"{folder} was made by a newer program. Install that version to put it back.")
    if sums_of(folder).get(MANIFEST) != digest_of(folder / MANIFEST):
        raise BackupError(f"The backup is damaged: {MANIFEST} was changed. Nothing was changed here; take another one.")
    return Manifest(**{field.name: told[field.name] for field in fields(Manifest)})


def sums_of(folder: Path) -> dict[str, str]:
    """The checksums by name; raises BackupError where they are missing."""
    try:
        lines = (folder / SUMS).read_text().splitlines()
    except (OSError, ValueError):
        raise BackupError(f"{folder} is no whole backup: it has no {SUMS} that can be read.") from None
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}


def verify(folder: Path, progress: Progress) -> None:
    """Reads every file, and raises BackupError with all that is missing, changed or beyond the list."""
    sums = sums_of(folder)
    there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} - {SUMS}
    wrong = [f"{name} is missing" for name in sorted(set(sums) - there)]
    wrong += [f"{name} is not in the list" for name in sorted(there - set(sums))]
    names = sorted(set(sums) & there)
    for number, name in enumerate(names):
        progress("Verifying", number, len(names))
        try:
            if digest_of(folder / name) != sums[name]:
                wrong.append(f"{name} was changed")
        except OSError as error:
            wrong.append(f"{name} can't be read ({error.strerror})")
    if wrong:
        shown = "; ".join(wrong[:10]) + (f"; and {len(wrong) - 10} more" if len(wrong) > 10 else "")
        raise BackupError(f"The backup is damaged: {shown}. Nothing was changed; take another one.")


def digest_of(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def copy(source: BinaryIO, target: BinaryIO) -> tuple[str, int]:
    """Copies from here on; the SHA-256 of what was copied, and its bytes."""
    digest, size = hashlib.sha256(), 0
    while piece := source.read(_PIECE):
        digest.update(piece)
        target.write(piece)
        size += len(piece)
    return digest.hexdigest(), size
