"""No cell of any table that leaves us as CSV is a formula to whoever opens it, whatever others have named things."""

from __future__ import annotations

import ast
import csv
import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.test import Client as HttpClient
from django.utils import timezone

from genfeed.clients.keys import create_key
from genfeed.clients.models import Client
from genfeed.journal.audit import SYSTEM
from pricing.admin.report_pages import _TABLES
from pricing.ledger.accounts import top_up
from pricing.models import ExistingModel, Refusal
from pricing.reports.rollups import roll_up
from pricing.usage.tables import as_csv
from tests.factories import make_model, make_provider
from tests.pricing.ledger.books import CENT, make_client
from tests.pricing.money.used import use
from tests.pricing.reports.past import ended
from tests.sandbox_server import ROOT

pytestmark = [pytest.mark.django_db, pytest.mark.once]

STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
EVIL = [f"{start}cmd|' /C calc'!A0" for start in STARTS]
REPORT = "/admin/pricing/usagerecord/profitability"
# What answers with CSV, by module; whether it shows texts that others have written. `{account}`: the client's account.
EXPORTS = {
    "pricing.admin.accounts": [("/admin/pricing/account/{account}/statement/{month}/?format=csv", True)],
    "pricing.admin.existing": [("/admin/pricing/existingmodel/profitability.csv", True)],
    "pricing.admin.reconciliation": [("/admin/pricing/bill/reconciliation/days.csv", False)],
    "pricing.admin.report_pages": [
        *((f"{REPORT}/{table}.csv", table not in ("course", "margins", "total")) for table in _TABLES),
        *(
            (f"{REPORT}/groups.csv?by={by}", by not in ("provider", "day"))
            for by in ("model", "client", "category", "provider", "day")
        ),
    ],
    "pricing.api_usage": [
        ("/api/v1/statements/{month}?format=csv", True),
        *((f"/api/v1/usage?format=csv&group_by={by}", by != "day") for by in ("model", "category", "key", "day")),
    ],
}


def sources() -> Iterator[tuple[str, ast.Module]]:
    """Every module of ours that has something to do with CSV, by its name, as Python reads it."""
    for app in ("genfeed", "catalog", "pricing", "jobs"):
        for path in sorted((ROOT / app).rglob("*.py")):
            text = path.read_text()
            if "csv" in text.lower():
                yield ".".join(path.relative_to(ROOT).with_suffix("").parts), ast.parse(text)


def test_every_module_that_answers_with_csv_is_tried_here() -> None:
    # Of the kinds of files that clients bring, CSV is one.
    found = {
        name
        for name, tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "text/csv" in node.value.lower()
    } - {"genfeed.media.sniffing"}

    assert {name for name in found if not _only_says(name)} == set(EXPORTS)


def _only_says(name: str) -> bool:
    """Whether a module names the type in its words alone."""
    text = Path(ROOT, *name.split(".")).with_suffix(".py").read_text()
    return '"text/csv' not in text


def test_one_function_writes_csv() -> None:
    writers = {
        name
        for name, tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in ("writer", "DictWriter")
    }

    assert writers == {"pricing.usage.tables"}


@pytest.mark.parametrize("start", STARTS)
def test_a_text_that_begins_like_a_formula_is_a_text(start: str) -> None:
    ((cell,),) = list(csv.reader(io.StringIO(as_csv(["a"], [[f"{start}1+1"]]), newline="")))[1:]

    assert cell == f"'{start}1+1"


@pytest.mark.parametrize("number", ["-1", "-0.000000001", "12", "0.5"])
def test_numbers_stay_numbers(number: str) -> None:
    assert as_csv(["a"], [[number]]).splitlines()[1] == number


@pytest.fixture
def client() -> Client:
    """A client of whose names and words each begins like a formula, as do those of models, providers and errors."""
    now = timezone.now()
    one = make_client(EVIL[0])
    for number, evil in enumerate(EVIL):
        provider = make_provider(f"p{number}", evil)
        model = make_model(evil, provider=provider.slug, category=evil)
        other = make_client(f"{evil} {number}") if number else one
        for _ in range(5):
            ended(model, other, now, quoted_cost=CENT, cost=2 * CENT, features={evil: evil})
        ended(model, other, now, outcome="failed", charge=0, cost=0, cost_source="none", error_code=evil)
        Refusal.objects.create(
            day=now.date(), kind=Refusal.Kind.MODEL, key=model.pk, client_key=other.pk, code="model_disabled", times=1
        )
        key, _ = create_key(one, actor=SYSTEM, name=evil)
        use(one, f"job_{number}", model=model, key_id=key.pk)
        top_up(one.pk, CENT, actor=SYSTEM, reason="paid", reference=f"{evil} {number}")
        ExistingModel.objects.create(
            legacy_id=evil, provider_name=evil, name=evil, model=model, pricing={"fixedPrice": "0.05"}
        )
    roll_up()
    return one


@pytest.mark.parametrize(
    ("address", "has_foreign_words"), [one for exports in EXPORTS.values() for one in exports], ids=lambda one: str(one)
)
def test_no_cell_of_an_export_runs(
    client: Client, staff: Callable[[str], HttpClient], address: str, has_foreign_words: bool
) -> None:
    is_api = address.startswith("/api/")
    key = create_key(client, actor=SYSTEM, scopes=["usage:read"])[1] if is_api else ""
    http = HttpClient(headers={"Authorization": f"Bearer {key}"}) if is_api else staff("superuser")

    answer = http.get(address.format(account=client.account.pk, month=f"{timezone.now():%Y-%m}"))

    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/csv; charset=utf-8")
    cells = [cell for row in csv.reader(io.StringIO(answer.content.decode(), newline="")) for cell in row]
    assert [cell for cell in cells if cell.startswith(STARTS) and not _is_amount(cell)] == []
    assert any(cell.startswith("'") for cell in cells) is has_foreign_words


def _is_amount(cell: str) -> bool:
    return cell.removeprefix("-").replace(".", "", 1).isdecimal()
