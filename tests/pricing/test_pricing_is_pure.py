"""The rooms that turn a request into a cost know nothing of the framework, so that they run anywhere and fast."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "room", ["pricing.estimates.costs", "pricing.notes.reading", "pricing.margins.terms", "pricing.rules.check"]
)
def test_a_pure_room_imports_no_framework(room: str) -> None:
    script = f"import sys, {room}; print(*(name for name in sys.modules if name == 'django'))"
    found = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout.strip()) == (0, "")
