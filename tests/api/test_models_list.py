"""`GET /api/v1/models`: filters, search, order, pages and caching."""

import base64
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as HttpClient

from catalog import published
from catalog.availability import switch_models
from catalog.models import AIModel
from genfeed.journal.audit import SYSTEM
from tests.factories import LONG_AGO, make_model, make_models, publish_now

pytestmark = pytest.mark.django_db

MODELS = "/api/v1/models"
SORTS = ["id", "name", "updated_at", "-updated_at"]


def ids(client: HttpClient, **parameters: Any) -> list[str]:
    answer = client.get(MODELS, parameters)
    assert answer.status_code == 200, answer.content
    return [item["id"] for item in answer.json()["items"]]


def pages(client: HttpClient, **parameters: Any) -> Iterator[list[str]]:
    """The ids of each page; at most 100 pages, so that a cursor that loops ends."""
    cursor: dict[str, str] = {}
    for _ in range(100):
        page = client.get(MODELS, parameters | cursor).json()
        yield [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            return
        cursor = {"cursor": page["next_cursor"]}
    raise AssertionError("The pages do not end.")


def walk(client: HttpClient, **parameters: Any) -> list[str]:
    return [endpoint_id for page in pages(client, **parameters) for endpoint_id in page]


@pytest.fixture
def mixed() -> None:
    """Six models that differ in everything that can be filtered."""
    make_model("fal-ai/flux/dev", name="FLUX.1 [dev]", capabilities=["seed", "lora"], tags=["stylized"])
    make_model("fal-ai/veo3", name="Veo 3", category="text-to-video", media_type="video", capabilities=["seed"])
    make_model("fal-ai/whisper", name="Whisper", category="speech-to-text", media_type="text", description="Écoute.")
    make_model("fal-ai/flux-lora-trainer", name="Train", category="training", media_type="other", kind="training")
    make_model("fal-ai/old", name="Old", status="deprecated", switch="on")
    make_model("fal-ai/flux/dev", name="FLUX elsewhere", provider="replicate")
    publish_now()


@pytest.mark.once
def test_a_model_in_a_list_has_exactly_these_fields(api: HttpClient) -> None:
    make_model(
        "fal-ai/flux/dev", name="FLUX.1 [dev]", description="Makes pictures.", tags=["new"], capabilities=["seed"],
        thumbnail_url="https://example.com/flux.jpg",
    )  # fmt: skip
    publish_now()

    assert api.get(MODELS).json() == {
        "items": [
            {
                "id": "fal-ai/flux/dev",
                "name": "FLUX.1 [dev]",
                "provider": "fal",
                "category": "text-to-image",
                "media_type": "image",
                "kind": "inference",
                "description": "Makes pictures.",
                "status": "active",
                "enabled": True,
                "held_reason": None,
                "tags": ["new"],
                "capabilities": ["seed"],
                "thumbnail_url": "https://example.com/flux.jpg",
                "price": {"amount": None, "unit": None, "currency": "USD", "state": "unknown", "varies": False},
                "schema_version": 1,
                "updated_at": "2026-01-02T03:04:05.000Z",
            }
        ],
        "next_cursor": None,
    }


@pytest.mark.once
def test_an_empty_catalog_is_an_empty_list(api: HttpClient) -> None:
    assert api.get(MODELS).json() == {"items": [], "next_cursor": None}


@pytest.mark.once
@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"provider": "replicate"}, ["fal-ai/flux/dev"]),
        ({"category": "text-to-video"}, ["fal-ai/veo3"]),
        ({"media_type": "text"}, ["fal-ai/whisper"]),
        ({"kind": "training"}, ["fal-ai/flux-lora-trainer"]),
        ({"capability": "lora"}, ["fal-ai/flux/dev"]),
        ({"capability": "seed"}, ["fal-ai/flux/dev", "fal-ai/veo3"]),
        ({"status": "deprecated"}, ["fal-ai/old"]),
        ({"provider": "fal", "media_type": "image"}, ["fal-ai/flux/dev", "fal-ai/old"]),
        ({"provider": "nobody"}, []),
        ({"category": ""}, []),
    ],
)
def test_a_filter_lets_only_its_matches_through(
    api: HttpClient, mixed: None, parameters: dict[str, str], expected: list[str]
) -> None:
    assert ids(api, **parameters) == expected


def test_without_filters_all_enabled_models_are_listed_by_id_and_provider(api: HttpClient, mixed: None) -> None:
    items = api.get(MODELS).json()["items"]

    assert [(item["id"], item["provider"]) for item in items] == [
        ("fal-ai/flux-lora-trainer", "fal"),
        ("fal-ai/flux/dev", "fal"),
        ("fal-ai/flux/dev", "replicate"),
        ("fal-ai/old", "fal"),
        ("fal-ai/veo3", "fal"),
        ("fal-ai/whisper", "fal"),
    ]


@pytest.mark.once
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("veo", ["fal-ai/veo3"]),
        ("WHISPER", ["fal-ai/whisper"]),
        ("écoute", ["fal-ai/whisper"]),
        ("ÉCOUTE", ["fal-ai/whisper"]),
        ("stylized", ["fal-ai/flux/dev"]),
        ("text-to-video", ["fal-ai/veo3"]),
        ("dev] flux.1", ["fal-ai/flux/dev"]),
        ("flux train", ["fal-ai/flux-lora-trainer"]),
        ("flux nothing-like-it", []),
        (r"fal-ai/.*", []),
    ],
)
def test_search_finds_models_that_hold_all_words_in_any_case(
    api: HttpClient, mixed: None, words: str, expected: list[str]
) -> None:
    assert ids(api, q=words) == expected


@pytest.mark.once
def test_a_search_for_white_space_is_no_search(api: HttpClient, mixed: None) -> None:
    assert len(ids(api, q="   ")) == 6


@pytest.mark.once
def test_search_and_filters_hold_together(api: HttpClient, mixed: None) -> None:
    assert ids(api, q="flux", provider="fal", media_type="image") == ["fal-ai/flux/dev"]


@pytest.mark.once
def test_an_unknown_parameter_is_refused_by_name(api: HttpClient) -> None:
    answer = api.get(MODELS, {"catgory": "text-to-image", "foo": "1"})

    body = answer.json()
    assert (answer.status_code, body["code"]) == (400, "invalid_request")
    assert body["message"] == "Unknown parameter: catgory, foo."
    assert "category" in body["hint"]


@pytest.mark.once
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("limit", "0"), ("limit", "-1"), ("limit", "201"), ("limit", "many"), ("limit", "1.5"),
        ("sort", "colour"), ("media_type", "smell"), ("kind", "magic"), ("status", "held"),
        ("q", "x" * 201), ("cursor", "x" * 1001),
    ],
)  # fmt: skip
def test_a_value_out_of_bounds_is_refused_by_name(api: HttpClient, name: str, value: str) -> None:
    answer = api.get(MODELS, {name: value})

    body = answer.json()
    assert (answer.status_code, body["code"]) == (400, "invalid_request")
    assert [problem["path"] for problem in body["details"]["problems"]] == [name]


@pytest.mark.once
def test_a_page_holds_50_models_unless_told_otherwise(api: HttpClient) -> None:
    make_models(210)
    publish_now()

    assert len(ids(api)) == 50
    assert len(ids(api, limit=1)) == 1
    assert len(ids(api, limit=200)) == 200


@pytest.mark.once
def test_a_page_that_ends_with_the_list_has_no_next(api: HttpClient) -> None:
    make_models(10)
    publish_now()

    assert api.get(MODELS, {"limit": 10}).json()["next_cursor"] is None
    assert api.get(MODELS, {"limit": 9}).json()["next_cursor"] is not None


@pytest.mark.once
@pytest.mark.parametrize("sort", SORTS)
def test_the_pages_hold_every_model_exactly_once(api: HttpClient, sort: str) -> None:
    rows = make_models(95)
    for number, row in enumerate(rows):
        row.name = f"{'Abc'[number % 3]}{number % 7}"
        row.changed_at = LONG_AGO + timedelta(milliseconds=number % 5)
    AIModel.objects.bulk_update(rows, ["name", "changed_at"])
    publish_now()

    found = walk(api, sort=sort, limit=7)

    assert len(found) == 95
    assert set(found) == {row.endpoint_id for row in rows}


@pytest.mark.once
def test_the_same_id_at_two_providers_is_listed_twice_across_pages(api: HttpClient, mixed: None) -> None:
    for sort in SORTS:
        found = walk(api, sort=sort, limit=1)
        assert len(found) == 6
        assert found.count("fal-ai/flux/dev") == 2


@pytest.mark.once
def test_names_are_sorted_without_regard_to_case(api: HttpClient) -> None:
    for endpoint_id, name in (("z/1", "alpha"), ("y/2", "Beta"), ("x/3", "ALPHA 2"), ("w/4", "gamma")):
        make_model(endpoint_id, name=name)
    publish_now()

    assert ids(api, sort="name") == ["z/1", "x/3", "y/2", "w/4"]


@pytest.mark.once
def test_the_newest_change_comes_first_or_last(api: HttpClient) -> None:
    for days, endpoint_id in enumerate(("b/1", "a/2", "c/3")):
        make_model(endpoint_id, changed_at=LONG_AGO + timedelta(days=days))
    publish_now()

    assert ids(api, sort="updated_at") == ["b/1", "a/2", "c/3"]
    assert ids(api, sort="-updated_at") == ["c/3", "a/2", "b/1"]


ODD_IDS = [
    "fal-ai/Zeta",
    "fal-ai/alpha",
    "fal-ai/alpha-2",
    "fal-ai/alpha/2",
    "fal-ai/alpha.2",
    "Fal/a",
    "éa/x",
    "a_b/c",
]


def test_ids_are_in_the_order_of_their_characters_whatever_the_database_prefers(
    api: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for endpoint_id in ODD_IDS:
        make_model(endpoint_id)
    publish_now()
    read = published._entries
    # As a database does whose locale ignores case and punctuation.
    loosely = lambda entry: "".join(filter(str.isalnum, entry.id.casefold()))  # noqa: E731
    monkeypatch.setattr(published, "_entries", lambda: iter(sorted(read(), key=loosely)))

    assert walk(api, limit=1) == walk(api) == sorted(ODD_IDS)


@pytest.mark.parametrize("sort", ["id", "name"])
def test_a_model_that_goes_between_two_pages_hides_no_other(api: HttpClient, sort: str) -> None:
    rows = make_models(12)
    publish_now()
    expected = [row.endpoint_id for row in rows]
    reading = pages(api, sort=sort, limit=4)
    first = next(reading)

    # One that was shown, the very one that the cursor names, and one that is still to come.
    gone = [expected[0], expected[3], expected[6]]
    switch_models(AIModel.objects.filter(endpoint_id__in=gone), on=False, actor=SYSTEM)
    publish_now()

    rest = [endpoint_id for page in reading for endpoint_id in page]
    assert first == expected[:4]
    assert rest == [endpoint_id for endpoint_id in expected[4:] if endpoint_id not in gone]


@pytest.mark.parametrize("sort", ["id", "name"])
def test_a_model_that_comes_between_two_pages_repeats_no_other(api: HttpClient, sort: str) -> None:
    rows = make_models(12)
    AIModel.objects.filter(pk__in=[rows[1].pk, rows[10].pk]).update(enabled=False)
    publish_now()
    reading = pages(api, sort=sort, limit=4)
    first = next(reading)

    switch_models(AIModel.objects.filter(pk__in=[rows[1].pk, rows[10].pk]), on=True, actor=SYSTEM)
    publish_now()

    found = [*first, *(endpoint_id for page in reading for endpoint_id in page)]
    assert len(found) == len(set(found))
    # What stood before the first page's end is not shown again; what comes after it is.
    assert rows[1].endpoint_id not in found
    assert rows[10].endpoint_id in found
    assert len(found) == 11


def encoded(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@pytest.mark.once
@pytest.mark.parametrize(
    "cursor",
    [
        "", "x", "!!!", "😀", "bm90IGpzb24", encoded(None), encoded([]), encoded({}), encoded("id"), encoded(["id"]),
        encoded(["id", 1, 2, 3]), encoded(["id", "a", "b", None]), encoded(["id", "a", "b", "c", "d"]),
        encoded(["name", "a", "b", "c"]),
    ],
)  # fmt: skip
def test_a_cursor_that_this_list_did_not_give_out_is_refused(api: HttpClient, cursor: str) -> None:
    make_model()
    publish_now()

    answer = api.get(MODELS, {"cursor": cursor})

    body = answer.json()
    assert (answer.status_code, body["code"]) == (400, "invalid_request")
    assert body["message"].startswith("The cursor ")
    assert body["hint"] == "Start again without a cursor."


@pytest.mark.once
def test_a_cursor_of_another_order_is_refused(api: HttpClient) -> None:
    make_models(3)
    publish_now()
    cursor = api.get(MODELS, {"sort": "name", "limit": 1}).json()["next_cursor"]

    answer = api.get(MODELS, {"sort": "-updated_at", "limit": 1, "cursor": cursor})

    assert answer.status_code == 400
    assert answer.json()["message"] == "The cursor belongs to a list with another order."


@pytest.mark.once
def test_an_answer_carries_an_etag_and_is_private(api: HttpClient) -> None:
    revision = publish_now()

    headers = api.get(MODELS).headers

    assert headers["ETag"] == f'"{revision}-c"'
    assert headers["Cache-Control"] == "private, no-cache"
    assert {"Authorization", "X-API-Key", "Cookie"} <= set(headers["Vary"].split(", "))
    assert headers["Content-Type"] == "application/json"


@pytest.mark.once
@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', '{}, "other"', '"a",W/{}', "*"])
def test_an_answer_that_the_caller_has_is_a_304_without_body(api: HttpClient, form: str) -> None:
    make_model()
    publish_now()
    etag = api.get(MODELS).headers["ETag"]

    answer = api.get(MODELS, headers={"If-None-Match": form.format(etag)})

    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["ETag"] == etag
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert "Authorization" in answer.headers["Vary"]


def test_a_new_revision_ends_a_304(api: HttpClient) -> None:
    row = make_model()
    publish_now()
    etag = api.get(MODELS).headers["ETag"]

    switch_models([row], on=False, actor=SYSTEM)
    publish_now()

    answer = api.get(MODELS, headers={"If-None-Match": etag})
    assert answer.status_code == 200
    assert answer.headers["ETag"] != etag
    assert answer.json()["items"] == []


@pytest.mark.once
def test_the_answer_of_an_admin_is_not_taken_for_a_client_s(api: HttpClient, admin_api: HttpClient) -> None:
    etag = admin_api.get(MODELS).headers["ETag"]

    answer = api.get(MODELS, headers={"If-None-Match": etag})

    assert answer.status_code == 200
    assert answer.headers["ETag"] != etag


@pytest.mark.once
def test_a_304_is_for_those_with_a_key_only(api: HttpClient) -> None:
    etag = api.get(MODELS).headers["ETag"]

    assert HttpClient().get(MODELS, headers={"If-None-Match": etag}).status_code == 401


@pytest.fixture
def unoffered() -> None:
    make_model("fal-ai/offered")
    make_model("fal-ai/switched-off", switch="off")
    make_model("fal-ai/without-schema", schema_version=0, schema_state="missing")
    make_model("fal-ai/retired", status="retired")
    make_model("fal-ai/deprecated", status="deprecated")
    publish_now()


@pytest.mark.once
def test_the_list_of_clients_holds_no_held_or_disabled_model(unoffered: None, api: HttpClient) -> None:
    for sort in SORTS:
        assert walk(api, sort=sort) == ["fal-ai/offered"]
    for status in ("deprecated", "retired"):
        assert ids(api, status=status) == []
    assert ids(api, q="switched-off") == []


@pytest.mark.once
def test_a_client_can_not_ask_for_disabled_models(api: HttpClient, unoffered: None) -> None:
    answer = api.get(MODELS, {"enabled": "false"})

    assert b"fal-ai/switched-off" not in answer.content
    assert b"fal-ai/retired" not in answer.content


@pytest.mark.once
def test_a_key_with_scope_admin_sees_models_that_are_not_offered_too(admin_api):
    make_model("a/on")
    make_model("a/off", enabled=False)
    publish_now()
    ids = [model["id"] for model in admin_api.get("/api/v1/models").json()["items"]]
    assert ids == ["a/off", "a/on"]
    off = admin_api.get("/api/v1/models?enabled=false").json()["items"]
    assert [model["id"] for model in off] == ["a/off"]


@pytest.mark.once
def test_a_client_that_asks_for_disabled_models_gets_none(api):
    make_model("a/on")
    make_model("a/off", enabled=False)
    publish_now()
    assert api.get("/api/v1/models?enabled=false").json()["items"] == []
    assert len(api.get("/api/v1/models?enabled=true").json()["items"]) == 1
