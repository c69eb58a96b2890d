"""The published catalog in memory: always a whole revision, never far behind, and cheap to ask."""

import gc
import threading
import time
import weakref
from typing import Any

import pytest

from catalog import published, revisions
from catalog.availability import switch_models
from catalog.models import AIModel
from catalog.narrowing import narrowed
from catalog.published import ModelAmbiguousError, ModelNotFoundError, Published
from catalog.revisions import Revision
from genfeed.clients.keys import Caller, create_key, find_caller
from genfeed.clients.models import Client
from genfeed.journal.audit import SYSTEM
from tests.factories import make_model, make_models, publish_now

WAIT = 10


class FakeClock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds = time.monotonic()
        monkeypatch.setattr(published.time, "monotonic", lambda: self.seconds)


class FakeDatabase:
    """Stands in for revision and rows, so that threads need no database; `_build` can be held up."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.number = 1
        self.builds = 0
        self.reading = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()
        monkeypatch.setattr(revisions, "current", lambda: Revision(self.number, None))
        monkeypatch.setattr(published, "_entries", self._entries)

    def hold_up(self) -> None:
        self.reading.clear()
        self.go_on.clear()

    def _entries(self) -> Any:
        self.builds += 1
        self.reading.set()
        assert self.go_on.wait(WAIT)
        return iter(())


def restricted(pattern: str) -> Caller:
    """A caller that may use the models of a pattern alone."""
    client = Client.objects.create(name=pattern, allowed_models=[pattern])
    caller = find_caller(create_key(client, actor=SYSTEM)[1])
    assert caller is not None
    return caller


def in_thread(call: Any) -> tuple[threading.Thread, list[Any]]:
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(call()), daemon=True)
    thread.start()
    return thread, answers


@pytest.mark.django_db
def test_it_holds_all_models_in_the_order_of_their_ids() -> None:
    make_model("b/2")
    make_model("a/1", switch="off")
    make_model("a/1", provider="replicate")
    number = publish_now()

    catalog = published.current()

    assert catalog.revision == number
    assert [(entry.id, entry.provider, entry.enabled) for entry in catalog.entries] == [
        ("a/1", "fal", False),
        ("a/1", "replicate", True),
        ("b/2", "fal", True),
    ]
    assert {address: len(entries) for address, entries in catalog.by_id.items()} == {"a/1": 2, "b/2": 1}


@pytest.mark.django_db
def test_before_the_first_revision_it_is_empty() -> None:
    assert (published.current().revision, published.current().entries) == (0, ())


@pytest.mark.django_db
def test_within_a_second_the_database_is_not_asked(
    monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    clock = FakeClock(monkeypatch)
    make_models(3)
    publish_now()
    held = published.current()

    clock.seconds += 0.99
    with django_assert_num_queries(0):
        assert published.current() is held


@pytest.mark.once
@pytest.mark.django_db
def test_an_unchanged_revision_costs_one_small_query_a_second(
    monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    clock = FakeClock(monkeypatch)
    make_models(3)
    publish_now()
    held = published.current()

    clock.seconds += 1
    with django_assert_num_queries(1):
        assert published.current() is held
    with django_assert_num_queries(0):
        assert published.current() is held


@pytest.mark.django_db
def test_a_revision_of_another_process_is_seen_after_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock(monkeypatch)
    row = make_model()
    before = publish_now()
    assert published.current().revision == before

    # Another process switches and forgets in its own memory only.
    switch_models([row], on=False, actor=SYSTEM)

    clock.seconds += 0.9
    assert published.current().revision == before
    clock.seconds += 0.1
    assert published.current().revision == before + 1
    assert published.current().entries[0].enabled is False


@pytest.mark.django_db
def test_a_revision_that_is_held_does_not_change_with_the_rows() -> None:
    row = make_model(name="Before")
    publish_now()
    held = published.current()

    AIModel.objects.filter(pk=row.pk).update(name="After")
    publish_now()

    assert held.entries[0].name == "Before"
    assert published.current().entries[0].name == "After"


def test_while_one_thread_rebuilds_the_others_go_on_with_the_revision_before(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock(monkeypatch)
    database = FakeDatabase(monkeypatch)
    assert published.current().revision == 1
    database.number = 2
    clock.seconds += 1
    database.hold_up()

    rebuilding, rebuilt = in_thread(published.current)
    assert database.reading.wait(WAIT)
    assert published.current().revision == 1  # at once, while the other is at work
    database.go_on.set()
    rebuilding.join(WAIT)

    assert rebuilt[0].revision == 2
    assert published.current().revision == 2


def test_at_the_start_all_threads_wait_for_the_one_that_builds(monkeypatch: pytest.MonkeyPatch) -> None:
    database = FakeDatabase(monkeypatch)
    database.hold_up()

    threads = [in_thread(published.current) for _ in range(4)]
    assert database.reading.wait(WAIT)
    database.go_on.set()
    for thread, _ in threads:
        thread.join(WAIT)

    assert [answers[0].revision for _, answers in threads] == [1, 1, 1, 1]
    assert database.builds == 1


def test_a_change_published_during_a_rebuild_is_seen_by_its_own_process_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    FakeClock(monkeypatch)
    database = FakeDatabase(monkeypatch)
    database.hold_up()
    rebuilding, rebuilt = in_thread(published.current)
    assert database.reading.wait(WAIT)

    # This process publishes while its other thread still reads the revision before.
    database.number = 2
    forgetting, _ = in_thread(published.forget)
    forgetting.join(0.2)
    database.go_on.set()
    forgetting.join(WAIT)
    rebuilding.join(WAIT)

    assert rebuilt[0].revision == 1
    assert published.current().revision == 2


def test_a_failed_rebuild_leaves_the_way_free_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock(monkeypatch)
    database = FakeDatabase(monkeypatch)
    held = published.current()
    database.number = 2
    clock.seconds += 1
    with monkeypatch.context() as broken:
        broken.setattr(published, "_entries", lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            published.current()

    assert held.revision == 1
    assert published.current().revision == 2


def test_an_answer_is_rendered_once_a_revision() -> None:
    catalog = Published(1, None, (), {})
    calls: list[str] = []

    def render() -> bytes:
        calls.append("rendered")
        return b"{}"

    assert catalog.rendered("page", render) is catalog.rendered("page", render)
    assert calls == ["rendered"]


def test_rendered_answers_do_not_fill_the_memory_and_the_wanted_ones_stay() -> None:
    catalog = Published(1, None, (), {})
    wanted = catalog.rendered("wanted", lambda: b"wanted")

    for number in range(1000):
        catalog.rendered(number, lambda: b"once")
        assert catalog.rendered("wanted", lambda: b"again") is wanted

    assert len(catalog._rendered) == published._RENDERED_AT_MOST


@pytest.mark.once
@pytest.mark.django_db
def test_a_model_is_found_by_its_bare_id_and_by_its_full_address() -> None:
    row = make_model("fal-ai/flux/dev")
    publish_now()

    assert published.find("fal-ai/flux/dev").pk == row.pk
    assert published.find("fal:fal-ai/flux/dev").pk == row.pk


@pytest.mark.once
@pytest.mark.django_db
def test_an_id_that_holds_a_colon_itself_is_found() -> None:
    row = make_model("owner/model:v2")
    publish_now()

    assert published.find("owner/model:v2").pk == row.pk
    assert published.find("fal:owner/model:v2").pk == row.pk


@pytest.mark.once
@pytest.mark.django_db
@pytest.mark.parametrize(
    "address", ["replicate:fal-ai/flux/dev", "fal:", ":fal-ai/flux/dev", "", "fal", "FAL-AI/FLUX/DEV"]
)
def test_an_address_that_no_model_has_is_not_found(address: str) -> None:
    make_model("fal-ai/flux/dev")
    publish_now()

    with pytest.raises(ModelNotFoundError):
        published.find(address)


@pytest.mark.once
@pytest.mark.django_db
def test_an_id_of_two_providers_names_the_candidates() -> None:
    make_model("fal-ai/flux/dev")
    make_model("fal-ai/flux/dev", provider="replicate")
    publish_now()

    with pytest.raises(ModelAmbiguousError) as caught:
        published.find("fal-ai/flux/dev")

    assert caught.value.candidates == ["fal:fal-ai/flux/dev", "replicate:fal-ai/flux/dev"]
    assert published.find("replicate:fal-ai/flux/dev").provider == "replicate"


@pytest.mark.once
@pytest.mark.django_db
def test_an_id_is_not_ambiguous_where_only_one_provider_s_model_is_offered() -> None:
    make_model("fal-ai/flux/dev", switch="off")
    make_model("fal-ai/flux/dev", provider="replicate")
    publish_now()

    assert published.find("fal-ai/flux/dev").provider == "replicate"
    with pytest.raises(ModelAmbiguousError):
        published.find("fal-ai/flux/dev", offered_only=False)


@pytest.mark.once
@pytest.mark.django_db
def test_the_nearest_ids_are_offered_instead() -> None:
    make_model("fal-ai/flux/dev")
    make_model("fal-ai/flux/schnell")
    make_model("fal-ai/whisper")
    publish_now()

    with pytest.raises(ModelNotFoundError) as caught:
        published.find("fal:fal-ai/flux/devv")

    assert caught.value.nearest[0] == "fal-ai/flux/dev"
    assert "fal-ai/whisper" not in caught.value.nearest


@pytest.mark.once
@pytest.mark.django_db
def test_models_that_are_not_offered_are_not_named_to_clients() -> None:
    make_model("fal-ai/flux/dev", switch="off")
    publish_now()

    with pytest.raises(ModelNotFoundError) as caught:
        published.find("fal-ai/flux/dev")
    assert caught.value.nearest == []

    assert published.find("fal-ai/flux/dev", offered_only=False).enabled is False


@pytest.mark.once
@pytest.mark.django_db
def test_lists_of_callers_who_ask_no_more_hold_on_to_no_revision_of_the_past() -> None:
    make_model("a/1")
    publish_now()
    catalog = published.current()
    narrowed(catalog, restricted("a/*"))
    seen = weakref.ref(catalog)
    del catalog
    make_model("a/2")
    publish_now()

    narrowed(published.current(), restricted("b/*"))
    gc.collect()

    assert seen() is None


@pytest.mark.once
@pytest.mark.django_db
def test_prices_of_clients_who_ask_no_more_hold_on_to_no_revision_of_the_past(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published, "_scope_of", lambda client_id: f"c{client_id}")
    make_model("a/1")
    publish_now()
    seen = weakref.ref(published.current())
    published.for_client(1)
    revisions.publish("a price has changed")
    published._checked_at = 0.0

    published.for_client(2)
    gc.collect()

    assert seen() is None
