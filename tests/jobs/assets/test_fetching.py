"""Files of jobs, fetched from a sandbox that fails in every way it can."""

import gzip
import hashlib
import io
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import FileSystemStorage
from django.db import OperationalError
from django.utils import timezone

from genfeed.clients.models import Client
from genfeed.journal.models import Alert
from jobs.assets import fetching
from jobs.assets.models import Asset
from jobs.assets.pool import FetchPool
from jobs.ids import new_id
from jobs.models import Status
from tests.jobs.assets.conftest import Fetch, fetch_all
from tests.jobs.conftest import Run
from tests.jobs.doubles import look, result, submitted
from tests.net.servers import serving
from tests.sandbox_server import RunningSandbox

# As it is, before a test does it by hand.
tick = FetchPool.tick
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("by_hand")]


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_file_is_stored_with_what_it_says_of_itself(fetch: Fetch, media: Path) -> None:
    asset = fetch()

    assert (asset.state, asset.kind, asset.content_type) == ("stored", "image", "image/jpeg")
    assert (asset.width, asset.height) == (1024, 768)
    (stored,) = files(media)
    assert asset.size == stored.stat().st_size
    assert asset.sha256 == hashlib.sha256(stored.read_bytes()).hexdigest()


def test_the_rows_are_written_with_the_end_of_the_job(run: Run) -> None:
    job = run()

    asset = job.assets.get()
    assert (asset.client_id, asset.promised, asset.places) == (job.client_id, "image", [["images", 0, "url"]])
    (told,) = job.events.get(kind="job_succeeded").data["assets"]
    assert (told["id"], told["kind"], told["name"]) == (asset.pk, "image", asset.name)


@pytest.mark.once
def test_the_event_of_the_end_tells_what_the_provider_says_of_the_files() -> None:
    film = {"url": "https://v3.fal.media/f/fox.mp4", "content_type": "video/mp4", "file_size": 2048, "duration": 5.5}
    bare = {"url": "https://v3.fal.media/f/fox.png"}
    odd = {"url": "https://v3.fal.media/f/x", "content_type": "a\nb/c", "file_size": -1, "duration": True}
    provider, job = submitted()
    provider.on_result = result({"images": [bare, odd], "video": film})
    job = look(provider, job)

    told = {one["name"]: one for one in job.events.get(kind="job_succeeded").data["assets"]}
    facts = {name: (one["content_type"], one["size"], one["seconds"]) for name, one in told.items()}
    assert facts == {
        "fox.mp4": ("video/mp4", 2048, 5.5),
        "fox.png": ("image/png", None, None),
        "x": (None, None, None),
    }


@pytest.mark.once
def test_a_failed_job_has_no_files(run: Run, sandbox: RunningSandbox) -> None:
    sandbox.faults(jobs=[{"no_media": True}])

    assert run().assets.count() == 0


@pytest.mark.once
def test_a_file_that_can_not_be_had_now_is_tried_again(fetch: Fetch, sandbox: RunningSandbox) -> None:
    sandbox.faults(jobs=[{"file_status": 503}])

    asset = fetch()

    assert (asset.state, asset.problem, asset.attempts) == ("pending", "the host answered 503", 1)
    assert asset.next_at > timezone.now()
    assert asset.job is not None
    assert asset.job.status == Status.SUCCEEDED


@pytest.mark.once
def test_waits_grow_with_the_attempts(fetch: Fetch, sandbox: RunningSandbox) -> None:
    sandbox.faults(jobs=[{"file_status": 503}])

    asset = fetch(times=6)

    assert (asset.next_at - timezone.now()).total_seconds() > 50


def test_after_the_last_attempt_it_has_failed(fetch: Fetch, sandbox: RunningSandbox, settings: Any) -> None:
    settings.ASSET_ATTEMPTS = 2
    sandbox.faults(jobs=[{"file_status": 404}])

    assert fetch(times=2).state == "failed"


@pytest.mark.once
def test_a_file_that_is_cut_off_is_not_stored(fetch: Fetch, sandbox: RunningSandbox, media: Path) -> None:
    sandbox.faults(jobs=[{"file_cut": True}])

    assert fetch().state == "pending"
    assert files(media) == []


@pytest.mark.once
def test_a_file_that_takes_too_long_is_tried_again(fetch: Fetch, sandbox: RunningSandbox, settings: Any) -> None:
    settings.ASSET_DOWNLOAD_SECONDS = 0.3
    sandbox.faults(jobs=[{"file_seconds": 5}])

    asset = fetch()

    assert (asset.state, asset.problem) == ("pending", "the host did not answer in time")


@pytest.mark.once
def test_a_slow_file_arrives(fetch: Fetch, sandbox: RunningSandbox) -> None:
    sandbox.faults(jobs=[{"file_seconds": 0.3}])

    assert fetch().state == "stored"


@pytest.mark.once
def test_a_file_beyond_the_cap_is_given_up_at_the_cap(
    fetch: Fetch, sandbox: RunningSandbox, settings: Any, media: Path
) -> None:
    settings.ASSET_MAX_BYTES = 1_000_000
    sandbox.faults(jobs=[{"file_bytes": 500_000_000}])

    asset = fetch()

    assert (asset.state, asset.problem) == ("failed", "it is larger than 1000000 bytes")
    assert files(media) == []


@pytest.mark.once
def test_a_large_file_is_stored_whole(fetch: Fetch, sandbox: RunningSandbox) -> None:
    sandbox.faults(jobs=[{"file_bytes": 20_000_000}])

    asset = fetch()

    assert (asset.state, asset.size) == ("stored", 20_000_000)


@pytest.mark.once
def test_the_type_is_that_of_the_bytes_and_not_of_the_header(fetch: Fetch, sandbox: RunningSandbox) -> None:
    sandbox.faults(jobs=[{"file_type": "text/html"}])

    assert fetch().content_type == "image/jpeg"


@pytest.mark.once
def test_a_web_page_in_the_place_of_an_image_is_refused(fetch: Fetch, sandbox: RunningSandbox, media: Path) -> None:
    sandbox.faults(jobs=[{"file_html": True}])

    asset = fetch()

    assert (asset.state, asset.problem) == ("refused", "it is text/html, not image")
    assert files(media) == []


@pytest.mark.once
@pytest.mark.parametrize(
    "url", ["http://10.0.0.1/a.png", "http://169.254.169.254/latest", "http://[::1]/a.png", "http://localhost/a.png"]
)
def test_an_address_inside_of_a_network_is_not_fetched(fetch: Fetch, sandbox: RunningSandbox, url: str) -> None:
    sandbox.faults(jobs=[{"file_url": url}])

    assert fetch().state == "refused"


@pytest.mark.once
def test_a_redirect_is_not_followed(fetch: Fetch, sandbox: RunningSandbox) -> None:
    sandbox.faults(jobs=[{"file_redirect": "http://10.0.0.1/"}])

    asset = fetch()

    assert (asset.state, "redirects are not followed" in asset.problem) == ("pending", True)


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A disk without room; `undo` makes some."""

    def full(*_: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("jobs.assets.storage.MovableFile.temporary_file_path", full)
    return monkeypatch


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_is_waited_out_however_long_it_is_full(fetch: Fetch, settings: Any) -> None:
    settings.ASSET_ATTEMPTS = 2

    asset = fetch(times=4)

    assert (asset.state, asset.problem) == ("pending", "it could not be stored: No space left on device")
    assert (asset.next_at - timezone.now()).total_seconds() < 150
    assert asset.job.status == Status.SUCCEEDED


@pytest.mark.once
def test_staff_are_told_of_a_full_disk_until_a_file_is_stored(fetch: Fetch, full_disk: pytest.MonkeyPatch) -> None:
    asset = fetch(times=2)
    told = Alert.objects.get(code="storage_failed")
    assert (told.level, told.times, told.resolved_at) == ("critical", 2, None)
    full_disk.undo()

    (asset,) = fetch_all(asset.job)

    told.refresh_from_db()
    assert (asset.state, told.resolved_at is None) == ("stored", False)


@pytest.mark.once
def test_half_a_file_is_not_left_on_a_full_disk(fetch: Fetch, media: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(self: FileSystemStorage, name: str, content: Any) -> str:
        path = Path(self.path(name))
        path.parent.mkdir(parents=True)
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(FileSystemStorage, "_save", half)

    assert (fetch().state, files(media)) == ("pending", [])


def test_a_file_that_was_fetched_while_the_database_was_away_is_not_fetched_again(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool, real, failed = FetchPool(), fetching.apply, []

    def apply(*given: Any) -> None:
        if not failed:
            failed.append(1)
            raise OperationalError("the connection is lost")
        real(*given)

    run()
    monkeypatch.setattr(fetching, "apply", apply)
    try:
        with pytest.raises(OperationalError):
            until(lambda: not (tick(pool) or pool.is_busy))
        until(lambda: not (tick(pool) or pool.is_busy))
    finally:
        pool.close()

    asset = Asset.objects.get()

    assert (asset.state, asset.attempts) == ("stored", 1)


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline, "it does not come to an end"
        time.sleep(0.01)


@pytest.mark.once
def test_flags_of_the_model_are_kept(fetch: Fetch, sandbox: RunningSandbox) -> None:
    sandbox.faults(jobs=[{"nsfw": True}])

    assert fetch().is_nsfw


def test_of_two_fetchers_one_gets_the_file(run: Run) -> None:
    run()

    assert (len(fetching.claim(10)), len(fetching.claim(10))) == (1, 0)


def test_what_a_dead_fetcher_had_claimed_is_fetched_after_its_lease(run: Run, media: Path) -> None:
    job = run()
    (dead,) = fetching.claim(10)
    fetching.ask(dead)

    (asset,) = fetch_all(job)

    assert (asset.state, asset.attempts, len(files(media))) == ("stored", 2, 1)


def test_an_attempt_that_was_overtaken_leaves_nothing_behind(run: Run, media: Path) -> None:
    job = run()
    (slow,) = fetching.claim(10)
    (asset,) = fetch_all(job)

    fetching.apply(slow, fetching.ask(slow))

    assert len(files(media)) == 1
    assert Asset.objects.get().storage_name == asset.storage_name


@pytest.mark.once
def test_a_storage_that_is_no_folder_will_do(fetch: Fetch, settings: Any, media: Path) -> None:
    settings.STORAGES = {**settings.STORAGES, "assets": {"BACKEND": "django.core.files.storage.InMemoryStorage"}}

    assert fetch().state == "stored"
    assert files(media) == []


def bomb(media_type: str, content: bytes, *headers: tuple[str, str]) -> Any:
    """A server of one file."""

    def answer(handler: Any) -> None:
        handler.send_response(200)
        for name, value in (("Content-Type", media_type), ("Content-Length", str(len(content))), *headers):
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(content)

    return serving(answer)


def fetched(served: Any, settings: Any, name: str) -> Asset:
    settings.SSRF_ALLOW = [served.pair]
    client, _ = Client.objects.get_or_create(name="Acme")
    Asset.objects.create(id=new_id("ast"), client=client, name=name, source_url=served.url(f"/{name}"))
    (asset,) = fetching.claim(1)
    fetching.apply(asset, fetching.ask(asset))
    return Asset.objects.get()


@pytest.mark.once
def test_a_picture_that_claims_to_be_huge_is_measured_and_not_unfolded(settings: Any) -> None:
    side = (200_000).to_bytes(4)
    content = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + side + side + b"\x08\x02\0\0\0" + bytes(8)

    with bomb("image/png", content) as served:
        asset = fetched(served, settings, "a.png")

    assert (asset.state, asset.width, asset.size) == ("stored", 200_000, len(content))


@pytest.mark.once
def test_an_archive_is_kept_as_it_came(settings: Any) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../zeros", bytes(50_000_000))

    with bomb("application/zip", packed.getvalue()) as served:
        asset = fetched(served, settings, "a.zip")

    assert (asset.state, asset.kind, asset.size) == ("stored", "archive", len(packed.getvalue()))


@pytest.mark.once
def test_a_body_that_is_packed_for_the_way_is_not_unpacked(settings: Any) -> None:
    content = gzip.compress(bytes(50_000_000))

    with bomb("image/png", content, ("Content-Encoding", "gzip")) as served:
        asset = fetched(served, settings, "a.png")

    assert (asset.content_type, asset.size) == ("application/gzip", len(content))
