"""A year of settled jobs in an installation's database: `python -m tests.bench.past_year JOBS`.

Rows go in as SQL: what is measured is reading them. Models and clients are as unevenly popular as real ones are.
"""

from __future__ import annotations

import json
import os
import random
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

MODELS, CLIENTS, DAYS = 1500, 200, 365
_BATCH = 20_000
_CATEGORIES = ("text-to-image", "image-to-image", "text-to-video", "image-to-video", "text-to-speech", "training")
_RECORD = (
    "job", "client_id", "model_id", "unit", "units", "cost", "charge", "cost_source", "outcome", "error_code",
    "request_id", "quoted_cost", "quoted_price", "terms", "is_cached", "features", "seconds", "created_at",
)  # fmt: skip
_LEDGER = (
    "account_id", "at", "kind", "job", "reference", "available", "held", "spent", "funded", "cost", "loss", "reason",
    "actor_name",
)  # fmt: skip


def main(jobs: int) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "genfeed.settings")
    import django

    django.setup()
    from django.db import transaction

    models, accounts = _models(), _accounts()
    dice = random.Random(1)
    chosen_models = dice.choices(models, weights=[1 / (n + 20) for n in range(MODELS)], k=jobs)
    chosen_clients = dice.choices(accounts, weights=[1 / (n + 10) for n in range(CLIENTS)], k=jobs)
    newest = datetime.now(UTC) - timedelta(minutes=5)
    for start in range(0, jobs, _BATCH):
        records, rows = [], []
        for number in range(start, min(start + _BATCH, jobs)):
            at = newest - timedelta(days=DAYS) * (1 - (number + 1) / jobs)
            _job(records, rows, number, chosen_models[number], chosen_clients[number], at, dice)
        with transaction.atomic():
            _insert("pricing_usagerecord", _RECORD, records)
            _insert("pricing_ledgertransaction", _LEDGER, rows)


def _job(records: list[Any], rows: list[Any], number: int, model: int, who: Any, at: datetime, dice: Any) -> None:
    from django.db import connection

    account, client = who
    moment = connection.ops.adapt_datetimefield_value(at)
    failed = dice.random() < 0.04
    cost = 0 if failed else 1_000_000 + model % 97 * 3_000_000 + dice.randrange(1_000_000)
    charge = cost * 10 // (3 + model % 9)
    job, quoted = f"job_y{number}", cost * dice.choice((100, 100, 100, 97, 110)) // 100
    features = json.dumps({"resolution": dice.choice(("720p", "1080p")), "duration": dice.choice((5, 10))})
    records.append(
        (
            job, client, model, "images", "1", cost, charge, "none" if failed else "billable_units",
            "failed" if failed else "succeeded", dice.choice(("timeout", "provider_error")) if failed else "", "",
            quoted, charge, "{}", False, features, dice.lognormvariate(2, 0.8), moment,
        )
    )  # fmt: skip
    end = "release" if failed else "settle"
    rows.append((account, moment, end, job, "", 0, -charge, charge, 0, cost, 0, "", "system"))
    if dice.random() < 0.01 and charge:
        half = charge // 2
        rows.append((account, moment, "refund", job, "r", half, 0, -half, 0, 0, 0, "", ""))


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
    return list(AIModel.objects.filter(endpoint_id__startswith="fal-ai/year/").values_list("pk", flat=True))


def _accounts() -> list[tuple[int, int]]:
    from genfeed.clients.models import Client
    from pricing.ledger.accounts import account_of

    clients = Client.objects.bulk_create(Client(name=f"Client {number:03}") for number in range(CLIENTS))
    return [(account_of(client.pk).pk, client.pk) for client in clients]


def _insert(table: str, columns: tuple[str, ...], rows: list[Any]) -> None:
    from django.db import connection

    places = ", ".join(["%s"] * len(columns))
    with connection.cursor() as cursor:
        cursor.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})", rows)


if __name__ == "__main__":
    main(int(sys.argv[1]))
