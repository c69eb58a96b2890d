"""Everything that we hand out signed or sealed: good for its own purpose, for its own object, for its own time."""

import time
from collections.abc import Callable

import pytest
from django.test import Client as HttpClient

from genfeed.clients import browser_tokens
from genfeed.clients.keys import find_caller
from genfeed.clients.limits import strangers
from genfeed.clients.sealing import CannotUnsealError, seal, unseal
from jobs.assets.links import signed_url
from jobs.events.links import events_url
from tests.security.world import World, make_world

pytestmark = [pytest.mark.django_db, pytest.mark.once]
ORIGIN = "https://app.example.com"


@pytest.fixture
def world(db: None) -> World:
    return make_world()


@pytest.fixture
def tokens(world: World) -> dict[str, str]:
    """One of each that there is, the bare text."""
    caller = find_caller(world.key)
    assert caller
    page, _ = browser_tokens.make(caller, origin=ORIGIN, seconds=600)
    http = HttpClient(headers={"Authorization": f"Bearer {world.key}"})
    put = http.post("/fal/storage/upload/initiate", '{"file_name": "a.png"}', content_type="application/json").json()
    return {
        "page": page.removeprefix("gfb_"),
        "upload": put["upload_url"].partition("token=")[2],
        "events": events_url(world.ids["job_id"]).partition("token=")[2],
        "file": signed_url(world.ids["asset_id"], "a.png").partition("sig=")[2],
        "webhook secret": seal("whsec_" + "a" * 32),
        "provider key": seal("operator:secret"),
        "secret input": seal("a", purpose="input of a job"),
    }


def used(world: World, what: str, token: str) -> int:
    """What is answered to a token where one of this kind belongs."""
    strangers.forget()
    http = HttpClient(raise_request_exception=False)
    job, asset = world.ids["job_id"], world.ids["asset_id"]
    if what == "page":
        headers = {"Authorization": f"Key gfb_{token}", "Origin": ORIGIN}
        return http.get(f"/fal/queue/fal-ai/flux/dev/requests/{job}/status", headers=headers).status_code
    if what == "upload":
        return http.put(f"/fal/storage/files?token={token}", b"x").status_code
    if what == "events":
        return http.get(f"/api/v1/jobs/{job}/events", {"token": token}).status_code
    return http.get(f"/assets/{asset}/a.png", {"exp": int(time.time()) + 3600, "sig": token}).status_code


@pytest.mark.parametrize("place", ["page", "upload", "events", "file"])
def test_no_token_is_taken_for_another(world: World, tokens: dict[str, str], place: str) -> None:
    told = {what: used(world, place, token) for what, token in tokens.items() if what != place}
    assert set(told.values()) <= {401, 404}


@pytest.mark.parametrize("place", ["page", "upload", "events", "file"])
@pytest.mark.parametrize(
    "spoil",
    [lambda t: "", lambda t: t[:-1], lambda t: ("B" if t[0] != "B" else "C") + t[1:],
     lambda t: t[::-1], lambda t: "a" + t, lambda t: "a" * 100_000,
     lambda t: t.swapcase()],
)  # fmt: skip
def test_a_spoilt_token_opens_nothing(
    world: World, tokens: dict[str, str], place: str, spoil: Callable[[str], str]
) -> None:
    if place == "page" and not spoil(tokens[place]).isascii():
        return
    assert used(world, place, spoil(tokens[place])) in (400, 401, 404)


def test_the_token_of_one_job_opens_no_other(world: World, tokens: dict[str, str]) -> None:
    other = HttpClient().get(f"/api/v1/jobs/{world.ids['batch_id']}/events", {"token": tokens["events"]})
    assert other.status_code == 401
    moved = tokens["events"].replace(tokens["events"].partition(".")[0], str(int(time.time()) + 10**6))
    assert used(world, "events", moved) == 401


def test_what_was_sealed_for_one_purpose_opens_for_no_other() -> None:
    for sealed, purpose in ((seal("a"), "b"), (seal("a", purpose="b"), ""), (seal("a", purpose="b"), "c")):
        with pytest.raises(CannotUnsealError):
            unseal(sealed, purpose=purpose)
