"""Wrong settings show at the start, each with what to do about it."""

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import storages
from django.core.files.storage.handler import InvalidStorageError
from django.utils.module_loading import import_string

from catalog.exchange.signing import is_open_to_forgers
from catalog.providers import queue

# What manage.py looks at before every command.
_SETTINGS = "settings"
_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


@register(deploy=True)
def a_key_is_set(**_: Any) -> list[CheckMessage]:
    """genfeed.W001, with `check --deploy` only: working without a key is a choice, not a mistake."""
    if any(map(queue.has_key, queue.runnable())):
        return []
    return [
        Warning(
            "No key of a provider is set: the catalog works, generation is not configured.",
            hint=f"Set {_settings_of_keys()}, or start with `manage.py up`, which runs the sandbox.",
            id="genfeed.W001",
        )
    ]


def _settings_of_keys() -> str:
    return " or ".join(map(queue.key_setting, queue.runnable()))


@register(_SETTINGS)
def settings_make_sense(**_: Any) -> list[CheckMessage]:
    """genfeed.W002, W003, E001 and E002; a value that can't even be read is refused by genfeed.env before."""
    found: list[CheckMessage] = []
    public = urlsplit(settings.PUBLIC_URL)
    if public.scheme == "http" and public.hostname not in _THIS_MACHINE and not settings.DEBUG:
        found.append(
            Warning(
                "PUBLIC_URL is plain http: keys and sessions travel unencrypted.",
                hint="Put a proxy with TLS in front and set PUBLIC_URL=https://…",
                id="genfeed.W002",
            )
        )
    if settings.DEBUG and settings.PUBLIC_URL:
        found.append(
            Warning(
                "DEBUG is on while PUBLIC_URL is set: errors would show the source.",
                hint="Unset DEBUG.",
                id="genfeed.W003",
            )
        )
    if len(settings.SECRET_KEY) < 32:
        found.append(
            Error(
                "SECRET_KEY is shorter than 32 characters.", hint="Unset it to have one generated.", id="genfeed.E001"
            )
        )
    if settings.CATALOG_SOURCE == "cloud" and is_open_to_forgers(settings.CLOUD_URL, settings.CLOUD_PUBLIC_KEY):
        found.append(
            Error(
                "CLOUD_URL is plain http, and CLOUD_PUBLIC_KEY is not set.",
                hint="Use https://…, or set CLOUD_PUBLIC_KEY in a network that you trust.",
                id="genfeed.E002",
            )
        )
    return found


@register(_SETTINGS)
def files_can_be_kept(**_: Any) -> list[CheckMessage]:
    """genfeed.E003 and E004, where files lie elsewhere or are looked at; the storage is made, and asked for nothing."""
    found: list[CheckMessage] = []
    if settings.ASSET_STORAGE:
        try:
            storages.create_storage(settings.STORAGES["assets"])
        except (ImportError, InvalidStorageError, ImproperlyConfigured, TypeError, ValueError) as error:
            found.append(
                Error(
                    f"ASSET_STORAGE and ASSET_STORAGE_OPTIONS name no storage that can be made: {error}",
                    hint="docs/assets.md shows an example. S3 needs requirements-s3.txt to be installed.",
                    id="genfeed.E003",
                )
            )
    if settings.ASSET_SCANNER:
        try:
            usable = callable(import_string(settings.ASSET_SCANNER))
        except ImportError:
            usable = False
        if not usable:
            found.append(
                Error(
                    f"ASSET_SCANNER names no function: {settings.ASSET_SCANNER}.",
                    hint="Name one by its dotted path, such as jobs.assets.clamav.scan.",
                    id="genfeed.E004",
                )
            )
    return found
