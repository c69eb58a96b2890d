"""Packages that take long to be read, and that few tests use: each process reads all tests, and runs its share."""

import importlib
from typing import Any


class Lazily:
    """A module, read when something of it is used first."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        # pytest asks everything that it finds whether it is a fixture.
        if attribute.startswith("_"):
            raise AttributeError(attribute)
        return getattr(importlib.import_module(self._name), attribute)
