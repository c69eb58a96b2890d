"""A real store that refuses our key, and one that is away for a while."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from jobs.assets import fetching
from jobs.assets.models import Asset
from tests.jobs.assets.conftest import Fetch, key_of, make_asset
from tests.jobs.assets.test_s3 import keys, served, use_bucket
from tests.jobs.assets.test_uploads import film
from tests.s3_servers import Swift, need_swift, running_swift

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("by_hand"), pytest.mark.once]


@pytest.fixture(scope="module")
def swift() -> Iterator[Swift]:
    need_swift()
    with running_swift() as one:
        yield one


def test_a_wrong_key_is_told_without_a_word_of_it(swift: Swift, settings: Any, media: Any) -> None:
    use_bucket(swift.url, settings, secret="a wrong secret")

    answer = key_of().post("/api/v1/uploads", {"file": SimpleUploadedFile("a.mp4", film(1))})

    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "can't be stored" in answer.json()["message"]
    assert "wrong secret" not in answer.text
    assert Asset.objects.count() == 0


def test_a_file_of_a_job_is_stored_once_the_store_is_back(
    swift: Swift, fetch: Fetch, settings: Any, media: Any
) -> None:
    bucket = use_bucket(swift.url, settings)
    swift.stop()

    asset = fetch()
    assert (asset.state, asset.problem) == ("pending", "it could not be stored: OSError")

    swift.start()
    Asset.objects.filter(pk=asset.pk).update(next_at=timezone.now())
    for one in fetching.claim(1):
        fetching.apply(one, fetching.ask(one))

    asset.refresh_from_db()
    assert (asset.state, keys(bucket)) == ("stored", [asset.storage_name])
    assert served(asset.pk).status_code == 200


def test_a_store_that_is_away_is_an_error_for_who_reads_and_nothing_is_lost(
    swift: Swift, settings: Any, media: Any
) -> None:
    use_bucket(swift.url, settings)
    asset = make_asset()
    swift.stop()
    try:
        away = served(asset.pk)
    finally:
        swift.start()

    asset.refresh_from_db()
    assert (away.status_code, asset.state) == (503, "stored")
