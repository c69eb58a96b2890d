"""The same clients' requests to an installation in cloud mode and to one in core mode: one interface, one behaviour.

What differs is money alone: cloud sells above the cost and from a balance, core runs at cost and without one.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fleet import Fleet, fleet
from tests.media.files import png

MODES = ("cloud", "core")
MODEL = "fal-ai/flux/dev"
FOX = {"model": MODEL, "input": {"prompt": "a fox"}}
PATIENCE_SECONDS = 60
# Shown in core mode to everybody, in cloud mode to admins.
COSTS = ("cost", "unit_price")
# A client that is like any other but for its money: in cloud mode as many USD as are said, in core mode none.
_CLIENT = """
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client as Browser
from genfeed.clients.keys import create_key
from genfeed.clients.models import Client
from genfeed.journal.audit import SYSTEM
from pricing.ledger.accounts import top_up
client = Client.objects.create(name="{name}", jobs_per_minute=10000)
if {usd} and settings.GENFEED_MODE == "cloud":
    top_up(client.pk, {usd} * 10**9, actor=SYSTEM, reason="paid")
staff, _ = User.objects.get_or_create(username="root", is_staff=True, is_superuser=True)
browser = Browser()
browser.force_login(staff)
print(browser.cookies[settings.SESSION_COOKIE_NAME].value)
scopes = ["models:read", "estimates", "jobs:write", "jobs:read", "usage:read", "budgets", "keys"]
print(create_key(client, actor=SYSTEM, scopes=scopes)[1])
"""


class Site:
    """A running installation and a client of it."""

    def __init__(self, mode: str, running: Fleet, key: str, session: str) -> None:
        self.mode = mode
        self.session = session
        self.running = running
        self.http = httpx.Client(
            base_url=f"{running.base_url}/api/v1",
            headers={"Authorization": f"Bearer {key}"},
            timeout=30,
            trust_env=False,
        )

    def get(self, path: str) -> Any:
        answer = self.http.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: Any, status: int = 200, **headers: str) -> Any:
        answer = self.http.post(path, json=body, headers=headers)
        assert answer.status_code == status, answer.text
        return answer.json()

    def ended(self, job: dict[str, Any]) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while job["status"] not in ("succeeded", "failed", "canceled"):
            assert time.monotonic() < deadline, job
            time.sleep(0.1)
            job = self.get(f"/jobs/{job['id']}")
        return job


def new_client(running: Fleet, name: str, *, usd: int) -> tuple[str, str]:
    """A key of a new client, and the session of a superuser."""
    session, key = running.shell(_CLIENT.format(name=name, usd=usd)).splitlines()[-2:]
    return key, session


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory, migrated_database: Path | None) -> Iterator[dict[str, Site]]:
    """One installation in each mode, with the same one model, each with a sandbox of its own."""
    with ExitStack() as stack:
        made = {}
        for mode in MODES:
            var = tmp_path_factory.mktemp(mode) / "var"
            settings = {"GENFEED_MODE": mode}
            running = stack.enter_context(fleet(var, settings=settings, worker=False, migrated=migrated_database))
            running.prepare()
            key, session = new_client(running, "Suite", usd=5)
            running.start_all()
            running.sandbox.faults(processing_ms=0)
            made[mode] = Site(mode, running, key, session)
            stack.callback(made[mode].http.close)
        yield made


@pytest.fixture(params=MODES)
def site(request: pytest.FixtureRequest, sites: dict[str, Site]) -> Site:
    return sites[request.param]


def shape(value: Any) -> Any:
    """The names of an answer, through and through, but for the costs; of a list those of its first entry."""
    if isinstance(value, dict):
        return {name: shape(part) for name, part in sorted(value.items()) if name not in COSTS}
    return [shape(part) for part in value[:1]] if isinstance(value, list) else None


def test_models_are_listed_and_asked_for_again_for_nothing(site: Site) -> None:
    first = site.http.get("/models")
    again = site.http.get("/models", headers={"If-None-Match": first.headers["ETag"]})

    assert [one["id"] for one in first.json()["items"]] == [MODEL]
    assert again.status_code == 304


def test_a_model_shows_its_fields(site: Site) -> None:
    assert any(field["name"] == "prompt" for field in site.get(f"/models/{MODEL}")["inputs"])


def test_an_estimate_comes_with_price_and_basis(site: Site) -> None:
    told = site.post("/estimates", FOX)

    assert float(told["price"]) > 0
    assert told["basis"]


def test_a_job_is_accepted_run_and_charged_at_its_price(site: Site) -> None:
    job = site.ended(site.post("/jobs", FOX, 201))

    assert job["status"] == "succeeded", job["error"]
    assert job["output"]["images"]
    assert float(job["charge"]) > 0


def test_a_job_that_runs_is_canceled_and_costs_nothing(site: Site) -> None:
    site.running.sandbox.faults(jobs=[{"seconds": 60}])
    job = site.post("/jobs", FOX, 201)

    ended = site.ended(site.post(f"/jobs/{job['id']}/cancel", None))
    site.running.sandbox.faults(jobs=[])

    assert ended["status"] == "canceled"
    assert float(ended["charge"] or 0) == 0


def test_the_same_request_twice_is_one_job(site: Site) -> None:
    first, second = (site.post("/jobs", FOX, 201, **{"Idempotency-Key": "once"}) for _ in range(2))

    assert first["id"] == second["id"]


def test_the_best_model_for_a_task_is_chosen(site: Site) -> None:
    assert site.post("/models/select", {"task": "text-to-image"})["items"][0]["model"] == MODEL


def test_a_batch_is_run_item_by_item_and_charged_as_their_sum(site: Site) -> None:
    batch = site.post("/batches", {"items": [FOX, FOX]}, 201)
    jobs = [site.ended(job) for job in site.get(f"/jobs?batch={batch['id']}")["items"]]
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (told := site.get(f"/batches/{batch['id']}"))["status"] != "completed":
        assert time.monotonic() < deadline, told
        time.sleep(0.1)

    assert [job["status"] for job in jobs] == ["succeeded"] * 2
    assert Decimal(told["charge"]) == sum(Decimal(job["charge"]) for job in jobs)


def test_a_file_is_brought_and_read_back(site: Site) -> None:
    content = png(64, 64)
    answer = site.http.post("/uploads", files={"file": ("fox.png", content, "image/png")})
    assert answer.status_code == 201, answer.text

    assert site.get(f"/uploads/{answer.json()['id']}")["size"] == len(content)


def test_the_events_of_a_job_are_streamed_to_its_end(site: Site) -> None:
    job = site.post("/jobs", FOX, 201)
    deadline, told = time.monotonic() + PATIENCE_SECONDS, []
    with site.http.stream("GET", f"/jobs/{job['id']}/events", headers={"Accept": "text/event-stream"}) as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        for line in answer.iter_lines():
            assert time.monotonic() < deadline, told
            if line.startswith("event:"):
                told.append(line.removeprefix("event:").strip())

    assert told[-1] == "job_succeeded"


@pytest.mark.parametrize("page", ["", "catalog/aimodel/", "jobs/job/", "pricing/account/", "catalog/provider/"])
def test_the_admin_shows_its_pages(site: Site, page: str) -> None:
    answer = httpx.get(
        f"{site.running.base_url}/admin/{page}", cookies={"sessionid": site.session}, timeout=30, trust_env=False
    )

    assert answer.status_code == 200
    assert "root" in answer.text


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({**FOX, "model": "fal-ai/flux/deev"}, 404, "model_not_found"),
        ({**FOX, "input": {"prompt": "a fox", "promt": "a fox"}}, 422, "unknown_field"),
        ({**FOX, "input": {}}, 422, "invalid_input"),
        ({**FOX, "max_price": "0.000001"}, 402, "price_above_max"),
        ({"input": {}}, 400, "invalid_request"),
    ],
)
def test_what_is_wrong_is_told_by_the_same_code(site: Site, body: Any, status: int, code: str) -> None:
    assert site.post("/jobs", body, status)["code"] == code


def test_without_a_key_nothing_is_told(site: Site) -> None:
    answer = httpx.get(f"{site.running.base_url}/api/v1/models", trust_env=False)

    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")


def test_a_budget_stops_what_would_pass_it(site: Site) -> None:
    set_to = {"budgets": [{"period": "day", "limit": "0.0001"}]}
    assert site.http.put("/budgets", json=set_to).status_code == 200

    refused = site.post("/jobs", FOX, 402)
    site.http.put("/budgets", json={"budgets": []})

    assert refused["code"] == "budget_exceeded"


def test_a_budget_counts_what_the_provider_billed(site: Site) -> None:
    site.http.put("/budgets", json={"budgets": [{"period": "month", "limit": "4"}]})

    job = site.ended(site.post("/jobs", FOX, 201))
    (budget,) = site.get("/budgets")["items"]
    site.http.put("/budgets", json={"budgets": []})

    assert (budget["spent"], float(budget["reserved"])) == (job["charge"], 0)


def test_answers_have_the_same_names_in_both_modes(sites: dict[str, Site]) -> None:
    def answers(site: Site) -> dict[str, Any]:
        job = site.ended(site.post("/jobs", FOX, 201))
        asked = {
            "models": site.get("/models"),
            "model": site.get(f"/models/{MODEL}"),
            "estimate": site.post("/estimates", FOX),
            "job": job,
            "jobs": site.get("/jobs"),
            "events": site.get(f"/jobs/{job['id']}/events"),
            "usage": site.get("/usage"),
            "balance": site.get("/balance"),
            "budgets": site.get("/budgets"),
            "status": site.get("/status"),
            "error": site.post("/jobs", {**FOX, "input": {}}, 422),
        }
        return {name: shape(answer) for name, answer in asked.items()}

    assert answers(sites["cloud"]) == answers(sites["core"])


def test_core_charges_the_cost_and_cloud_more_than_the_core_price(sites: dict[str, Site]) -> None:
    cloud, core = (site.ended(site.post("/jobs", FOX, 201)) for site in (sites["cloud"], sites["core"]))

    assert core["charge"] == core["cost"]
    assert "cost" not in cloud
    assert float(cloud["charge"]) > float(core["charge"])


def test_only_cloud_refuses_for_want_of_balance(sites: dict[str, Site]) -> None:
    def asked(site: Site) -> tuple[int, str | None]:
        key, _ = new_client(site.running, "Poor", usd=0)
        answer = site.http.post("/jobs", json=FOX, headers={"Authorization": f"Bearer {key}"})
        return answer.status_code, answer.json().get("code")

    assert asked(sites["cloud"]) == (402, "insufficient_funds")
    assert asked(sites["core"]) == (201, None)


def test_only_cloud_keeps_a_balance(sites: dict[str, Site]) -> None:
    assert (sites["cloud"].get("/balance")["enforced"], sites["core"].get("/balance")["enforced"]) == (True, False)
    assert float(sites["core"].get("/balance")["funded"]) == 0
