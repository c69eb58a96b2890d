"""The validation report of the models that a sync has found first: schema, price and availability as they are now."""

from collections.abc import Iterable
from dataclasses import dataclass

from catalog.models import AIModel, SyncRun
from catalog.reporting import held_words

_SHOWN = 2000
_IDS_A_QUERY = 500


@dataclass(frozen=True)
class Validated:
    """One new model. `problem`: why it is not offered, or what is odd about its schema; "" where nothing is."""

    row: AIModel
    has_schema: bool
    has_price: bool
    problem: str


@dataclass(frozen=True)
class Validation:
    """`models`: those with a problem first; the counts are over all new models of the run."""

    models: list[Validated]
    schemas: int
    prices: int
    enabled: int

    @property
    def total(self) -> int:
        return len(self.models)


def validate_new_models(run: SyncRun) -> Validation:
    """How the models that `run` added stand now: whether their schema is understood, their price known, they are sold.

    Read when it is asked for, because prices come after the catalog, and people decide in between.
    """
    rows = [_validated(row) for row in _rows(run, run.report.get("added", [])[:_SHOWN])]
    rows.sort(key=lambda one: (not one.problem, one.has_price, one.row.endpoint_id))
    return Validation(
        models=rows,
        schemas=sum(one.has_schema for one in rows),
        prices=sum(one.has_price for one in rows),
        enabled=sum(one.row.enabled for one in rows),
    )


def _rows(run: SyncRun, ids: list[str]) -> Iterable[AIModel]:
    for start in range(0, len(ids), _IDS_A_QUERY):
        chosen = ids[start : start + _IDS_A_QUERY]
        yield from AIModel.objects.filter(provider_id=run.provider_id, endpoint_id__in=chosen).defer("metadata")


def _validated(row: AIModel) -> Validated:
    remarks = f"schema understood, with remarks: {row.schema_problem}" if row.schema_state == "flagged" else ""
    return Validated(row, bool(row.schema_version), row.price["state"] != "unknown", held_words(row) or remarks)
