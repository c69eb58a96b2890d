"""The admin API of models: the list with everything, the switch of one, the switches of many."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client as HttpClient

from catalog import availability
from catalog.models import AIModel, CatalogState
from genfeed.journal.models import AuditEvent
from tests.factories import make_model, make_models, publish_now

pytestmark = pytest.mark.django_db

LIST = "/api/v1/admin/models"
FLUX = "fal-ai/flux/dev"


def toggle(client: HttpClient, address: str = FLUX, **body: Any) -> HttpResponse:
    if not body:
        return client.generic("POST", f"{LIST}/{address}/toggle")
    return client.post(f"{LIST}/{address}/toggle", body, content_type="application/json")


def bulk_toggle(client: HttpClient, ids: list[str], enabled: bool, **more: Any) -> HttpResponse:
    body = {"ids": ids, "enabled": enabled, **more}
    return client.post(f"{LIST}/bulk-toggle", body, content_type="application/json")


def offered() -> set[str]:
    return set(AIModel.objects.filter(enabled=True).values_list("endpoint_id", flat=True))


def switch_events() -> list[AuditEvent]:
    return list(AuditEvent.objects.filter(action__startswith="model.switched").order_by("object_name"))


def revision() -> int:
    return CatalogState.objects.get().revision


@pytest.fixture
def three() -> None:
    make_model("a/1")
    make_model("b/2")
    make_model("c/3", switch="off")
    publish_now()


# --- the list ---


def test_the_list_holds_all_models_each_with_the_reason(admin_api: HttpClient) -> None:
    make_model("a/offered")
    make_model("b/off", switch="off")
    make_model("c/retired", status="retired")
    make_model("d/no-schema", schema_version=0, schema_state="missing")
    publish_now()

    items = admin_api.get(LIST).json()["items"]

    assert [(item["id"], item["enabled"], item["held_reason"]) for item in items] == [
        ("a/offered", True, None),
        ("b/off", False, None),
        ("c/retired", False, "The provider no longer lists this model."),
        (
            "d/no-schema",
            False,
            "The provider publishes no schema for this model, so its input can't be checked.",
        ),
    ]


@pytest.mark.once
@pytest.mark.parametrize(("enabled", "expected"), [("true", ["a/1", "b/2"]), ("false", ["c/3"])])
def test_the_list_can_be_narrowed_to_enabled_or_disabled(
    admin_api: HttpClient, three: None, enabled: str, expected: list[str]
) -> None:
    items = admin_api.get(LIST, {"enabled": enabled}).json()["items"]

    assert [item["id"] for item in items] == expected


@pytest.mark.once
def test_the_list_has_the_filters_and_pages_of_the_clients_list(admin_api: HttpClient, three: None) -> None:
    page = admin_api.get(LIST, {"media_type": "image", "limit": 2}).json()
    rest = admin_api.get(LIST, {"media_type": "image", "limit": 2, "cursor": page["next_cursor"]}).json()

    assert [item["id"] for item in page["items"] + rest["items"]] == ["a/1", "b/2", "c/3"]
    assert admin_api.get(LIST, {"enbled": "true"}).status_code == 400


@pytest.mark.once
def test_the_admin_s_answer_is_never_kept_for_a_client(api: HttpClient, admin_api: HttpClient, three: None) -> None:
    admin_api.get(LIST)

    assert b"c/3" not in api.get("/api/v1/models").content


# --- one switch ---


def test_a_model_is_switched_off(admin_api: HttpClient, three: None) -> None:
    before = revision()

    answer = toggle(admin_api, "a/1", enabled=False)

    assert (answer.status_code, answer.json()) == (200, {"changed": ["a/1"], "unchanged": [], "held": {}})
    row = AIModel.objects.get(endpoint_id="a/1")
    assert (row.enabled, row.switch, row.revision) == (False, "off", before + 1)
    assert offered() == {"b/2"}


@pytest.mark.once
def test_a_model_is_switched_on(admin_api: HttpClient, three: None) -> None:
    assert toggle(admin_api, "c/3", enabled=True).json()["changed"] == ["c/3"]

    assert offered() == {"a/1", "b/2", "c/3"}


@pytest.mark.once
def test_without_a_word_the_switch_is_turned_over(admin_api: HttpClient, three: None) -> None:
    toggle(admin_api, "a/1")
    assert offered() == {"b/2"}

    toggle(admin_api, "a/1")
    assert offered() == {"a/1", "b/2"}


@pytest.mark.once
def test_a_switch_that_is_so_already_changes_nothing(admin_api: HttpClient, three: None) -> None:
    before = revision()

    answer = toggle(admin_api, "c/3", enabled=False)

    assert answer.json() == {"changed": [], "unchanged": ["c/3"], "held": {}}
    assert revision() == before
    assert switch_events() == []


@pytest.mark.once
def test_a_held_model_keeps_the_decision_and_says_why_it_waits(admin_api: HttpClient) -> None:
    make_model(FLUX, schema_version=0, schema_state="missing")
    publish_now()

    answer = toggle(admin_api, enabled=True)

    words = "The provider publishes no schema for this model, so its input can't be checked."
    assert answer.json() == {"changed": [FLUX], "unchanged": [], "held": {FLUX: words}}
    row = AIModel.objects.get()
    assert (row.switch, row.enabled, row.held_reason) == ("on", False, "schema_missing")


@pytest.mark.once
def test_a_deprecated_model_is_offered_once_a_person_switches_it_on(admin_api: HttpClient) -> None:
    make_model(FLUX, status="deprecated")
    publish_now()

    assert toggle(admin_api, enabled=True).json() == {"changed": [FLUX], "unchanged": [], "held": {}}
    assert offered() == {FLUX}


def test_the_audit_tells_who_switched_what_and_why(admin_api: HttpClient, three: None) -> None:
    answer = toggle(admin_api, "a/1", enabled=False, reason="Too slow.")

    (event,) = switch_events()
    row = AIModel.objects.get(endpoint_id="a/1")
    assert (event.action, event.actor_name) == ("model.switched_off", "API key default of Operator")
    assert (event.object_type, event.object_id, event.object_name) == ("catalog.aimodel", str(row.pk), "a/1")
    assert event.before == {"switch": "auto", "enabled": True}
    assert event.after == {"switch": "off", "enabled": False}
    assert event.reason == "Too slow."
    assert event.request_id == answer.headers["X-Request-Id"]


@pytest.mark.once
def test_switching_an_unknown_model_is_a_404_with_the_nearest(admin_api: HttpClient, three: None) -> None:
    answer = toggle(admin_api, "fal:c/33")

    body = answer.json()
    assert (answer.status_code, body["code"]) == (404, "model_not_found")
    assert body["details"] == {"nearest": ["c/3"]}


@pytest.mark.once
def test_switching_an_id_of_two_providers_changes_neither(admin_api: HttpClient, three: None) -> None:
    make_model("a/1", provider="replicate")
    publish_now()

    answer = toggle(admin_api, "a/1", enabled=False)

    assert (answer.status_code, answer.json()["code"]) == (409, "model_ambiguous")
    assert AIModel.objects.filter(endpoint_id="a/1", enabled=True).count() == 2
    toggle(admin_api, "replicate:a/1", enabled=False)
    assert AIModel.objects.get(endpoint_id="a/1", enabled=True).provider.slug == "fal"


@pytest.mark.once
def test_unknown_fields_are_refused_and_nothing_is_switched(admin_api: HttpClient, three: None) -> None:
    answer = toggle(admin_api, "a/1", enable=False)

    assert answer.status_code == 400
    assert answer.json()["details"]["problems"][0]["path"] == "enable"
    assert offered() == {"a/1", "b/2"}


# --- many switches ---


def test_many_models_are_switched_in_one_revision(admin_api: HttpClient) -> None:
    rows = make_models(600)
    before = publish_now()

    answer = bulk_toggle(admin_api, [row.endpoint_id for row in rows], False)

    assert len(answer.json()["changed"]) == 600
    assert offered() == set()
    assert revision() == before + 1
    assert set(AIModel.objects.values_list("revision", flat=True)) == {before + 1}
    assert len(switch_events()) == 600


@pytest.mark.once
def test_what_changed_and_what_was_so_already_are_told_apart(admin_api: HttpClient, three: None) -> None:
    answer = bulk_toggle(admin_api, ["a/1", "fal:c/3"], False, reason="Cleaning up.")

    assert answer.json() == {"changed": ["a/1"], "unchanged": ["c/3"], "held": {}}
    assert offered() == {"b/2"}
    assert [(event.object_name, event.reason) for event in switch_events()] == [("a/1", "Cleaning up.")]


def test_one_unknown_id_stops_all_switches_and_is_named(admin_api: HttpClient, three: None) -> None:
    before = revision()

    answer = bulk_toggle(admin_api, ["a/1", "no/such", "b/2", "nor/this"], False)

    body = answer.json()
    assert (answer.status_code, body["code"]) == (404, "model_not_found")
    assert body["message"] == "2 of these models do not exist; nothing was changed."
    assert body["details"] == {"unknown": ["no/such", "nor/this"]}
    assert offered() == {"a/1", "b/2"}
    assert revision() == before
    assert switch_events() == []


def test_switches_that_can_not_all_be_written_down_are_none(
    admin_api: HttpClient, three: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(availability, "record", fail)
    admin_api.raise_request_exception = False
    before = revision()

    answer = bulk_toggle(admin_api, ["a/1", "b/2"], False)

    assert answer.status_code == 500
    assert offered() == {"a/1", "b/2"}
    assert revision() == before


@pytest.mark.once
def test_one_ambiguous_id_stops_all_switches(admin_api: HttpClient, three: None) -> None:
    make_model("b/2", provider="replicate")
    publish_now()

    answer = bulk_toggle(admin_api, ["a/1", "b/2"], False)

    assert (answer.status_code, answer.json()["code"]) == (409, "model_ambiguous")
    assert AIModel.objects.filter(enabled=True).count() == 3


@pytest.mark.once
def test_an_id_that_is_named_twice_is_switched_once(admin_api: HttpClient, three: None) -> None:
    answer = bulk_toggle(admin_api, ["a/1", "a/1", "fal:a/1"], False)

    assert answer.json()["changed"] == ["a/1"]
    assert len(switch_events()) == 1


@pytest.mark.once
def test_held_models_are_reported_beside_those_that_are_offered_now(admin_api: HttpClient, three: None) -> None:
    make_model("d/4", status="retired")
    publish_now()

    answer = bulk_toggle(admin_api, ["c/3", "d/4"], True)

    assert answer.json() == {
        "changed": ["c/3", "d/4"],
        "unchanged": [],
        "held": {"d/4": "The provider no longer lists this model."},
    }
    assert offered() == {"a/1", "b/2", "c/3"}


@pytest.mark.once
@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"ids": [], "enabled": True}, "ids"),
        ({"ids": ["a"] * 5001, "enabled": True}, "ids"),
        ({"ids": ["a/1"]}, "enabled"),
        ({"enabled": True}, "ids"),
        ({"ids": "a/1", "enabled": True}, "ids"),
        ({"ids": ["a/1"], "enabled": True, "reason": "x" * 501}, "reason"),
    ],
)
def test_a_body_out_of_bounds_is_refused_by_name(
    admin_api: HttpClient, three: None, body: dict[str, Any], path: str
) -> None:
    answer = admin_api.post(f"{LIST}/bulk-toggle", body, content_type="application/json")

    assert answer.status_code == 400
    assert answer.json()["details"]["problems"][0]["path"] == path
    assert offered() == {"a/1", "b/2"}


# --- who may ---


@pytest.mark.once
@pytest.mark.parametrize("role", ["viewer", "finance"])
def test_a_role_that_only_looks_may_list_but_not_switch(
    staff: Callable[[str], HttpClient], three: None, role: str
) -> None:
    client = staff(role)

    assert client.get(LIST).status_code == 200
    for answer in (toggle(client, "a/1", enabled=False), bulk_toggle(client, ["a/1"], False)):
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden_scope")
        assert answer.json()["message"] == "Your account lacks the permission catalog.switch_aimodel."
    assert offered() == {"a/1", "b/2"}
    assert switch_events() == []


@pytest.mark.once
@pytest.mark.parametrize("role", ["catalog manager", "superuser"])
def test_a_role_that_manages_the_catalog_may_switch(staff: Callable[[str], HttpClient], three: None, role: str) -> None:
    client = staff(role)

    assert toggle(client, "a/1", enabled=False).status_code == 200
    assert bulk_toggle(client, ["b/2"], False).status_code == 200
    assert offered() == set()
    assert {event.actor for event in switch_events()} == {User.objects.get()}


@pytest.mark.once
def test_staff_without_a_role_may_not_even_look(three: None) -> None:
    client = HttpClient()
    client.force_login(User.objects.create_user("new here", is_staff=True))

    answer = client.get(LIST)

    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden_scope")
    assert b"a/1" not in answer.content


@pytest.mark.once
@pytest.mark.parametrize("path", ["", "/bulk-toggle", f"/{FLUX}/toggle"])
def test_without_credentials_there_is_nothing_to_see(path: str) -> None:
    client = HttpClient()
    answer = client.generic("POST" if path else "GET", f"{LIST}{path}")

    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
