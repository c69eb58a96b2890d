"""Choosing, sorting and cutting the published catalog, without HTTP or a database."""

import json
from typing import Any

import pytest

from catalog.listing import SORTS, BadCursorError, Query, legacy_list, page, select
from catalog.published import Entry, Published


def entry(endpoint_id: str, **values: Any) -> Entry:
    defaults: dict[str, Any] = {
        "pk": 1, "provider": "fal", "name": endpoint_id, "category": "text-to-image", "media_type": "image",
        "kind": "inference", "status": "active", "enabled": True, "held_reason": "", "capabilities": frozenset(),
        "changed_at": "2026-01-01T00:00:00.000Z", "schema_version": 1, "haystack": endpoint_id, "amount": None,
        "body": json.dumps({"id": endpoint_id}).encode(), "legacy": json.dumps({"id": endpoint_id}).encode(),
    }  # fmt: skip
    return Entry(id=endpoint_id, **(defaults | values))


def catalog(*entries: Entry) -> Published:
    return Published(1, None, tuple(sorted(entries, key=lambda one: (one.id, one.provider))), {})


def ids(entries: list[Entry]) -> list[str]:
    return [one.id for one in entries]


def read(found: Published, query: Query | None = None, limit: int = 2, cursor: str | None = None) -> dict[str, Any]:
    return json.loads(page(found, query or Query(), limit=limit, cursor=cursor))


@pytest.mark.parametrize(
    ("enabled", "expected"), [(True, ["a"]), (False, ["b"]), (None, ["a", "b"])], ids=["enabled", "disabled", "both"]
)
def test_enabled_models_are_chosen_unless_others_are_asked_for(enabled: bool | None, expected: list[str]) -> None:
    found = catalog(entry("a"), entry("b", enabled=False))

    assert ids(select(found, Query(enabled=enabled))) == expected
    assert ids(select(found, Query())) == ["a"]


def test_an_empty_filter_matches_what_is_empty_and_not_everything() -> None:
    found = catalog(entry("a", category=""), entry("b"))

    assert ids(select(found, Query(category=""))) == ["a"]


def test_every_filter_must_hold() -> None:
    found = catalog(
        entry("a", media_type="video", capabilities=frozenset({"seed"})),
        entry("b", media_type="video"),
        entry("c", capabilities=frozenset({"seed"})),
    )

    assert ids(select(found, Query(media_type="video", capability="seed"))) == ["a"]


def test_words_are_found_in_parts_and_in_any_order() -> None:
    found = catalog(entry("a", haystack="text to video kling"), entry("b", haystack="text to image"))

    assert ids(select(found, Query(q="KLI video"))) == ["a"]
    assert ids(select(found, Query(q="text"))) == ["a", "b"]


def test_letters_that_fold_are_found() -> None:
    found = catalog(entry("a", haystack="straße".casefold()))

    assert ids(select(found, Query(q="STRASSE"))) == ["a"]


@pytest.mark.parametrize("sort", SORTS)
def test_the_order_is_total_where_all_keys_are_equal(sort: str) -> None:
    same = [entry(endpoint_id, name="same", provider=provider) for endpoint_id in "ab" for provider in ("fal", "x")]
    found = catalog(*same)

    chosen = [(one.id, one.provider) for one in select(found, Query(sort=sort))]

    expected = [("a", "fal"), ("a", "x"), ("b", "fal"), ("b", "x")]
    assert chosen == (expected[::-1] if sort.startswith("-") else expected)


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
def test_pages_of_any_size_hold_every_model_once(sort: str, limit: int) -> None:
    found = catalog(
        *(entry(f"m{n:02}", name=f"N{n % 3}", changed_at=f"2026-01-0{n % 4 + 1}T00:00:00.000Z") for n in range(20))
    )

    seen: list[str] = []
    cursor = None
    for _ in range(50):
        answer = read(found, Query(sort=sort), limit, cursor)
        seen += [item["id"] for item in answer["items"]]
        cursor = answer["next_cursor"]
        if cursor is None:
            break

    assert seen == ids(select(found, Query(sort=sort)))
    assert len(set(seen)) == 20


def test_a_cursor_outlives_the_model_that_it_names() -> None:
    before = catalog(entry("a"), entry("b"), entry("c"), entry("d"))
    cursor = read(before)["next_cursor"]

    after = catalog(entry("a"), entry("c"), entry("d"))

    assert [item["id"] for item in read(after, cursor=cursor)["items"]] == ["c", "d"]


def test_a_cursor_behind_the_end_is_an_empty_page() -> None:
    cursor = read(catalog(entry("y"), entry("z"), entry("zz")))["next_cursor"]

    assert read(catalog(entry("a")), cursor=cursor) == {"items": [], "next_cursor": None}


def test_a_cursor_says_nothing_of_positions() -> None:
    cursor = read(catalog(entry("b"), entry("c"), entry("d")))["next_cursor"]

    grown = catalog(*(entry(endpoint_id) for endpoint_id in ("a", "aa", "ab", "b", "c", "d")))

    assert [item["id"] for item in read(grown, cursor=cursor)["items"]] == ["d"]


def test_a_cursor_is_safe_in_an_address() -> None:
    cursor = read(catalog(entry("ü/?&=+ #"), entry("ü/?&=+ ##")), limit=1)["next_cursor"]

    assert cursor.isascii()
    assert not set(cursor) & set("+/=&?# ")


@pytest.mark.parametrize("cursor", ["", "?", "x", "eA", "ü", "\0", "bnVsbA", "WyJpZCJd"])
def test_what_is_no_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(BadCursorError):
        page(catalog(entry("a")), Query(), limit=1, cursor=cursor)


def test_a_refused_cursor_is_not_remembered_as_a_page() -> None:
    found = catalog(entry("a"))

    for _ in range(2):
        with pytest.raises(BadCursorError):
            page(found, Query(), limit=1, cursor="x")
    assert len(found._rendered) == 0


def test_pages_of_filters_are_kept_and_those_of_searches_are_not() -> None:
    found = catalog(entry("a"))

    page(found, Query(q="a"), limit=1, cursor=None)
    assert len(found._rendered) == 0

    first = page(found, Query(media_type="image"), limit=1, cursor=None)
    assert page(found, Query(media_type="image"), limit=1, cursor=None) is first
    assert len(found._rendered) == 1


def test_what_a_client_may_not_see_is_kept_apart_from_what_an_admin_sees() -> None:
    found = catalog(entry("a"), entry("b", enabled=False))

    assert len(read(found, Query(enabled=None))["items"]) == 2
    assert len(read(found, Query(enabled=True))["items"]) == 1


def test_the_legacy_list_holds_one_provider_s_enabled_models() -> None:
    found = catalog(entry("a"), entry("b", enabled=False), entry("c", provider="replicate"))

    assert json.loads(legacy_list(found, "fal")) == {"models": [{"id": "a"}], "count": 1, "lastUpdated": None}
    assert json.loads(legacy_list(found, "replicate"))["count"] == 1
    assert json.loads(legacy_list(found, "nobody")) == {"models": [], "count": 0, "lastUpdated": None}
