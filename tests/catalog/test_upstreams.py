"""What is known of whether upstreams can be reached, where several processes note it."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.utils import timezone

from catalog import upstreams
from catalog.models import Upstream

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    upstreams.forget()
    yield
    upstreams.forget()


def test_what_another_process_found_offline_is_online_again_at_the_next_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(upstreams, "_REMEMBERED_SECONDS", 0)
    upstreams.note_reached("fal")
    # As another process writes it.
    Upstream.objects.filter(name="fal").update(offline_since=timezone.now(), failures=3, reason="no connection")

    upstreams.note_reached("fal")

    assert upstreams.is_online("fal")


def test_what_is_online_is_not_written_with_every_answer(django_assert_num_queries: Any) -> None:
    upstreams.note_reached("fal")
    upstreams.standings()

    with django_assert_num_queries(0):
        upstreams.note_reached("fal")
