"""docs/benchmarks.md and .json: the last run of each part, with the moment, the load and the commit of its own."""

import json
from dataclasses import asdict
from typing import Any

from tests.bench import load
from tests.bench.machine import describe
from tests.bench.parts import PARTS
from tests.bench.rows import Row
from tests.sandbox_server import ROOT

DATA = ROOT / "docs" / "benchmarks.json"
PAGE = ROOT / "docs" / "benchmarks.md"
_HEAD = """\
# Benchmarks

`make bench` measures everything in one run of forty to fifty minutes, prints it, and writes this page and
[benchmarks.json](benchmarks.json); `.venv/bin/python -m tests.bench PART …` measures some parts alone, with `--write`
into this page too. Nothing here is written by hand. Ratios count, absolutes are this machine’s.

The peer is the proxy of LiteLLM from PyPI, pinned in `tests/bench/peer.txt`, with one worker and its usual server,
without a database, asked for nothing but what is measured. It has no queue, no ledger and no files to keep.
"""


def keep(name: str, rows: list[Row], begun: dict[str, str]) -> None:
    """Puts what a part measured in place of what it measured before."""
    kept: dict[str, Any] = json.loads(DATA.read_text()) if DATA.exists() else {"parts": {}}
    parts = kept["parts"] | {name: begun | {"rows": [asdict(row) for row in rows]}}
    machine = describe() | {"load by": load.tool()}
    kept = {"machine": machine, "parts": {one: parts[one] for one in PARTS if one in parts}}
    DATA.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
    PAGE.write_text(page(kept))


def page(kept: dict[str, Any]) -> str:
    """The page of what was kept."""
    lines = [_HEAD, *(f"- {name}: {said}" for name, said in kept["machine"].items())]
    for name, part in kept["parts"].items():
        lines += [f"\n## {PARTS[name].title}\n"]
        lines += [
            f"`python -m tests.bench {name}`, {part['at']}, {part.get('on', 'processor not noted')}, "
            f"load {part['load']} at its start, commit {part['commit']}, {part['seconds']} s.\n"
        ]
        lines += ["| what | measured | bar | |", "| --- | --- | --- | --- |"]
        for row in part["rows"]:
            judged = {None: "", True: "ok", False: "**missed**"}[row["passed"]]
            cells = (_indented(row["what"]), row["measured"], row["bar"], judged)
            lines.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def _indented(what: str) -> str:
    return what.replace("  ", "… ", 1) if what.startswith("  ") else what
