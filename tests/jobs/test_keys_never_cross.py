"""SECU-09 for whole processes: two clients with keys of their own, and every place where one could be found.

Single jobs, batches, jobs that go on with an alternative, and keys that the provider refuses.
"""

import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.fleet import fleet

ALICE = "alice:alice-secret-of-the-provider-4711"
BOB = "bob:bob-secret-of-the-provider-0815"
UNKNOWN = "carol:carol-secret-of-the-provider-1234"
FIRST, OTHER = "fal-ai/flux/dev", "fal-ai/flux/schnell"
FOX = {"input": {"prompt": "a fox"}}
_CLIENTS = """
import json
from genfeed.clients.keys import create_key
from genfeed.clients.models import Client
from genfeed.journal.audit import SYSTEM
from tests.pricing.estimates.sold import IMAGES_OUT, make_sold
make_sold("fal-ai/flux/schnell", outputs=IMAGES_OUT)
made = [create_key(Client.objects.create(name=name), actor=SYSTEM, scopes=["jobs:write", "jobs:read", "keys"])[1]
        for name in ("Alice", "Bob")]
print(json.dumps(made))
"""
_JOBS, _ITEMS = 2, 2
PATIENCE_SECONDS = 90


def test_secu_09_the_keys_of_two_clients_never_cross_and_are_nowhere_to_be_found(
    tmp_path: Path, migrated_database: Path | None
) -> None:
    settings = {"GENFEED_MODE": "core", "FAL_KEY": "", "LOG_LEVEL": "DEBUG"}
    with fleet(tmp_path / "var", settings=settings, worker=False, migrated=migrated_database) as site:
        site.sandbox.account(ALICE, "alice")
        site.sandbox.account(BOB, "bob")
        site.sandbox.faults(processing_ms=50)
        site.prepare()
        keys = json.loads(site.shell(_CLIENTS).splitlines()[-1])
        site.start_all()

        with httpx.Client(base_url=f"{site.base_url}/api/v1", timeout=30, trust_env=False) as http:
            alice, bob = ({"Authorization": f"Bearer {key}"} for key in keys)
            # Alice's key is kept for her; Bob sends his with each request.
            assert http.put("/provider-keys/fal", json={"key": ALICE}, headers=alice).status_code == 200
            bob["X-Provider-Key"] = BOB
            refusals = _refused(http, alice, bob)
            made: list[tuple[str, dict[str, str]]] = []
            for _ in range(_JOBS):
                for headers in (alice, bob):
                    made.append((_posted(http, "/jobs", {"model": FIRST, **FOX}, headers)["id"], headers))
            for headers in (alice, bob):
                batch = _posted(http, "/batches", {"model": FIRST, "prompts": ["a fox"] * _ITEMS}, headers)
                made += [(item["job"], headers) for item in batch["items"]]
            environments = "".join(_environments(site))
            ends = [_ended(http, *one) for one in made]
            # Sealed keys wait in the rows of these, with the alternative.
            site.sandbox.faults(fail=[{"match": f"^/queue/{FIRST}$", "method": "POST", "status": 503}])
            asked = {"model": FIRST, **FOX, "fallback": [OTHER]}
            switched = [(_posted(http, "/jobs", asked, headers)["id"], headers) for headers in (alice, bob)]
            told = _dump(tmp_path / "var" / "db.sqlite3")
            ends += [_ended(http, *one) for one in switched]
            ran = [http.get(f"/jobs/{job}", headers=headers).json()["model"] for job, headers in switched]

        each = _JOBS + _ITEMS + 1
        assert (ends, ran) == (["succeeded"] * each * 2, [OTHER, OTHER])
        requests = [one for one in site.sandbox.requests() if one["path"].startswith("/queue/")]
        of = {}
        for one in requests:
            of.setdefault(one["path"].partition("/requests/")[2].partition("/")[0], set()).add(one["key_id"])
        assert of.pop("") == {"alice", "bob"}
        assert sorted(map(sorted, of.values())) == [["alice"]] * each + [["bob"]] * each
        told += refusals + environments + site.log.read_text()
        told += _dump(tmp_path / "var" / "db.sqlite3") + "".join(_files(site.var))
        for who in ("alice", "bob", "carol"):
            assert f"{who}-secret-of-the-provider" not in told


def test_a_key_in_bytes_of_a_row_would_be_found(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "a.sqlite3", autocommit=True)) as database:
        database.execute("CREATE TABLE rows (text TEXT, bytes BLOB)")
        database.execute("INSERT INTO rows VALUES (?, ?)", (FIRST, ALICE.encode()))

    assert ALICE in _dump(tmp_path / "a.sqlite3")


def _refused(http: httpx.Client, alice: dict[str, str], bob: dict[str, str]) -> str:
    """What is answered to a key that the provider does not know, kept for one client or sent by the other."""
    answers = [
        http.put("/provider-keys/fal", json={"key": UNKNOWN}, headers=alice),
        http.post("/jobs", json={"model": FIRST, **FOX}, headers=bob | {"X-Provider-Key": UNKNOWN}),
    ]
    assert [one.status_code for one in answers] == [400, 400], [one.text for one in answers]
    return "".join(one.text for one in answers)


def _posted(http: httpx.Client, path: str, body: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
    answer = http.post(path, json=body, headers=headers)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def _ended(http: httpx.Client, job: str, headers: dict[str, str]) -> str:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        told = http.get(f"/jobs/{job}", headers=headers).json()
        if told["status"] in ("succeeded", "failed", "canceled"):
            return f"{told['status']}" if not told["error"] else str(told["error"])
        time.sleep(0.1)
    pytest.fail(f"{job} did not end")


def _environments(site: object) -> list[str]:
    """What each process of the installation has in its environment and on its command line."""
    found = []
    for root in (psutil.Process(one.pid) for one in site.running.values()):  # type: ignore[attr-defined]
        for process in (root, *root.children(recursive=True)):
            found.append(Path(f"/proc/{process.pid}/environ").read_bytes().decode("latin-1"))
            found.append(" ".join(process.cmdline()))
    assert any("GENFEED_MODE=core" in one for one in found)
    return found


def _dump(file: Path) -> str:
    """Every value of the database as text, bytes too: written as SQL they would be hexadecimal."""
    with closing(sqlite3.connect(file)) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = [row for table in tables for row in database.execute(f'SELECT * FROM "{table}"')]
    dump = "\n".join(one.decode("latin-1") if isinstance(one, bytes) else str(one) for row in rows for one in row)
    assert "fal-ai/flux/dev" in dump
    return dump


def _files(var: Path) -> list[str]:
    """Everything else that the installation wrote."""
    return [path.read_bytes().decode("latin-1") for path in var.rglob("*") if path.is_file()]
