"""The list of models: search, filters with counts, pages, the switch of a row and of many."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client as HttpClient
from django.test.utils import CaptureQueriesContext

from catalog import revisions
from catalog.models import AIModel
from genfeed.journal.models import AuditEvent
from tests.admin.pages import Page, read
from tests.factories import make_model, make_models

pytestmark = pytest.mark.django_db

LIST = "/admin/catalog/aimodel/"
Staff = Callable[[str], HttpClient]


@pytest.fixture
def mixed() -> None:
    """Models that differ in everything that the list can be filtered by."""
    make_model("fal-ai/flux/dev", name="FLUX.1 [dev]")
    make_model("fal-ai/flux/schnell", name="FLUX.1 [schnell]", switch="off")
    make_model("fal-ai/veo3", name="Veo 3", category="text-to-video", media_type="video")
    make_model("fal-ai/old", name="Old flux", status="deprecated")
    make_model("fal-ai/bare", name="Bare", category="", media_type="other", schema_version=0, schema_state="missing")
    make_model("fal-ai/gone", name="Gone", status="retired")
    make_model("acme/voice", name="Voice", category="text-to-speech", media_type="audio", provider="replicate")


def ids(page: Page) -> list[str]:
    """The models on a page of the list, in its order."""
    return [element.text for element in page.all("span", "gf-id")]


def listed(client: HttpClient, query: str = "") -> list[str]:
    return ids(read(client, LIST + query))


def choices(page: Page) -> dict[str, dict[str, tuple[str, int]]]:
    """Filter -> words of a choice -> (its link, its count)."""
    found: dict[str, dict[str, tuple[str, int]]] = {}
    for element in page.elements:
        if "data-filter-title" in element.attributes:
            found[element.attributes["data-filter-title"]] = current = {}
        elif found and element.tag == "a" and (match := re.fullmatch(r"(.+) \((\d+)\)", element.text)):
            current[match[1]] = (element.attributes["href"], int(match[2]))
    return found


def count_of(page: Page, heading: str, words: str) -> int:
    return choices(page)[heading][words][1]


# --- search ---


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("flux/dev", ["fal-ai/flux/dev"]),
        ("schnell", ["fal-ai/flux/schnell"]),
        ("veo 3", ["fal-ai/veo3"]),
        ("TEXT-TO-SPEECH", ["acme/voice"]),
        ("flux", ["fal-ai/flux/dev", "fal-ai/flux/schnell", "fal-ai/old"]),
        ("flux old", ["fal-ai/old"]),
        ("100%", []),
        ("flux_dev", []),
    ],
)
def test_the_search_finds_words_in_id_name_and_category(
    root: HttpClient, mixed: None, words: str, expected: list[str]
) -> None:
    assert ids(read(root, LIST, {"q": words})) == expected


def test_a_search_with_a_null_character_finds_nothing_instead_of_failing(root: HttpClient, mixed: None) -> None:
    assert root.get(f"{LIST}?q=%00").status_code == 200


# --- filters ---


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("provider=replicate", ["acme/voice"]),
        ("category=text-to-video", ["fal-ai/veo3"]),
        ("category=-", ["fal-ai/bare"]),
        ("media_type=audio", ["acme/voice"]),
        ("status=deprecated", ["fal-ai/old"]),
        ("status=retired", ["fal-ai/gone"]),
        ("enabled=yes", ["acme/voice", "fal-ai/flux/dev", "fal-ai/veo3"]),
        ("enabled=no", ["fal-ai/bare", "fal-ai/flux/schnell", "fal-ai/gone", "fal-ai/old"]),
        ("held=schema_missing", ["fal-ai/bare"]),
        ("held=-", ["acme/voice", "fal-ai/flux/dev", "fal-ai/flux/schnell", "fal-ai/veo3"]),
    ],
)
def test_a_filter_shows_only_its_models(root: HttpClient, mixed: None, query: str, expected: list[str]) -> None:
    assert listed(root, f"?{query}") == expected


@pytest.mark.once
def test_filters_and_search_are_combined(root: HttpClient, mixed: None) -> None:
    assert listed(root, "?q=flux&media_type=image&enabled=no&held=-") == ["fal-ai/flux/schnell"]


@pytest.mark.once
def test_there_is_a_filter_for_each_thing_that_admins_ask_for(root: HttpClient, mixed: None) -> None:
    assert set(choices(read(root, LIST))) == {
        "enabled", "held because", "media type", "category", "status", "provider",
    }  # fmt: skip


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?q=flux&enabled=no&held=-",
        "?status=active&o=-3",
        # On PostgreSQL the others would ask the same again.
        *(
            pytest.param(query, marks=pytest.mark.once)
            for query in (
                "?q=flux",
                "?media_type=image",
                "?media_type=image&enabled=no",
                "?category=-&provider=fal",
                "?q=nothing-like-this",
            )
        ),
    ],
)
def test_every_choice_of_every_filter_leads_to_as_many_models_as_it_says(
    root: HttpClient, mixed: None, query: str
) -> None:
    shown = choices(read(root, LIST + query))

    wrong = {
        f"{heading}: {words}": (count, found)
        for heading, by_words in shown.items()
        for words, (link, count) in by_words.items()
        if (found := len(listed(root, link))) != count
    }
    assert wrong == {}


def test_the_counts_of_a_filter_honour_the_other_filters_and_the_search(root: HttpClient, mixed: None) -> None:
    page = read(root, f"{LIST}?q=flux&enabled=no")

    assert count_of(page, "status", "active") == 1
    assert count_of(page, "status", "deprecated") == 1
    assert count_of(page, "enabled", "yes") == 1, "its own choice must not narrow a filter's counts"
    assert count_of(page, "enabled", "All") == 3


@pytest.mark.once
def test_a_chosen_filter_is_marked(root: HttpClient, mixed: None) -> None:
    page = read(root, f"{LIST}?media_type=video")

    assert "video (1)" in [element.text for element in page.all("li", "selected")]


@pytest.mark.once
@pytest.mark.parametrize("query", ["?category=no-such", "?enabled=perhaps", "?provider=nobody", "?held=%00", "?p=99"])
def test_an_address_with_an_unknown_value_shows_a_list_instead_of_failing(
    root: HttpClient, mixed: None, query: str
) -> None:
    answer = root.get(LIST + query, follow=True)

    assert answer.status_code == 200


@pytest.mark.once
@pytest.mark.parametrize("query", ["?category=no-such", "?enabled=perhaps", "?held=%00"])
def test_an_unknown_value_of_a_filter_matches_no_model(root: HttpClient, mixed: None, query: str) -> None:
    assert listed(root, query) == []


# --- pages ---


def test_a_page_holds_fifty_models_and_the_last_one_the_rest(root: HttpClient) -> None:
    rows = make_models(120)

    pages = [listed(root, f"?p={number}") for number in (1, 2, 3)]

    assert [len(page) for page in pages] == [50, 50, 20]
    assert [endpoint_id for page in pages for endpoint_id in page] == [row.endpoint_id for row in rows]


def test_the_database_is_asked_for_one_page_only(root: HttpClient) -> None:
    make_models(120)

    with CaptureQueriesContext(connection) as queries:
        read(root, f"{LIST}?p=2")

    rows = [query["sql"] for query in queries if '"catalog_aimodel"."thumbnail_url"' in query["sql"]]
    assert len(rows) == 1
    assert re.search(r"LIMIT 50\s+OFFSET 50", rows[0])


@pytest.mark.once
def test_nobody_can_ask_for_all_models_on_one_page(root: HttpClient) -> None:
    make_models(120)

    assert len(listed(root, "?all=")) == 50


@pytest.mark.once
def test_pages_keep_search_and_filters(root: HttpClient) -> None:
    make_models(120)

    links = [element.attributes["href"] for element in read(root, f"{LIST}?q=made&enabled=yes").all("a")]

    assert "?enabled=yes&p=2&q=made" in links


def test_columns_can_be_sorted(root: HttpClient, mixed: None) -> None:
    assert listed(root, "?o=-2") == sorted(listed(root), reverse=True)


# --- queries ---


def queries_of(client: HttpClient, url: str) -> int:
    with CaptureQueriesContext(connection) as queries:
        read(client, url)
    return len(queries)


@pytest.mark.once
@pytest.mark.parametrize("role", ["superuser", "viewer"])
def test_the_whole_recorded_catalog_is_listed_with_at_most_ten_queries(
    recorded_fal: Any, recorded_synced: Any, staff: Staff, role: str
) -> None:
    client = staff(role)
    filtered = f"{LIST}?q=flux&enabled=yes&media_type=image&status=active&provider=fal&held=-"

    assert count_of(read(client, LIST), "enabled", "All") > 1400
    assert max(queries_of(client, LIST), queries_of(client, filtered)) <= 10


@pytest.mark.once
@pytest.mark.parametrize("role", ["superuser", "catalog manager", "viewer"])
def test_five_hundred_models_need_as_many_queries_as_ten(staff: Staff, role: str) -> None:
    client = staff(role)
    rows = make_models(10)
    few = queries_of(client, LIST)

    AIModel.objects.bulk_create(
        AIModel(provider=rows[0].provider, endpoint_id=f"more/{number}", name=str(number), category=f"c{number % 30}")
        for number in range(490)
    )

    assert queries_of(client, LIST) == few


# --- an empty list ---


@pytest.mark.once
def test_an_empty_list_says_what_to_do(root: HttpClient) -> None:
    page = read(root, LIST)

    assert "No models yet." in page.text
    assert "Sync now" in page.text
    assert "/admin/providers" in page.one("p", "gf-empty").text or page.has("a", href="/admin/providers")


@pytest.mark.once
def test_a_search_without_a_hit_does_not_call_the_catalog_empty(root: HttpClient, mixed: None) -> None:
    assert "No models yet." not in read(root, f"{LIST}?q=nothing-like-this").text


# --- what a row shows ---


@pytest.mark.once
def test_a_row_says_whether_the_model_is_offered_and_if_not_why(root: HttpClient, mixed: None) -> None:
    states = dict(zip(listed(root), [badge.text for badge in read(root, LIST).all("span", "gf-badge")], strict=True))

    assert states == {
        "acme/voice": "enabled",
        "fal-ai/bare": "held: schema missing",
        "fal-ai/flux/dev": "enabled",
        "fal-ai/flux/schnell": "disabled",
        "fal-ai/gone": "held: retired",
        "fal-ai/old": "held: deprecated",
        "fal-ai/veo3": "enabled",
    }


@pytest.mark.once
def test_a_thumbnail_is_shown_lazily_and_tells_its_host_nothing(root: HttpClient) -> None:
    make_model(thumbnail_url="https://fal.media/files/a.webp")

    image = read(root, LIST).one("img", "gf-thumb")

    assert image.attributes["src"] == "https://fal.media/files/a.webp"
    assert (image.attributes["loading"], image.attributes["referrerpolicy"]) == ("lazy", "no-referrer")


@pytest.mark.once
@pytest.mark.parametrize(
    "url", ["", "javascript:alert(1)", "data:text/html,<script>alert(1)</script>", "//evil.example"]
)
def test_a_thumbnail_that_is_no_web_address_is_never_a_source(root: HttpClient, url: str) -> None:
    make_model(thumbnail_url=url)

    page = read(root, LIST)

    assert page.all("img", "gf-thumb") == []
    assert page.one("span", "gf-thumb-none").text == "image"


@pytest.mark.once
def test_what_a_provider_says_is_text_and_never_markup(root: HttpClient) -> None:
    attack = '"><script>alert(1)</script><img src=x onerror=alert(2)>'
    make_model(f"a/{attack}", name=attack, category=attack, media_type="<b>", thumbnail_url=f"https://x/{attack}")

    page = read(root, LIST)

    assert [element.text for element in page.all("script") if "alert" in element.text] == []
    assert [element.tag for element in page.elements if "onerror" in element.attributes] == []
    assert page.one("img", "gf-thumb").attributes["src"] == f"https://x/{attack}"
    assert ids(page) == [f"a/{attack}"]


# --- the switch of many ---


def run_action(client: HttpClient, action: str, rows: list[AIModel], **more: Any) -> Any:
    data = {"action": action, "index": "0", "_selected_action": [row.pk for row in rows], **more}
    return client.post(LIST, data, follow=True)


@pytest.mark.parametrize(("action", "is_on", "word"), [("disable", False, "off"), ("enable", True, "on")])
def test_twenty_models_are_switched_at_once(staff: Staff, action: str, is_on: bool, word: str) -> None:
    rows = make_models(30, enabled=not is_on, switch="off" if is_on else "auto")
    before = revisions.publish("before").number

    answer = run_action(staff("catalog manager"), action, rows[:20])

    assert Page(answer.content.decode()).messages == [f"{action.capitalize()}d: 20 models."]
    assert AIModel.objects.filter(enabled=is_on).count() == 20
    assert revisions.current().number == before + 1  # type: ignore[union-attr]
    events = AuditEvent.objects.filter(action=f"model.switched_{word}")
    assert sorted(events.values_list("object_name", flat=True)) == [row.endpoint_id for row in rows[:20]]
    assert set(events.values_list("actor_name", flat=True)) == {"a catalog manager"}


def test_an_action_on_all_models_of_a_filter_leaves_the_others_alone(root: HttpClient) -> None:
    images = make_models(60)
    videos = [make_model(f"fal-ai/video/{number}", media_type="video") for number in range(3)]

    root.post(
        f"{LIST}?media_type=image",
        {"action": "disable", "index": "0", "select_across": "1", "_selected_action": [images[0].pk]},
    )

    assert AIModel.objects.filter(enabled=False).count() == 60
    assert AIModel.objects.filter(enabled=True).count() == len(videos)


def test_switching_models_that_are_so_already_says_so_and_publishes_nothing(root: HttpClient) -> None:
    rows = make_models(2, switch="off", enabled=False)

    answer = run_action(root, "disable", rows)

    assert Page(answer.content.decode()).messages == ["2 already disabled; nothing changed."]
    assert revisions.current() is None


@pytest.mark.once
def test_enabling_a_model_without_schema_says_why_it_is_not_offered_yet(root: HttpClient) -> None:
    row = make_model("fal-ai/bare", schema_version=0, schema_state="missing")

    answer = run_action(root, "enable", [row])

    assert Page(answer.content.decode()).messages == [
        "Not offered yet: fal-ai/bare. The provider publishes no schema for this model, so its input can't be checked."
    ]


@pytest.mark.once
@pytest.mark.parametrize("role", ["viewer", "finance"])
def test_an_action_of_somebody_who_may_not_switch_changes_nothing(staff: Staff, role: str) -> None:
    rows = make_models(3)

    run_action(staff(role), "disable", rows)

    assert AIModel.objects.filter(enabled=True).count() == 3
    assert AuditEvent.objects.count() == 0
