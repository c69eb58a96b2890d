"""The peer: LiteLLM's proxy in an environment of its own (`make peer`), on loopback, without a database.

Its telemetry is off, and so is whatever it would fetch from elsewhere: prices, notices, templates are its own.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.sandbox_server import API_KEY, ROOT, free_port

COMMAND = ROOT / ".venv-peer" / "bin" / "litellm"
KEY = "sk-of-this-run-alone"
MODEL, MODELS = "flux-dev", 500
START_SECONDS = 90
_QUIET = {
    "LITELLM_TELEMETRY_DISABLED": "true", "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOCAL_BLOG_POSTS": "true",
    "LITELLM_LOCAL_POLICY_TEMPLATES": "true", "LITELLM_LOCAL_AUTOROUTER_PRESETS": "true",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True", "LITELLM_LOG": "ERROR", "LITELLM_MODE": "PRODUCTION",
    "HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1", "NO_PROXY": "*",
}  # fmt: skip


def version() -> str:
    """Which one is installed; "" where none is."""
    if not COMMAND.exists():
        return ""
    code = "from importlib.metadata import version; print(version('litellm'))"
    return subprocess.run([COMMAND.with_name("python"), "-c", code], capture_output=True, text=True).stdout.strip()


@contextmanager
def litellm(folder: Path, provider_url: str) -> Iterator[str]:
    """Its address while it runs, with 500 models, each of them run by its fal provider at `provider_url`."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    config = folder / "litellm.yaml"
    config.write_text(_config(provider_url))
    # Nothing of our own environment that could name a provider, a database or a proxy.
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ} | _QUIET
    with (folder / "litellm.log").open("wb") as log:
        process = subprocess.Popen(
            [COMMAND, "--config", config, "--host", "127.0.0.1", "--port", str(port)],
            cwd=folder, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    base = f"http://127.0.0.1:{port}"
    try:
        _wait(base, process, folder / "litellm.log")
        yield base
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def stub() -> Iterator[str]:
    """The address of a provider that answers at once."""
    port = free_port()
    command = [sys.executable, "-m", "tests.bench.provider_stub", str(port)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline().strip() == "ready"
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


def _config(provider_url: str) -> str:
    lines = ["model_list:"]
    for name in (MODEL, *(f"model-{number:03}" for number in range(1, MODELS))):
        lines += [
            f"  - model_name: {name}", "    litellm_params:", "      model: fal_ai/fal-ai/flux/dev",
            f"      api_base: {provider_url}", f"      api_key: {API_KEY}",
        ]  # fmt: skip
    lines += [
        "litellm_settings:",
        "  telemetry: false",
        "  num_retries: 0",
        "general_settings:",
        f"  master_key: {KEY}",
    ]
    return "\n".join(lines) + "\n"


def _wait(base: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        if process.poll() is not None:
            break
        try:
            if httpx.get(f"{base}/health/liveliness", trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    raise RuntimeError(f"LiteLLM did not start:\n{log.read_text()[-3000:]}")
