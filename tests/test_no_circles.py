"""No modules import each other in a circle: each can be read, moved and tested without those above it."""

from graphlib import TopologicalSorter

import grimp
import pytest


# What only types need counts too where money and models are; the sandbox's parts may name its state as a type.
@pytest.mark.parametrize(
    ("package", "types_too"), [("catalog", True), ("pricing", True), ("jobs", True), ("genfeed", False)]
)
def test_no_module_imports_itself_through_others(package: str, types_too: bool) -> None:
    graph = grimp.build_graph(package, exclude_type_checking_imports=not types_too, cache_dir=None)
    # A circle raises CycleError, which names it.
    TopologicalSorter({name: graph.find_modules_directly_imported_by(name) for name in graph.modules}).prepare()
