"""`make bench` takes long and is run by hand; that it begins at all is shown here."""

import os
import subprocess
import sys

from tests.sandbox_server import ROOT


def test_the_measurements_can_be_loaded_without_any_settings() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    done = subprocess.run(
        [sys.executable, "-c", "import tests.bench.__main__"],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
