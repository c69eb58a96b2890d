"""No modules import each other in a circle: each can be read, moved and tested without those above it."""

from graphlib import TopologicalSorter

import grimp
import pytest


@pytest.mark.parametrize("package", ["genfeed", "catalog", "pricing", "jobs"])
def test_no_module_imports_itself_through_others(package: str) -> None:
    graph = grimp.build_graph(package, cache_dir=None)
    # Imports for types alone count too. A circle raises CycleError, which names it.
    TopologicalSorter({name: graph.find_modules_directly_imported_by(name) for name in graph.modules}).prepare()
