"""May a model be offered, and if not, why; and the switches that people set."""

import threading
from typing import Any

import pytest
from django.db import connection, connections, transaction

from catalog import availability, published, rebuilding, revisions
from catalog.availability import HELD_WORDS, Availability, decide, refresh, stop_selling, switch_models
from catalog.models import AIModel, CatalogState
from genfeed.journal.audit import SYSTEM, Actor
from genfeed.journal.models import AuditEvent
from tests.factories import make_model, make_models, publish_now

WAIT = 20


def model(**columns: Any) -> AIModel:
    return AIModel(**({"schema_version": 1, "schema_state": "understood"} | columns))


@pytest.mark.parametrize(
    ("columns", "enabled", "reason"),
    [
        ({}, True, ""),
        ({"switch": "on"}, True, ""),
        ({"switch": "off"}, False, ""),
        ({"status": "deprecated"}, False, "deprecated"),
        ({"status": "deprecated", "switch": "on"}, True, ""),
        ({"status": "deprecated", "switch": "off"}, False, ""),
        ({"status": "retired"}, False, "retired"),
        ({"status": "retired", "switch": "on"}, False, "retired"),
        ({"status": "retired", "switch": "off"}, False, "retired"),
        ({"schema_version": 0, "schema_state": "missing"}, False, "schema_missing"),
        ({"schema_version": 0, "schema_state": "missing", "switch": "on"}, False, "schema_missing"),
        ({"schema_version": 0, "schema_state": "not_understood"}, False, "schema_not_understood"),
        ({"schema_version": 0, "schema_state": "not_understood", "switch": "on"}, False, "schema_not_understood"),
        # A version that was understood stays good while the provider's newest document is not.
        ({"schema_version": 3, "schema_state": "not_understood"}, True, ""),
        ({"schema_version": 3, "schema_state": "missing"}, True, ""),
        ({"schema_state": "flagged"}, True, ""),
        ({"stopped_for": "bill_anomaly"}, False, "bill_anomaly"),
        ({"stopped_for": "bill_anomaly", "switch": "on"}, False, "bill_anomaly"),
        ({"stopped_for": "bill_anomaly", "switch": "off"}, False, ""),
        ({"stopped_for": "bill_anomaly", "status": "retired"}, False, "retired"),
        ({"origin": "existing", "switch": "on"}, True, ""),
        ({"origin": "existing", "switch": "on", "stopped_for": "bill_anomaly"}, False, "bill_anomaly"),
    ],
)
def test_switch_status_and_schema_decide(columns: dict[str, Any], enabled: bool, reason: str) -> None:
    assert decide(model(**columns), review=False) == Availability(enabled, reason)


@pytest.mark.parametrize(
    ("columns", "enabled", "reason"),
    [
        ({}, False, "review"),
        ({"switch": "on"}, True, ""),
        ({"switch": "off"}, False, ""),
        ({"status": "retired"}, False, "retired"),
        ({"status": "deprecated"}, False, "deprecated"),
    ],
)
def test_a_review_holds_a_model_until_a_person_decides(columns: dict[str, Any], enabled: bool, reason: str) -> None:
    assert decide(model(**columns), review=True) == Availability(enabled, reason)


def test_every_reason_is_explained_in_a_sentence() -> None:
    assert set(HELD_WORDS) == {
        "retired", "schema_missing", "schema_not_understood", "unpriced", "deprecated", "review", "bill_anomaly",
    }  # fmt: skip
    assert all(words.endswith(".") for words in HELD_WORDS.values())


def test_refresh_says_whether_anything_changed() -> None:
    row = model()

    assert refresh(row) is True
    assert (row.enabled, row.held_reason) == (True, "")
    assert refresh(row) is False


@pytest.mark.django_db
def test_a_stopped_model_is_not_sold_until_a_person_switches_it_on() -> None:
    row = make_model(switch="on")

    assert stop_selling(row.pk, reason="bill_anomaly", why="two bills")
    assert not stop_selling(row.pk, reason="bill_anomaly", why="two bills")
    row.refresh_from_db()
    assert (row.enabled, row.held_reason) == (False, "bill_anomaly")
    assert AuditEvent.objects.get(action="model.stopped").reason == "two bills"

    switch_models([row], on=True, actor=SYSTEM)
    row.refresh_from_db()
    assert (row.enabled, row.held_reason, row.stopped_for) == (True, "", "")


def test_new_models_are_held_where_a_review_is_wanted(settings: Any) -> None:
    settings.CATALOG_REVIEW_NEW = True
    new, known = model(), model(enabled=True)

    refresh(new, is_new=True)
    refresh(known)

    assert (new.enabled, new.held_reason) == (False, "review")
    assert (known.enabled, known.held_reason) == (True, "")


def test_a_model_held_for_review_stays_so_when_the_setting_is_taken_away(settings: Any) -> None:
    settings.CATALOG_REVIEW_NEW = True
    row = model()
    refresh(row, is_new=True)
    settings.CATALOG_REVIEW_NEW = False

    assert refresh(row) is False
    assert (row.enabled, row.held_reason) == (False, "review")


@pytest.mark.parametrize(
    ("trouble", "end"),
    [
        ({"schema_version": 0, "schema_state": "missing"}, {"schema_version": 1, "schema_state": "understood"}),
        ({"status": "deprecated"}, {"status": "active"}),
        ({"status": "retired"}, {"status": "active"}),
    ],
    ids=["schema that comes later", "deprecated for a while", "gone for a while"],
)
def test_another_reason_in_between_does_not_replace_the_review(
    settings: Any, trouble: dict[str, Any], end: dict[str, Any]
) -> None:
    settings.CATALOG_REVIEW_NEW = True
    row = model(**trouble)
    refresh(row, is_new=True)
    assert row.held_reason != "review"

    for name, value in end.items():
        setattr(row, name, value)
    refresh(row)

    assert (row.enabled, row.held_reason) == (False, "review")


@pytest.mark.django_db
class TestSwitching:
    def test_a_switch_writes_row_revision_and_audit_together(self) -> None:
        row = make_model("a/1")
        before = publish_now()

        result = switch_models([row], on=False, actor=Actor(name="root"), reason="Too slow.")

        assert (result.changed, result.unchanged, result.held) == (["a/1"], [], {})
        row.refresh_from_db()
        assert (row.switch, row.enabled, row.held_reason, row.revision) == ("off", False, "", before + 1)
        state = CatalogState.objects.get()
        assert (state.revision, state.reason) == (before + 1, "1 model switched off by root")
        assert row.changed_at == state.published_at
        event = AuditEvent.objects.get()
        assert (event.action, event.reason) == ("model.switched_off", "Too slow.")
        assert (event.before, event.after) == (
            {"switch": "auto", "enabled": True},
            {"switch": "off", "enabled": False},
        )

    def test_many_models_make_one_revision(self) -> None:
        rows = make_models(7)
        before = publish_now()

        switch_models(rows, on=False, actor=SYSTEM)

        state = CatalogState.objects.get()
        assert (state.revision, state.reason) == (before + 1, "7 models switched off by system")

    def test_what_is_switched_so_already_makes_no_revision(self) -> None:
        row = make_model("a/1", switch="off")
        before = publish_now()

        result = switch_models([row], on=False, actor=SYSTEM)

        assert (result.changed, result.unchanged) == ([], ["a/1"])
        assert CatalogState.objects.get().revision == before
        assert AuditEvent.objects.count() == 0

    def test_no_models_make_no_revision(self) -> None:
        before = publish_now()

        assert switch_models([], on=True, actor=SYSTEM).changed == []
        assert CatalogState.objects.get().revision == before

    def test_the_rows_are_read_anew_whatever_the_caller_holds(self) -> None:
        stale = make_model("a/1")
        AIModel.objects.filter(pk=stale.pk).update(status="retired", name="Newer")

        result = switch_models([stale], on=True, actor=SYSTEM)

        assert result.held == {"a/1": HELD_WORDS["retired"]}
        assert AIModel.objects.get().name == "Newer"

    def test_a_failing_audit_undoes_all_switches(self, monkeypatch: pytest.MonkeyPatch) -> None:
        rows = make_models(5)
        before = publish_now()

        def failing(*_: Any, **__: Any) -> None:
            raise RuntimeError("the audit can't be written")

        monkeypatch.setattr(availability, "record", failing)
        with pytest.raises(RuntimeError):
            switch_models(rows, on=False, actor=SYSTEM)

        assert AIModel.objects.filter(enabled=True, switch="auto").count() == 5
        assert CatalogState.objects.get().revision == before
        assert len(published.current().entries) == 5
        assert all(entry.enabled for entry in published.current().entries)

    def test_the_decision_on_a_held_model_takes_effect_when_the_reason_is_gone(self) -> None:
        row = make_model("a/1", schema_version=0, schema_state="missing")
        switch_models([row], on=True, actor=SYSTEM)
        row.refresh_from_db()
        assert (row.switch, row.enabled) == ("on", False)

        row.schema_version = 1
        refresh(row)

        assert (row.switch, row.enabled) == ("on", True)

    @pytest.mark.parametrize("switch", ["on", "off"])
    def test_a_switch_set_by_hand_is_never_overwritten_by_the_rules(self, switch: str, settings: Any) -> None:
        row = make_model("a/1", switch=switch)

        for status in ("deprecated", "retired", "active"):
            for version in (0, 1):
                for settings.CATALOG_REVIEW_NEW in (True, False):
                    row.status, row.schema_version = status, version
                    refresh(row)
                    assert row.switch == switch

        assert row.enabled is (switch == "on")

    @pytest.mark.parametrize(("on", "enabled"), [(True, True), (False, False)])
    def test_a_switch_set_by_hand_outlives_a_rebuild(self, on: bool, enabled: bool) -> None:
        row = make_model("a/1", status="deprecated")
        switch_models([row], on=on, actor=SYSTEM)

        rebuilding.rebuild_and_publish(reason="a new version of the code")

        row.refresh_from_db()
        assert (row.switch, row.enabled) == ("on" if on else "off", enabled)

    def test_a_review_ends_with_a_person_s_decision(self, settings: Any) -> None:
        settings.CATALOG_REVIEW_NEW = True
        row = make_model("a/1")
        refresh(row, is_new=True)
        row.save()

        switch_models([row], on=True, actor=SYSTEM)

        row.refresh_from_db()
        assert (row.enabled, row.held_reason) == (True, "")


@pytest.mark.django_db
def test_the_first_publication_is_number_one() -> None:
    assert revisions.current() is None

    assert revisions.publish("first").number == 1
    assert revisions.publish("second").number == 2
    assert revisions.current().number == 2


@pytest.mark.django_db
def test_a_publication_that_is_rolled_back_leaves_no_gap() -> None:
    number = revisions.publish("kept").number

    class Undone(Exception):
        pass

    @transaction.atomic
    def publish_and_fail() -> None:
        revisions.publish("undone")
        raise Undone

    with pytest.raises(Undone):
        publish_and_fail()

    assert revisions.current().number == number
    assert revisions.publish("next").number == number + 1


@pytest.fixture
def several_connections(transactional_db: None) -> None:
    if connection.vendor == "sqlite" and connection.is_in_memory_db():
        pytest.skip("SQLite in memory refuses what a file, like PostgreSQL, makes wait")


def in_thread(call: Any) -> tuple[threading.Thread, list[Any]]:
    """Runs `call` on a database connection of its own; the list holds its answer or its exception."""
    answers: list[Any] = []

    def run() -> None:
        try:
            answers.append(call())
        except BaseException as error:
            answers.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, answers


def test_revisions_become_visible_in_the_order_of_their_numbers(several_connections: None) -> None:
    """A transaction that publishes later waits for the one before it, and so gets the later number."""
    revisions.publish("before")
    order: list[str] = []

    def publish_too() -> int:
        with transaction.atomic():
            number = revisions.publish("second").number
            order.append("second")
        return number

    with transaction.atomic():
        first = revisions.publish("first").number
        other, answers = in_thread(publish_too)
        other.join(0.3)
        assert answers == []  # it waits
        order.append("first")
    other.join(WAIT)

    assert order == ["first", "second"]
    assert (first, answers) == (2, [3])


def test_a_reader_never_sees_a_number_before_its_rows(several_connections: None) -> None:
    row = make_model("a/1")
    number = publish_now()

    with transaction.atomic():
        switch_models([row], on=False, actor=SYSTEM)
        reader, answers = in_thread(lambda: (revisions.current().number, AIModel.objects.get().enabled))
        reader.join(WAIT)
        assert answers == [(number, True)]
    reader, answers = in_thread(lambda: (revisions.current().number, AIModel.objects.get().enabled))
    reader.join(WAIT)

    assert answers == [(number + 1, False)]


@pytest.mark.django_db(transaction=True)
def test_a_switch_and_a_rebuild_at_the_same_time_wait_for_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both lock models and the revision; in different orders, each would wait for the other for ever."""
    if connection.vendor == "sqlite":
        pytest.skip("SQLite has one write lock: there is no order to get wrong")
    rows = make_models(3)
    publish_now()
    has_locked_models, rebuild_is_at_work = threading.Event(), threading.Event()
    publish = revisions.publish

    def publish_when_the_other_is_at_work(reason: str) -> Any:
        has_locked_models.set()
        rebuild_is_at_work.wait(1)
        return publish(reason)

    monkeypatch.setattr(availability, "publish", publish_when_the_other_is_at_work)

    def publish_and_tell(reason: str) -> Any:
        number = publish(reason)
        rebuild_is_at_work.set()
        return number

    monkeypatch.setattr(rebuilding, "publish", publish_and_tell)

    switching, switched = in_thread(lambda: switch_models(rows, on=False, actor=SYSTEM).changed)
    assert has_locked_models.wait(WAIT)
    rebuilding_thread, rebuilt = in_thread(lambda: rebuilding.rebuild_and_publish(reason="at once").models)
    switching.join(WAIT)
    rebuilding_thread.join(WAIT)

    assert (switched, rebuilt) == ([[row.endpoint_id for row in rows]], [3])
    assert AIModel.objects.filter(enabled=True).count() == 0


def test_two_bulk_switches_at_the_same_time_both_succeed(several_connections: None) -> None:
    rows = make_models(40)
    before = publish_now()

    forward, first = in_thread(lambda: switch_models(rows, on=False, actor=SYSTEM))
    backward, second = in_thread(lambda: switch_models(rows[::-1], on=True, actor=SYSTEM))
    forward.join(WAIT)
    backward.join(WAIT)

    assert [len(answers[0].changed) for answers in (first, second)] == [40, 40]
    assert CatalogState.objects.get().revision == before + 2
    assert AIModel.objects.filter(enabled=True).count() in (0, 40)
    assert AuditEvent.objects.count() == 80
