"""Who may call the API, and how they say who they are."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.http import HttpResponse
from django.test import Client as HttpClient

from catalog.models import AIModel
from genfeed.clients import keys
from genfeed.clients.models import ApiKey, Client
from genfeed.journal.audit import SYSTEM
from genfeed.journal.models import AuditEvent
from tests.factories import make_model, publish_now

pytestmark = [pytest.mark.django_db, pytest.mark.once]

MODELS = "/api/v1/models"
TOGGLE = "/api/v1/admin/models/fal-ai/flux/dev/toggle"


def toggle(client: HttpClient, **headers: str) -> HttpResponse:
    """Without a body: the switch is turned over."""
    return client.generic("POST", TOGGLE, headers=headers)


def assert_refused(answer: HttpResponse, status: int, code: str) -> dict[str, Any]:
    body = answer.json()
    assert (answer.status_code, body["code"]) == (status, code)
    return body


def test_a_bearer_key_is_accepted(make_key: Callable[..., str]) -> None:
    answer = HttpClient().get(MODELS, headers={"Authorization": f"Bearer {make_key()}"})

    assert answer.status_code == 200


def test_the_word_bearer_may_be_written_in_any_case(make_key: Callable[..., str]) -> None:
    answer = HttpClient().get(MODELS, headers={"Authorization": f"bearer  {make_key()} "})

    assert answer.status_code == 200


def test_the_header_x_api_key_is_accepted(make_key: Callable[..., str]) -> None:
    answer = HttpClient().get(MODELS, headers={"X-API-Key": make_key()})

    assert answer.status_code == 200


def test_a_key_in_the_query_string_is_not_accepted(make_key: Callable[..., str]) -> None:
    answer = HttpClient().get(MODELS, {"api_key": make_key()})

    assert_refused(answer, 401, "unauthorized")


def test_a_request_without_credentials_is_told_how_to_get_some() -> None:
    body = assert_refused(HttpClient().get(MODELS), 401, "unauthorized")

    assert body["message"] == "This request carries no API key."
    assert "Authorization: Bearer gf_" in body["hint"]
    assert "create_client" in body["hint"]


@pytest.mark.parametrize("header", ["Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "gf_bare"])
def test_an_authorization_header_without_a_bearer_key_counts_as_none(header: str) -> None:
    body = assert_refused(HttpClient().get(MODELS, headers={"Authorization": header}), 401, "unauthorized")

    assert body["message"] == "This request carries no API key."


def test_an_unknown_key_is_refused_without_being_repeated() -> None:
    answer = HttpClient().get(MODELS, headers={"Authorization": "Bearer gf_guessed"})

    body = assert_refused(answer, 401, "unauthorized")
    assert body["message"] == "The API key is unknown, expired or revoked."
    assert "gf_guessed" not in answer.content.decode()


def test_a_revoked_key_is_refused(make_key: Callable[..., str]) -> None:
    client = HttpClient(headers={"Authorization": f"Bearer {make_key()}"})
    assert client.get(MODELS).status_code == 200

    keys.revoke_key(ApiKey.objects.get(), actor=SYSTEM)

    assert_refused(client.get(MODELS), 401, "unauthorized")


def test_a_missing_scope_is_named_with_those_that_the_key_has(api: HttpClient) -> None:
    body = assert_refused(api.get("/api/v1/admin/models"), 403, "forbidden_scope")

    assert body["message"] == "This key lacks the scope admin."
    assert body["hint"] == "Use a key with the scope admin; this one has: models:read."


def test_a_key_without_any_scope_may_read_nothing() -> None:
    _, text = keys.create_key(Client.objects.create(name="Acme"), actor=SYSTEM, scopes=[])

    body = assert_refused(HttpClient().get(MODELS, headers={"X-API-Key": text}), 403, "forbidden_scope")
    assert body["hint"].endswith("this one has: none.")


def test_a_key_without_the_scope_changes_nothing(api: HttpClient) -> None:
    make_model()
    publish_now()

    assert_refused(toggle(api), 403, "forbidden_scope")

    assert AIModel.objects.get().switch == "auto"
    assert AuditEvent.objects.filter(action__startswith="model.").count() == 0


def test_a_key_with_the_scope_admin_may_read_too(admin_api: HttpClient) -> None:
    assert admin_api.get(MODELS).status_code == 200
    assert admin_api.get("/api/v1/admin/models").status_code == 200


def test_the_session_of_staff_is_accepted(staff: Callable[[str], HttpClient]) -> None:
    assert staff("viewer").get(MODELS).status_code == 200
    assert staff("superuser").get("/api/v1/admin/models").status_code == 200


def test_the_session_of_somebody_who_is_no_staff_is_refused() -> None:
    client = HttpClient()
    client.force_login(User.objects.create_user("visitor", password="x"))

    assert_refused(client.get(MODELS), 401, "unauthorized")


def test_the_session_of_staff_who_left_is_refused(staff: Callable[[str], HttpClient]) -> None:
    client = staff("viewer")
    User.objects.update(is_active=False)

    assert_refused(client.get(MODELS), 401, "unauthorized")


def test_a_wrong_key_is_not_rescued_by_a_session(staff: Callable[[str], HttpClient]) -> None:
    answer = staff("superuser").get(MODELS, headers={"Authorization": "Bearer gf_wrong"})

    assert_refused(answer, 401, "unauthorized")


def strict_browser(role: str = "catalog manager") -> HttpClient:
    """Logged in as staff, and held to CSRF as a browser is."""
    user = User.objects.create_user("browsing", password="x", is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    client = HttpClient(enforce_csrf_checks=True)
    client.force_login(user)
    return client


def test_a_post_of_a_session_without_csrf_token_is_refused() -> None:
    make_model()
    publish_now()

    body = assert_refused(toggle(strict_browser()), 403, "forbidden_scope")

    assert body["message"] == "The CSRF token is missing or wrong."
    assert body["hint"] == "Send the header X-CSRFToken."
    assert AIModel.objects.get().switch == "auto"


def test_a_post_of_a_session_with_csrf_token_is_accepted() -> None:
    make_model()
    publish_now()
    client = strict_browser()
    token = client.get("/admin/password_change/").cookies["csrftoken"].value

    answer = toggle(client, **{"X-CSRFToken": token})

    assert answer.status_code == 200
    assert AIModel.objects.get().switch == "off"


def test_a_get_of_a_session_needs_no_csrf_token() -> None:
    assert strict_browser().get(MODELS).status_code == 200


def test_a_post_with_a_key_needs_no_csrf_token(make_key: Callable[..., str]) -> None:
    make_model()
    publish_now()
    client = HttpClient(enforce_csrf_checks=True, headers={"Authorization": f"Bearer {make_key('admin')}"})

    assert toggle(client).status_code == 200


def test_the_audit_names_the_key_and_its_client(admin_api: HttpClient) -> None:
    make_model()
    publish_now()

    toggle(admin_api)

    event = AuditEvent.objects.get(action="model.switched_off")
    assert (event.actor_name, event.actor_id) == ("API key default of Operator", None)


def test_the_audit_names_the_member_of_staff(staff: Callable[[str], HttpClient]) -> None:
    make_model()
    publish_now()

    toggle(staff("catalog manager"))

    event = AuditEvent.objects.get(action="model.switched_off")
    assert (event.actor_name, event.actor) == ("a catalog manager", User.objects.get())
