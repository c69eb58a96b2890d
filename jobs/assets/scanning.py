"""The hook that sees every file before it is served: a function of the operator's, or the one for ClamAV."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO

from django.conf import settings
from django.utils.module_loading import import_string

Scan = Callable[..., str]
# What is kept of a scanner that found nothing.
CLEAN = "clean"


class ScanError(Exception):
    """The scanner did not come to a judgement: the file is not served, and is tried again."""


def is_on() -> bool:
    """Whether files are scanned; then nothing is handed out that was not."""
    return bool(settings.ASSET_SCANNER)


def scan(file: BinaryIO, *, name: str, content_type: str) -> str:
    """What the scanner found, in a few words; "" where there is nothing, or no scanner. Raises ScanError."""
    if not is_on():
        return ""
    function: Scan = import_string(settings.ASSET_SCANNER)
    file.seek(0)
    try:
        return str(function(file, name=name, content_type=content_type))
    except ScanError:
        raise
    except Exception as error:
        # A scanner that crashes has not said that the file is clean.
        raise ScanError(f"the scanner failed: {type(error).__name__}") from error
