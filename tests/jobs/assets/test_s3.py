"""Files on a server that speaks S3's protocol."""

import hashlib
import itertools
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from botocore.config import Config
from django.core.files.storage import storages
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client as HttpClient

from genfeed.sandbox.media.making import Wish, make
from jobs.assets import fetching, handing_over
from jobs.assets.models import Asset
from jobs.assets.s3 import S3Storage
from jobs.assets.storage import open_file
from tests.jobs.assets.conftest import Fetch, key_of, make_asset
from tests.jobs.assets.test_references import EDIT
from tests.jobs.assets.test_resumable import begin, send
from tests.jobs.assets.test_uploads import film, upload
from tests.jobs.doubles import make_caller, make_job
from tests.pricing.estimates.sold import IMAGE_URL, IMAGES_OUT, PROMPT, make_sold
from tests.s3_servers import ACCESS_KEY, SECRET_KEY, need_swift, running_moto, running_swift
from tests.sandbox_server import RunningSandbox

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("by_hand"), pytest.mark.once]

LARGE = 20 * 1024 * 1024
_numbers = itertools.count()


@pytest.fixture(scope="module", params=["swift", "moto"])
def server(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a server that speaks S3: a real store where it is installed, and one that is made for tests."""
    if request.param == "moto":
        with running_moto() as url:
            yield url
        return
    need_swift()
    with running_swift() as swift:
        yield swift.url


@pytest.fixture(autouse=True)
def bucket(server: str, settings: Any, media: Any) -> Any:
    """An empty bucket, in which all files lie."""
    return use_bucket(server, settings)


def use_bucket(url: str, settings: Any, *, secret: str = SECRET_KEY) -> Any:
    """Has all files lie in a bucket that nobody used before."""
    name = f"media-{next(_numbers)}"
    options = {
        "bucket_name": name, "endpoint_url": url, "region_name": "us-east-1", "access_key": ACCESS_KEY,
        "secret_key": secret, "client_config": Config(retries={"max_attempts": 1}, connect_timeout=2, read_timeout=20),
    }  # fmt: skip
    settings.STORAGES = {
        **settings.STORAGES,
        "assets": {"BACKEND": "jobs.assets.s3.S3Storage", "OPTIONS": options},
    }
    own = storages["assets"]
    assert isinstance(own, S3Storage)
    if secret == SECRET_KEY:
        own.connection.create_bucket(Bucket=name)
    return own.bucket


def keys(bucket: Any) -> list[str]:
    return [one.key for one in bucket.objects.all()]


def served(asset_id: str, **headers: str) -> Any:
    url = key_of().get(f"/api/v1/assets/{asset_id}").json()["url"]
    return HttpClient().get(url.removeprefix("http://testserver"), headers=headers)


def test_a_file_of_a_job_lies_in_the_bucket_and_is_served_by_us(fetch: Fetch, bucket: Any) -> None:
    asset = fetch()

    assert keys(bucket) == [asset.storage_name]
    assert hashlib.sha256(b"".join(served(asset.pk))).hexdigest() == asset.sha256


def test_a_range_is_asked_of_the_bucket_alone(bucket: Any) -> None:
    content = make(Wish(kind="mp4", seed="a", width=320, height=240, seconds=3))
    asset = make_asset(content, content_type="video/mp4", kind="video", name="a.mp4")

    answer = served(asset.pk, Range="bytes=100-199")

    assert (answer.status_code, b"".join(answer)) == (206, content[100:200])
    part: Any = open_file(asset.storage_name, 100, 100)
    assert int(part._content_length) == 100


def test_a_file_of_a_form_goes_there(bucket: Any) -> None:
    body = upload(film(3), "a.mp4").json()

    assert (body["seconds"], len(keys(bucket))) == (pytest.approx(3, abs=0.1), 1)


def test_a_large_file_goes_there_in_pieces_and_stays_whole(bucket: Any) -> None:
    content = film(1) + LARGE.to_bytes(4) + b"free" + bytes(LARGE - 8)

    body = upload(content, "a.mp4").json()

    # S3 tells by the tag of an object in how many pieces it came.
    (one,) = bucket.objects.all()
    assert one.e_tag.strip('"').endswith("-3")
    assert hashlib.sha256(b"".join(served(body["id"]))).hexdigest() == body["sha256"]


def test_the_pieces_of_a_resumable_upload_are_joined_and_leave_nothing(bucket: Any) -> None:
    content = film(2)
    url = begin(len(content)).headers["Location"]
    send(url, 0, content[:700])
    send(url, 700, content[700:])
    assert len(keys(bucket)) == 2

    for one in fetching.claim(1):
        fetching.apply(one, fetching.ask(one))

    asset = Asset.objects.get()
    assert (asset.state, keys(bucket)) == ("stored", [asset.storage_name])
    assert b"".join(served(asset.pk)) == content


def test_it_is_handed_to_the_provider_from_there(sandbox: RunningSandbox) -> None:
    caller = make_caller()
    make_sold(EDIT, "0.03", "images", inputs=[PROMPT, IMAGE_URL], outputs=IMAGES_OUT)
    content = make(Wish(kind="png", seed="a", width=64, height=64))
    job = make_job(caller, model=EDIT, input={"prompt": "bluer", "image_url": make_asset(content).pk})

    for one in handing_over.claim(1):
        handing_over.apply(one, handing_over.ask(one))

    job.refresh_from_db()
    assert httpx.get(job.input["image_url"]).content == content


def test_a_deleted_file_is_gone_from_the_bucket(bucket: Any) -> None:
    asset = make_asset()

    key_of().delete(f"/api/v1/assets/{asset.pk}")

    assert keys(bucket) == []


def test_a_bucket_that_is_away_is_told_and_nothing_is_claimed(bucket: Any) -> None:
    bucket.delete()

    answer = key_of().post("/api/v1/uploads", {"file": SimpleUploadedFile("a.mp4", film(1))})

    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "can't be stored" in answer.json()["message"]
    assert Asset.objects.count() == 0


def test_a_file_of_a_job_waits_for_a_bucket_that_is_away(fetch: Fetch, bucket: Any) -> None:
    bucket.delete()

    asset = fetch()

    assert (asset.state, asset.problem) == ("pending", "it could not be stored: OSError")


def test_a_file_that_vanished_from_the_bucket_is_a_404(bucket: Any) -> None:
    asset = make_asset()
    bucket.Object(asset.storage_name).delete()

    assert served(asset.pk).status_code == 404


def test_addresses_are_ours_and_end_whatever_lies_behind(bucket: Any, settings: Any) -> None:
    asset = make_asset()
    settings.ASSET_URL_SECONDS = -7200
    ended = served(asset.pk)
    settings.ASSET_URL_SECONDS = 60

    url = key_of().get(f"/api/v1/assets/{asset.pk}").json()["url"]

    assert url.startswith(f"http://testserver/assets/{asset.pk}/")
    assert bucket.name not in url
    assert served(asset.pk).status_code == 200
    assert ended.status_code == 403
