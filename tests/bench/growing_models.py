"""How cost grows with the catalog: 100, 1,500 and 15,000 models, really discovered and priced from the sandbox."""

import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from tests.bench.inside import Api, once, run, took
from tests.bench.processes import manage, settings_for
from tests.bench.rows import Row, growing
from tests.sandbox_server import running_sandbox

MODEL = "fal-ai/flux/dev"
SIZES = (100, 1_500, 15_000)
# The requirement's, for what must not grow.
MOST = 1.3
_FLAT = {"list page of models": "list", "one model with its schemas": "detail", "estimate": "estimate"}
_GROWING = {
    "search, each time for another word": "search",
    "admin list of models": "admin",
    "revision published: the transaction": "publish",
    "  until a process answers from it, one model changed": "reread",
    "  the catalog read into memory at the start of a process": "cold",
}


def measure() -> Iterator[Row]:
    """Each size in an installation of its own, on SQLite."""
    found: dict[int, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="genfeed-bench-models-", ignore_cleanup_errors=True) as folder:
        for size in SIZES:
            found[size] = _at(size, Path(folder) / str(size))
    sizes = " / ".join(f"{size:,}" for size in SIZES)
    yield Row("models", sizes)
    for what, key in _FLAT.items():
        yield growing(what, {size: one[key] for size, one in found.items()}, "ms", MOST)
    for what, key in _GROWING.items():
        yield growing(what, {size: one[key] for size, one in found.items()}, "ms")
    for what, key in {"fresh discovery": "fresh", "first price sync": "priced", "sync without news": "again"}.items():
        yield growing(what, {size: one[key] / 1000 for size, one in found.items()}, "s")


def _at(size: int, folder: Path) -> dict[str, float]:
    folder.mkdir()
    catalog = folder / "catalog.jsonl"
    _write(catalog, size)
    with running_sandbox(catalog=catalog) as sandbox:
        settings = settings_for(folder / "var", sandbox) | {"LOG_LEVEL": "ERROR"}
        (folder / "var").mkdir()
        manage(settings, "migrate", "-v", "0")
        fresh = once(lambda: manage(settings, "sync_models"))
        priced = once(lambda: manage(settings, "sync_prices"))
        again = once(lambda: manage(settings, "sync_models"))
    return {"fresh": fresh, "priced": priced, "again": again} | run(settings, "growing_models.inside()")


def _write(path: Path, size: int) -> None:
    """As many models as are wanted: the sandbox's own, over and over, each time under other ids."""
    from genfeed.sandbox.builtin import builtin_rows

    # What is asked for is there at every size.
    rows = sorted(builtin_rows(), key=lambda row: row["endpoint_id"] != MODEL)
    with path.open("wb") as file:
        for number, row in zip(range(size), itertools.cycle(rows)):
            again = number // len(rows)
            file.write(orjson.dumps(_renamed(row, f"/v{again + 1}") if again else row) + b"\n")


def _renamed(row: dict[str, Any], suffix: str) -> dict[str, Any]:
    name = row["endpoint_id"] + suffix
    price = row.get("price")
    renamed = row | {"endpoint_id": name, "price": price and price | {"endpoint_id": name}}
    metadata = row["metadata"]
    if metadata:
        renamed["metadata"] = metadata | {"display_name": f"{metadata.get('display_name', name)} {suffix[1:]}"}
    return renamed


def inside() -> dict[str, float]:
    """The server's time of what clients and staff ask for, in milliseconds."""
    from catalog import published, revisions
    from catalog.models import AIModel
    from genfeed.clients.keys import create_key
    from genfeed.clients.models import Client
    from genfeed.journal.audit import SYSTEM

    client = Client.objects.create(name="Growing", reads_per_minute=10_000_000)
    key = create_key(client, actor=SYSTEM, scopes=["models:read", "estimates"])[1]
    api = Api(key)
    cold = once(published.current)
    body = {"model": MODEL, "input": {"prompt": "a fox"}}
    words = itertools.count()
    found = {
        "cold": cold,
        "list": took(lambda: api.get("models"), 101),
        "detail": took(lambda: api.get(f"models/{MODEL}"), 101),
        "estimate": took(lambda: api.post("estimates", body), 101),
        "search": took(lambda: api.get(f"models?q=fl{next(words)}")),
        "admin": took(lambda: api.admin("catalog/aimodel/")),
    }
    reread = []
    for number in range(5):
        row = AIModel.objects.get(endpoint_id=MODEL)
        row.name = f"Renamed {number}"
        row.save()
        published_in = once(lambda: revisions.publish("bench"))
        # As after the second in which the database is not asked.
        published._checked_at = 0.0
        reread.append((published_in, once(lambda: api.get("models"))))
    middle = sorted(reread, key=lambda pair: pair[1])[2]
    return found | {"publish": middle[0], "reread": middle[1]}
