"""Every page of the admin with something on it: read by axe, wide, narrow and dark.

GENFEED_PICTURES=DIR keeps pictures of all of them in this folder.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from django.contrib import admin
from playwright.sync_api import Page

from tests.browser.signing_in import log_in
from tests.running_app import RunningApp

pytestmark = pytest.mark.browser

PICTURES = os.environ.get("GENFEED_PICTURES", "")
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
# Rows that pages are about; a page of each stands for all of its kind.
_ROWS = """
import json
from jobs.models import Job, Asset
from pricing.models import *
from catalog.models import AIModel, Provider, SyncRun
from genfeed.clients.models import ApiKey, Client
from genfeed.journal.models import Alert, AuditEvent
from django.contrib.auth.models import User
used = Job.objects.filter(status="succeeded", client__name__startswith="Demo: ").first()
print(json.dumps({
    "job": used.pk, "failed": Job.objects.filter(status="failed").first().pk, "model": used.model_id,
    "client": used.client_id, "account": Account.objects.get(client=used.client_id).pk, "key": used.key_id,
    "budget": Budget.objects.first().pk, "rule": MarginRule.objects.exclude(model=None).first().pk,
    "margin": MarginRule.objects.first().pk, "price": PricePoint.objects.first().pk,
    "recommendation": Recommendation.objects.first().pk, "bill": Bill.objects.first().pk,
    "usage": UsageRecord.objects.first().pk, "month": used.created_at.strftime("%Y-%m"),
    "alert": Alert.objects.first().pk, "event": AuditEvent.objects.first().pk, "sync": SyncRun.objects.first().pk,
    "provider": Provider.objects.get(slug="fal").pk,
    "user": User.objects.first().pk,
}))
"""
# Of what the demo leaves nothing of, a row each that nothing acts on; then the first row of everything that is
# registered.
_ALL_ROWS = """
import json
from datetime import timedelta
import genfeed.urls
from django.contrib import admin
from django.utils import timezone
from django_q.models import OrmQ, Task
from django_q.signing import SignedPackage
from catalog.models import AIModel
from genfeed.clients.models import ProviderKey
from genfeed.clients.sealing import seal
from genfeed.journal.models import NoticeChannel
from jobs.batches.models import Batch, BatchRefusal
from jobs.ids import new_id
from jobs.models import Job
from jobs.webhooks.models import WebhookDelivery, WebhookEndpoint, WebhookMessage
from jobs.workflows.accepting import accept_workflow
from jobs.workflows.api_shapes import WorkflowRunBody
from jobs.workflows.asking import read_workflow
from pricing.models import Calibration, Equivalence, ExistingModel
from tests.jobs.doubles import make_caller
now = timezone.now()
client = Job.objects.filter(client__name__startswith="Demo: ").first().client
one, other = AIModel.objects.order_by("-pk")[:2]
batch = Batch.objects.create(
    id=new_id("bat"), client=client, mode="best_effort", size=1, accepting_until=now, closed_at=now, finished_at=now,
)
BatchRefusal.objects.create(batch=batch, index=0, code="unknown_field", message="There is no field promt.", hint="")
url = "https://hooks.example.com/generated-media/of-the-shop/" + "a" * 60
endpoint = WebhookEndpoint.objects.create(
    id=new_id("whe"), client=client, url=url, events=["job.*", "balance.low"], secret=seal("s"), is_active=False,
)
message = WebhookMessage.objects.create(
    id=new_id("msg"), client=client, kind="balance.low", subject=client.name, body=json.dumps({"text": "a" * 300}),
)
WebhookDelivery.objects.create(
    id=new_id("whd"), message=message, client=client, endpoint=endpoint, lane=endpoint.pk, url=url, status="failed",
    attempts=9, give_up_at=now, attempted_at=now, response_status=503, response_body="b" * 500, error="HTTP 503",
)
ProviderKey.objects.create(
    client=client, provider="fal", sealed=seal("k"), fingerprint="f" * 24, hint="1234", detail="c " * 100,
)
NoticeChannel.objects.get_or_create(name="webhook", defaults={"failures": 3, "error": "ConnectError: " + "d" * 100})
Equivalence.objects.create(left=other, right=one, score=90, reason="The same name and category at two providers.")
Calibration.objects.create(model=one, inputs=[{"prompt": "a fox", "image_url": url}])
ExistingModel.objects.create(
    legacy_id=one.endpoint_id, provider_name="fal", name=one.name, model=one, pricing={"fixedPrice": 0.05},
)
for number, name in enumerate(("failed", "succeeded")):
    Task.objects.create(
        id=str(number) * 32, name=name, func="catalog.tasks.sync", started=now, stopped=now, success=bool(number),
        result="E" * 200,
    )
caller = make_caller(name="Workflows of the shop")
draw = {"name": "picture", "model": "fal-ai/flux/dev", "input": {"prompt": "a lighthouse " * 30}}
body = WorkflowRunBody.model_validate({"steps": [draw, draw | {"name": "poster", "depends_on": ["picture"]}]})
accept_workflow(read_workflow(body, caller.live_id), caller)
OrmQ.objects.create(key="elsewhere", payload=SignedPackage.dumps({"id": "1", "name": "waits", "func": "catalog.tasks"}))
print(json.dumps({
    row._meta.label_lower.replace(".", "_"): row._default_manager.values_list("pk", flat=True).first()
    for row in admin.site._registry
}, default=str))
"""
ADDRESSES = {
    "start": "",
    "profitability": "pricing/usagerecord/profitability/?period=7",
    "profitability by client": "pricing/usagerecord/profitability/?period=7&by=client",
    "profitability by day": "pricing/usagerecord/profitability/?period=7&by=day",
    "profitability without jobs": "pricing/usagerecord/profitability/?period=days&first=2020-01-01&last=2020-01-31",
    "usage records": "pricing/usagerecord/",
    "usage record": "pricing/usagerecord/{usage}/change/",
    "recommendations": "pricing/recommendation/",
    "recommendation": "pricing/recommendation/{recommendation}/change/",
    "policy": "pricing/recommendation/policy/",
    "jobs": "jobs/job/",
    "job": "jobs/job/{job}/change/",
    "failed job": "jobs/job/{failed}/change/",
    "refund": "jobs/job/{job}/refund/",
    "queue": "jobs/queue/",
    "webhooks": "jobs/webhookendpoint/",
    "accounts": "pricing/account/",
    "account": "pricing/account/{account}/change/",
    "top-up": "pricing/account/{account}/move/top-up/",
    "statement": "pricing/account/{account}/statement/{month}/",
    "budgets": "pricing/budget/",
    "budget": "pricing/budget/{budget}/change/",
    "prices": "pricing/pricepoint/",
    "price of a model": "pricing/pricepoint/model/{model}/",
    "price rules": "pricing/pricerule/",
    "price rule of a model": "pricing/pricerule/model/{model}/",
    "margin rules": "pricing/marginrule/",
    "margin rule": "pricing/marginrule/{margin}/change/",
    "new margin rule": "pricing/marginrule/add/",
    "bills": "pricing/bill/",
    "bill": "pricing/bill/{bill}/change/",
    "reconciliation": "pricing/bill/reconciliation/",
    "coverage": "pricing/modelpricing/coverage/",
    "existing models": "pricing/existingmodel/",
    "equivalents": "pricing/equivalence/",
    "calibrations": "pricing/calibration/",
    "providers": "catalog/provider/",
    "models": "catalog/aimodel/",
    "model": "catalog/aimodel/{model}/change/",
    "own model": "catalog/aimodel/own/add/",
    "catalog from the cloud": "pricing/cloudcatalog/",
    "provider": "catalog/provider/{provider}/change/",
    "sync run": "catalog/syncrun/{sync}/change/",
    "clients": "clients/client/",
    "client": "clients/client/{client}/change/",
    "keys": "clients/apikey/",
    "key": "clients/apikey/{key}/change/",
    "new key": "clients/apikey/add/",
    "alerts": "journal/alert/",
    "alert": "journal/alert/{alert}/change/",
    "audit": "journal/auditevent/",
    "audit event": "journal/auditevent/{event}/change/",
}


def _of_the_registry() -> Iterator[str]:
    """The list of everything that is registered, and one of its rows, where these are not read above."""
    for one in admin.site._registry:
        folder = one._meta.label_lower.replace(".", "/")
        yield f"{folder}/"
        changes = (address for address in ADDRESSES.values() if address.endswith("/change/"))
        if not any(address.startswith(f"{folder}/") for address in changes):
            yield f"{folder}/{{{folder.replace('/', '_')}}}/change/"


OTHERS = sorted({*_of_the_registry()} - {*ADDRESSES.values()})
# Colours are of few kinds of pages, one of each here; with pictures, all pages are read.
DARK = {
    "start", "profitability", "recommendation", "policy", "jobs", "job", "failed job", "queue", "price of a model",
    "statement", "new margin rule", "reconciliation", "model", "new key", "audit event",
}  # fmt: skip
# The menu is the same on all pages, and read once; what explains the filters of two boxes is Django's own.
BESIDE_THE_MENU = {"exclude": ["#nav-sidebar", ".help-tooltip"]}
# Rows of a table are alike; axe takes long for each.
ONE_SCREEN_OF_ROWS = "document.querySelectorAll('tbody tr:nth-child(n+11)').forEach(row => row.remove())"


# Colours are as they will be, not on their way there; a style sheet of a script is no inline style.
_STILL = """
const still = new CSSStyleSheet();
still.replaceSync("* { transition: none !important }");
document.adoptedStyleSheets = [still];
"""


@pytest.fixture(scope="module")
def rows(app: RunningApp) -> dict[str, Any]:
    """Primary keys that addresses are filled with."""
    found: dict[str, Any] = json.loads(app.manage("shell", "-v", "0", "-c", _ROWS).splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def all_rows(app: RunningApp) -> dict[str, Any]:
    """A primary key of everything in the admin; asked for last, as pages that were empty are so no more."""
    found: dict[str, Any] = json.loads(app.manage("shell", "-v", "0", "-c", _ALL_ROWS).splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def signed_in(app: RunningApp, browser: Any) -> Iterator[tuple[Page, list[str]]]:
    """One page for all of these tests, and what the browser complained of since it was emptied."""
    context = browser.new_context(viewport=WIDE)
    context.add_init_script(_STILL)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    log_in(page, app)
    yield page, complaints
    context.close()


def findings(page: Page, where: dict[str, list[str]] = BESIDE_THE_MENU, **options: Any) -> list[str]:
    """What axe finds serious or critical there, as the page looks now."""
    page.evaluate(AXE_SCRIPT)
    given = {"where": where, "options": {"resultTypes": ["violations"], **options}}
    found = page.evaluate("given => axe.run(given.where, given.options)", given)["violations"]
    return [
        f"{one['id']} ({one['impact']}): {node['target']} {node['html'][:200]} {node['failureSummary'][:200]}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"][:3]
    ]


def photograph(page: Page, name: str) -> None:
    if PICTURES:
        page.screenshot(path=Path(PICTURES) / f"{name}.png", full_page=True)


def is_as_wide_as_its_window(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


@pytest.mark.parametrize("name", ADDRESSES)
def test_a_page_is_readable_for_everybody_wide_narrow_and_dark(
    app: RunningApp, signed_in: tuple[Page, list[str]], rows: dict[str, Any], name: str
) -> None:
    page, complaints = signed_in
    complaints.clear()
    page.set_viewport_size(WIDE)
    page.emulate_media(color_scheme="light")

    answer = page.goto(f"{app.base_url}/admin/{ADDRESSES[name].format(**rows)}")
    assert answer is not None
    assert answer.status == 200
    assert page.locator("h1").first.inner_text()
    assert "UTC" in page.inner_text("body")
    assert is_as_wide_as_its_window(page)
    photograph(page, f"{name}, wide")
    page.set_viewport_size(PHONE)
    assert is_as_wide_as_its_window(page)
    photograph(page, f"{name}, phone")

    page.set_viewport_size(WIDE)
    page.evaluate(ONE_SCREEN_OF_ROWS)
    assert findings(page) == []
    if name in DARK or PICTURES:
        page.emulate_media(color_scheme="dark")
        assert findings(page, runOnly=["color-contrast"]) == []
        photograph(page, f"{name}, dark")
    assert complaints == []


def test_the_menu_is_readable_for_everybody(app: RunningApp, signed_in: tuple[Page, list[str]]) -> None:
    page, _ = signed_in
    page.set_viewport_size(WIDE)
    page.emulate_media(color_scheme="light")
    page.goto(f"{app.base_url}/admin/jobs/job/")

    menu = {"include": ["#nav-sidebar"]}
    assert page.locator("#nav-sidebar a").count() > 20
    assert findings(page, menu) == []
    page.emulate_media(color_scheme="dark")
    assert findings(page, menu) == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("profitability without jobs", "No job"),
        ("webhooks", "Clients add theirs"),
        ("existing models", "manage.py"),
        ("equivalents", "Press Look again"),
        ("calibrations", "Plan a calibration"),
    ],
)
def test_a_page_without_anything_on_it_says_what_to_do(
    app: RunningApp, signed_in: tuple[Page, list[str]], rows: dict[str, Any], name: str, words: str
) -> None:
    page, _ = signed_in
    page.goto(f"{app.base_url}/admin/{ADDRESSES[name].format(**rows)}")

    assert words in page.inner_text("main")


@pytest.mark.parametrize(
    ("name", "words"),
    [("recommendation", "Apply"), ("recommendations", "Compute now"), ("job", "Refund"), ("policy", "Dry run")],
)
def test_what_a_page_is_for_is_reached_by_the_keyboard(
    app: RunningApp, signed_in: tuple[Page, list[str]], rows: dict[str, Any], name: str, words: str
) -> None:
    page, _ = signed_in
    page.set_viewport_size(WIDE)
    page.goto(f"{app.base_url}/admin/{ADDRESSES[name].format(**rows)}")
    # Django's link past the menu comes first.
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")

    reached = []
    for _ in range(15):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.innerText ?? ''"))
        if words in reached[-1]:
            break
    assert words in reached[-1], reached


def test_a_refund_is_shown_before_it_is_booked(
    app: RunningApp, signed_in: tuple[Page, list[str]], rows: dict[str, Any]
) -> None:
    page, _ = signed_in
    page.goto(f"{app.base_url}/admin/{ADDRESSES['refund'].format(**rows)}")
    before = page.locator("p strong").last.inner_text()
    page.fill("#id_amount", "0.0001")
    page.fill("#id_reason", "the picture was not usable")
    page.fill("#id_reference", "ticket 7")
    page.click("[data-testid=preview]")

    assert f"0.0001 USD of {before} USD go back to Demo:" in page.inner_text("[data-testid=what]")
    page.goto(f"{app.base_url}/admin/{ADDRESSES['refund'].format(**rows)}")
    assert page.locator("p strong").last.inner_text() == before


@pytest.mark.parametrize("address", OTHERS)
def test_every_other_page_of_the_admin_opens_as_wide_as_its_window(
    app: RunningApp, signed_in: tuple[Page, list[str]], all_rows: dict[str, Any], address: str
) -> None:
    page, complaints = signed_in
    complaints.clear()
    page.set_viewport_size(WIDE)
    page.emulate_media(color_scheme="light")

    answer = page.goto(f"{app.base_url}/admin/{address.format(**all_rows)}")
    assert answer is not None
    assert answer.status == 200
    # Where there is no such row, Django leads to the start page.
    assert page.locator("h1").first.inner_text() != "Overview"
    assert is_as_wide_as_its_window(page)
    name = address.strip("/").replace("/", " ")
    photograph(page, f"{name}, wide")
    page.set_viewport_size(PHONE)
    assert is_as_wide_as_its_window(page)
    photograph(page, f"{name}, phone")
    if PICTURES:
        page.set_viewport_size(WIDE)
        page.evaluate(ONE_SCREEN_OF_ROWS)
        assert findings(page) == []
        page.emulate_media(color_scheme="dark")
        photograph(page, f"{name}, dark")
        assert findings(page, runOnly=["color-contrast"]) == []
    assert complaints == []
