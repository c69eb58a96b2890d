"""A cloud and a core, each in processes of its own, and between them a network that cuts, slows down and lies."""

import json
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from genfeed.up import web_command
from tests.exchange.network import EXPORT, Network, running_network
from tests.running_app import environment
from tests.sandbox_server import ROOT, RunningSandbox, free_port, running_sandbox

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="processes")


class Installation:
    """One installation: its folder, its database, its commands."""

    def __init__(self, folder: Path, migrated: Path, **settings: str) -> None:
        folder.mkdir(parents=True)
        self.database = folder / "db.sqlite3"
        shutil.copy(migrated, self.database)
        self.settings = environment(folder) | {"LOG_LEVEL": "ERROR", "DJANGO_SETTINGS_MODULE": "genfeed.settings"}
        self.settings |= settings

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "manage.py", *arguments], cwd=ROOT, env=self.settings, capture_output=True, text=True,
            check=False,
        )  # fmt: skip

    def done(self, *arguments: str) -> str:
        found = self.manage(*arguments)
        assert found.returncode == 0, found.stderr
        return found.stdout

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.database)) as database:
            return database.execute(query).fetchall()

    def picture(self) -> list[Any]:
        """The catalog, but for numbers that are an installation's own."""
        return [
            self.rows("SELECT endpoint_id, name, status, schema_version FROM catalog_aimodel ORDER BY 1"),
            self.rows(
                "SELECT m.endpoint_id, p.unit, p.unit_price FROM pricing_pricepoint p "
                "JOIN catalog_aimodel m ON m.id = p.model_id WHERE p.standing = 'current' ORDER BY 1"
            ),
            self.rows(
                "SELECT m.endpoint_id, r.body FROM pricing_pricerule r "
                "JOIN catalog_aimodel m ON m.id = r.model_id WHERE r.state = 'active' ORDER BY 1"
            ),
        ]


@contextmanager
def _serving(installation: Installation) -> Iterator[str]:
    port = free_port()
    process = subprocess.Popen(
        web_command("127.0.0.1", port), cwd=ROOT, env=installation.settings, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                httpx.get(f"{url}/healthz", timeout=5, trust_env=False)
                break
            except httpx.TransportError:
                assert time.monotonic() < deadline, "the cloud's web process did not start"
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="module")
def sandbox(_builtin_sandbox: RunningSandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    """A hundred of the built-in models: how a catalog travels does not depend on how many there are."""
    _builtin_sandbox.reset()
    listed = _builtin_sandbox.client.get("/v1/models", params={"limit": 100}).json()["models"]
    names = {"fal-ai/flux/dev", *(one["endpoint_id"] for one in listed)}
    file = tmp_path_factory.mktemp("hundred") / "catalog.jsonl"
    file.write_bytes(b"\n".join(orjson.dumps(_builtin_sandbox.model(name)) for name in sorted(names)))
    with running_sandbox(catalog=file) as running:
        yield running


@pytest.fixture(scope="module")
def migrated(migrated_database: Path | None) -> Path:
    assert migrated_database is not None
    return migrated_database


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory, migrated: Path, sandbox: RunningSandbox) -> Installation:
    """A cloud that has synced."""
    made = Installation(
        tmp_path_factory.mktemp("cloud") / "var", migrated, PRICES_ARE_LIST_PRICES="true", **sandbox.settings()
    )
    made.done("sync_models")
    return made


@pytest.fixture(scope="module")
def exported(cloud: Installation, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The cloud's catalog as a file."""
    file = tmp_path_factory.mktemp("exported") / "export"
    cloud.done("export_catalog", str(file))
    return file.read_bytes()


@pytest.fixture(scope="module")
def key(cloud: Installation) -> str:
    return str(json.loads(cloud.done("create_client", "Core", "--json"))["api_key"])


@pytest.fixture(scope="module")
def network(cloud: Installation) -> Iterator[Network]:
    with _serving(cloud) as url, running_network(url) as running:
        yield running


@pytest.fixture
def core(tmp_path: Path, migrated: Path, network: Network, key: str) -> Installation:
    """A core that has nothing yet."""
    network.clear()
    return Installation(
        tmp_path / "core", migrated, GENFEED_MODE="core", CLOUD_URL=network.url, CLOUD_API_KEY=key, FAL_KEY="x:y",
        FAL_PLATFORM_URL="http://127.0.0.1:9/v1",
    )  # fmt: skip


@pytest.fixture(scope="module")
def _synced_core(tmp_path_factory: pytest.TempPathFactory, migrated: Path, network: Network, key: str) -> Installation:
    network.clear()
    made = Installation(
        tmp_path_factory.mktemp("core") / "var", migrated, GENFEED_MODE="core", CLOUD_URL=network.url,
        CLOUD_API_KEY=key, FAL_KEY="x:y", FAL_PLATFORM_URL="http://127.0.0.1:9/v1",
    )  # fmt: skip
    made.done("sync_from_cloud")
    return made


@pytest.fixture
def synced_core(_synced_core: Installation, network: Network) -> Installation:
    """A core that took the catalog over before the test."""
    network.clear()
    return _synced_core


def exports(network: Network) -> list[tuple[int, int]]:
    return [(status, sent) for path, status, sent in network.asked if path.startswith(EXPORT)]


def test_a_core_has_the_catalog_of_its_cloud_and_asks_no_provider(cloud, synced_core):
    assert synced_core.picture() == cloud.picture()
    assert len(synced_core.picture()[0]) >= 100


def test_where_nothing_is_new_one_request_says_so(synced_core, network):
    assert "Nothing new" in synced_core.done("sync_from_cloud")
    assert network.asked == [(network.asked[0][0], 304, 0)]


def test_a_cut_download_goes_on_where_it_broke_off(core, cloud, network):
    network.cut_after, network.cuts = 20_000, 2
    core.done("sync_from_cloud")
    assert core.picture() == cloud.picture()
    statuses, sizes = zip(*exports(network), strict=True)
    assert statuses == (200, 206, 206)
    assert sizes[:2] == (20_000, 20_000)
    # What was had was not sent again.
    whole = cloud.rows("SELECT length(body) FROM pricing_renderedexport WHERE since = 0")[0][0]
    assert sum(sizes) == whole


def test_a_download_that_never_ends_is_given_up_and_continued_by_the_next_sync(core, cloud, network):
    network.cut_after, network.cuts = 5_000, 6
    failed = core.manage("sync_from_cloud")
    assert failed.returncode == 1
    assert "can't be reached" in failed.stderr
    assert core.picture() == [[], [], []]
    network.clear()
    core.done("sync_from_cloud")
    assert core.picture() == cloud.picture()
    assert [status for status, _ in exports(network)] == [206]


def test_a_slow_network_is_waited_for(core, cloud, network):
    network.slow = 0.1
    core.done("sync_from_cloud")
    assert core.picture() == cloud.picture()


@pytest.mark.parametrize("lie", ["forged", "truncated", "another key", "a web page"])
def test_an_export_that_is_not_the_clouds_is_refused_and_the_catalog_stays(
    synced_core, exported, network, tmp_path, lie
):
    before = synced_core.picture()
    words = {"forged": "not what its signed header says", "truncated": "cut off", "another key": "another key",
             "a web page": "no export"}[lie]  # fmt: skip
    if lie == "truncated":
        network.shortened = 20_000
    elif lie == "forged":
        network.instead = exported[:-5000] + bytes([exported[-5000] ^ 1]) + exported[-4999:]
    elif lie == "another key":
        file = tmp_path / "export"
        stranger = Installation(tmp_path / "stranger", synced_core.database)
        stranger.done("export_catalog", str(file))
        network.instead = file.read_bytes()
    else:
        network.instead = b"<html>Log in to this hotel's network</html>" * 200
    failed = synced_core.manage("sync_from_cloud", "--full")
    assert failed.returncode == 1
    assert words in failed.stderr
    assert synced_core.picture() == before
    assert not list((synced_core.database.parent / "cloud").glob("export.part"))


def test_an_older_export_is_refused_and_the_catalog_stays(core, cloud, sandbox, network, tmp_path):
    core.done("sync_from_cloud")
    old = tmp_path / "old"
    cloud.done("export_catalog", str(old))
    sandbox.patch_model("fal-ai/flux/dev", metadata={"description": "newer words"}, touch=True)
    cloud.done("sync_models")
    cloud.done("export_catalog", str(tmp_path / "new"))
    network.clear()
    core.done("sync_from_cloud")
    # What changed came alone.
    assert [status for status, _ in exports(network)] == [200]
    assert exports(network)[0][1] < old.stat().st_size / 4
    assert core.picture() == cloud.picture()
    before = core.picture()
    network.instead = old.read_bytes()
    failed = core.manage("sync_from_cloud", "--full")
    assert failed.returncode == 1
    assert "older than revision" in failed.stderr
    assert core.picture() == before


def test_without_a_network_the_catalog_stays_and_the_reason_is_told(synced_core, network):
    before = synced_core.picture()
    network.down = True
    failed = synced_core.manage("sync_from_cloud")
    assert failed.returncode == 1
    assert "can't be reached" in failed.stderr
    assert "stays in use" in failed.stderr
    assert synced_core.picture() == before


def test_a_wrong_key_is_told_with_what_to_do(core):
    core.settings["CLOUD_API_KEY"] = "gf_wrong"
    failed = core.manage("sync_from_cloud")
    assert failed.returncode == 1
    assert "CLOUD_API_KEY" in failed.stderr


def test_a_catalog_travels_as_a_file_without_any_network(core, cloud, network, tmp_path):
    network.down = True
    file = tmp_path / "catalog"
    cloud.done("export_catalog", str(file))
    assert "are trusted" in core.done("import_catalog", str(file))
    assert core.picture() == cloud.picture()
    assert not network.asked
