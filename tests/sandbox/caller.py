"""A caller of the queue, written from fal's documentation: URLs come from the answers, the body is the bare input."""

import time
from types import TracebackType
from typing import Any, Self

import httpx

from tests.sandbox_server import ADMIN_KEY, API_KEY, RunningSandbox

FLUX = "fal-ai/flux/dev"
FOX: dict[str, Any] = {"prompt": "A fox in the snow"}
PATIENCE_SECONDS = 10


class Caller:
    """Submits, asks, fetches. `admin` is a client with a key of scope ADMIN."""

    def __init__(self, sandbox: RunningSandbox) -> None:
        self.sandbox = sandbox
        self.client = self._client(API_KEY)
        self.admin = self._client(ADMIN_KEY)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _tb: TracebackType | None
    ) -> None:
        self.client.close()
        self.admin.close()

    def _client(self, key: str) -> httpx.Client:
        headers = {"Authorization": f"Key {key}"}
        return httpx.Client(base_url=self.sandbox.base_url, headers=headers, trust_env=False, timeout=20)

    def post(self, endpoint_id: str = FLUX, given: Any = FOX, **options: Any) -> httpx.Response:
        """Submit, whatever comes back."""
        return self.client.post(f"/queue/{endpoint_id}", json=given, **options)

    def submit(self, endpoint_id: str = FLUX, given: Any = FOX, **options: Any) -> dict[str, Any]:
        """Submit, and give the accepted request."""
        answer = self.post(endpoint_id, given, **options)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def status(self, request: dict[str, Any], **params: Any) -> httpx.Response:
        """The state now."""
        return self.client.get(request["status_url"], params=params)

    def wait(self, request: dict[str, Any], status: str = "COMPLETED") -> dict[str, Any]:
        """The state once it is the one waited for."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            state = self.status(request).json()
            if state["status"] == status:
                return state
            time.sleep(0.01)
        raise AssertionError(f"the request is still {state}")

    def result(self, request: dict[str, Any]) -> httpx.Response:
        """The result once the request has ended."""
        self.wait(request)
        return self.client.get(request["response_url"])

    def run(self, endpoint_id: str = FLUX, given: Any = FOX, **options: Any) -> httpx.Response:
        """Submit and fetch the result."""
        return self.result(self.submit(endpoint_id, given, **options))

    def bill(self, request_id: str) -> dict[str, Any] | None:
        """The billing event of a request, where there is one."""
        answer = self.admin.get("/v1/models/billing-events", params={"request_id": request_id})
        events = answer.json()["billing_events"]
        return events[0] if events else None
