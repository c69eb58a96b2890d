"""The secrets of an installation in a backup: only on request, sealed with a passphrase or readable by their owner."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from django.conf import settings

from genfeed.backup.manifest import BackupError, Manifest

SEALED, PLAIN = "secrets.sealed", "secrets.json"
# The names of settings, and of the files in GENFEED_VAR_DIR that they are generated into.
_FILES = {
    "SECRET_KEY": "secret_key",
    "ENCRYPTION_KEYS": "encryption_keys",
    "CATALOG_SIGNING_KEY": "catalog_signing_key",
    "ALERT_WEBHOOK_SECRET": "alert_webhook_secret",
}
_LEAST = 12


def digests() -> dict[str, Any]:
    """By which a later installation knows whether it has the same keys; of random bytes, so that they tell nothing."""
    keys = [key.strip() for key in settings.ENCRYPTION_KEYS.split(",")]
    return {"secret_key": _digest(settings.SECRET_KEY), "encryption_keys": [_digest(key) for key in keys]}


def save(folder: Path, passphrase: str) -> str:
    """Writes the secrets, sealed where there is a passphrase; the file's name. Raises BackupError."""
    own = {name: str(getattr(settings, name)) for name in _FILES if getattr(settings, name)}
    text = json.dumps(own)
    if not passphrase:
        _write(folder / PLAIN, text)
        return PLAIN
    if len(passphrase) < _LEAST:
        raise BackupError(f"The passphrase is too short: it must have at least {_LEAST} characters.")
    salt = os.urandom(16)
    sealed = _box(passphrase, salt).encrypt(text.encode()).decode()
    _write(folder / SEALED, json.dumps({"salt": salt.hex(), "sealed": sealed}))
    return SEALED


def read(folder: Path, manifest: Manifest, passphrase: str) -> dict[str, str]:
    """The secrets of a backup; raises BackupError where it has none, or the passphrase is another."""
    if not manifest.secrets:
        raise BackupError("This backup has no secrets. Set SECRET_KEY and ENCRYPTION_KEYS to what they were.")
    try:
        text = (folder / manifest.secrets).read_text()
        if manifest.secrets == SEALED:
            told = json.loads(text)
            text = _box(passphrase, bytes.fromhex(told["salt"])).decrypt(told["sealed"].encode()).decode()
        found: dict[str, str] = json.loads(text)
    except InvalidToken:
        raise BackupError("The passphrase does not open the secrets of this backup.") from None
    except (OSError, ValueError, KeyError, TypeError):
        raise BackupError(f"The backup is damaged: {manifest.secrets} can't be read. Take another one.") from None
    return found


def put_back(found: dict[str, str]) -> list[str]:
    """Writes them where they would be generated, readable by their owner; the names of those set by the environment."""
    set_elsewhere = []
    for name, value in found.items():
        if os.environ.get(name) or os.environ.get(f"{name}_FILE"):
            set_elsewhere.append(name)
            continue
        path: Path = settings.VAR_DIR / _FILES[name]
        path.unlink(missing_ok=True)
        _write(path, value)
    return set_elsewhere


def require_same(manifest: Manifest) -> str:
    """Raises BackupError where what is sealed in the backup can't be read here; else what is worth knowing, or ""."""
    own = digests()
    if not set(manifest.keys["encryption_keys"]) <= set(own["encryption_keys"]):
        raise BackupError(
            "The backup was made with other ENCRYPTION_KEYS, so what is sealed in it could not be read. Set them to "
            "what they were, put its secrets back with --with-secrets, or lose what is sealed with --other-keys."
        )
    if manifest.keys["secret_key"] != own["secret_key"]:
        return "SECRET_KEY is another one: sessions and signed addresses that were given out are no longer good."
    return ""


def _digest(key: str) -> str:
    return hashlib.sha256(f"genfeed backup {key}".encode()).hexdigest()[:16]


def _box(passphrase: str, salt: bytes) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(Scrypt(salt=salt, length=32, n=2**15, r=8, p=1).derive(passphrase.encode())))


def _write(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
