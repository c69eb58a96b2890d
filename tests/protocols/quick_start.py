"""What docs/quick-start.md shows, to be run: as it stands, but for host, key and what a reader pastes from answers."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "quick-start.md").read_text()
SECONDS = 60
# What shows that each step did what the page says.
PRINTED = {
    "bash": ["201 Created", '"high"', "event: job_succeeded", '"status":"succeeded"', '"unknown_field"'],
    "python": [
        "fal-ai/flux/dev",
        "prompt",
        "exact",
        " True\n",
        "succeeded 0.",
        "unknown_field",
        "failed content_refused",
    ],
    "js": ["fal-ai/flux/dev", "prompt", "exact", " true\n", "succeeded 0.", "unknown_field", "failed content_refused"],
}


def blocks(language: str) -> list[str]:
    """The examples in a language, in their order."""
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def run(language: str, folder: Path, *, host: str, key: str) -> str:
    """What all examples in a language print, one after the other; fails where one of them does."""
    environment = os.environ | {
        "GENFEED_URL": f"{host}/api/v1", "GENFEED_KEY": key, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1",
    }  # fmt: skip
    needed = {"bash": "curl", "python": sys.executable, "js": "node"}[language]
    if not shutil.which(needed):
        pytest.skip(f"{needed} is not installed here")
    if language == "bash":
        return _by_hand(folder, environment, host, key)
    program = folder / {"python": "program.py", "js": "program.mjs"}[language]
    program.write_text("\n".join(blocks(language)))
    return _finished([needed, program.name], folder, environment)


def _by_hand(folder: Path, environment: dict[str, str], host: str, key: str) -> str:
    keys, *steps = blocks("bash")
    keys = keys.replace("https://media.example.com", host).replace("gf_test_…", key)
    printed = ""
    for step in steps:
        # As a reader does: the id of the job, and the address of its file, are in what was answered before.
        for shown, answered in (
            ("job_…", r'"id":\s*"(job_\w+)"'),
            ("https://media.example.com/assets/ast_…", r'"url":\s*"(http[^"]+)"'),
        ):
            if shown in step:
                step = step.replace(shown, re.findall(answered, printed)[-1])
        printed += _finished(["bash", "-ec", f"{keys}{step}"], folder, environment)
    return printed


def _finished(command: list[str], folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=SECONDS
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
