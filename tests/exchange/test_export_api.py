"""The export over HTTP: who may have it, what is sent when."""

import base64

import pytest

from catalog.exchange import file_format
from catalog.exchange.signing import own_public_key
from catalog.models import AIModel
from catalog.revisions import publish
from genfeed.clients.models import ApiKey
from genfeed.journal.models import Alert
from pricing import tasks
from pricing.exchange import rendering
from pricing.models import RenderedExport

URL = "/api/v1/catalog/export"


def test_the_export_is_signed_with_the_key_that_is_told_at_the_well_known_address(small, api):
    body = api.get(URL).content
    told = api.get("/.well-known/genfeed-catalog-key").json()
    assert told["public_key"] == own_public_key()
    assert file_format.read(body, public_key=told["public_key"]).header.since == 0


def test_the_bytes_of_an_export_are_made_once(small, api, django_assert_max_num_queries):
    first = api.get(URL)
    with django_assert_max_num_queries(8):
        assert api.get(URL).content == first.content
    assert RenderedExport.objects.count() == 1


@pytest.mark.once
def test_who_has_the_newest_is_told_so(small, api):
    etag = api.get(URL)["ETag"]
    answer = api.get(f"{URL}?since=1", headers={"If-None-Match": etag})
    assert (answer.status_code, answer.content) == (304, b"")


@pytest.mark.once
def test_a_download_is_continued_from_where_it_was(small, api):
    whole = api.get(URL)
    part = api.get(URL, headers={"Range": "bytes=1000-", "If-Range": whole["ETag"]})
    assert part.status_code == 206
    assert part["Content-Range"] == f"bytes 1000-{len(whole.content) - 1}/{len(whole.content)}"
    assert part.content == whole.content[1000:]


@pytest.mark.once
def test_a_download_of_another_export_begins_anew(small, api):
    api.get(URL)
    answer = api.get(URL, headers={"Range": "bytes=1000-", "If-Range": '"1-another"'})
    assert answer.status_code == 200
    assert answer.content.startswith(b"GENFEED-CATALOG\n")


@pytest.mark.once
def test_a_range_beyond_the_end_is_refused(small, api):
    size = len(api.get(URL).content)
    assert api.get(URL, headers={"Range": f"bytes={size}-"}).status_code == 416


def test_only_what_changed_is_sent_to_who_has_the_rest(small, api):
    whole = api.get(URL).content
    revision = file_format.read(whole, public_key=own_public_key()).header.revision
    AIModel.objects.filter(endpoint_id="fal-ai/flux/dev").update(description="new words")
    publish("test")
    tasks.refresh_export()
    part = api.get(f"{URL}?since={revision}").content
    lines = list(file_format.read(part, public_key=own_public_key()).lines())
    assert [line.get("id") for line in lines] == [None, "fal-ai/flux/dev"]
    assert len(lines[0]["providers"]["fal"]["ids"]) == 4


@pytest.mark.once
def test_who_has_the_same_number_of_another_history_is_sent_the_whole(small, api):
    base = api.get(URL)["ETag"].strip('"').split("-")[0]
    AIModel.objects.filter(endpoint_id="fal-ai/flux/dev").update(description="new words")
    publish("test")
    tasks.refresh_export()

    def since_of(etag: str) -> int:
        body = api.get(f"{URL}?since={base}", headers={"If-None-Match": etag}).content
        return file_format.read(body, public_key=own_public_key()).header.since

    newest = api.get(URL)["ETag"].strip('"').split("-")[0]
    assert since_of(f'"{base}-{"0" * 32}"') == 0
    assert since_of(f'"{newest}-{"0" * 32}"') == int(base)


@pytest.mark.once
def test_a_revision_that_was_never_exported_is_answered_with_the_whole(small, api):
    revision = int(api.get(URL)["ETag"].strip('"').split("-")[0])
    for _ in range(2):
        publish("test")
    AIModel.objects.filter(endpoint_id="fal-ai/flux/dev").update(description="new words")
    publish("test")
    tasks.refresh_export()
    body = api.get(f"{URL}?since={revision + 1}").content
    assert file_format.read(body, public_key=own_public_key()).header.since == 0


def test_a_change_of_nothing_that_goes_out_makes_no_new_export(small, api):
    etag = api.get(URL)["ETag"]
    AIModel.objects.update(switch="off", enabled=False)
    publish("switched off")
    tasks.refresh_export()
    assert api.get(URL)["ETag"] == etag


@pytest.mark.once
@pytest.mark.parametrize("what", ["key", "format"])
def test_another_key_or_format_makes_a_new_export_of_the_same_catalog(small, api, settings, monkeypatch, what):
    before = api.get(URL)
    if what == "key":
        settings.CATALOG_SIGNING_KEY = base64.b64encode(b"k" * 32).decode()
    else:
        monkeypatch.setattr(file_format, "FORMAT", 7)
    rendering.refresh(new_key=what == "key")
    answer = api.get(URL, headers={"If-None-Match": before["ETag"]})
    assert answer.status_code == 200
    header = file_format.read(answer.content, public_key=own_public_key()).header
    assert header.format == file_format.FORMAT


@pytest.mark.once
def test_a_machine_with_another_key_signs_nothing_and_is_told_of(small, api, settings):
    before, key = api.get(URL), own_public_key()
    revision = file_format.read(before.content, public_key=key).header.revision
    settings.CATALOG_SIGNING_KEY = base64.b64encode(b"k" * 32).decode()
    AIModel.objects.filter(endpoint_id="fal-ai/flux/dev").update(description="new words")
    publish("test")
    tasks.refresh_export()
    assert api.get(f"{URL}?since={revision}").content == before.content
    assert api.get("/.well-known/genfeed-catalog-key").json()["public_key"] == key
    assert "CATALOG_SIGNING_KEY" in Alert.objects.get(code="catalog_key_differs", resolved_at=None).text


@pytest.mark.once
def test_a_key_with_lists_of_models_may_not_have_all_of_them(small, api):
    ApiKey.objects.update(allowed_models=["fal-ai/flux/*"])
    answer = api.get(URL)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden_scope")


@pytest.mark.once
def test_a_key_without_the_scope_is_refused(small, make_key, client):
    answer = client.get(URL, headers={"Authorization": f"Bearer {make_key('estimates')}"})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden_scope")


@pytest.mark.once
def test_without_a_catalog_there_is_no_export(api):
    answer = api.get(URL)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.once
@pytest.mark.parametrize("since", ["-1", "x", "99999999999999999999999"])
def test_a_revision_that_is_none_is_refused(api, since):
    assert api.get(f"{URL}?since={since}").status_code == 400


@pytest.mark.once
def test_an_export_that_nobody_has_asked_for_is_not_made(small):
    assert "nobody" in tasks.refresh_export()
    assert not RenderedExport.objects.exists()
