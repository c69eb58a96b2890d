"""A year of settled jobs in an installation's database: `python -m tests.bench.past_year JOBS`.

Rows go in as SQL: what is measured is reading them. Models and clients are as unevenly popular as real ones are; one
job in a hundred was refunded, one in 200 corrected by a bill a day later, and one in a thousand written off.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

MODELS, CLIENTS, DAYS = 1500, 200, 365
_BATCH = 20_000
# As many as the recorded catalog has.
_CATEGORIES = (
    "text-to-image", "image-to-image", "text-to-video", "image-to-video", "text-to-speech", "training",
    "video-to-video", "text-to-audio", "vision", "image-to-3d", "audio-to-audio", "speech-to-text", "video-to-audio",
    "audio-to-video", "text-to-music", "llm", "json", "text-to-3d", "speech-to-speech", "3d-to-3d", "audio-to-text",
    "image-to-json",
    "text-to-json", "text-to-text", "unknown", "video-to-text", "workflow-utilities",
)  # fmt: skip
_RECORD = (
    "job", "client_id", "model_id", "unit", "units", "cost", "charge", "cost_source", "outcome", "error_code",
    "request_id", "quoted_cost", "quoted_price", "terms", "is_cached", "features", "seconds", "created_at",
)  # fmt: skip
_LEDGER = (
    "account_id", "at", "kind", "job", "reference", "available", "held", "spent", "funded", "cost", "loss", "reason",
    "actor_name",
)  # fmt: skip
_FEATURES = tuple(
    json.dumps({"resolution": size, "duration": seconds, "audio": audio, "loras": loras})
    for size, seconds, audio, loras in itertools.product(("480p", "720p", "1080p"), (5, 10), (False, True), (0, 0, 1))
)
_TERMS = json.dumps({"mode": "margin", "rate": "0.70", "billing": "metered", "unit": "images", "unit_price": "0.025"})
_QUOTE = json.dumps({"cost": 25_000_000, "price": 83_333_333, "unit": "images", "units": "1", "basis": "1 image"})
_INPUT = json.dumps({"prompt": "a lighthouse in a storm, oil on canvas, seen from the sea", "resolution": "720p"})


def main(jobs: int) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "genfeed.settings")
    import django

    django.setup()
    from django.db import connection

    with connection.cursor() as cursor:
        # Losing half a made-up year to a power cut is no loss.
        sqlite = "PRAGMA synchronous=OFF; PRAGMA cache_size=-500000"
        for statement in sqlite.split(";") if connection.vendor == "sqlite" else ["SET synchronous_commit = off"]:
            cursor.execute(statement)
    newest = datetime.now(UTC) - timedelta(minutes=5)
    from pricing.models import UsageRecord

    # Called again with more, it adds what is missing.
    there = UsageRecord.objects.count()
    models, accounts = (_models(), _accounts()) if not there else _known()
    fill(jobs, newest, models, accounts, there)
    _jobs_of_records()
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            # What autovacuum does within a minute of such a load.
            cursor.execute("VACUUM ANALYZE")


def fill(
    jobs: int, newest: datetime, models: Sequence[int], accounts: Sequence[tuple[int, int]], first: int = 0
) -> None:
    """Usage records and their ledger rows from number `first` on, evenly over DAYS days."""
    from django.db import transaction

    dice = random.Random(1)
    popular = list(itertools.accumulate(1 / (n + 20) for n in range(len(models))))
    large = list(itertools.accumulate(1 / (n + 10) for n in range(len(accounts))))
    for start in range(first, jobs, _BATCH):
        records: list[Any] = []
        rows: list[Any] = []
        numbers = range(start, min(start + _BATCH, jobs))
        chosen_models = dice.choices(models, cum_weights=popular, k=len(numbers))
        chosen_accounts = dice.choices(accounts, cum_weights=large, k=len(numbers))
        for number, model, who in zip(numbers, chosen_models, chosen_accounts, strict=True):
            at = newest - timedelta(days=DAYS) * (1 - (number - first + 1) / (jobs - first))
            _job(records, rows, number, model, who, at, dice)
        with transaction.atomic():
            insert("pricing_usagerecord", _RECORD, records)
            insert("pricing_ledgertransaction", _LEDGER, rows)


def _job(records: list[Any], rows: list[Any], number: int, model: int, who: Any, at: datetime, dice: Any) -> None:
    account, client = who
    rolled = dice.random()
    failed = rolled < 0.04
    cost = 0 if failed else 1_000_000 + model % 97 * 3_000_000 + int(rolled * 1_000_000)
    charge = cost * 10 // (3 + model % 9)
    job = f"job_{_ulid(at, number)}"
    quoted = cost if rolled < 0.6 else cost * 97 // 100 if rolled < 0.8 else cost * 110 // 100
    records.append(
        (
            job, client, model, "images", "1" if rolled < 0.7 else "4", cost, charge,
            "none" if failed else "billable_units", "failed" if failed else "succeeded",
            ("timeout" if rolled < 0.02 else "provider_error") if failed else "", "", quoted, charge, _TERMS, False,
            _FEATURES[int(rolled * 9973) % len(_FEATURES)], dice.lognormvariate(2, 0.8), at,
        )
    )  # fmt: skip
    rows.append((account, at, "release" if failed else "settle", job, "", 0, -charge, charge, 0, cost, 0, "", "system"))
    if failed:
        return
    after = at + timedelta(days=1)
    if 0.04 <= rolled < 0.05:
        rows.append((account, at, "refund", job, "r", charge // 2, 0, -(charge // 2), 0, 0, 0, "", ""))
    elif 0.05 <= rolled < 0.055:
        rows.append((account, after, "correction", job, "b", -1000, 0, 1000, 0, 300, 0, "", "system"))
    elif 0.055 <= rolled < 0.056:
        rows.append((account, after, "write_off", job, "w", 0, 0, 0, 0, -cost, -cost, "", ""))


def _ulid(at: datetime, number: int) -> str:
    """An id that sorts by time, as jobs have them."""
    from ulid import ULID

    return str(ULID.from_bytes(int(at.timestamp() * 1000).to_bytes(6) + number.to_bytes(10))).lower()


def _jobs_of_records() -> None:
    """A job for each record, for the list of jobs."""
    from django.db import connection

    columns = _defaults() | {
        "id": "r.job", "client_id": "r.client_id", "model_id": "r.model_id", "provider": "'fal'",
        "endpoint_id": "m.endpoint_id", "schema_version": "1", "status": "r.outcome", "version": "5",
        "input": f"'{_INPUT}'", "input_digest": "'d'", "features": "r.features", "quote": f"'{_QUOTE}'",
        "terms": "r.terms", "hold_amount": "r.charge", "priority": "'normal'", "metadata": "'{}'", "webhook_url": "''",
        "may_cache": "false", "idempotency_key": "''", "body_digest": "''", "token": "'t'",
        "created_at": "r.created_at",
        "sent_at": "r.created_at", "submitted_at": "r.created_at", "finished_at": "r.created_at", "cancel_reason": "''",
        "deadline_seconds": "600", "next_at": "r.created_at", "attempts": "1", "looks": "3",
        "request_id": "'req_' || r.job", "urls": "'{}'", "log_mark": "'[]'", "charge": "r.charge", "cost": "r.cost",
        "cost_source": "r.cost_source", "billed_units": "r.units", "quarantine": "''", "is_cached": "false",
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO jobs_job ({', '.join(columns)}) SELECT {', '.join(columns.values())} "
            "FROM pricing_usagerecord r JOIN catalog_aimodel m ON m.id = r.model_id "
            "WHERE NOT EXISTS (SELECT 1 FROM jobs_job j WHERE j.id = r.job) ORDER BY r.id"
        )


def _defaults() -> dict[str, str]:
    """What a job has that nothing is said of here, as SQL: columns that come later need no line of their own."""
    from jobs.models import Job

    given = {field.column: field.get_default() for field in Job._meta.concrete_fields if not field.null}
    return {
        column: str(value).lower() if isinstance(value, bool) else f"'{json.dumps(value)}'"
        if isinstance(value, dict | list) else f"'{value}'" if isinstance(value, str) else str(value)
        for column, value in given.items()
        if isinstance(value, bool | int | str | dict | list)
    }  # fmt: skip


def _models() -> list[int]:
    from catalog.models import AIModel, Provider

    provider, _ = Provider.objects.get_or_create(slug="fal", defaults={"name": "fal.ai"})
    AIModel.objects.bulk_create(
        AIModel(
            provider=provider, endpoint_id=f"fal-ai/year/{number:04}", name=f"Year {number:04}", enabled=True,
            category=_CATEGORIES[number % len(_CATEGORIES)], schema_state="understood", schema_version=1, priced=True,
        )
        for number in range(MODELS)
    )  # fmt: skip
    return _known()[0]


def _known() -> tuple[list[int], list[tuple[int, int]]]:
    """The models and accounts that were made before."""
    from catalog.models import AIModel
    from pricing.models import Account

    models = AIModel.objects.filter(endpoint_id__startswith="fal-ai/year/").order_by("pk")
    accounts = Account.objects.filter(client__name__startswith="Client ").order_by("client__name")
    return list(models.values_list("pk", flat=True)), list(accounts.values_list("pk", "client_id"))


def _accounts() -> list[tuple[int, int]]:
    from genfeed.clients.models import Client
    from pricing.ledger.accounts import account_of

    clients = Client.objects.bulk_create(Client(name=f"Client {number:03}") for number in range(CLIENTS))
    return [(account_of(client.pk).pk, client.pk) for client in clients]


def insert(table: str, columns: tuple[str, ...], rows: Sequence[Sequence[Any]]) -> None:
    """Rows as fast as the database takes them."""
    from django.db import connection

    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy:  # type: ignore[attr-defined]
                for row in rows:
                    copy.write_row(row)
            return
        places = ", ".join(["%s"] * len(columns))
        cursor.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})", list(_adapted(rows)))


def _adapted(rows: Sequence[Sequence[Any]]) -> Iterator[list[Any]]:
    from django.db import connection

    adapt = connection.ops.adapt_datetimefield_value
    for row in rows:
        yield [adapt(value) if isinstance(value, datetime) else value for value in row]


if __name__ == "__main__":
    main(int(sys.argv[1]))
