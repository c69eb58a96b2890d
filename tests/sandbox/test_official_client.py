"""fal's own Python client, unchanged but for its hosts, works against the sandbox."""

from pathlib import Path

import fal_client
import pytest
from fal_client import client as module

from tests.sandbox.caller import FLUX, FOX, Caller
from tests.sandbox_server import API_KEY


@pytest.fixture
def official(fal: Caller, monkeypatch: pytest.MonkeyPatch) -> fal_client.SyncClient:
    """The client. Its hosts are constants of the module, with https in them."""
    sandbox = fal.sandbox
    monkeypatch.setattr(module, "QUEUE_URL_FORMAT", f"{sandbox.queue_url}/")
    monkeypatch.setattr(module, "RUN_URL_FORMAT", f"{sandbox.run_url}/")
    monkeypatch.setattr(module, "REST_URL", sandbox.rest_url)
    monkeypatch.setattr(module, "CDN_URL", sandbox.cdn_url)
    return fal_client.SyncClient(key=API_KEY)


def test_it_submits_waits_and_fetches(official: fal_client.SyncClient, fal: Caller) -> None:
    fal.sandbox.faults(processing_ms=250)
    handle = official.submit(FLUX, FOX)
    states = list(handle.iter_events(with_logs=True, interval=0.02))
    assert isinstance(states[-1], fal_client.Completed)
    assert states[-1].error is None
    assert {type(one) for one in states[:-1]} <= {fal_client.Queued, fal_client.InProgress}
    assert len(handle.get()["images"]) == 1


def test_it_subscribes_and_runs(official: fal_client.SyncClient) -> None:
    assert official.subscribe(FLUX, FOX)["prompt"] == FOX["prompt"]
    assert official.run(FLUX, FOX)["prompt"] == FOX["prompt"]


def test_it_streams(official: fal_client.SyncClient) -> None:
    assert "images" in list(official.stream(FLUX, FOX))[-1]


def test_it_cancels(official: fal_client.SyncClient, fal: Caller) -> None:
    fal.sandbox.faults(concurrency=0)
    handle = official.submit(FLUX, FOX)
    handle.cancel()
    state = handle.status()
    assert isinstance(state, fal_client.Completed)
    assert state.error_type == "client_cancelled"


def test_it_raises_the_late_error(official: fal_client.SyncClient) -> None:
    with pytest.raises(fal_client.FalClientError, match="Field required"):
        official.subscribe(FLUX, {})


def test_it_uploads(official: fal_client.SyncClient, fal: Caller, tmp_path: Path) -> None:
    file = tmp_path / "note.txt"
    file.write_text("hello")
    url = official.upload_file(file)
    assert url.startswith(fal.sandbox.cdn_url)
    assert fal.client.get(url).text == "hello"


def test_it_uploads_in_parts(official: fal_client.SyncClient, fal: Caller) -> None:
    content = bytes(range(256)) * 100
    url = module.MultipartUpload.save(
        client=fal.sandbox.client,
        token_manager=official._token_manager,
        file_name="large.bin",
        data=content,
        chunk_size=10_000,
        max_concurrency=2,
    )
    assert fal.client.get(url).content == content
