"""Sandboxes for these tests, fresh for each, and fal's own document to hold their answers against."""

import gzip
from collections.abc import Iterator
from typing import Any

import httpx
import jsonschema_rs
import orjson
import pytest

from tests.sandbox.caller import Caller
from tests.sandbox.receiver import Receiver
from tests.sandbox_server import ADMIN_KEY, API_KEY, RECORDINGS, RunningSandbox

DOCUMENT = RECORDINGS / "platform-openapi.json.gz"


@pytest.fixture
def builtin(_builtin_sandbox: RunningSandbox) -> RunningSandbox:
    """A sandbox with its built-in models."""
    _builtin_sandbox.reset()
    return _builtin_sandbox


@pytest.fixture
def recorded(_recorded_sandbox: RunningSandbox) -> RunningSandbox:
    """A sandbox with the recorded catalog of June 2026."""
    _recorded_sandbox.reset()
    return _recorded_sandbox


@pytest.fixture(params=["_builtin_sandbox", "_recorded_sandbox"])
def sandbox(request: pytest.FixtureRequest) -> RunningSandbox:
    """A sandbox with its built-in models, and one with the recorded catalog."""
    running: RunningSandbox = request.getfixturevalue(request.param)
    running.reset()
    return running


@pytest.fixture
def keyed(builtin: RunningSandbox) -> httpx.Client:
    """A client of the built-in sandbox that carries a key of scope API."""
    return client_with(builtin, API_KEY)


@pytest.fixture
def admin(builtin: RunningSandbox) -> httpx.Client:
    """A client of the built-in sandbox that carries a key of scope ADMIN."""
    return client_with(builtin, ADMIN_KEY)


def client_with(sandbox: RunningSandbox, key: str) -> httpx.Client:
    """A client that carries a key."""
    return httpx.Client(base_url=sandbox.base_url, headers={"Authorization": f"Key {key}"}, trust_env=False)


@pytest.fixture
def fal(builtin: RunningSandbox) -> Iterator[Caller]:
    """A caller of the built-in sandbox whose requests take no time."""
    builtin.faults(processing_ms=0, billing_lag=0)
    with Caller(builtin) as caller:
        yield caller


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A server that takes webhooks."""
    with Receiver() as listening:
        yield listening


class PlatformContract:
    """fal's own OpenAPI document of its Platform API."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document

    def check(self, answer: httpx.Response) -> None:
        """Assert that an answer is one the document allows for its path, method and status."""
        path = answer.request.url.path.removeprefix("/v1")
        responses = self.document["paths"][path][answer.request.method.lower()]["responses"]
        # A bad key is refused on every path; the document writes that answer down only where a key is required.
        described = responses.get(str(answer.status_code)) or responses["429" if answer.status_code == 401 else "404"]
        schema = described["content"]["application/json"]["schema"]
        problems = [error.message for error in jsonschema_rs.Draft202012Validator(schema).iter_errors(answer.json())]
        assert problems == []
        assert answer.headers["content-type"] == "application/json"


@pytest.fixture(scope="session")
def contract() -> PlatformContract:
    """The contract, where the recording of it is at hand."""
    if not DOCUMENT.exists():
        pytest.skip("fal's own document ../shared/fal/platform-openapi.json.gz is not beside this checkout")
    return PlatformContract(orjson.loads(gzip.decompress(DOCUMENT.read_bytes())))
