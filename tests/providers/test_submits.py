"""A submit goes out once at every provider, and is sent again only where certainly nothing went out."""

from typing import Any

import httpx
import pytest

from catalog.providers import queue
from catalog.providers.queue import NotAcceptedError, UnclearError


@pytest.mark.parametrize("provider", ["fal", "replicate"])
@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (httpx.ConnectError, NotAcceptedError),
        (httpx.ConnectTimeout, NotAcceptedError),
        (httpx.PoolTimeout, NotAcceptedError),
        (httpx.WriteError, UnclearError),
        (httpx.WriteTimeout, UnclearError),
        (httpx.ReadError, UnclearError),
        (httpx.ReadTimeout, UnclearError),
        (httpx.RemoteProtocolError, UnclearError),
    ],
)
def test_a_submit_without_an_answer_is_unclear_unless_nothing_went_out(
    provider: str, error: type[httpx.TransportError], kind: type[Exception]
) -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        raise error("broken", request=request)

    opened: Any = queue.open_queue(provider, "a-key")
    opened._connections._idle.append(httpx.Client(transport=httpx.MockTransport(answer)))

    with pytest.raises(kind, match=f"(?i)^{provider}"):
        opened.submit("someone/model", {"prompt": "a fox"})

    opened.close()
    assert len(asked) == 1
