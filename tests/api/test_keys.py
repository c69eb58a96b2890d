"""`/api/v1/keys`: clients make, rotate and revoke their own keys, and none that can do more than its maker."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import orjson
import pytest
from django.test import Client as HttpClient
from django.utils import timezone

from genfeed.clients import keys
from genfeed.clients.keys import Bounds, UnknownScopeError, create_key, find_caller
from genfeed.clients.models import ApiKey, Client
from genfeed.clients.rotation import rotate_key
from genfeed.journal.audit import SYSTEM
from genfeed.journal.models import AuditEvent

pytestmark = pytest.mark.django_db

KEYS = "/api/v1/keys"
DAY = timedelta(days=1)


class Holder:
    """An API key of the client Acme and the HTTP client that carries it."""

    def __init__(self, *scopes: str, client: str = "Acme", **options: Any) -> None:
        self.client = Client.objects.get_or_create(name=client)[0]
        self.key, self.text = create_key(self.client, actor=SYSTEM, scopes=scopes, name="maker", **options)
        self.http = HttpClient(headers={"Authorization": f"Bearer {self.text}"})

    def post(self, path: str = "", body: Any = None, status: int = 201) -> Any:
        data = b"" if body is None else orjson.dumps(body)
        answer = self.http.post(f"{KEYS}{path}", data, content_type="application/json")
        assert answer.status_code == status, answer.content
        return answer.json()

    def get(self, path: str = "", status: int = 200) -> Any:
        answer = self.http.get(f"{KEYS}{path}")
        assert answer.status_code == status, answer.content
        return answer.json()


@pytest.fixture
def maker(db: None) -> Holder:
    return Holder("keys", "models:read", "estimates")


def refused(maker: Holder, body: Any, status: int, path: str = "") -> Any:
    """The answer to what is refused, which has left nothing behind."""
    before, events = list(ApiKey.objects.order_by("pk").values()), AuditEvent.objects.count()
    answer = maker.post(path, body, status)
    assert list(ApiKey.objects.order_by("pk").values()) == before
    assert AuditEvent.objects.count() == events
    assert answer["message"]
    assert answer["hint"]
    return answer


# --- making ---


def test_a_key_is_made_shown_once_and_works(maker: Holder) -> None:
    made = maker.post(body={"scopes": ["models:read"], "name": "web"})

    caller = find_caller(made["api_key"])
    assert caller
    assert (caller.client_id, caller.scopes, caller.key_name) == (maker.client.pk, {"models:read"}, "web")
    assert "api_key" not in maker.get(f"/{made['id']}")
    assert made["api_key"] not in str([maker.get(), list(AuditEvent.objects.values())])


@pytest.mark.once
def test_a_new_key_is_shown_with_exactly_these_fields(maker: Holder) -> None:
    made = maker.post(body={"scopes": ["models:read"]})

    row = ApiKey.objects.get(name="default")
    assert made.pop("api_key").startswith(row.prefix)
    assert datetime.fromisoformat(made.pop("created_at")) - row.created_at < timedelta(seconds=1)
    assert made == {
        "id": f"key_{row.digest[:16]}", "name": "default", "prefix": row.prefix, "scopes": ["models:read"],
        "is_test": False, "state": "active", "created_by": "API key maker of Acme", "expires_at": None,
        "revoked_at": None, "last_used_at": None, "uses": 0, "allowed_models": [], "denied_models": [],
        "jobs_per_minute": None, "reads_per_minute": None, "replaced_by": None,
    }  # fmt: skip


@pytest.mark.once
def test_an_answer_with_a_key_is_kept_by_no_cache(maker: Holder) -> None:
    answer = maker.http.post(KEYS, b'{"scopes": ["models:read"]}', content_type="application/json")

    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.once
def test_the_audit_tells_which_key_made_it(maker: Holder) -> None:
    maker.post(body={"scopes": ["models:read"], "jobs_per_minute": 3, "denied_models": ["a/*"]})

    event = AuditEvent.objects.filter(action="api_key.created").latest("pk")
    assert event.actor_name == "API key maker of Acme"
    assert event.after == {
        "client": "Acme", "scopes": ["models:read"], "denied_models": ["a/*"], "jobs_per_minute": 3,
    }  # fmt: skip


@pytest.mark.once
def test_a_name_may_be_in_any_language(maker: Holder) -> None:
    assert maker.post(body={"scopes": ["keys"], "name": " Schlüssel für 東京 🔑 "})["name"] == "Schlüssel für 東京 🔑"


@pytest.mark.once
@pytest.mark.parametrize(
    "body",
    [
        None, [], {}, {"scopes": []}, {"scopes": "keys"}, {"scopes": [7]}, {"scopes": ["jobs:fly"]},
        {"scopes": ["keys"], "name": ""}, {"scopes": ["keys"], "name": "   "}, {"scopes": ["keys"], "name": "a\x00b"},
        {"scopes": ["keys"], "name": "x" * 101}, {"scopes": ["keys"], "extra": 1},
        {"scopes": ["keys"], "expires_at": "2001-01-01T00:00:00Z"}, {"scopes": ["keys"], "expires_at": "soon"},
        {"scopes": ["keys"], "expires_at": "2999-01-01T00:00:00"},
        {"scopes": ["keys"], "expires_at": "9999-12-31T23:59:59-14:00"},
        {"scopes": ["keys"], "allowed_models": ["a b"]}, {"scopes": ["keys"], "denied_models": ["*/x"]},
        {"scopes": ["keys"], "allowed_models": "a/*"}, {"scopes": ["keys"], "allowed_models": ["a"] * 1001},
        {"scopes": ["keys"], "jobs_per_minute": -1}, {"scopes": ["keys"], "jobs_per_minute": 1.5},
        {"scopes": ["keys"], "reads_per_minute": "many"},
    ],
)  # fmt: skip
def test_nonsense_makes_no_key(maker: Holder, body: Any) -> None:
    assert refused(maker, body, 400)["code"] == "invalid_request"


@pytest.mark.once
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"scopes": ["jobs:write"]}, "scopes"),
        ({"scopes": ["keys", "models:read", "webhooks"]}, "scopes"),
        ({"expires_at": (timezone.now() + 11 * DAY).isoformat()}, "expires_at"),
        ({"allowed_models": ["*"]}, "allowed_models"),
        ({"allowed_models": ["a/one", "b/one"]}, "allowed_models"),
        ({"allowed_models": ["fal:b/*"]}, "allowed_models"),
        ({"jobs_per_minute": 6}, "jobs_per_minute"),
        ({"reads_per_minute": 6001}, "reads_per_minute"),
        ({"is_test": False}, "is_test"),
    ],
)
def test_no_key_is_made_that_may_do_more_than_its_maker(body: dict[str, Any], field: str, db: None) -> None:
    maker = Holder(
        "keys", "models:read", is_test=True, expires_at=timezone.now() + 10 * DAY,
        bounds=Bounds(("a/*",), ("a/x",), 5),
    )  # fmt: skip

    answer = refused(maker, {"scopes": ["keys"]} | body, 403)

    assert answer["code"] == "forbidden_scope"
    assert answer["message"].startswith(f"{field}: ")


@pytest.mark.once
def test_a_test_key_ends_no_live_key(db: None) -> None:
    live, test = Holder("keys"), Holder("keys", is_test=True)

    answer = refused(test, None, 403, f"/{live.key.public_id}/revoke")

    assert answer["code"] == "forbidden_scope"
    assert test.post(f"/{test.key.public_id}/revoke", status=200)["state"] == "revoked"


@pytest.mark.once
def test_a_test_key_is_never_an_admins(db: None) -> None:
    client = Client.objects.create(name="Acme")
    with pytest.raises(UnknownScopeError, match="live data"):
        create_key(client, actor=SYSTEM, scopes=["admin"], is_test=True)
    assert not ApiKey.objects.exists()

    # One of before that was refused.
    key, text = create_key(client, actor=SYSTEM, scopes=["jobs:read"], is_test=True)
    ApiKey.objects.update(scopes=["admin", "jobs:read"])
    caller = find_caller(text)
    assert caller is not None
    assert (caller.scopes, caller.may("admin")) == ({"jobs:read"}, False)
    assert rotate_key(key, overlap=DAY, actor=SYSTEM)[0].scopes == ["jobs:read"]


@pytest.mark.once
def test_what_is_not_asked_for_is_as_the_maker_has_it(db: None) -> None:
    end = timezone.now() + 10 * DAY
    maker = Holder("keys", is_test=True, expires_at=end, bounds=Bounds(("a/*",), ("a/x",), 5, 7))

    maker.post(body={"scopes": ["keys"], "denied_models": ["a/y"]})

    row = ApiKey.objects.latest("pk")
    assert (row.is_test, row.expires_at, row.allowed_models, row.denied_models) == (
        True, end, ["a/*"], ["a/x", "a/y"],
    )  # fmt: skip
    assert (row.jobs_per_minute, row.reads_per_minute) == (5, 7)


@pytest.mark.once
def test_a_key_may_be_narrower_than_its_maker(db: None) -> None:
    maker = Holder("keys", "models:read", bounds=Bounds(("a/*",), (), 5))

    made = maker.post(
        body={"scopes": ["models:read"], "allowed_models": ["a/one", "fal:a/b*"], "jobs_per_minute": 0,
              "expires_at": "2050-01-01T01:00:00+01:00"}
    )  # fmt: skip

    assert (made["allowed_models"], made["jobs_per_minute"]) == (["a/one", "fal:a/b*"], 0)
    assert made["expires_at"] == "2050-01-01T00:00:00.000Z"


@pytest.mark.once
@pytest.mark.parametrize("scopes", [("keys",), ("admin",)])
def test_the_scope_admin_is_given_by_nobody_but_staff(scopes: tuple[str, ...], db: None) -> None:
    assert refused(Holder(*scopes), {"scopes": ["keys", "admin"]}, 403)["code"] == "forbidden_scope"


def test_a_client_has_at_most_so_many_active_keys(maker: Holder, settings: Any) -> None:
    settings.MAX_KEYS = 2
    create_key(maker.client, actor=SYSTEM, expires_at=timezone.now() - DAY)
    create_key(Client.objects.create(name="Other"), actor=SYSTEM)
    second = maker.post(body={"scopes": ["keys"]})

    answer = refused(maker, {"scopes": ["keys"]}, 409)

    assert (answer["code"], answer["message"]) == ("conflict", "You have 2 active keys, and 2 is the most.")
    maker.post(f"/{second['id']}/revoke", status=200)
    maker.post(body={"scopes": ["keys"]})


def test_a_key_that_was_revoked_a_moment_ago_leaves_no_other_behind(maker: Holder) -> None:
    maker.get()
    ApiKey.objects.filter(pk=maker.key.pk).update(revoked_at=timezone.now())  # as another process does

    assert refused(maker, {"scopes": ["keys"]}, 401)["code"] == "unauthorized"


@pytest.mark.once
@pytest.mark.parametrize("scope", ["models:read", "estimates", "jobs:write", "usage:read"])
def test_a_key_without_the_scope_sees_and_makes_no_keys(scope: str, db: None) -> None:
    holder = Holder(scope)

    assert refused(holder, {"scopes": [scope]}, 403)["code"] == "forbidden_scope"
    assert holder.get(status=403)["code"] == "forbidden_scope"


@pytest.mark.once
def test_staff_are_told_that_they_are_no_client(staff: Callable[[str], HttpClient]) -> None:
    answer = staff("finance").get(KEYS)

    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden_scope")


# --- looking ---


def test_keys_are_listed_newest_first_a_page_at_a_time(maker: Holder) -> None:
    for number in range(4):
        create_key(maker.client, actor=SYSTEM, name=str(number))
    create_key(Client.objects.create(name="Other"), actor=SYSTEM, name="foreign")

    first = maker.get("?limit=3")
    second = maker.get(f"?limit=3&cursor={first['next_cursor']}")

    assert [key["name"] for key in first["items"] + second["items"]] == ["3", "2", "1", "0", "maker"]
    assert second["next_cursor"] is None


@pytest.mark.once
@pytest.mark.parametrize("query", ["?limit=0", "?limit=201", "?limit=x", "?cursor=!", "?cursor=", "?state=active"])
def test_a_list_that_is_asked_for_wrongly_is_refused(maker: Holder, query: str) -> None:
    assert maker.get(query, 400)["code"] == "invalid_request"


@pytest.mark.once
def test_a_key_is_found_by_id_and_by_prefix(maker: Holder) -> None:
    expected = maker.get(f"/{maker.key.public_id}")

    assert maker.get(f"/{maker.key.prefix}") == expected
    assert expected["name"] == "maker"


def test_two_keys_of_one_prefix_are_told_apart_by_id(maker: Holder) -> None:
    create_key(maker.client, actor=SYSTEM)
    ApiKey.objects.update(prefix="gf_same00")

    assert maker.get("/gf_same00", 409)["code"] == "conflict"


@pytest.mark.once
@pytest.mark.parametrize("path", ["", "/rotate", "/revoke"])
def test_another_clients_key_is_not_there(maker: Holder, path: str) -> None:
    foreign = Holder("keys", client="Other").key

    for address in (foreign.public_id, foreign.prefix):
        answer = refused(maker, None, 404, f"/{address}{path}") if path else maker.get(f"/{address}", 404)
        assert (answer["code"], answer["message"]) == ("not_found", "You have no such key.")


@pytest.mark.parametrize(
    "address", ["key_", "key_0", "key_0123456789abcdef", "key_%25%25%25%25%25%25%25%25", "1", "ключ", "x" * 99, "%00"]
)
def test_what_names_no_key_is_not_there(maker: Holder, address: str) -> None:
    assert maker.get(f"/{address}", 404)["code"] == "not_found"


@pytest.mark.once
def test_a_key_in_the_address_is_not_repeated(maker: Holder) -> None:
    assert maker.text not in str(maker.get(f"/{maker.text}", 404))


# --- rotating and revoking ---


def test_a_key_rotates_itself(maker: Holder) -> None:
    made = maker.post(f"/{maker.key.public_id}/rotate", {"overlap_seconds": 3600})

    assert find_caller(made["api_key"])
    old = maker.get(f"/{maker.key.public_id}")
    assert (old["replaced_by"], old["state"]) == (made["id"], "active")
    ends = datetime.fromisoformat(old["expires_at"]) - timezone.now()
    assert timedelta(minutes=59) < ends <= timedelta(hours=1)


@pytest.mark.once
def test_the_old_key_goes_on_for_a_day_where_nothing_else_is_said(maker: Holder) -> None:
    maker.post(f"/{maker.key.public_id}/rotate")

    maker.key.refresh_from_db()
    assert maker.key.expires_at
    assert timedelta(hours=23) < maker.key.expires_at - timezone.now() <= DAY


@pytest.mark.once
@pytest.mark.parametrize("overlap", [-1, 2_592_001, 2**62, 1.5, "long", None])
def test_an_overlap_that_makes_no_sense_is_refused(maker: Holder, overlap: Any) -> None:
    body = {"overlap_seconds": overlap}

    assert refused(maker, body, 400, f"/{maker.key.public_id}/rotate")["code"] == "invalid_request"


@pytest.mark.once
def test_a_key_is_rotated_once(maker: Holder) -> None:
    maker.post(f"/{maker.key.public_id}/rotate")

    assert refused(maker, None, 409, f"/{maker.key.public_id}/rotate")["code"] == "conflict"


@pytest.mark.once
def test_a_revoked_key_is_not_rotated(maker: Holder) -> None:
    other, _ = create_key(maker.client, actor=SYSTEM)
    keys.revoke_key(other, actor=SYSTEM)

    assert "revoked" in refused(maker, None, 409, f"/{other.public_id}/rotate")["message"]


@pytest.mark.once
@pytest.mark.parametrize(
    ("scopes", "options"),
    [
        (["jobs:write"], {}),
        (["admin"], {"is_test": False}),
        (["keys"], {"bounds": Bounds((), ("a/x",), 5)}),
        (["keys"], {"bounds": Bounds(("a/*", "b"), ("a/x",), 5)}),
        (["keys"], {"bounds": Bounds(("a/*",), (), 5)}),
        (["keys"], {"bounds": Bounds(("a/*",), ("a/x",))}),
        (["keys"], {"bounds": Bounds(("a/*",), ("a/x",), 5), "is_test": False}),
        (["keys"], {"bounds": Bounds(("a/*",), ("a/x",), 5), "expires_at": None}),
    ],
)
def test_a_key_gets_no_successor_of_one_that_may_do_more(scopes: list[str], options: Any, db: None) -> None:
    end = timezone.now() + 10 * DAY
    maker = Holder("keys", is_test=True, expires_at=end, bounds=Bounds(("a/*",), ("a/x",), 5))
    other, _ = create_key(maker.client, actor=SYSTEM, scopes=scopes, **{"is_test": True, "expires_at": end} | options)

    assert refused(maker, None, 403, f"/{other.public_id}/rotate")["code"] == "forbidden_scope"


@pytest.mark.once
def test_where_there_are_as_many_keys_as_may_be_one_is_rotated_without_overlap(maker: Holder, settings: Any) -> None:
    settings.MAX_KEYS = 1

    answer = refused(maker, None, 409, f"/{maker.key.public_id}/rotate")
    maker.post(f"/{maker.key.public_id}/rotate", {"overlap_seconds": 0})

    assert "overlap_seconds 0" in answer["hint"]
    maker.get(status=401)


@pytest.mark.once
def test_a_revoked_key_is_refused_and_revoking_it_again_changes_nothing(maker: Holder) -> None:
    other, text = create_key(maker.client, actor=SYSTEM)
    assert find_caller(text)

    first = maker.post(f"/{other.public_id}/revoke", status=200)
    again = maker.post(f"/{other.public_id}/revoke", status=200)

    assert find_caller(text) is None
    assert first["state"] == "revoked"
    assert again == first
    assert AuditEvent.objects.filter(action="api_key.revoked").count() == 1


@pytest.mark.once
def test_a_key_may_revoke_itself(maker: Holder) -> None:
    assert maker.post(f"/{maker.key.public_id}/revoke", status=200)["state"] == "revoked"
    maker.get(status=401)
