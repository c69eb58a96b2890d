"""Opening the admin as its first administrator."""

from playwright.sync_api import Page

from tests.running_app import RunningApp


def log_in(page: Page, app: RunningApp) -> None:
    page.goto(f"{app.base_url}/admin/")
    page.fill("#id_username", "admin")
    page.fill("#id_password", app.password)
    page.click("input[type=submit]")
    page.wait_for_selector("text=Overview")
