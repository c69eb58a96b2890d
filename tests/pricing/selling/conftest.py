"""Who looks at the admin."""

from collections.abc import Callable

import pytest
from django.test import Client as HttpClient


@pytest.fixture
def root(staff: Callable[[str], HttpClient]) -> HttpClient:
    """The browser of a superuser named root."""
    return staff("superuser")
