"""How cost grows with the catalog: 100, 1,500 and 15,000 models, really discovered and priced from the sandbox."""

import itertools
import statistics
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
ROUNDS = 5
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
    """Each size in an installation of its own, on SQLite; what must not grow is measured in turns, several times."""
    with tempfile.TemporaryDirectory(prefix="genfeed-bench-models-", ignore_cleanup_errors=True) as folder:
        installed = {size: _installed(size, Path(folder) / str(size)) for size in SIZES}
        found = {
            size: syncs | run(settings, "growing_models.inside()") for size, (settings, syncs) in installed.items()
        }
        rounds = [
            {size: run(settings, "growing_models.flat()") for size, (settings, _) in installed.items()}
            for _ in range(ROUNDS)
        ]
    for size, one in found.items():
        one.update({key: statistics.median(each[size][key] for each in rounds) for key in _FLAT.values()})
    sizes = " / ".join(f"{size:,}" for size in SIZES)
    yield Row("models", sizes)
    for what, key in _FLAT.items():
        yield growing(what, {size: one[key] for size, one in found.items()}, "ms", MOST)
    for what, key in _GROWING.items():
        yield growing(what, {size: one[key] for size, one in found.items()}, "ms")
    for what, key in {"fresh discovery": "fresh", "first price sync": "priced", "sync without news": "again"}.items():
        yield growing(what, {size: one[key] / 1000 for size, one in found.items()}, "s")


def _installed(size: int, folder: Path) -> tuple[dict[str, str], dict[str, float]]:
    """An installation with so many models: its settings, and how long its syncs took, in milliseconds."""
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
    return settings, {"fresh": fresh, "priced": priced, "again": again}


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


def flat() -> dict[str, float]:
    """The server's time of what must not grow, in milliseconds."""
    api, body = _api(), {"model": MODEL, "input": {"prompt": "a fox"}}
    return {
        "list": took(lambda: api.get("models"), 101),
        "detail": took(lambda: api.get(f"models/{MODEL}"), 101),
        "estimate": took(lambda: api.post("estimates", body), 101),
    }


def inside() -> dict[str, float]:
    """The server's time of what else clients and staff ask for, in milliseconds."""
    from catalog import published, revisions
    from catalog.models import AIModel

    api = _api()
    cold = once(published.current)
    words = itertools.count()
    found = {
        "cold": cold,
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


def _api() -> Api:
    from genfeed.clients.keys import create_key
    from genfeed.clients.models import Client
    from genfeed.journal.audit import SYSTEM

    client, _ = Client.objects.get_or_create(name="Growing", defaults={"reads_per_minute": 10_000_000})
    return Api(create_key(client, actor=SYSTEM, scopes=["models:read", "estimates"])[1])
