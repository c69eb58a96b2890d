"""Typed reading of settings from the environment: a wrong value is refused with a sentence, never guessed."""

import base64
import json
import os
import secrets
import time
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured

# What the example of a server's settings (deploy/systemd/genfeed.env) has in the place of each secret.
_EXAMPLE = "CHANGE-ME"
_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"", "0", "false", "no", "off"}


def text(name: str, default: str = "") -> str:
    """The value of `name` without surrounding white space, or `default` where it is unset."""
    return os.environ.get(name, default).strip()


def boolean(name: str, default: bool) -> bool:
    """`true/yes/on/1` or `false/no/off/0` in any case; anything else raises ImproperlyConfigured."""
    raw = os.environ.get(name)
    if raw is None:
        return default
    value = raw.strip().lower()
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    raise ImproperlyConfigured(f"{name} is {raw!r}; it must be true or false.")


def integer(name: str, default: int, *, minimum: int, maximum: int) -> int:
    """A whole number within the bounds; anything else raises ImproperlyConfigured."""
    raw = text(name, str(default))
    try:
        value = int(raw)
    except ValueError:
        raise ImproperlyConfigured(f"{name} is {raw!r}; it must be a whole number.") from None
    if not minimum <= value <= maximum:
        raise ImproperlyConfigured(f"{name} is {value}; it must lie between {minimum} and {maximum}.")
    return value


def number(name: str, default: float, *, minimum: float, maximum: float) -> float:
    """A number within the bounds; anything else raises ImproperlyConfigured."""
    raw = text(name, str(default))
    try:
        value = float(raw)
    except ValueError:
        raise ImproperlyConfigured(f"{name} is {raw!r}; it must be a number.") from None
    # Written so that NaN, which compares false with everything, is refused too.
    if not minimum <= value <= maximum:
        raise ImproperlyConfigured(f"{name} is {value}; it must lie between {minimum} and {maximum}.")
    return value


def amount(name: str, default: str) -> Decimal:
    """An amount of money in USD, exact and not negative; anything else raises ImproperlyConfigured."""
    raw = text(name) or default
    try:
        value = Decimal(raw)
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or value < 0:
        raise ImproperlyConfigured(f"{name} is {raw!r}; it must be an amount in USD such as {default}.")
    return value


def choice(name: str, default: str, choices: tuple[str, ...]) -> str:
    """One of `choices`; anything else raises ImproperlyConfigured. Empty counts as unset."""
    value = text(name) or default
    if value not in choices:
        raise ImproperlyConfigured(f"{name} is {value!r}; it must be one of: {', '.join(choices)}.")
    return value


def base_url(name: str, default: str) -> str:
    """An http(s) URL without trailing slash, or "" where it is unset and the default is ""."""
    value = (text(name) or default).rstrip("/")
    if not value:
        return ""
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable:
        raise ImproperlyConfigured(f"{name} is {value!r}; it must be a URL such as https://example.com/path.")
    return value


def database(name: str, default: str) -> dict[str, Any]:
    """Django's settings of one database, from `sqlite:///path` or `postgres://user:password@host:port/name`."""
    value = text(name) or default
    scheme = value.partition(":")[0]
    if scheme not in ("sqlite", "postgres", "postgresql"):
        # Not the value itself: it may hold a password.
        raise ImproperlyConfigured(f"{name} must begin with sqlite:// or postgres://.")
    try:
        return dict(environ.Env.db_url_config(value))
    except ValueError:
        raise ImproperlyConfigured(
            f"{name} can't be read as a URL; it must be like postgres://user@host/name."
        ) from None


def fernet_keys(name: str, *, generated_into: Path) -> str:
    """Comma-separated Fernet keys, as `secret`; others raise ImproperlyConfigured."""
    value = secret(name, generated_into, lambda: Fernet.generate_key().decode())
    try:
        usable = [Fernet(key.strip()) for key in value.split(",")]
    except ValueError:
        usable = []
    if not usable:
        raise ImproperlyConfigured(
            f"{name} must be keys of 32 bytes in URL-safe base64, comma-separated. Without it one is generated."
        )
    return value


def ed25519_key(name: str, *, generated_into: Path) -> str:
    """A private Ed25519 key, 32 bytes in base64, as `secret`; another value raises ImproperlyConfigured."""
    value = secret(name, generated_into, lambda: base64.b64encode(secrets.token_bytes(32)).decode())
    try:
        usable = len(base64.b64decode(value, validate=True)) == 32
    except ValueError:
        usable = False
    if not usable:
        raise ImproperlyConfigured(f"{name} must be 32 bytes in base64. Without it one is generated.")
    return value


def mailers(name: str) -> dict[str, Any]:
    """Django's MAILERS from a URL such as `smtp+tls://user:password@host:587`; unset: no mail is sent."""
    value = text(name)
    if not value:
        return {"default": {"BACKEND": "django.core.mail.backends.dummy.EmailBackend"}}
    try:
        read = environ.Env.email_url_config(value)
    except (ValueError, ImproperlyConfigured):
        # Not the value itself: it may hold a password.
        raise ImproperlyConfigured(
            f"{name} can't be read; it must be like smtp+tls://user@mail.example.com:587."
        ) from None
    if not read["EMAIL_BACKEND"].endswith("smtp.EmailBackend"):
        return {"default": {"BACKEND": read["EMAIL_BACKEND"]}}
    options = {
        "host": read["EMAIL_HOST"] or "localhost",
        "port": read["EMAIL_PORT"] or 25,
        "username": read["EMAIL_HOST_USER"] or "",
        "password": read["EMAIL_HOST_PASSWORD"] or "",
        "use_tls": bool(read.get("EMAIL_USE_TLS")),
        "use_ssl": bool(read.get("EMAIL_USE_SSL")),
        "timeout": 10,
    }
    return {"default": {"BACKEND": read["EMAIL_BACKEND"], "OPTIONS": options}}


def json_object(name: str) -> dict[str, Any]:
    """A JSON object, empty where it is unset; anything else raises ImproperlyConfigured."""
    try:
        value = json.loads(text(name) or "{}")
    except ValueError:
        value = None
    if not isinstance(value, dict):
        # Not the value itself: it may hold a password.
        raise ImproperlyConfigured(f"{name} must be a JSON object.")
    return value


def words(name: str, default: str = "") -> list[str]:
    """A comma-separated list without empty entries."""
    return [word.strip() for word in text(name, default).split(",") if word.strip()]


def _random_text() -> str:
    return secrets.token_urlsafe(50)


def secret(name: str, generated_into: Path | None = None, make: Callable[[], str] = _random_text) -> str:
    """A secret from `name`, else from the file that `name_FILE` names, else from the file `generated_into`.

    That last file is written at first need: what `make` makes (50 random URL-safe bytes), readable by its owner alone.
    Without `generated_into` an unset secret is "". The example's own value raises ImproperlyConfigured.
    """
    value = text(name)
    if value == _EXAMPLE:
        raise ImproperlyConfigured(f"{name} is still {_EXAMPLE}, which everybody knows; set it, or remove the line.")
    if value:
        return value
    path = text(f"{name}_FILE")
    if path:
        try:
            return Path(path).read_text().strip()
        except OSError as error:
            raise ImproperlyConfigured(f"{name}_FILE names {path}, which can't be read: {error.strerror}.") from None
    return _generated(generated_into, make) if generated_into else ""


def _generated(path: Path, make: Callable[[], str]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    value = make()
    try:
        # O_EXCL: of several processes that start together, one writes and the others read what it wrote.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _written_by_another(path)
    with os.fdopen(descriptor, "w") as file:
        file.write(value)
    return value


def _written_by_another(path: Path) -> str:
    """The secret in `path`; waits a moment where the process that made the file has not written into it yet."""
    deadline = time.monotonic() + 2
    while not (value := path.read_text().strip()):
        if time.monotonic() > deadline:
            raise ImproperlyConfigured(f"{path} is empty. Delete it to have a secret generated into it.")
        time.sleep(0.01)
    return value
