"""What a sync tells: its report for staff, events for clients, alerts for what needs a look."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from catalog.availability import HELD_WORDS
from catalog.changes.comparing import readable_diff
from catalog.models import AIModel, Provider, SchemaVersion
from catalog.news import model_event
from genfeed.journal import links
from genfeed.journal.alerts import raise_alert
from genfeed.journal.models import Alert, OutboxEvent

_SENTENCES_IN_REPORT = 6


@dataclass
class Outcome:
    """What one sync found, model by model (endpoint ids; `versions` and `reasons` by endpoint id)."""

    added: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    retired: list[str] = field(default_factory=list)
    deprecated: list[str] = field(default_factory=list)
    returned: list[str] = field(default_factory=list)
    offered: list[str] = field(default_factory=list)  # enabled now, and not before
    versions: dict[str, SchemaVersion] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)


def build_report(outcome: Outcome, rows: dict[str, AIModel], problems: list[str]) -> dict[str, Any]:
    """The validation and change report that a SyncRun keeps (JSON).

    `added`, `updated`, `retired`, `deprecated`, `returned`: endpoint ids. `changed`: one entry a new schema version.
    `not_understood`: endpoint id -> reason. `held`: reason -> endpoint ids. `listing_problems`: sentences.
    `totals`: counts over the whole catalog of the provider after the sync.
    """
    return {
        "added": outcome.added,
        "updated": outcome.updated,
        "retired": outcome.retired,
        "deprecated": outcome.deprecated,
        "returned": outcome.returned,
        "changed": [
            {
                "id": endpoint_id,
                "version": version.number,
                "class": version.change_class,
                "changes": len(version.changes),
                "words": readable_diff(version.changes)[:_SENTENCES_IN_REPORT],
            }
            for endpoint_id, version in outcome.versions.items()
            if version.number > 1
        ],
        "not_understood": outcome.reasons,
        "listing_problems": problems[:200],
        **standing(rows.values()),
    }


def standing(rows: Iterable[AIModel]) -> dict[str, Any]:
    """The parts `held` and `totals` of a report, from the rows as they are."""
    held: dict[str, list[str]] = {}
    totals: Counter[str] = Counter()
    for row in rows:
        totals["models"] += 1
        totals[row.status] += 1
        totals["understood"] += bool(row.schema_version)
        totals["enabled"] += row.enabled
        if row.held_reason:
            totals["held"] += 1
            held.setdefault(row.held_reason, []).append(row.endpoint_id)
    return {"held": {reason: sorted(ids) for reason, ids in held.items()}, "totals": dict(totals)}


def announce(provider: Provider, outcome: Outcome, rows: dict[str, AIModel], *, same_source: bool) -> None:
    """Writes the outbox events and raises the alerts of a sync, in its transaction.

    A catalog read from another address than the last one (the sandbox's, say) differs everywhere: no alerts then.
    """
    added = dict.fromkeys([*outcome.added, *outcome.offered])
    events = [model_event("model.added", rows[endpoint_id]) for endpoint_id in added]
    events += [model_event("model.retired", rows[endpoint_id]) for endpoint_id in outcome.retired]
    for endpoint_id, version in outcome.versions.items():
        if version.change_class == SchemaVersion.ChangeClass.INITIAL:
            continue
        row = rows[endpoint_id]
        details = {"schema_version": version.number, "changes": version.changes[:50]}
        events.append(model_event("model.changed", row, **details))
        if version.change_class == SchemaVersion.ChangeClass.BREAKING:
            events.append(model_event("model.schema_breaking", row, **details))
            if same_source:
                _alert_breaking(provider, row, version)
    OutboxEvent.objects.bulk_create(events, batch_size=500)


def _alert_breaking(provider: Provider, row: AIModel, version: SchemaVersion) -> None:
    raise_alert(
        "schema_breaking",
        f"{provider.slug}:{row.endpoint_id}",
        f"{row.name}: version {version.number} of its schema breaks callers",
        "\n".join(readable_diff(version.changes)[:20]),
        level=Alert.Level.WARNING,
        url=links.to_page("catalog_aimodel_change", row.pk),
    )


def held_words(row: AIModel) -> str:
    """Why a model is held, as a sentence; "" where it is not."""
    if not row.held_reason:
        return ""
    if row.held_reason == "retired" and row.origin == AIModel.Origin.MANUAL:
        return "It was added by hand, and retired by hand."
    words = HELD_WORDS.get(row.held_reason, row.held_reason)
    return f"{words} ({row.schema_problem})" if row.schema_problem and row.held_reason.startswith("schema") else words
