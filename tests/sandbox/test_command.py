"""The command: its words, its environment, its beginning and its end."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from genfeed.sandbox import server
from tests.sandbox_server import ROOT, free_port, running_sandbox

BY_MODULE = [sys.executable, "-m", "genfeed.sandbox"]
BY_DJANGO = [sys.executable, "manage.py", "sandbox"]


def run(command: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("command", [BY_MODULE, BY_DJANGO])
def test_help_answers_in_full_sentences(command: list[str]) -> None:
    answer = run([*command, "--help"], COLUMNS="200")
    assert answer.returncode == 0
    assert (
        "Run a local server that behaves like fal.ai: its Platform API, queue, storage and webhooks." in answer.stdout
    )
    assert "The port to listen on. The default is 8484." in answer.stdout


@pytest.mark.parametrize("command", [BY_MODULE, BY_DJANGO])
def test_a_port_in_use_gives_one_sentence_and_exit_code_1(command: list[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        answer = run([*command, "--port", str(port)])
    assert answer.returncode == 1
    assert answer.stdout == ""
    assert answer.stderr.strip().splitlines() == [
        f"The sandbox cannot listen on 127.0.0.1:{port}: Address already in use. "
        "Stop what uses it, or choose another --port."
    ]


def test_a_socket_that_was_not_passed_gives_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert server.run(host="127.0.0.1", port=8484, fd=9_999) == 1

    assert capsys.readouterr().err == (
        "The sandbox cannot listen on the socket 9999: Bad file descriptor. "
        "Pass one that listens, or choose a --port.\n"
    )


def test_a_catalog_that_is_missing_gives_one_sentence_and_exit_code_1() -> None:
    answer = run([*BY_MODULE, "--port", str(free_port())], SANDBOX_CATALOG="/nowhere/catalog.jsonl")
    assert answer.returncode == 1
    assert answer.stderr.strip() == "The catalog /nowhere/catalog.jsonl cannot be read: No such file or directory."


@pytest.mark.parametrize("command", [BY_MODULE, BY_DJANGO])
@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_listens_and_ends_cleanly(command: list[str], ending: signal.Signals) -> None:
    port = free_port()
    with subprocess.Popen(
        [*command, "--port", str(port)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            said = [process.stdout.readline() for _ in range(9)]
            process.send_signal(ending)
            _, complaints = process.communicate(timeout=20)
        finally:
            process.kill()
    assert said[0].startswith(f"The sandbox listens on http://127.0.0.1:{port}.")
    assert f"FAL_PLATFORM_URL=http://127.0.0.1:{port}/v1" in said[1]
    assert "sandbox-key:sandbox-secret" in said[7]
    assert (process.returncode, complaints) == (0, "")


def test_the_environment_names_catalog_and_keys(tmp_path: Path) -> None:
    catalog = tmp_path / "catalog.jsonl"
    catalog.write_text('{"endpoint_id": "a/b", "metadata": {}, "openapi": null}\n')
    port = free_port()
    environment = {"SANDBOX_CATALOG": str(catalog), "SANDBOX_KEYS": "one:1, two:2", "SANDBOX_ADMIN_KEYS": "boss:1"}
    with subprocess.Popen(
        [*BY_MODULE, "--port", str(port)], cwd=ROOT, env=os.environ | environment, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            said = [process.stdout.readline() for _ in range(9)]
            url = f"http://127.0.0.1:{port}/v1/models"
            transport = httpx.HTTPTransport(retries=5)
            with httpx.Client(transport=transport, trust_env=False) as client:
                statuses = {
                    key: client.get(url, headers={"Authorization": f"Key {key}"}).status_code
                    for key in ("one:1", "two:2", "boss:1", "sandbox-key:sandbox-secret")
                }
        finally:
            process.terminate()
    assert f"It offers 1 models from {catalog}." in said[0]
    assert statuses == {"one:1": 200, "two:2": 200, "boss:1": 200, "sandbox-key:sandbox-secret": 401}


def test_two_sandboxes_run_beside_each_other() -> None:
    with running_sandbox() as one, running_sandbox() as other:
        one.delete_model("fal-ai/flux/dev")
        assert other.state()["models"] == one.state()["models"] + 1


def test_the_package_imports_nothing_of_django_or_of_the_apps() -> None:
    foreign = "('django', 'catalog', 'pricing', 'jobs', 'genfeed.settings', 'genfeed.clients')"
    code = f"import sys, genfeed.sandbox.server; print([name for name in sys.modules if name.startswith({foreign})])"
    assert run([sys.executable, "-c", code]).stdout.strip() == "[]"


def test_its_answers_name_the_address_that_others_reach_it_by(monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[Any] = []
    monkeypatch.setattr(server, "_serve", lambda sandbox, *_: sandbox)
    monkeypatch.setattr(server.asyncio, "run", served.append)

    server.run(host="127.0.0.1", port=free_port(), base_url="http://sandbox:8484/")

    assert served[0].base_url == "http://sandbox:8484"
