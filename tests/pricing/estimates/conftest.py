"""Who asks what something costs."""

from collections.abc import Callable

import pytest
from django.test import Client as HttpClient


@pytest.fixture
def asker(make_key: Callable[..., str]) -> HttpClient:
    """An HTTP client that carries a key with scope estimates, of the client Acme."""
    return HttpClient(headers={"Authorization": f"Bearer {make_key('estimates')}"})
