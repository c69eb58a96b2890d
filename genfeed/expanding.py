"""Migrations that run while old code serves: which operations may, and an index that is built without a lock.

The rule stands in docs/upgrade.md. A migration that breaks it on purpose says why with an attribute of its own:
`safe_because = "…"` where old code provably does not mind, or `contracts_after = "0.2.0"` where it removes what no
code has used since that release.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations import Migration, operations
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from django.db.models import Field
from django.db.models.fields import NOT_PROVIDED

_REMOVES = (
    operations.RemoveField, operations.DeleteModel, operations.RenameField, operations.RenameModel,
    operations.AlterModelTable,
)  # fmt: skip
# What says nothing to the database, or only takes a condition away.
_HARMLESS = (
    operations.CreateModel, operations.AlterModelOptions, operations.AlterModelManagers, operations.RemoveIndex,
    operations.RemoveConstraint, operations.RenameIndex, operations.AlterModelTableComment,
)  # fmt: skip


class AddIndexLive(operations.AddIndex):
    """An index on a table in use: PostgreSQL builds it beside all writes. Its migration needs `atomic = False`."""

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        if schema_editor.connection.vendor != "postgresql":
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        model = to_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            # What an interrupted one left is there, and serves nobody.
            name = schema_editor.quote_name(self.index.name)
            schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            schema_editor.add_index(model, self.index, concurrently=True)  # type: ignore[call-arg]


def problems_of(migration: Migration, before: ProjectState, *, releases: Iterable[str]) -> list[str]:
    """What code of the last release could not live with, in words; nothing for what expands only.

    `before`: the models without it. `releases`: the versions that were released.
    """
    state = before.clone()
    made: set[str] = set()
    found: list[str] = []
    for operation in migration.operations:
        for one in _in_database(operation):
            found += _problems(one, migration, state, made, releases)
        operation.state_forwards(migration.app_label, state)
    return found


def _in_database(operation: Operation) -> Sequence[Operation]:
    is_split = isinstance(operation, operations.SeparateDatabaseAndState)
    return operation.database_operations if is_split else [operation]  # type: ignore[attr-defined]


def _problems(
    operation: Operation, migration: Migration, state: ProjectState, made: set[str], releases: Iterable[str]
) -> list[str]:
    what = operation.describe()
    if isinstance(operation, operations.CreateModel):
        made.add(operation.name_lower)
    if isinstance(operation, _REMOVES):
        release = getattr(migration, "contracts_after", "")
        if release in releases:
            return []
        return [f"{what}: old code still uses it. Stop using it in one release, remove it after that one."]
    table = str(getattr(operation, "model_name", "")).lower()
    reason: str = getattr(migration, "safe_because", "")
    if isinstance(operation, _HARMLESS) or table in made or reason:
        return []
    if isinstance(operation, operations.AddField):
        return _of_new_field(what, operation.field)
    if isinstance(operation, operations.AlterField):
        return _of_changed_field(what, state.models[migration.app_label, table].fields[operation.name], operation.field)
    if isinstance(operation, operations.AddIndex):
        if isinstance(operation, AddIndexLive):
            return [f"{what}: it needs `atomic = False`."] if migration.atomic else []
        return [f"{what}: writes wait until it is built. Use AddIndexLive and `atomic = False`."]
    if isinstance(operation, operations.RunPython):
        # Every one has a way back, if only one that does nothing.
        return [] if operation.reverse_code else [f"{what}: it can't be undone. Give it a reverse."]
    return [f"{what}: old code may not live with it. If it provably does, say why with `safe_because`."]


def _of_new_field(what: str, field: Field[Any, Any]) -> list[str]:
    if field.many_to_many or field.null or field.db_default is not NOT_PROVIDED:
        return [f"{what}: a unique column is checked while writes wait."] if field.unique else []
    return [f"{what}: rows of old code have no value for it. Give it a db_default, or null=True."]


def _of_changed_field(what: str, old: Field[Any, Any], new: Field[Any, Any]) -> list[str]:
    if type(old) is not type(new):
        return [f"{what}: another type. Add a column beside it, and fill it by both releases."]
    if old.null and not new.null:
        return [f"{what}: old code may write nothing into it."]
    if new.unique and not old.unique:
        return [f"{what}: old code may write the same twice."]
    if old.max_length is not None and new.max_length is not None and new.max_length < old.max_length:
        return [f"{what}: old code may write more into it."]
    return []
