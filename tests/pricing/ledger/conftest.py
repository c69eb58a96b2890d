"""Holds of these tests are of no jobs: the ledger is looked at by itself."""

import pytest

from pricing.ledger import checking


@pytest.fixture(autouse=True)
def _no_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "open_jobs", None)
