"""A client's own keys at providers: checked when they come in, sealed, shown by their end alone; in core mode only."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from django.contrib.auth.models import User
from django.test import Client as HttpClient

from catalog.models import Provider
from catalog.providers import queue
from catalog.providers.base import KeyCheck
from genfeed.clients.models import Client, ProviderKey
from genfeed.clients.provider_keys import keep_key
from genfeed.clients.sealing import unseal
from genfeed.journal.audit import SYSTEM
from genfeed.journal.models import AuditEvent
from tests.sandbox_server import RunningSandbox

pytestmark = [pytest.mark.django_db, pytest.mark.once]

KEYS = "/api/v1/provider-keys"
ALICE = "alice:alice-secret-of-the-provider-4711"


@pytest.fixture(autouse=True)
def core(settings: Any) -> None:
    settings.GENFEED_MODE = "core"
    settings.FAL_RETRY_DELAY = 0.01


@pytest.fixture
def alice(make_key: Callable[..., str]) -> HttpClient:
    return HttpClient(headers={"Authorization": f"Bearer {make_key('keys', client='Alice')}"})


def put(http: HttpClient, key: str, provider: str = "fal") -> Any:
    return http.put(f"{KEYS}/{provider}", orjson.dumps({"key": key}), content_type="application/json")


def test_a_key_that_the_provider_accepts_is_kept_sealed_and_shown_by_its_end_alone(
    alice: HttpClient, fal: RunningSandbox
) -> None:
    fal.account(ALICE, "alice")

    answer = put(alice, ALICE)

    assert (answer.status_code, answer.json()["state"], answer.json()["hint"]) == (200, "valid", "4711")
    row = ProviderKey.objects.get()
    assert unseal(row.sealed) == ALICE
    shown = answer.content + alice.get(KEYS).content + str(AuditEvent.objects.values_list()).encode()
    assert b"secret-of-the-provider" not in shown + repr(vars(row)).encode()


def test_a_key_is_never_told_to_a_sandbox_that_stands_in_for_the_provider(
    alice: HttpClient, fal: RunningSandbox, settings: Any
) -> None:
    settings.SANDBOX_STANDS_FOR = ["fal"]
    before = len(fal.client.get("/_sandbox/requests").json()["requests"])

    refused, taken = put(alice, ALICE), put(alice, settings.SANDBOX_KEY)

    assert (refused.status_code, refused.json()["code"]) == (503, "not_configured")
    assert "--no-sandbox" in refused.json()["hint"]
    assert taken.json()["state"] == "valid"
    calls = fal.client.get("/_sandbox/requests").json()["requests"][before:]
    assert calls
    assert "alice" not in {one["key_id"] for one in calls}


def test_a_key_that_the_provider_refuses_is_told_and_changes_nothing(alice: HttpClient, fal: RunningSandbox) -> None:
    fal.account(ALICE, "alice")
    put(alice, ALICE)

    answer = put(alice, "mallory:not-a-key-at-all")

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert "fal refuses this key" in answer.json()["message"]
    assert b"not-a-key-at-all" not in answer.content
    assert unseal(ProviderKey.objects.get().sealed) == ALICE


def test_a_key_whose_account_has_no_credit_is_kept_and_told(alice: HttpClient, fal: RunningSandbox) -> None:
    # Credit is shown to keys of scope ADMIN alone.
    fal.account(ALICE, "alice", balance=0, admin=True)

    assert put(alice, ALICE).json()["state"] == "exhausted"

    fal.account(ALICE, "alice", balance=5, admin=True)
    assert alice.post(f"{KEYS}/fal/check").json()["state"] == "valid"


def test_a_check_of_the_key_before_says_nothing_of_the_new_one(
    alice: HttpClient, fal: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    fal.account(ALICE, "alice")
    put(alice, ALICE)
    new = ALICE.replace("4711", "4712")

    def meanwhile(provider: str, key: str) -> KeyCheck:
        row = ProviderKey.objects.get()
        keep_key(row.client, provider, new, state="valid", detail="It is good.", actor=SYSTEM)
        return KeyCheck("invalid", "The provider refuses this key.")

    monkeypatch.setattr(queue, "check_key", meanwhile)
    told = alice.post(f"{KEYS}/fal/check").json()

    row = ProviderKey.objects.get()
    assert (unseal(row.sealed), row.state, row.detail) == (new, "valid", "It is good.")
    assert (told["state"], told["hint"]) == ("valid", "4712")


def test_a_page_does_not_wait_for_a_check_of_more_than_five_keys(
    staff: Callable[[str], HttpClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def check(_: str, key: str) -> KeyCheck:
        asked.append(key)
        return KeyCheck("valid", "It is good.")

    monkeypatch.setattr(queue, "check_key", check)
    rows = [
        keep_key(Client.objects.create(name=f"C{number}"), "fal", ALICE, state="valid", detail="", actor=SYSTEM)
        for number in range(6)
    ]
    http = staff("superuser")

    def check_all(some: list[ProviderKey]) -> str:
        chosen = {"action": "check_keys", "_selected_action": [row.pk for row in some]}
        return http.post("/admin/clients/providerkey/", chosen, follow=True).content.decode()

    assert "Select up to 5 keys" in check_all(rows)
    assert asked == []
    check_all(rows[:5])
    assert len(asked) == 5


def test_a_key_that_could_not_be_checked_is_kept_with_a_note(
    alice: HttpClient, fal: RunningSandbox, settings: Any
) -> None:
    settings.FAL_PLATFORM_URL = "http://127.0.0.1:9"

    answer = put(alice, ALICE).json()

    assert (answer["state"], answer["checked_at"]) == ("unchecked", None)
    assert "could not be checked" in answer["detail"]


def test_a_key_is_another_clients_secret(alice: HttpClient, fal: RunningSandbox, make_key: Callable[..., str]) -> None:
    fal.account(ALICE, "alice")
    put(alice, ALICE)
    bob = HttpClient(headers={"Authorization": f"Bearer {make_key('keys', client='Bob')}"})

    assert bob.get(KEYS).json() == {"items": []}
    assert bob.delete(f"{KEYS}/fal").status_code == 404
    assert ProviderKey.objects.count() == 1


def test_a_removed_key_is_gone(alice: HttpClient, fal: RunningSandbox) -> None:
    fal.account(ALICE, "alice")
    put(alice, ALICE)

    assert alice.delete(f"{KEYS}/fal").status_code == 204
    assert not ProviderKey.objects.exists()


@pytest.mark.parametrize("text", ["short", "with a blank inside", "schlüssel-mit-umlaut"])
def test_what_no_header_can_carry_is_no_key(alice: HttpClient, fal: RunningSandbox, text: str) -> None:
    answer = put(alice, text)

    assert answer.status_code == 400
    assert text not in answer.json()["message"]


def test_an_unknown_provider_is_refused_by_name(alice: HttpClient, fal: RunningSandbox) -> None:
    assert "'nobody'" in put(alice, ALICE, "nobody").json()["message"]


def test_in_cloud_mode_there_are_no_own_keys(alice: HttpClient, settings: Any, fal: RunningSandbox) -> None:
    settings.GENFEED_MODE = "cloud"

    for answer in (put(alice, ALICE), alice.get(KEYS)):
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden_scope")


def test_an_admin_sets_a_key_that_no_page_shows(staff: Callable[[str], HttpClient], fal: RunningSandbox) -> None:
    fal.account(ALICE, "alice")
    client = Client.objects.create(name="Alice")
    http = staff("superuser")

    posted = http.post(
        "/admin/clients/providerkey/add/", {"client": client.pk, "provider": "fal", "key": ALICE}, follow=True
    )

    row = ProviderKey.objects.get()
    page = http.get(f"/admin/clients/providerkey/{row.pk}/change/")
    assert (row.state, unseal(row.sealed)) == ("valid", ALICE)
    assert "…4711" in page.content.decode()
    for answer in (posted, page):
        assert b"secret-of-the-provider" not in answer.content


def test_an_admin_is_told_of_a_key_that_the_provider_refuses(
    staff: Callable[[str], HttpClient], fal: RunningSandbox
) -> None:
    client = Client.objects.create(name="Alice")

    page = staff("superuser").post(
        "/admin/clients/providerkey/add/", {"client": client.pk, "provider": "fal", "key": "mallory:no-such-key"}
    )

    assert b"fal refuses this key" in page.content
    assert b"no-such-key" not in page.content
    assert not ProviderKey.objects.exists()


def test_own_keys_are_no_page_of_cloud_mode(staff: Callable[[str], HttpClient], settings: Any) -> None:
    settings.GENFEED_MODE = "cloud"
    http = staff("superuser")

    assert "own provider key" not in http.get("/admin/").content.decode().lower()
    assert http.get("/admin/clients/providerkey/add/").status_code == 403
    assert User.objects.get().is_superuser


def test_admn_09_the_providers_page_shows_its_configuration_with_the_names_that_set_it(
    staff: Callable[[str], HttpClient], fal: RunningSandbox, settings: Any
) -> None:
    settings.FAL_KEY, settings.FAL_MAX_CONCURRENT = "operator:secret-of-the-operator-0042", 17
    settings.PUBLIC_URL = "https://media.example.com"
    http = staff("superuser")
    http.get("/admin/")  # Makes the rows of the providers.

    page = http.get(f"/admin/catalog/provider/{Provider.objects.get(slug='fal').pk}/change/").content.decode()

    for shown in (
        "FAL_MAX_CONCURRENT", ">17<", "set, ends in 0042", "https://media.example.com/webhooks/fal/…",
        "Default models", "none: chosen on a model", "Answers from stored results", "for requests that allow it",
    ):  # fmt: skip
        assert shown in page
    assert "secret-of-the-operator" not in page
