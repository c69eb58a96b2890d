"""A client with money and two models that fit each other."""

import pytest

from catalog import published
from genfeed.clients.keys import Caller
from tests import kept_rows
from tests.jobs.doubles import make_caller
from tests.jobs.workflows.flows import make_models


@pytest.fixture
def caller(db: None) -> Caller:
    kept_rows.once(("workflow runs",), make_models)
    published.forget()
    return make_caller()
