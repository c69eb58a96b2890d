"""The content security policy, and that no page of ours needs it to be weaker."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client as HttpClient
from django.utils import timezone
from django_q.models import Schedule

from catalog.models import SyncRun
from genfeed.clients.keys import create_key
from genfeed.clients.models import Client
from genfeed.journal.alerts import raise_alert
from genfeed.journal.audit import SYSTEM
from genfeed.journal.models import Alert, AuditEvent
from tests.admin.pages import Page, page_of
from tests.factories import make_model

pytestmark = [pytest.mark.django_db, pytest.mark.once]


def directives(answer: Any) -> dict[str, set[str]]:
    """The policy of an answer, with the nonce of this one answer written as `nonce`."""
    parts = [part.split() for part in answer.headers["Content-Security-Policy"].split(";") if part.strip()]
    return {name: {re.sub(r"'nonce-[^']+'", "nonce", value) for value in values} for name, *values in parts}


def inline(page: Page) -> Iterator[str]:
    """Whatever a strict policy forbids or this one only lets pass by a nonce."""
    for element in page.elements:
        said = element.attributes
        if element.tag == "style" or "style" in said:
            yield f"<{element.tag} style>"
        if element.tag == "script" and "src" not in said and said.get("type") not in ("application/json", "text/json"):
            yield f"<script>{element.text[:60]}"
        yield from (f"<{element.tag} {name}>" for name in said if name.startswith("on"))
        yield from (
            f"<{element.tag} {name}={said[name]}>"
            for name in ("href", "src", "action", "formaction")
            if said.get(name, "").strip().lower().startswith("javascript:")
        )


def foreign(page: Page) -> Iterator[str]:
    """Scripts, styles and forms that are not from here."""
    for element in page.elements:
        for name in {"script": ["src"], "link": ["href"], "form": ["action"], "iframe": ["src"]}.get(element.tag, []):
            address = element.attributes.get(name, "")
            if re.match(r"(\w+:|//)", address):
                yield f"<{element.tag} {name}={address}>"


@dataclass(frozen=True)
class Answered:
    """What the admin answered for one of its pages."""

    status: int
    headers: Mapping[str, str]
    page: Page


# Of every page, asked for once: what a test says of all pages, it says of the same answers.
_answers: dict[str, Answered] = {}


@pytest.fixture
def answers(request: pytest.FixtureRequest) -> dict[str, Answered]:
    """The pages of `addresses`, by address, as a superuser sees them."""
    if not _answers:
        root = request.getfixturevalue("root")
        for address in request.getfixturevalue("addresses"):
            answer = root.get(address)
            _answers[address] = Answered(answer.status_code, answer.headers, page_of(answer))
    return _answers


@pytest.fixture
def addresses(db: None) -> list[str]:
    """Every kind of page that the admin has, filled."""
    row = make_model(thumbnail_url="https://fal.media/a.webp")
    bare = make_model("fal-ai/bare", schema_version=0, schema_state="missing")
    now = timezone.now()
    runs = [
        SyncRun.objects.create(provider=row.provider, status=status, started_at=now, finished_at=now, error=error)
        for status, error in (("succeeded", ""), ("failed", "503"), ("queued", ""))
    ]
    raise_alert("sync_failed", "fal", "The sync failed", url="/admin/")
    key, _ = create_key(Client.objects.create(name="Acme"), actor=SYSTEM)
    eve, group = User.objects.create_user("eve"), Group.objects.get(name="viewer")
    event, alert, schedule = AuditEvent.objects.get(), Alert.objects.get(), Schedule.objects.first()
    lists = [
        "catalog/aimodel", "catalog/provider", "catalog/syncrun", "clients/client", "clients/apikey",
        "journal/alert", "journal/auditevent", "journal/outboxevent", "auth/user", "auth/group",
        "django_q/schedule", "django_q/success", "django_q/failure", "django_q/ormq",
    ]  # fmt: skip
    rows = [
        f"catalog/aimodel/{row.pk}", f"catalog/aimodel/{bare.pk}", f"catalog/provider/{row.provider_id}",
        *(f"catalog/syncrun/{run.pk}" for run in runs),
        f"clients/client/{key.client_id}", f"clients/apikey/{key.pk}", f"journal/alert/{alert.pk}",
        f"journal/auditevent/{event.pk}", f"auth/user/{eve.pk}", f"auth/group/{group.pk}",
        f"django_q/schedule/{schedule.pk}",
    ]  # fmt: skip
    return [
        "/admin/",
        *(f"/admin/{address}/" for address in lists),
        *(f"/admin/{address}/change/" for address in rows),
        *(f"/admin/{address}/add/" for address in ("clients/client", "clients/apikey", "auth/user")),
        "/admin/password_change/",
    ]


def test_every_address_has_a_page(answers: dict[str, Answered]) -> None:
    assert len(answers) > 30
    assert {address: answer.status for address, answer in answers.items() if answer.status != 200} == {}


def test_no_page_has_inline_scripts_styles_or_handlers(answers: dict[str, Answered]) -> None:
    found = {address: list(inline(answer.page)) for address, answer in answers.items()}

    assert {address: what for address, what in found.items() if what} == {}


def test_no_page_loads_scripts_or_styles_from_elsewhere(answers: dict[str, Answered]) -> None:
    found = {address: list(foreign(answer.page)) for address, answer in answers.items()}

    assert {address: what for address, what in found.items() if what} == {}


def test_every_page_carries_the_strict_policy(answers: dict[str, Answered]) -> None:
    strict = {
        "default-src": {"'self'"},
        "object-src": {"'none'"},
        "base-uri": {"'none'"},
        "frame-ancestors": {"'none'"},
        "form-action": {"'self'"},
    }

    weaker = {}
    for address, answer in answers.items():
        said = directives(answer)
        scripts = said["script-src"] | said["style-src"]
        if not (strict.items() <= said.items() and scripts <= {"'self'", "nonce"}):
            weaker[address] = said

    assert weaker == {}


def test_a_nonce_is_never_used_twice(root: HttpClient) -> None:
    found = [re.findall(r"'nonce-([^']+)'", root.get("/admin/").headers["Content-Security-Policy"]) for _ in range(2)]

    assert found[0] != []
    assert found[0] != found[1]


def test_the_page_that_shows_a_new_key_is_as_strict(root: HttpClient) -> None:
    acme = Client.objects.create(name="Acme")

    answer = root.post("/admin/clients/apikey/add/", {"client": acme.pk, "name": "web", "scopes": ["models:read"]})

    assert page_of(answer).has(data_testid="new-api-key")
    assert list(inline(page_of(answer))) == []
    assert directives(answer)["default-src"] == {"'self'"}


def test_the_page_that_checks_an_input_is_as_strict(root: HttpClient) -> None:
    row = make_model()

    answer = root.post(f"/admin/catalog/aimodel/{row.pk}/change/", {"input": '{"num_images": 9}'})

    assert list(inline(page_of(answer))) == []
    assert directives(answer)["script-src"] <= {"'self'", "nonce"}


def test_the_login_is_as_strict(client: HttpClient) -> None:
    answer = client.get("/admin/login/")

    assert list(inline(page_of(answer))) == []
    assert directives(answer)["form-action"] == {"'self'"}


@pytest.mark.parametrize(("status", "address"), [(404, "/admin/no/such/page/"), (404, "/nothing-here")])
def test_pages_of_errors_carry_the_policy_too(root: HttpClient, status: int, address: str) -> None:
    answer = root.get(address)

    assert answer.status_code == status
    assert directives(answer)["default-src"] == {"'self'"}


def test_a_refusal_carries_the_policy_too(staff: Callable[[str], HttpClient]) -> None:
    answer = staff("viewer").get("/admin/auth/user/")

    assert answer.status_code == 403
    assert directives(answer)["default-src"] == {"'self'"}


def test_no_page_may_be_framed_or_sniffed(root: HttpClient) -> None:
    headers = root.get("/admin/").headers

    assert (headers["X-Frame-Options"], headers["X-Content-Type-Options"]) == ("DENY", "nosniff")
    assert headers["Referrer-Policy"] == "same-origin"


def test_no_page_of_the_admin_is_kept_by_a_cache(answers: dict[str, Answered]) -> None:
    kept = {address for address, answer in answers.items() if "no-store" not in answer.headers.get("Cache-Control", "")}

    # An empty form, the same for everybody.
    assert kept <= {"/admin/password_change/"}


def test_the_playground_has_the_strictest_policy_and_nothing_inline(client: HttpClient) -> None:
    answer = client.get("/playground")

    policy = directives(answer)
    assert policy["default-src"] == policy["form-action"] == {"'none'"}
    assert policy["script-src"] == policy["style-src"] == {"'self'"}
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", answer.content.decode())
    assert not answer.cookies
