"""Files in the admin: who sees them, and what may be done with them."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client as HttpClient

from genfeed.journal.models import AuditEvent
from jobs.assets.models import Asset
from tests.jobs.assets.conftest import Fetch, make_asset

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("by_hand"), pytest.mark.once]

Staff = Callable[[str], HttpClient]
LIST = "/admin/jobs/asset/"


def page(client: HttpClient, asset: Asset) -> str:
    return client.get(f"{LIST}{asset.pk}/change/").content.decode()


def act(client: HttpClient, action: str, *assets: Asset) -> int:
    chosen = {"action": action, "_selected_action": [asset.pk for asset in assets]}
    return client.post(LIST, chosen, follow=True).status_code


def test_the_list_shows_what_a_file_is(staff: Staff) -> None:
    make_asset(bytes(2048), kind="video", content_type="video/mp4", width=320, height=240, seconds=3.0)

    shown = staff("viewer").get(LIST).content.decode()

    assert [words in shown for words in ("video/mp4", "2.0\xa0KB", "320 × 240, 3.00 s", "Acme")] == [True] * 4


def test_the_content_is_shown_to_those_alone_who_may_see_it(staff: Staff) -> None:
    asset = make_asset()
    viewer = staff("viewer")
    assert "?exp=" not in page(viewer, asset)

    User.objects.get(username="a viewer").user_permissions.add(Permission.objects.get(codename="view_job_input"))

    assert f'<img src="/assets/{asset.pk}/' in page(viewer, asset)


def test_a_flagged_file_is_shown_behind_a_link_only(staff: Staff) -> None:
    shown = page(staff("superuser"), make_asset(is_nsfw=True))

    assert ('<img src="/assets/' in shown, "?exp=" in shown) == (False, True)


def test_a_file_that_was_given_up_is_fetched_again(staff: Staff) -> None:
    asset = make_asset(state="failed", source_url="https://v3.fal.media/files/a.png", attempts=12, problem="gone")

    act(staff("catalog manager"), "fetch_again", asset)

    asset.refresh_from_db()
    assert (asset.state, asset.attempts) == ("pending", 0)
    assert AuditEvent.objects.get(action="asset.fetched_again").object_id == asset.pk


def test_a_file_that_is_here_is_not_fetched_again(staff: Staff) -> None:
    asset = make_asset(source_url="https://v3.fal.media/files/a.png")

    act(staff("catalog manager"), "fetch_again", asset)

    asset.refresh_from_db()
    assert (asset.state, AuditEvent.objects.filter(action="asset.fetched_again").count()) == ("stored", 0)


def test_a_file_is_deleted_before_its_time_and_the_audit_says_by_whom(staff: Staff, media: Path) -> None:
    asset = make_asset()

    act(staff("catalog manager"), "delete_now", asset)

    asset.refresh_from_db()
    assert (asset.state, [path for path in media.rglob("*") if path.is_file()]) == ("expired", [])
    assert AuditEvent.objects.get(action="asset.deleted").actor_name == "a catalog manager"


@pytest.mark.parametrize("action", ["fetch_again", "delete_now"])
@pytest.mark.parametrize("role", ["viewer", "finance"])
def test_others_may_do_neither(staff: Staff, role: str, action: str) -> None:
    asset = make_asset(state="failed", source_url="https://v3.fal.media/files/a.png")

    act(staff(role), action, asset)

    asset.refresh_from_db()
    assert (asset.state, AuditEvent.objects.filter(action__startswith="asset.").count()) == ("failed", 0)


def test_what_the_scanner_said_is_kept(fetch: Fetch, settings: object) -> None:
    settings.ASSET_SCANNER = "tests.jobs.assets.test_asset_pages.finds_nothing"  # type: ignore[attr-defined]

    assert fetch().scan_result == "clean"


def finds_nothing(*_: object, **__: object) -> str:
    return ""
