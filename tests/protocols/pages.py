"""What docs/fal.md shows, to be run."""

import re
from pathlib import Path
from typing import Any

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "fal.md").read_text()


def blocks(language: str) -> list[str]:
    """The examples in a language, in their order."""
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def example(function: str) -> Any:
    """A Python function that the page shows."""
    (source,) = [text for text in blocks("python") if f"def {function}(" in text]
    names: dict[str, Any] = {}
    exec(source, names)
    return names[function]
