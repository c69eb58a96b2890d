"""Webhook endpoints over HTTP: made, changed, tested, sent again, and nobody else's."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client as HttpClient

from genfeed.clients.keys import create_key
from genfeed.clients.models import Client
from genfeed.journal.audit import SYSTEM
from genfeed.journal.models import AuditEvent
from jobs.webhooks.fan_out import fan_out
from jobs.webhooks.models import WebhookDelivery, WebhookEndpoint
from tests.jobs.webhooks.conftest import tell
from tests.sandbox.receiver import Receiver

pytestmark = pytest.mark.django_db
URL = "https://example.com/hooks"
Work = Callable[[], None]


class Api:
    """Calls with a key of one client."""

    def __init__(self, name: str = "Acme", scopes: tuple[str, ...] = ("webhooks",)) -> None:
        self.client = Client.objects.get_or_create(name=name)[0]
        _, text = create_key(self.client, actor=SYSTEM, scopes=list(scopes))
        self.http = HttpClient(headers={"authorization": f"Bearer {text}"})

    def __call__(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        sent = {"data": b"" if body is None else body, "content_type": "application/json"}
        answer = getattr(self.http, method)(f"/api/v1{path}", **({} if method == "get" else sent))
        return answer.status_code, answer.json() if answer.content else None

    def make(self, url: str = URL, events: tuple[str, ...] = ("job.*",), **more: Any) -> dict[str, Any]:
        status, made = self("post", "/webhook-endpoints", {"url": url, "events": list(events), **more})
        assert status == 201, made
        return made


@pytest.fixture
def api() -> Api:
    return Api()


def test_an_endpoint_is_made_and_its_secret_shown_once(api: Api) -> None:
    made = api.make(description="the shop")
    status, shown = api("get", f"/webhook-endpoints/{made['id']}")

    assert made["secret"].startswith("whsec_")
    assert (status, shown) == (200, {name: value for name, value in made.items() if name != "secret"})
    assert (shown["url"], shown["events"], shown["description"]) == (URL, ["job.*"], "the shop")
    assert AuditEvent.objects.get(action="webhook_endpoint.made").object_id == made["id"]
    assert made["secret"] not in str(list(AuditEvent.objects.values()))


@pytest.mark.once
@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://example.com/x", "url must be an https address."),
        ("ftp://example.com/x", "only http and https"),
        ("https://user:pw@example.com/", "carries credentials"),
        ("https://127.0.0.1/x", "not on the public internet"),
        ("https://10.1.2.3/x", "not on the public internet"),
        ("https://2130706433/x", "not on the public internet"),
        ("https://0x7f.1/x", "not on the public internet"),
        ("https://[::1]/x", "not on the public internet"),
        ("https://[::ffff:10.0.0.1]/x", "not on the public internet"),
        ("https://[::7f00:1]/x", "not on the public internet"),
        ("https://[64:ff9b::a9fe:a9fe]/x", "not on the public internet"),
        ("https://[2002:7f00:1::]/x", "not on the public internet"),
        ("https://[fe80::1]/x", "not on the public internet"),
        ("https://[fd00:ec2::254]/x", "not on the public internet"),
        ("https://017700000001/x", "not on the public internet"),
        ("https://127.1/x", "not on the public internet"),
        ("https://①②⑦.⓪.⓪.①/x", "not on the public internet"),
        ("https://169.254.169.254./latest", "not on the public internet"),
        ("https://hooks.localhost/x", "not on the public internet"),
        ("https://localhost./x", "not on the public internet"),
        ("https://%31%32%37.0.0.1/x", "not well formed"),
        ("https://[fe80::1%25eth0]/x", "not well formed"),
        ("https://localhost/x", "not on the public internet"),
        ("https://example.com:0/x", "port 0 is not one of"),
        ("https://example.com:80@10.0.0.1/x", "carries credentials"),
        ("https://example.com\\@10.0.0.1/x", "carries credentials"),
        ("https://example.com:8443/x", "port 8443 is not one of"),
        ("https:///x", "names no host"),
        ("not a url", "not well formed"),
    ],
)
def test_an_address_that_can_not_be_called_is_refused_with_the_reason(api: Api, url: str, words: str) -> None:
    status, said = api("post", "/webhook-endpoints", {"url": url, "events": ["*"]})

    assert (status, said["code"]) == (400, "invalid_request")
    assert words in said["message"]
    assert WebhookEndpoint.objects.count() == 0


def test_an_unknown_event_is_refused_with_the_nearest(api: Api) -> None:
    status, said = api("post", "/webhook-endpoints", {"url": URL, "events": ["job.succeded"]})

    assert (status, said["message"]) == (
        400, "events: There is no event 'job.succeded'; did you mean job.succeeded?",
    )  # fmt: skip


@pytest.mark.once
@pytest.mark.parametrize(
    "body", [{"url": URL}, {"url": URL, "events": []}, {"url": URL, "events": ["*"], "secret": "mine"}, [], "x"]
)
def test_a_body_of_the_wrong_shape_is_refused(api: Api, body: Any) -> None:
    status, said = api("post", "/webhook-endpoints", body)

    assert (status, said["code"]) == (400, "invalid_request")


def test_too_many_endpoints_are_refused(api: Api, settings: Any) -> None:
    settings.MAX_WEBHOOK_ENDPOINTS = 1
    api.make()

    status, said = api("post", "/webhook-endpoints", {"url": URL, "events": ["*"]})

    assert (status, said["code"], WebhookEndpoint.objects.count()) == (409, "conflict", 1)


def test_an_endpoint_is_changed_and_switched_off(api: Api) -> None:
    made = api.make()

    status, shown = api(
        "patch", f"/webhook-endpoints/{made['id']}", {"events": ["model.*"], "is_active": False, "description": "off"}
    )

    assert (status, shown["events"], shown["is_active"], shown["description"]) == (200, ["model.*"], False, "off")
    assert api("post", f"/webhook-endpoints/{made['id']}/test")[0] == 409


def test_order_is_asked_for_and_shown(api: Api) -> None:
    made = api.make()
    status, shown = api("patch", f"/webhook-endpoints/{made['id']}", {"ordered": True})

    assert (made["ordered"], status, shown["ordered"]) == (False, 200, True)
    assert api.make(ordered=True)["ordered"] is True
    assert api("post", "/webhook-endpoints", {"url": URL, "events": ["*"], "ordered": "yes"})[0] == 400


def test_a_delivery_that_waits_behind_another_has_no_next_attempt_yet(api: Api, receiver: Receiver) -> None:
    api.make(receiver.url, ("*",), ordered=True)
    for _ in range(2):
        tell(api.client.pk)
    fan_out()

    shown = api("get", "/webhook-deliveries")[1]["items"]

    assert sorted(one["next_attempt_at"] is None for one in shown) == [False, True]


def test_a_change_to_a_private_address_is_refused(api: Api) -> None:
    made = api.make()

    assert api("patch", f"/webhook-endpoints/{made['id']}", {"url": "https://192.168.0.1/"})[0] == 400
    assert WebhookEndpoint.objects.get().url == URL


def test_an_endpoint_is_deleted(api: Api) -> None:
    made = api.make()

    assert api("delete", f"/webhook-endpoints/{made['id']}") == (204, None)
    assert api("get", f"/webhook-endpoints/{made['id']}")[0] == 404


def test_endpoints_are_listed_page_by_page(api: Api) -> None:
    ids = [api.make()["id"] for _ in range(3)]

    _, first = api("get", "/webhook-endpoints?limit=2")
    _, second = api("get", f"/webhook-endpoints?limit=2&cursor={first['next_cursor']}")

    assert [one["id"] for one in (*first["items"], *second["items"])] == ids[::-1]
    assert second["next_cursor"] is None
    assert all("secret" not in one for one in first["items"])


def test_another_clients_endpoint_and_deliveries_are_not_found(api: Api) -> None:
    made = api.make()
    _, sent = api("post", f"/webhook-endpoints/{made['id']}/test")
    other = Api("Other")

    own = [("get", ""), ("patch", ""), ("delete", ""), ("get", "/deliveries")]
    for method, path in [*own, ("post", "/rotate-secret"), ("post", "/test")]:
        body = {"is_active": False} if method == "patch" else None
        assert other(method, f"/webhook-endpoints/{made['id']}{path}", body)[0] == 404
    assert other("post", f"/webhook-deliveries/{sent['id']}/resend")[0] == 404
    assert other("get", "/webhook-deliveries")[1]["items"] == []
    assert WebhookEndpoint.objects.get().is_active


def test_a_key_without_the_scope_is_refused() -> None:
    status, said = Api(scopes=("jobs:read",))("get", "/webhook-endpoints")

    assert (status, said["code"]) == (403, "forbidden_scope")


def test_a_rotated_secret_is_new_and_says_until_when_both_sign(api: Api) -> None:
    made = api.make()

    status, said = api("post", f"/webhook-endpoints/{made['id']}/rotate-secret", {"overlap_seconds": 60})

    assert status == 200
    assert said["secret"] != made["secret"]
    assert said["secret_rotates_until"] is not None


def test_the_secret_of_jobs_is_read_and_rotated(api: Api) -> None:
    _, first = api("get", "/webhook-secret")
    _, again = api("get", "/webhook-secret")
    _, new = api("post", "/webhook-secret/rotate")

    assert first == again
    assert new["secret"] != first["secret"]
    assert api("get", "/webhook-secret")[1] == new


def test_a_test_event_is_sent_and_its_delivery_shown(api: Api, receiver: Receiver, work: Work) -> None:
    made = api.make(receiver.url, ("model.*",))

    status, sent = api("post", f"/webhook-endpoints/{made['id']}/test")
    work()

    assert (status, sent["status"], sent["type"]) == (202, "pending", "webhook.test")
    (came,) = receiver.deliveries
    assert (came.body["type"], came.headers["webhook-id"]) == ("webhook.test", sent["message"])
    (shown,) = api("get", f"/webhook-endpoints/{made['id']}/deliveries")[1]["items"]
    assert (shown["status"], shown["response_status"], shown["attempts"]) == ("delivered", 200, 1)


def test_a_delivery_is_sent_again_once_it_has_ended(api: Api, receiver: Receiver, work: Work) -> None:
    api.make(receiver.url, ("*",))
    tell(api.client.pk)
    work()
    (shown,) = api("get", "/webhook-deliveries?status=delivered")[1]["items"]

    assert api("post", f"/webhook-deliveries/{shown['id']}/resend")[0] == 202
    status, said = api("post", f"/webhook-deliveries/{shown['id']}/resend")
    assert (status, said["message"]) == (409, "This delivery is still being tried.")
    work()

    assert len(receiver.deliveries) == 2


def test_deliveries_are_filtered_and_a_misspelt_filter_is_refused(api: Api) -> None:
    made = api.make()
    api("post", f"/webhook-endpoints/{made['id']}/test")

    assert len(api("get", f"/webhook-deliveries?subject={made['id']}")[1]["items"]) == 1
    assert api("get", "/webhook-deliveries?subject=job_1&status=pending")[1]["items"] == []
    assert api("get", "/webhook-deliveries?stat=pending")[0] == 400
    assert WebhookDelivery.objects.count() == 1


def test_a_jobs_webhook_url_that_is_private_is_refused() -> None:
    api = Api(scopes=("jobs:write",))

    status, said = api("post", "/jobs", {"model": "a/b", "webhook_url": "https://169.254.169.254/latest"})

    assert (status, said["message"]) == (400, "webhook_url: the host is not on the public internet.")
