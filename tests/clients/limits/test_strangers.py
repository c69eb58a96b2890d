"""Unknown keys are slowed down by the address that tries them."""

from collections.abc import Callable

import pytest
from django.http import HttpResponse
from django.test import Client as HttpClient

from genfeed.clients import keys
from genfeed.clients.limits import strangers

pytestmark = pytest.mark.django_db
MODELS = "/api/v1/models"


def ask(key: str, address: str = "203.0.113.7", **headers: str) -> HttpResponse:
    return HttpClient().get(MODELS, headers={"X-API-Key": key, **headers}, REMOTE_ADDR=address)


def guess(times: int, address: str = "203.0.113.7", **headers: str) -> list[int]:
    return [ask(f"gf_guess{number}", address, **headers).status_code for number in range(times)]


def test_after_twenty_a_minute_no_more_keys_are_looked_up() -> None:
    assert guess(23) == [401] * 20 + [429] * 3


@pytest.mark.once
def test_the_refusal_says_how_long_to_wait() -> None:
    guess(20)

    answer = ask("gf_another")

    assert answer.json()["details"] == {"limit": "unknown_keys", "of": "address", "per_minute": 20}
    assert int(answer.headers["Retry-After"]) == answer.json()["retry_after"] in range(1, 5)


def test_who_waits_as_long_as_told_is_looked_up_again(monkeypatch: pytest.MonkeyPatch) -> None:
    guess(20)
    told = ask("gf_another").json()["retry_after"]
    for address in strangers._full_at:
        strangers._full_at[address] -= told

    assert ask("gf_another").status_code == 401


@pytest.mark.once
def test_another_address_is_not_slowed_down() -> None:
    guess(21)

    assert ask("gf_guess", "203.0.113.8").status_code == 401


@pytest.mark.once
def test_a_key_that_was_good_here_goes_on_beside_a_guesser(
    make_key: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    good = make_key()
    assert ask(good).status_code == 200
    guess(21)
    monkeypatch.setattr(keys, "CACHE_SECONDS", 0.0)

    assert ask(good).status_code == 200


@pytest.mark.once
def test_a_network_of_ipv6_counts_as_one() -> None:
    guess(20, "2001:db8:1:2::1")

    assert ask("gf_guess", "2001:db8:1:2::ffff").status_code == 429
    assert ask("gf_guess", "2001:db8:1:3::1").status_code == 401


@pytest.mark.once
def test_behind_our_proxy_the_address_is_the_one_that_it_saw(settings: pytest.FixtureRequest) -> None:
    settings.BEHIND_TLS = True  # type: ignore[attr-defined]
    for number in range(20):
        ask("gf_guess", "127.0.0.1", **{"X-Forwarded-For": f"10.0.0.{number}, 203.0.113.7"})

    assert ask("gf_guess", "127.0.0.1", **{"X-Forwarded-For": "203.0.113.7"}).status_code == 429
    assert ask("gf_guess", "127.0.0.1", **{"X-Forwarded-For": "203.0.113.8"}).status_code == 401


@pytest.mark.once
def test_without_a_proxy_nobody_chooses_an_address() -> None:
    for number in range(20):
        ask("gf_guess", **{"X-Forwarded-For": f"10.0.0.{number}"})

    assert ask("gf_guess").status_code == 429


def test_many_addresses_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strangers, "_MOST_ADDRESSES", 10)
    for number in range(30):
        ask("gf_guess", f"203.0.113.{number}")

    assert len(strangers._full_at) == 10
