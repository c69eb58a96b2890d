"""The real admin in a real browser, with the real worker and sandbox behind it."""

import json

import httpx
import pytest
from playwright.sync_api import Page

from tests.browser.signing_in import log_in
from tests.running_app import RunningApp

pytestmark = pytest.mark.browser


def make_key(page: Page, app: RunningApp) -> str:
    """Makes a client and a key in the admin, as a person would, and returns the key."""
    page.goto(f"{app.base_url}/admin/clients/client/add/")
    page.fill("#id_name", "Browser client")
    page.click("text=Save and add another")
    page.goto(f"{app.base_url}/admin/clients/apikey/add/")
    page.select_option("#id_client", label="Browser client")
    page.click("input[name=_save]")
    return page.input_value("[data-testid=new-api-key]")


def offered(app: RunningApp, key: str) -> set[str]:
    """The ids of all models that the API offers to a client."""
    ids: set[str] = set()
    cursor = None
    while True:
        params = {"limit": 200, **({"cursor": cursor} if cursor else {})}
        answer = httpx.get(f"{app.base_url}/api/v1/models", params=params, headers={"Authorization": f"Bearer {key}"})
        body = answer.json()
        ids |= {model["id"] for model in body["items"]}
        cursor = body["next_cursor"]
        if cursor is None:
            return ids


def test_an_admin_syncs_searches_and_disables_twenty_models_that_clients_then_miss(app: RunningApp, page: Page):
    log_in(page, app)
    key = make_key(page, app)

    # Sync now, with its progress, until the count is there.
    page.goto(f"{app.base_url}/admin/providers")
    page.click("#result_list a:has-text('fal.ai')")
    page.check("input[name=full]")
    page.click("[data-testid=sync-fal-models]")
    page.wait_for_selector("#sync-bar", state="attached")
    assert page.query_selector("[data-testid=models-count]") is None
    count = page.wait_for_selector("[data-testid=models-count]", timeout=60_000)
    assert int(count.inner_text()) > 600

    # Search; other tests that share the application use other models.
    page.goto(f"{app.base_url}/admin/models")
    page.fill("#searchbar", "kling")
    page.press("#searchbar", "Enter")
    page.wait_for_url("**q=kling*")
    found = page.locator("#result_list tbody tr")
    assert found.count() >= 20
    assert all("kling" in text.lower() for text in found.all_inner_texts())

    # Disable twenty at once.
    boxes = page.locator("#result_list tbody input.action-select")
    for number in range(20):
        boxes.nth(number).check()
    ids = [page.locator("#result_list tbody .gf-id").nth(number).inner_text() for number in range(20)]
    before = offered(app, key)
    wanted = set(ids) & before
    assert len(wanted) >= 15
    page.select_option("select[name=action]", label="Disable selected models")
    page.click("button[name=index]")
    page.wait_for_selector(".messagelist .success")

    # Gone from the API (which may be a second behind), and only those.
    page.wait_for_timeout(1500)
    assert offered(app, key) == before - wanted

    # And back with a click on the row's own switch.
    page.locator(f"button[aria-label='Enable {ids[0]}']").click()
    page.wait_for_selector(".messagelist .success")
    page.wait_for_timeout(1500)
    assert ids[0] in offered(app, key)


def test_the_documentation_of_the_api_needs_no_other_host(app: RunningApp, page: Page):
    hosts: set[str] = set()
    page.on("request", lambda request: hosts.add(request.url.split("/")[2]) if request.url.startswith("http") else None)
    page.goto(f"{app.base_url}/api/v1/docs")
    page.wait_for_selector("text=List models")
    assert hosts == {app.base_url.split("/")[2]}


def test_a_picture_that_cannot_be_loaded_leaves_no_broken_mark(app: RunningApp, page: Page):
    log_in(page, app)
    page.route("**/thumbnails/**", lambda route: route.fulfill(status=200, content_type="image/png", body="no picture"))
    page.goto(f"{app.base_url}/admin/models")
    page.wait_for_function("document.querySelector('img.gf-thumb').src.startsWith('data:')")


def test_a_key_made_on_the_command_line_works_and_is_in_no_log(app: RunningApp):
    made = json.loads(app.manage("create_client", "Scripted", "--json"))
    answer = httpx.get(f"{app.base_url}/api/v1/models", headers={"Authorization": f"Bearer {made['api_key']}"})
    assert answer.status_code == 200
    assert made["api_key"] not in app.output
