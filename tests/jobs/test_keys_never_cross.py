"""SECU-09 for whole processes: two clients with keys of their own, and every place where one could be found."""

import json
import sqlite3
import time
from pathlib import Path

import httpx
import psutil
import pytest

from tests.fleet import fleet

ALICE = "alice:alice-secret-of-the-provider-4711"
BOB = "bob:bob-secret-of-the-provider-0815"
_CLIENTS = """
import json
from genfeed.clients.keys import create_key
from genfeed.clients.models import Client
from genfeed.journal.audit import SYSTEM
made = [create_key(Client.objects.create(name=name), actor=SYSTEM, scopes=["jobs:write", "jobs:read", "keys"])[1]
        for name in ("Alice", "Bob")]
print(json.dumps(made))
"""
_JOBS = 3
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
            body = {"model": "fal-ai/flux/dev", "input": {"prompt": "a fox"}}
            made = {who: [] for who in ("alice", "bob")}
            for _ in range(_JOBS):
                for who, headers in (("alice", alice), ("bob", bob)):
                    answer = http.post("/jobs", json=body, headers=headers)
                    assert answer.status_code == 201, answer.text
                    made[who].append(answer.json()["id"])
            environments = "".join(_environments(site))
            ends = [
                _ended(http, one, headers) for who, headers in (("alice", alice), ("bob", bob)) for one in made[who]
            ]

        assert ends == ["succeeded"] * _JOBS * 2
        requests = [one for one in site.sandbox.requests() if one["path"].startswith("/queue/")]
        of = {}
        for one in requests:
            of.setdefault(one["path"].partition("/requests/")[2].partition("/")[0], set()).add(one["key_id"])
        assert of.pop("") == {"alice", "bob"}
        assert sorted(map(sorted, of.values())) == [["alice"]] * _JOBS + [["bob"]] * _JOBS
        told = site.log.read_text() + environments + _dump(tmp_path / "var" / "db.sqlite3") + "".join(_files(site.var))
        for secret in ("alice-secret-of-the-provider", "bob-secret-of-the-provider"):
            assert secret not in told


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
    """Every row of the database as text."""
    with sqlite3.connect(file) as database:
        dump = "\n".join(database.iterdump())
    assert "fal-ai/flux/dev" in dump
    return dump


def _files(var: Path) -> list[str]:
    """Everything else that the installation wrote."""
    return [path.read_bytes().decode("latin-1") for path in var.rglob("*") if path.is_file()]
