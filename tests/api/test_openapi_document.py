"""docs/openapi.json is the API as it is, and breaks nobody who was written against the last release."""

from io import StringIO
from pathlib import Path

import orjson
import pytest
from django.core.management import call_command
from django.test import Client as HttpClient

from genfeed import api_document
from genfeed.management.commands import write_openapi


@pytest.mark.once
@pytest.mark.django_db
def test_the_committed_document_is_the_one_that_is_served() -> None:
    served = HttpClient().get("/api/v1/openapi.json").json()

    assert orjson.loads(api_document.DOCUMENT.read_bytes()) == served, "the API has changed: run make openapi"


def test_the_committed_document_is_written_in_the_order_that_shows_changes() -> None:
    text = api_document.DOCUMENT.read_bytes()

    assert api_document.as_text(orjson.loads(text)) == text


def test_nothing_breaks_callers_of_the_last_release() -> None:
    assert api_document.breaks_since_release() == []


@pytest.mark.parametrize("released", [False, True])
def test_the_command_writes_it_tells_what_breaks_and_keeps_the_last_release_until_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, released: bool
) -> None:
    current, before = tmp_path / "openapi.json", tmp_path / "released" / "openapi.json"
    before.parent.mkdir()
    older = b'{"paths": {"/api/v1/faxes": {"get": {"responses": {}}}}}'
    before.write_bytes(older)
    for module in (api_document, write_openapi):
        monkeypatch.setattr(module, "DOCUMENT", current)
        monkeypatch.setattr(module, "RELEASED", before)
    said = StringIO()

    call_command("write_openapi", *["--release"] * released, stdout=StringIO(), stderr=said)

    assert "/api/v1/faxes: the path was removed" in said.getvalue()
    assert current.read_bytes() == api_document.as_text(api_document.current_document())
    assert (before.read_bytes() == older) is not released
