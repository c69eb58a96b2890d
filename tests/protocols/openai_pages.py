"""What docs/openai.md and docs/agents.md show, to be run."""

import re
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"


def program(base_url: str, key: str, *, page: str = "openai.md") -> str:
    """All examples of a page in their order as one program, with host and key of an installation."""
    shown = "\n".join(re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), re.DOTALL))
    return shown.replace("https://HOST", base_url).replace("gf_…", key)
