"""Files of jobs, fetched from a sandbox into a storage of their own."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.test import Client as HttpClient
from django.utils import timezone

from genfeed.clients.keys import create_key
from genfeed.clients.models import Client
from genfeed.journal.audit import SYSTEM
from jobs.assets import fetching
from jobs.assets.models import Asset
from jobs.assets.pool import FetchPool
from jobs.ids import new_id
from jobs.models import Job
from tests.jobs.conftest import Run, dispatcher, run, sandbox  # noqa: F401

Fetch = Callable[..., Asset]


@pytest.fixture
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """The dispatcher fetches nothing: each attempt is the test's own."""
    monkeypatch.setattr(FetchPool, "tick", lambda _: False)


@pytest.fixture(autouse=True)
def media(settings: Any, tmp_path: Path) -> Path:
    """A folder for files that is empty at the start."""
    folder = tmp_path / "media"
    backend = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": folder}}
    settings.STORAGES = {**settings.STORAGES, "assets": backend}
    settings.ASSET_TEMP_DIR = tmp_path
    assert storages["assets"].exists("nothing") is False
    return folder


@pytest.fixture
def fetch(run: Run) -> Fetch:  # noqa: F811
    """Runs a job and fetches its file as often as `times` says; the asset."""

    def work(times: int = 1, **wanted: Any) -> Asset:
        job = run(**wanted)
        for _ in range(times):
            fetch_all(job)
        return job.assets.order_by("id").first()

    return work


def fetch_all(job: Job) -> list[Asset]:
    """One attempt at each file of a job, whether or not its time has come."""
    Asset.objects.filter(job=job, state="pending").update(next_at=timezone.now())
    for asset in fetching.claim(100):
        fetching.apply(asset, fetching.ask(asset))
    return list(job.assets.order_by("id"))


def key_of(client_name: str = "Acme", *scopes: str) -> HttpClient:
    """An HTTP client with a key of this client."""
    client, _ = Client.objects.get_or_create(name=client_name)
    _, text = create_key(client, actor=SYSTEM, scopes=scopes or ("jobs:read", "jobs:write"))
    return HttpClient(headers={"Authorization": f"Bearer {text}"})


def make_asset(content: bytes = b"0123456789", client_name: str = "Acme", **columns: Any) -> Asset:
    """A stored file of a client, without the job that would have made it."""
    client, _ = Client.objects.get_or_create(name=client_name)
    columns = {"content_type": "image/png", "kind": "image", "name": "a.png", "state": "stored", **columns}
    asset = Asset(
        id=new_id("ast"),
        client=client,
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        stored_at=timezone.now(),
        **columns,
    )
    asset.storage_name = storages["assets"].save(f"{asset.pk}.bin", ContentFile(content))
    asset.save()
    return asset
