"""Clients for calls to a provider: one for each call under way, and no more."""

from typing import Any

import httpx
import pytest

from catalog.providers import connections as module
from catalog.providers.connections import Connections


@pytest.fixture
def connections() -> Connections:
    return Connections(headers={"Authorization": "Key k"}, timeout=1)


def test_calls_one_after_the_other_share_a_client(connections: Connections) -> None:
    with connections.one() as first:
        pass
    with connections.one() as second:
        assert second is first


def test_calls_at_once_have_clients_of_their_own_with_our_key(connections: Connections) -> None:
    with connections.one() as first, connections.one() as second:
        assert second is not first
        assert {one.headers["Authorization"] for one in (first, second)} == {"Key k"}


def test_a_call_that_fails_gives_its_client_back(connections: Connections) -> None:
    with pytest.raises(ValueError, match="broken"), connections.one() as first:
        raise ValueError("broken")
    with connections.one() as second:
        assert second is first


def test_all_clients_are_closed(connections: Connections) -> None:
    with connections.one() as first, connections.one() as second:
        pass

    connections.close()

    assert first.is_closed
    assert second.is_closed


def test_the_list_of_authorities_is_read_once_however_many_keys_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[dict[str, Any]] = []
    create = httpx.create_ssl_context

    def watched(**options: Any) -> Any:
        read.append(options)
        return create(**options)

    monkeypatch.setattr(httpx, "create_ssl_context", watched)
    module._authorities.cache_clear()

    for key in ("ours", "theirs"):
        with Connections(headers={"Authorization": f"Key {key}"}, timeout=1).one() as client:
            assert client.headers["Authorization"] == f"Key {key}"

    assert read == [{"trust_env": False}]
