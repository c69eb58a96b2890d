"""A client of the protocol that knows nothing of us, and a server that is killed while it sends."""

import hashlib
import os
from pathlib import Path

import httpx

from genfeed.sandbox.media.making import Wish, make
from tests.fleet import fleet
from tests.lazily import Lazily
from tests.ops.test_up import wait_for

tus = Lazily("tusclient.client")
PIECE = 4 * 1024 * 1024


def large_film(path: Path) -> bytes:
    """A film with 24 MB of padding behind it, which players and readers of headers skip."""
    film = make(Wish(kind="mp4", seed="a", width=320, height=240, seconds=2))
    size = 24 * 1024 * 1024
    path.write_bytes(film + size.to_bytes(4) + b"free" + os.urandom(size - 8))
    return path.read_bytes()


def test_an_upload_goes_on_where_the_killed_server_had_it(tmp_path: Path, migrated_database: Path | None) -> None:
    content = large_film(tmp_path / "film.mp4")
    with fleet(tmp_path / "var", worker=False, migrated=migrated_database) as site:
        headers = {"Authorization": f"Bearer {site.prepare(sold=False)}"}
        site.start_all()
        client = tus.TusClient(f"{site.base_url}/api/v1/uploads/resumable", headers=headers)
        options = {"chunk_size": PIECE, "metadata": {"filename": "film.mp4"}, "retries": 60, "retry_delay": 1}
        upload = client.uploader(str(tmp_path / "film.mp4"), **options)
        upload.upload(stop_at=2 * PIECE)

        site.kill("web")
        site.start("web")
        upload.upload()

        address = f"{site.base_url}/api/v1/uploads/{upload.url.rpartition('/')[2]}"
        wait_for(lambda: httpx.get(address, headers=headers).json()["state"] == "stored")
        stored = httpx.get(address, headers=headers).json()
    assert (stored["size"], stored["seconds"]) == (len(content), 2.0)
    assert stored["sha256"] == hashlib.sha256(content).hexdigest()
