"""Allow and deny lists: which models a client and its keys may use."""

from typing import Any

import pytest

from genfeed.clients.keys import Caller, create_key, find_caller
from genfeed.clients.models import ApiKey, Client
from genfeed.clients.restrictions import BadListError, check_list, may_use, restriction_of
from genfeed.journal.audit import SYSTEM


def caller_with(client: dict[str, Any], key: dict[str, Any]) -> Caller:
    owner = Client.objects.create(name="Acme", **client)
    row, text = create_key(owner, actor=SYSTEM)
    ApiKey.objects.filter(pk=row.pk).update(**key)
    caller = find_caller(text)
    assert caller
    return caller


@pytest.mark.parametrize(
    ("pattern", "endpoint", "matches"),
    [
        ("fal-ai/flux/dev", "fal-ai/flux/dev", True),
        ("fal-ai/flux/dev", "fal-ai/flux/dev/edit", False),
        ("fal-ai/flux/dev", "fal-ai/Flux/dev", False),
        ("fal:fal-ai/flux/dev", "fal-ai/flux/dev", True),
        ("other:fal-ai/flux/dev", "fal-ai/flux/dev", False),
        ("fal-ai/flux/*", "fal-ai/flux/dev", True),
        ("fal-ai/flux/*", "fal-ai/flux", False),
        ("fal-ai/flux*", "fal-ai/flux-pro", True),
        ("fal:fal-ai/flux/*", "fal-ai/flux/dev", True),
        ("fal:*", "anything/at/all", True),
        ("fal*", "anything/at/all", False),
        ("other:*", "fal-ai/flux/dev", False),
        ("*", "anything/at/all", True),
    ],
)
def test_an_entry_names_one_model_or_all_that_begin_so(pattern: str, endpoint: str, matches: bool) -> None:
    allowing, denying = restriction_of([[pattern]], []), restriction_of([], [[pattern]])

    assert allowing
    assert denying
    assert allowing.permits("fal", endpoint) is matches
    assert denying.permits("fal", endpoint) is not matches


def test_denial_wins_over_what_is_allowed() -> None:
    restriction = restriction_of([["fal-ai/flux/dev"]], [["fal-ai/*"]])

    assert restriction
    assert not restriction.permits("fal", "fal-ai/flux/dev")


def test_no_list_bars_nothing() -> None:
    assert restriction_of([[], []], [[], []]) is None


def test_staff_are_bound_by_no_list() -> None:
    assert may_use(None, "fal", "fal-ai/flux/dev")


@pytest.mark.once
@pytest.mark.django_db
@pytest.mark.parametrize(
    ("client", "key", "usable"),
    [
        ({}, {}, {"a/one", "a/two", "b/one"}),
        ({"allowed_models": ["a/*"]}, {}, {"a/one", "a/two"}),
        ({"allowed_models": ["a/*"]}, {"allowed_models": ["*"]}, {"a/one", "a/two"}),
        ({"allowed_models": ["a/*"]}, {"allowed_models": ["b/one", "a/one"]}, {"a/one"}),
        ({"allowed_models": ["a/*"]}, {"denied_models": ["a/two"]}, {"a/one"}),
        ({"denied_models": ["a/one"]}, {"allowed_models": ["a/one", "b/one"]}, {"b/one"}),
        ({"denied_models": ["a/one"]}, {"denied_models": ["b/one"]}, {"a/two"}),
    ],
)
def test_a_key_only_narrows_what_its_client_may_use(
    client: dict[str, Any], key: dict[str, Any], usable: set[str]
) -> None:
    caller = caller_with(client, key)

    assert {model for model in ("a/one", "a/two", "b/one") if may_use(caller, "fal", model)} == usable


@pytest.mark.once
@pytest.mark.django_db
@pytest.mark.parametrize(
    ("client", "key", "expected"),
    [
        ({}, {}, (1, 2, 3, 4)),
        (
            {"jobs_per_minute": 10, "reads_per_minute": 20, "max_in_flight": 30, "max_queued": 40},
            {}, (10, 20, 30, 40),
        ),
        ({"jobs_per_minute": 10}, {"jobs_per_minute": 5, "reads_per_minute": 7}, (5, 7, 3, 4)),
        ({"jobs_per_minute": 10, "max_in_flight": 0}, {"jobs_per_minute": 0}, (0, 2, 0, 4)),
    ],
)  # fmt: skip
def test_limits_are_the_keys_else_the_clients_else_the_settings(
    settings: Any, client: dict[str, Any], key: dict[str, Any], expected: tuple[int, ...]
) -> None:
    settings.JOBS_PER_MINUTE, settings.READS_PER_MINUTE, settings.MAX_IN_FLIGHT, settings.MAX_QUEUED = 1, 2, 3, 4

    caller = caller_with(client, key)

    limits = (caller.jobs_per_minute, caller.reads_per_minute, caller.max_in_flight, caller.max_queued)
    assert limits == expected


def test_a_list_is_stored_sorted_and_without_doubles() -> None:
    assert check_list([" b/* ", "a/one", "b/*", "fal:a/one"]) == ["a/one", "b/*", "fal:a/one"]


@pytest.mark.parametrize(
    "entries",
    ["a/one", {"a": 1}, None, 3, [""], ["a b"], ["a/*/b"], ["**"], ["fal:other:a"], [7], [None], ["ключ"], ["a" * 301],
     ["fal:"], ["a\x00"], [["a"]], ["a/one"] * 1001],
)  # fmt: skip
def test_a_list_of_nonsense_is_refused_in_words(entries: Any) -> None:
    with pytest.raises(BadListError, match=r"\.$"):
        check_list(entries)
