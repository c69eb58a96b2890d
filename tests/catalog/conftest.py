"""The catalog's own tests are about the catalog: in core mode a model needs no price to be offered."""

from typing import Any

import pytest


@pytest.fixture(autouse=True)
def _without_prices(settings: Any) -> None:
    settings.GENFEED_MODE = "core"
