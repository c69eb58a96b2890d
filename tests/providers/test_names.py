"""Nothing above the providers' own room knows one of them by name."""

import ast
from pathlib import Path

import pytest

from catalog.providers import base
from tests.sandbox_server import ROOT

# A protocol that clients speak is called as its inventor is.
PROTOCOLS = {"jobs/protocols/fal/webhooks.py"}


def sources(room: str) -> list[Path]:
    found = [path for path in (ROOT / room).rglob("*.py") if "migrations" not in path.parts]
    return [path for path in found if str(path.relative_to(ROOT)) not in PROTOCOLS]


def names_in(tree: ast.Module) -> set[str]:
    """Providers that are named by a text, or imported as a module."""
    slugs = {entry.slug for entry in base.registered()}
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    imports = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "catalog.providers"
        for alias in node.names
    }
    modules = {
        node.module.removeprefix("catalog.providers.")
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("catalog.providers.")
    }
    return {slug for slug in slugs if slug in texts or any(one.split("_")[0] == slug for one in imports | modules)}


@pytest.mark.parametrize("room", ["jobs", "pricing"])
def test_no_provider_is_known_by_name_above_the_catalog(room: str) -> None:
    found = {str(path): names_in(ast.parse(path.read_text())) for path in sources(room)}

    assert len(found) > 50
    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize("line", ['slug == "fal"', "from catalog.providers.fal_queue import open_fal_queue"])
def test_one_that_is_named_is_seen(line: str) -> None:
    assert names_in(ast.parse(line)) == {"fal"}
