"""What the tests that send what nobody foresaw have in common: how much they send, and that each run sends the same."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.internal.conjecture import providers

from tests.examples import examples


def sends(few: int) -> Callable[[Any], Any]:
    """A decorator: `few` requests, fewer on PostgreSQL, or GENFEED_FUZZ of them; always the same.

    Others with another GENFEED_FUZZ_SEED.
    """
    bounded = settings(
        max_examples=examples(few),
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    seeded = seed(int(os.environ.get("GENFEED_FUZZ_SEED") or 1))
    return lambda test: seeded(bounded(test))


@pytest.fixture
def same_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is drawn from the words of our modules: those differ with what other tests have loaded before."""
    nothing = providers.Constants(integers=set(), floats=set(), bytes=set(), strings=set())
    monkeypatch.setattr(providers, "_get_local_constants", lambda: nothing)
    providers.CONSTANTS_CACHE.cache.clear()
