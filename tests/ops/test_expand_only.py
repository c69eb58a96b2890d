"""Every migration since the last release can run while old code serves."""

import re
from typing import Any

import pytest
from django.apps import apps
from django.db import OperationalError, connection, connections, models
from django.db.migrations import Migration, RunSQL, operations
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState

from genfeed.expanding import AddIndexLive, problems_of
from tests.sandbox_server import ROOT

APPS = ("catalog", "clients", "jobs", "journal", "pricing")
# Those from before the first release: no code that was released ever ran beside them.
RELEASED = set((ROOT / "docs" / "released" / "migrations.txt").read_text().split())
RELEASES = re.findall(r"^## (\d+\.\d+\.\d+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)


def test_every_new_migration_only_expands() -> None:
    loader = MigrationLoader(None)
    new = [key for key in loader.graph.nodes if key[0] in APPS and ".".join(key) not in RELEASED]

    found = {
        ".".join(key): problems_of(
            loader.disk_migrations[key], loader.project_state(key, at_end=False), releases=RELEASES
        )
        for key in new
    }

    assert {name: problems for name, problems in found.items() if problems} == {}


def test_the_list_of_released_migrations_names_what_there_is() -> None:
    known = {".".join(key) for key in MigrationLoader(None).disk_migrations}

    assert RELEASED - known == set()


def problems(*made: Any, atomic: bool = True, **attributes: Any) -> list[str]:
    """Of a migration with these operations, after one that made a table."""
    state = ProjectState()
    fields = [("id", models.BigAutoField(primary_key=True)), ("name", models.CharField(max_length=40)),
              ("note", models.TextField(null=True))]  # fmt: skip
    operations.CreateModel("Old", fields).state_forwards("jobs", state)
    migration = Migration("0002_new", "jobs")
    migration.operations, migration.atomic = list(made), atomic
    for name, value in attributes.items():
        setattr(migration, name, value)
    return problems_of(migration, state, releases=["0.1.0"])


INDEX = models.Index(fields=["name"], name="by_name")


@pytest.mark.parametrize(
    "operation",
    [
        operations.CreateModel("New", [("id", models.BigAutoField(primary_key=True))]),
        operations.AddField("old", "more", models.IntegerField(null=True)),
        operations.AddField("old", "more", models.IntegerField(default=0, db_default=0)),
        operations.AlterField("old", "name", models.CharField(max_length=80, help_text="Longer.")),
        operations.AlterField("old", "name", models.CharField(max_length=40, null=True)),
        operations.RunPython(lambda *_: None, lambda *_: None),
        operations.AlterModelOptions("old", {"ordering": ["name"]}),
        operations.SeparateDatabaseAndState(state_operations=[operations.RemoveField("old", "note")]),
    ],
    ids=lambda operation: operation.describe(),
)
def test_what_expands_is_no_problem(operation: Any) -> None:
    assert problems(operation) == []


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        (operations.RemoveField("old", "name"), "old code still uses it"),
        (operations.DeleteModel("Old"), "old code still uses it"),
        (operations.RenameField("old", "name", "title"), "old code still uses it"),
        (operations.RenameModel("Old", "Older"), "old code still uses it"),
        (operations.AddField("old", "more", models.IntegerField(default=0)), "rows of old code have no value"),
        (operations.AddField("old", "more", models.IntegerField(null=True, unique=True)), "unique column"),
        (operations.AlterField("old", "note", models.TextField(default="")), "old code may write nothing"),
        (operations.AlterField("old", "name", models.CharField(max_length=20)), "old code may write more"),
        (operations.AlterField("old", "name", models.TextField()), "another type"),
        (operations.AlterField("old", "name", models.CharField(max_length=40, unique=True)), "the same twice"),
        (operations.AddIndex("old", INDEX), "writes wait until it is built"),
        (AddIndexLive("old", INDEX), "needs `atomic = False`"),
        (operations.AddConstraint("old", models.UniqueConstraint(fields=["name"], name="one")), "may not live"),
        (operations.RunPython(lambda *_: None), "can't be undone"),
        (RunSQL("DROP TABLE jobs_old"), "may not live"),
    ],
    ids=lambda value: value.describe() if hasattr(value, "describe") else "",
)
def test_what_old_code_can_not_live_with_is_named(operation: Any, words: str) -> None:
    (found,) = problems(operation)

    assert words in found
    assert found.startswith(operation.describe())


def test_an_index_of_a_new_table_is_no_problem() -> None:
    made = operations.CreateModel(
        "New", [("id", models.BigAutoField(primary_key=True)), ("name", models.CharField(max_length=40))]
    )

    assert problems(made, operations.AddIndex("new", INDEX)) == []
    assert problems(AddIndexLive("old", INDEX), atomic=False) == []


def test_what_is_removed_names_the_release_that_stopped_using_it() -> None:
    removal = operations.RemoveField("old", "note")

    assert problems(removal, contracts_after="0.1.0") == []
    assert len(problems(removal, contracts_after="9.9.9")) == 1
    # A reason is no release.
    assert len(problems(removal, safe_because="nobody needs it")) == 1
    assert problems(RunSQL("SELECT 1"), safe_because="it only reads") == []


@pytest.mark.django_db(transaction=True)
def test_an_index_is_built_beside_all_writes_and_again_after_an_interruption() -> None:
    state = ProjectState.from_apps(apps)
    index = models.Index(fields=["endpoint_id"], name="a_new_index_of_jobs")
    operation = AddIndexLive("job", index)
    after = state.clone()
    operation.state_forwards("jobs", after)
    try:
        for _ in range(2):
            with connection.schema_editor(atomic=False) as editor:
                operation.database_forwards("jobs", editor, state, after)
            if connection.vendor == "sqlite":
                break
        with connection.cursor() as cursor:
            assert index.name in connection.introspection.get_constraints(cursor, "jobs_job")
    finally:
        with connection.schema_editor(atomic=False) as editor:
            operation.database_backwards("jobs", editor, after, state)


def is_whole(name: str) -> bool | None:
    """Whether PostgreSQL uses an index; None where there is none."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT indisvalid FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE relname = %s", [name]
        )
        row = cursor.fetchone()
    return row and row[0]


@pytest.mark.django_db(transaction=True)
def test_an_index_whose_building_was_broken_off_is_built_anew() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite builds an index in one transaction")
    state = ProjectState.from_apps(apps)
    operation = AddIndexLive("job", models.Index(fields=["endpoint_id"], name="a_broken_index_of_jobs"))
    after = state.clone()
    operation.state_forwards("jobs", after)
    other = connections.create_connection("default")

    def build() -> None:
        with connection.schema_editor(atomic=False) as editor:
            operation.database_forwards("jobs", editor, state, after)

    try:
        with other.cursor() as cursor:
            # Whoever writes is waited for.
            cursor.execute("BEGIN")
            cursor.execute("LOCK TABLE jobs_job IN ROW EXCLUSIVE MODE")
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = '300ms'")
        with pytest.raises(OperationalError, match="timeout"):
            build()
        with connection.cursor() as cursor:
            cursor.execute("RESET statement_timeout")
        assert is_whole(operation.index.name) is False
        with other.cursor() as cursor:
            cursor.execute("ROLLBACK")

        build()

        assert is_whole(operation.index.name) is True
    finally:
        other.close()
        with connection.cursor() as cursor:
            cursor.execute("RESET statement_timeout")
            cursor.execute(f"DROP INDEX IF EXISTS {operation.index.name}")
