"""From a key to a picture, as a person goes: key in the admin, job from the documentation, its end in the admin."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browser.signing_in import log_in
from tests.running_app import RunningApp

pytestmark = pytest.mark.browser


def make_paying_client(page: Page, app: RunningApp) -> str:
    """A client with a key that may run jobs, and with money; returns the key."""
    page.goto(f"{app.base_url}/admin/clients/client/add/")
    page.fill("#id_name", "Picture house")
    page.click("input[name=_save]")
    page.goto(f"{app.base_url}/admin/clients/apikey/add/")
    page.select_option("#id_client", label="Picture house")
    for scope in ("jobs:write", "jobs:read"):
        page.check(f"input[name=scopes][value='{scope}']")
    page.click("input[name=_save]")
    key = page.input_value("[data-testid=new-api-key]")
    page.goto(f"{app.base_url}/admin/clients/client/")
    page.click("#result_list >> text=Picture house")
    client_id = re.search(r"/client/(\d+)/", page.url)
    assert client_id
    page.goto(f"{app.base_url}/admin/pricing/account/of-client/{client_id.group(1)}/")
    page.goto(page.url.replace("/change/", "/move/top-up/"))
    page.fill("#id_amount", "5")
    page.fill("#id_reason", "a first payment")
    page.click("[data-testid=preview]")
    page.click("[data-testid=confirm]")
    page.wait_for_selector(".messagelist .success")
    return key


def run_in_the_documentation(page: Page, app: RunningApp, key: str) -> str:
    """Runs a job by "Try it out"; the job's id."""
    page.goto(f"{app.base_url}/api/v1/docs")
    page.click("button.authorize")
    page.fill(".modal-ux input[type=text] >> nth=0", key)
    page.click(".modal-ux button.authorize >> nth=0")
    page.click(".modal-ux button.btn-done")
    operation = page.locator("[id$=-create_job]")
    operation.locator(".opblock-summary-control").click()
    operation.locator("button.try-out__btn").click()
    body = '{"model": "fal-ai/flux/schnell", "input": {"prompt": "a lighthouse in a storm"}}'
    operation.locator("textarea.body-param__text").fill(body)
    operation.locator("button.execute").click()
    answer = operation.locator(".live-responses-table .response-col_description .highlight-code").first
    answer.wait_for(timeout=15_000)
    assert operation.locator(".live-responses-table tbody .response-col_status").first.inner_text().startswith("201")
    found = re.search(r"job_[0-9a-z]{26}", answer.inner_text())
    assert found, answer.inner_text()
    return found.group(0)


def test_a_job_is_run_from_the_documentation_and_seen_to_its_end_in_the_admin(app: RunningApp, page: Page) -> None:
    log_in(page, app)
    key = make_paying_client(page, app)

    job = run_in_the_documentation(page, app, key)

    page.goto(f"{app.base_url}/admin/jobs/job/{job}/change/")
    for _ in range(40):
        if page.inner_text("[data-testid=job-status]") == "succeeded":
            break
        page.wait_for_timeout(250)
        page.reload()
    assert page.inner_text("[data-testid=job-status]") == "succeeded"
    assert "a lighthouse in a storm" in page.inner_text("main")
    page.goto(f"{app.base_url}/admin/jobs/job/?status=succeeded&client=picture")
    assert job in page.inner_text("#result_list")


def test_the_live_queue_refreshes_itself_until_it_is_told_not_to(app: RunningApp, page: Page) -> None:
    log_in(page, app)
    asked: list[Any] = []
    page.on("request", lambda request: asked.append(request.url) if request.url.endswith("/queue/live/") else None)
    page.goto(f"{app.base_url}/admin/jobs/queue/")
    page.wait_for_function("() => true")
    page.wait_for_event("response", lambda answer: answer.url.endswith("/queue/live/"), timeout=10_000)

    page.uncheck("#queue-live")
    page.wait_for_timeout(500)
    seen = len(asked)
    page.wait_for_timeout(3000)

    assert seen >= 1
    assert len(asked) == seen
