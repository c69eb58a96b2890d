"""The parts of `make bench`, in the order in which they run, and one of them in a process of its own.

`python -m tests.bench.parts PART` prints its rows as lines of JSON: a part that fails or hangs takes no other with it.
"""

import importlib
import json
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType

from tests.bench.processes import manage, settings_for
from tests.bench.rows import Row
from tests.sandbox_server import RECORDINGS, running_sandbox

FOLDER = "GENFEED_BENCH_FOLDER"


@dataclass(frozen=True)
class Part:
    """What it is about, and after how many seconds it is stopped.

    `needs`: a filled "catalog", or a folder where there is "nothing yet"; "" for those that make their own.
    """

    title: str
    seconds: int
    needs: str = ""


PARTS = {
    "peer_lists": Part("The list of models, against LiteLLM and against constant bytes", 120, "catalog"),
    "peer_jobs": Part("Jobs, against LiteLLM’s image call", 360, "nothing yet"),
    "catalog": Part("Discovery", 120, "nothing yet"),
    "prices": Part("Prices", 120, "catalog"),
    "serving": Part("The API under load", 120, "catalog"),
    "estimates": Part("Estimates", 120, "catalog"),
    "margins": Part("Margins", 60, "catalog"),
    "export": Part("The catalog for other installations", 120, "catalog"),
    "jobs": Part("Jobs", 420),
    "twice": Part("Two of each process against one", 180),
    "growing_models": Part("More and more models", 700),
    "growing_jobs": Part("More and more jobs", 400),
    "growing_clients": Part("More and more clients", 240),
    "batches": Part("Batches", 120),
    "deliveries": Part("Webhooks", 300),
    "streams": Part("Event streams", 180),
    "protocols": Part("Software of others", 300),
    "agents_and_flows": Part("Workflows, test mode and agents", 180),
    "assets": Part("Files", 120),
    "ledger": Part("The ledger", 120),
    "reports": Part("Reports above 100,000 jobs", 420),
    "sandbox": Part("The sandbox itself", 60),
}


def recorded() -> Path | None:
    """The recorded catalog where it is beside the checkout; else the sandbox's own is measured."""
    path = RECORDINGS / "catalog-2026-06.jsonl.gz"
    return path if path.exists() else None


def module_of(name: str) -> ModuleType:
    """The part's module; each has a `measure`."""
    return importlib.import_module(f"tests.bench.{name}")


def rows_of(name: str) -> Iterator[Row]:
    """Measures one part."""
    needs = PARTS[name].needs
    measure = module_of(name).measure
    if not needs:
        yield from measure(100_000) if name == "reports" else measure()
        return
    with _folder() as folder:
        var = folder / ("fresh" if needs == "nothing yet" else "var")
        if needs == "catalog":
            _fill(var)
        yield from measure(var, recorded()) if name in ("catalog", "prices", "estimates") else measure(var)


@contextmanager
def _folder() -> Iterator[Path]:
    """The installation that all parts of one run share; a part that runs alone has its own."""
    if FOLDER in os.environ:
        yield Path(os.environ[FOLDER])
        return
    with tempfile.TemporaryDirectory(prefix="genfeed-bench-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _fill(var: Path) -> None:
    """Discovers and prices the catalog, once."""
    if (var / "filled").exists():
        return
    var.mkdir(parents=True, exist_ok=True)
    with running_sandbox(catalog=recorded()) as sandbox:
        settings = settings_for(var, sandbox) | {"LOG_LEVEL": "WARNING"}
        manage(settings, "migrate", "-v", "0")
        manage(settings, "sync_models")
        manage(settings, "sync_prices")
    (var / "filled").touch()


def end_as_by_ctrl_c() -> None:
    """SIGTERM by itself ends Python at once, and what it has started would go on."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


if __name__ == "__main__":
    end_as_by_ctrl_c()
    for row in rows_of(sys.argv[1]):
        print(json.dumps(asdict(row)), flush=True)
