"""The list of models against LiteLLM's, and against the limit: the same server with constant bytes of that size."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx

from tests.bench import litellm_proxy, load
from tests.bench.jobs import _load
from tests.bench.processes import manage, settings_for
from tests.bench.rows import Row, ratio
from tests.bench.serving import web
from tests.bench.turns import NOT_INSTALLED, PEER, SECONDS, in_turns, rate, told


def measure(var: Path) -> Iterator[Row]:
    """Needs `make peer`; without it there is one row that says so."""
    if not (version := litellm_proxy.version()):
        yield NOT_INSTALLED
        return
    with litellm_proxy.stub() as provider, litellm_proxy.litellm(var.parent / "peer", provider) as peer:
        address = f"{peer}/v1/models"
        size = len(httpx.get(address, headers=PEER, trust_env=False, timeout=60).content)
        yield from _lists(var, address, size, version)


def _lists(var: Path, theirs: str, size: int, version: str) -> Iterator[Row]:
    settings = settings_for(var)
    made = manage(settings, "create_client", "Peer bench", "--json").output
    headers = {"Authorization": f"Bearer {json.loads(made)['api_key']}"}
    with web(settings) as base, web(settings | {"GENFEED_BENCH_BYTES": str(size)}, "tests.bench.constant") as limit:
        page = _page_of(f"{base}/api/v1/models", headers, size)
        etag = httpx.get(page, headers=headers, trust_env=False).headers["ETag"]
        same = headers | {"If-None-Match": etag}
        found = in_turns(
            peer=lambda: load.run(theirs, headers=PEER, seconds=SECONDS),
            ours=lambda: load.run(page, headers=headers, seconds=SECONDS),
            limit=lambda: load.run(f"{limit}/", headers=headers, seconds=SECONDS),
            same=lambda: load.run(page, headers=same, seconds=SECONDS, expected=304),
        )
    for name, what in (
        ("peer", f"LiteLLM {version}, GET /v1/models, {litellm_proxy.MODELS} models"),
        ("ours", "GET /api/v1/models, a page as large"),
        ("same", "  the same, known by its ETag (304)"),
        ("limit", "the same server, constant bytes of that size"),
    ):
        yield Row(what, told(found[name]), values={"requests/s": rate(found[name])})
    ours = rate(found["ours"])
    yield ratio("list of models, against LiteLLM", ours, rate(found["peer"]), 100, "requests/s", _load())
    yield ratio("list of models, against constant bytes", ours, rate(found["limit"]), 0.5, "requests/s", _load())


def _page_of(url: str, headers: dict[str, str], size: int) -> str:
    """The page whose bytes are nearest to `size`."""
    with httpx.Client(headers=headers, trust_env=False, timeout=60) as http:
        pages = {f"{url}?limit={limit}": 0 for limit in range(10, 101, 2)}
        for page in pages:
            pages[page] = len(http.get(page).raise_for_status().content)
    return min(pages, key=lambda page: abs(pages[page] - size))
