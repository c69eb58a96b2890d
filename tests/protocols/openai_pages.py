"""What docs/openai.md shows, to be run."""

import re
from pathlib import Path

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "openai.md").read_text()


def program(base_url: str, key: str) -> str:
    """All examples in their order as one program, with host and key of an installation."""
    shown = "\n".join(re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL))
    return shown.replace("https://HOST", base_url).replace("gf_…", key)
