"""Adding a model in the admin: previewed, saved as it was previewed, changed, and taken out again."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from django.test import Client as HttpClient
from django.urls import reverse

from catalog.models import AIModel
from genfeed.journal.audit import SYSTEM
from pricing.models import PricePoint
from pricing.prices.own_models import OwnPrice, save
from tests.admin.pages import Page, form_data, page_of, read
from tests.factories import make_provider
from tests.own_models.conftest import SCHEMA, own
from tests.sandbox_server import RunningSandbox

pytestmark = [pytest.mark.django_db, pytest.mark.once]

PRICE = OwnPrice(unit="images", unit_price="0.02")


@pytest.fixture
def typed(fal: RunningSandbox) -> dict[str, Any]:
    """What is typed for a private endpoint."""
    return {
        "provider": make_provider().pk, "endpoint_id": "acme/portraits", "name": "Portraits",
        "category": "text-to-image", "schema": orjson.dumps(SCHEMA).decode(), "unit": "images", "unit_price": "0.02",
        "reason": "asked for by Acme", "do": "preview",
    }  # fmt: skip


def post(client: HttpClient, typed: dict[str, Any], url: str = "") -> Page:
    return page_of(client.post(url or reverse("admin:own_model_add"), typed))


def test_a_model_is_previewed_and_saved_as_it_was_previewed(root: HttpClient, typed: dict[str, Any]) -> None:
    page = post(root, typed)

    assert "sells for 0.066666667 USD" in page.one("div", data_testid="preview").text
    assert page.row("style")[2] == "oil, ink"
    assert not AIModel.objects.exists()
    answer = root.post(reverse("admin:own_model_add"), form_data(page, "own") | {"do": "save"}, follow=True)
    assert page_of(answer).messages == ["Added: acme/portraits."]
    assert AIModel.objects.get().enabled


def test_what_was_changed_after_the_preview_is_previewed_again(root: HttpClient, typed: dict[str, Any]) -> None:
    sent = form_data(post(root, typed), "own") | {"do": "save", "unit_price": "2"}

    page = post(root, sent)

    assert "sells for 6.666666667 USD" in page.one("div", data_testid="preview").text
    assert not AIModel.objects.exists()


def test_a_schema_that_can_t_be_read_is_told_where_it_was_typed(root: HttpClient, typed: dict[str, Any]) -> None:
    page = post(root, typed | {"schema": '{"paths": {}}'})

    assert "The schema can't be used: the document has no paths with a POST operation." in page.text
    assert not page.has(data_testid="preview")


def test_a_schema_comes_by_its_address_and_stands_in_the_form(
    root: HttpClient, typed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pricing.admin import own_model_form

    monkeypatch.setattr(own_model_form, "fetch", lambda url: orjson.dumps(SCHEMA))

    page = post(root, typed | {"schema": "", "schema_url": "https://example.com/schema.json"})

    assert page.has(data_testid="preview")
    assert orjson.loads(form_data(page, "own")["schema"][0]) == SCHEMA


def test_an_address_of_our_own_network_is_refused(root: HttpClient, typed: dict[str, Any], settings: Any) -> None:
    settings.SSRF_ALLOW = []

    page = post(root, typed | {"schema": "", "schema_url": "http://127.0.0.1/schema.json"})

    assert "The schema could not be fetched" in page.text
    assert not page.has(data_testid="preview")


def test_a_model_is_changed_with_a_new_version_and_keeps_its_price(root: HttpClient, fal: RunningSandbox) -> None:
    row = save(own(), PRICE, actor=SYSTEM)
    url = reverse("admin:own_model_change", args=[row.pk])
    more = {**SCHEMA, "properties": {**SCHEMA["properties"], "seed": {"type": "integer"}}}
    sent = form_data(read(root, url), "own") | {"schema": orjson.dumps(more).decode()}

    page = post(root, sent | {"do": "preview"}, url)
    assert "Version 2 of its schema" in page.text
    root.post(url, form_data(page, "own") | {"do": "save"})

    row.refresh_from_db()
    assert row.schema_version == 2
    assert PricePoint.objects.get(model=row, standing="current").unit_price == "0.02"


def test_a_model_is_retired_on_its_page(root: HttpClient) -> None:
    row = save(own(), PRICE, actor=SYSTEM)

    root.post(reverse("admin:own_model_act", args=[row.pk]), {"do": "retire", "reason": "gone"})

    assert "It was added by hand, and retired by hand." in read(root, _page_url(row)).text


def test_a_model_with_jobs_is_not_removed(root: HttpClient) -> None:
    from tests.jobs.doubles import make_job

    row = save(own(), PRICE, actor=SYSTEM)
    make_job(model="acme/portraits")

    answer = root.post(reverse("admin:own_model_act", args=[row.pk]), {"do": "remove"}, follow=True)

    assert page_of(answer).messages == ["Jobs or figures refer to this model, so it can't be removed. Retire it."]
    assert AIModel.objects.filter(pk=row.pk).exists()


def test_whoever_may_only_look_adds_and_changes_nothing(staff: Callable[[str], HttpClient]) -> None:
    row = save(own(), PRICE, actor=SYSTEM)
    viewer = staff("viewer")

    assert viewer.get(reverse("admin:own_model_add")).status_code == 403
    assert viewer.get(reverse("admin:own_model_change", args=[row.pk])).status_code == 403
    assert viewer.post(reverse("admin:own_model_act", args=[row.pk]), {"do": "retire"}).status_code == 403
    assert not read(viewer, reverse("admin:catalog_aimodel_changelist")).has(data_testid="add-own")


def _page_url(row: AIModel) -> str:
    return reverse("admin:catalog_aimodel_change", args=[row.pk])
