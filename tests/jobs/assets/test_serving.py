"""What whoever has a signed address gets, and who does not."""

import time
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.http import FileResponse
from django.test import Client as HttpClient
from django.test import RequestFactory

from genfeed.clients.models import Client
from genfeed.front.answering import SentFile
from jobs.assets import links, serving
from jobs.assets.models import Asset
from tests.jobs.assets.conftest import make_asset

pytestmark = [pytest.mark.django_db, pytest.mark.once]

CONTENT = b"0123456789"


def url_of(asset: Asset, **options: Any) -> str:
    return links.signed_url(asset.pk, asset.name, base_url="", **options)


def get(asset: Asset, method: str = "get", **headers: str) -> Any:
    """The answer to a request without any key."""
    return getattr(HttpClient(headers=headers), method)(url_of(asset))


def body(answer: Any) -> bytes:
    return b"".join(answer.streaming_content) if answer.streaming else answer.content


def test_the_file_comes_whole_and_says_what_it_is() -> None:
    asset = make_asset()

    answer = get(asset)

    assert (answer.status_code, body(answer)) == (200, CONTENT)
    assert answer["Content-Type"] == "image/png"
    assert answer["Content-Length"] == "10"
    assert answer["Accept-Ranges"] == "bytes"
    assert answer["ETag"] == f'"{asset.sha256}"'
    assert answer["Content-Disposition"] == 'inline; filename="a.png"'
    assert answer["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("header", "expected", "content_range"),
    [
        ("bytes=0-3", b"0123", "bytes 0-3/10"),
        ("bytes=4-", b"456789", "bytes 4-9/10"),
        ("bytes=-3", b"789", "bytes 7-9/10"),
        ("bytes=-100", CONTENT, "bytes 0-9/10"),
        ("bytes=8-100", b"89", "bytes 8-9/10"),
        ("Bytes = 2 - 2", b"2", "bytes 2-2/10"),
    ],
)
def test_a_range_brings_that_part(header: str, expected: bytes, content_range: str) -> None:
    answer = get(make_asset(), Range=header)

    assert (answer.status_code, body(answer)) == (206, expected)
    assert (answer["Content-Range"], answer["Content-Length"]) == (content_range, str(len(expected)))


@pytest.mark.parametrize("header", ["bytes=0-1,4-5", "bytes=5-2", "lines=1-2", "bytes=-", "bytes=a-b", ""])
def test_what_is_no_single_range_brings_the_whole(header: str) -> None:
    assert body(get(make_asset(), Range=header)) == CONTENT


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=99-100", "bytes=-0"])
def test_a_range_outside_of_the_file_is_a_416_that_says_how_long_it_is(header: str) -> None:
    answer = get(make_asset(), Range=header)

    assert (answer.status_code, answer["Content-Range"]) == (416, "bytes */10")


def test_head_tells_the_length_without_the_content() -> None:
    answer = get(make_asset(), "head")

    assert (answer.status_code, answer["Content-Length"], body(answer)) == (200, "10", b"")


def test_head_of_a_range_tells_that_parts_length() -> None:
    answer = get(make_asset(), "head", Range="bytes=0-3")

    assert (answer.status_code, answer["Content-Length"], answer["Content-Range"]) == (206, "4", "bytes 0-3/10")


def test_a_known_etag_is_a_304() -> None:
    asset = make_asset()

    assert get(asset, **{"If-None-Match": f'"x", "{asset.sha256}"'}).status_code == 304


def test_a_part_of_a_file_is_left_to_the_server_to_send() -> None:
    asset = make_asset()
    request = RequestFactory(headers={"Range": "bytes=2-5"}).get(url_of(asset))

    response = serving.serve(request, asset.pk, asset.name)

    assert isinstance(response, FileResponse)
    # What Django wraps in the server's `wsgi.file_wrapper`.
    assert SentFile(response.file_to_stream).read() == b"2345"
    response.close()


def test_a_range_of_the_file_as_it_was_is_followed() -> None:
    asset = make_asset()

    assert get(asset, **{"Range": "bytes=0-3", "If-Range": f'"{asset.sha256}"'}).status_code == 206


def test_a_range_of_another_file_brings_the_whole() -> None:
    answer = get(make_asset(), **{"Range": "bytes=0-3", "If-Range": '"another"'})

    assert (answer.status_code, body(answer)) == (200, CONTENT)


def test_the_time_of_an_address_passes() -> None:
    asset = make_asset()

    answer = HttpClient().get(url_of(asset, now=time.time() - 200_000))

    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden_scope")


def test_addresses_of_the_same_hour_are_the_same() -> None:
    asset = make_asset()

    assert url_of(asset, now=36_000.0) == url_of(asset, now=36_000.0 - 3_500)


@pytest.mark.parametrize(
    "change",
    [
        lambda url: url.replace("sig=", "sig=A"),
        lambda url: url.replace("exp=", "exp=9"),
        lambda url: url.replace("a.png", "b.png"),
        lambda url: url.partition("?")[0],
        lambda url: url.replace("exp=", "exp=-"),
        lambda url: url.replace("exp=", "exp=٣"),
        lambda url: url.partition("&sig=")[0] + "&sig=ü",
    ],
)
def test_an_address_that_was_changed_opens_nothing(change: Any) -> None:
    answer = HttpClient().get(change(url_of(make_asset())))

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_an_address_opens_no_other_file() -> None:
    mine, other = make_asset(), make_asset(b"secret")

    answer = HttpClient().get(url_of(mine).replace(mine.pk, other.pk))

    assert answer.status_code == 404


@pytest.mark.parametrize("name", ["../../etc/passwd", "..%2f..%2fdb.sqlite3", "%2e%2e/x"])
def test_no_path_leads_out_of_the_storage(name: str) -> None:
    asset = make_asset()
    query = urlsplit(url_of(asset)).query

    assert HttpClient().get(f"/assets/{asset.pk}/{name}?{query}").status_code == 404


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_files_are_only_read(method: str) -> None:
    assert get(make_asset(), method).status_code in (403, 405)


@pytest.mark.parametrize("content_type", ["image/svg+xml", "text/html", "application/xml", "text/plain"])
def test_what_could_act_as_a_page_is_put_into_a_sandbox(content_type: str) -> None:
    answer = get(make_asset(content_type=content_type))

    assert answer["Content-Security-Policy"].startswith("sandbox; default-src 'none'")


@pytest.mark.parametrize(
    "content_type", ["text/html", "application/xml", "application/zip", "application/octet-stream"]
)
def test_what_a_browser_should_not_show_is_saved(content_type: str) -> None:
    assert get(make_asset(content_type=content_type))["Content-Disposition"].startswith("attachment")


def test_a_deleted_file_is_gone_in_words() -> None:
    answer = get(make_asset(state="expired"))

    assert (answer.status_code, answer.json()["hint"]) == (410, "Run the job again.")


@pytest.mark.parametrize("state", ["pending", "failed", "refused"])
def test_what_is_not_stored_is_not_served(state: str) -> None:
    assert get(make_asset(state=state)).status_code == 404


def test_a_file_that_vanished_from_the_storage_is_a_404() -> None:
    assert get(make_asset(), **{}).status_code == 200
    asset = make_asset()
    Asset.objects.filter(pk=asset.pk).update(storage_name="gone.bin")

    assert get(asset).status_code == 404


def test_flagged_files_are_withheld_from_a_client_that_wants_none() -> None:
    asset = make_asset(is_nsfw=True)
    Client.objects.update(withholds_nsfw=True)

    answer = get(asset)

    assert (answer.status_code, answer.json()["code"]) == (403, "content_refused")


def test_flagged_files_are_served_to_everybody_else() -> None:
    assert get(make_asset(is_nsfw=True)).status_code == 200


def test_pages_of_others_may_embed_a_file() -> None:
    answer = get(make_asset())

    assert (answer["Access-Control-Allow-Origin"], answer["Cross-Origin-Resource-Policy"]) == ("*", "cross-origin")
