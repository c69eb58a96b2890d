"""The default model of a category: chosen by a person, and run by its address."""

from collections.abc import Callable

import pytest
from django.test import Client as HttpClient
from django.urls import reverse

from catalog import published
from catalog.configuration import configuration_of
from catalog.defaults import drop_default, set_default
from catalog.models import AIModel
from genfeed.journal.audit import SYSTEM
from genfeed.journal.models import AuditEvent
from tests.jobs.doubles import make_job
from tests.pricing.estimates.sold import make_sold

pytestmark = pytest.mark.django_db

ADDRESS = "default:text-to-image"


def choose(endpoint_id: str) -> AIModel:
    row = make_sold(endpoint_id)
    set_default(row, actor=SYSTEM)
    published.forget()
    return row


def test_a_request_for_the_default_of_a_category_is_run_by_the_chosen_model() -> None:
    make_sold("fal-ai/other")
    choose("fal-ai/flux/dev")

    assert make_job(model=ADDRESS).endpoint_id == "fal-ai/flux/dev"


def test_the_newest_choice_counts() -> None:
    choose("fal-ai/flux/dev")
    choose("fal-ai/other")

    assert published.find(ADDRESS).id == "fal-ai/other"
    assert AuditEvent.objects.filter(action="model.made_default").count() == 2


def test_a_default_that_is_taken_back_or_not_offered_is_no_model() -> None:
    row = choose("fal-ai/flux/dev")
    drop_default(row, actor=SYSTEM)
    published.forget()

    with pytest.raises(published.ModelNotFoundError, match="no default model for the category 'text-to-image'"):
        published.find(ADDRESS)


@pytest.mark.parametrize(
    ("address", "hint"),
    [("default:txt-to-image", "Did you mean default:text-to-image?"), ("default:llm", "List them at /api/v1/models.")],
)
def test_who_asks_for_a_default_that_there_is_not_is_led_to_those_that_there_are(
    api: HttpClient, address: str, hint: str
) -> None:
    choose("fal-ai/flux/dev")

    body = api.get(f"/api/v1/models/{address}").json()

    assert (body["code"], body["hint"]) == ("model_not_found", hint)


def test_a_key_that_may_not_use_the_default_finds_none(api: HttpClient) -> None:
    from genfeed.clients.models import Client

    choose("fal-ai/flux/dev")
    assert api.get(f"/api/v1/models/{ADDRESS}").status_code == 200
    Client.objects.update(denied_models=["fal-ai/flux/*"])
    from genfeed.clients import keys

    keys._cache.clear()

    assert api.get(f"/api/v1/models/{ADDRESS}").status_code == 404


def test_it_is_chosen_on_the_page_of_a_model_and_shown_by_its_provider(staff: Callable[[str], HttpClient]) -> None:
    row = make_sold("fal-ai/flux/dev")
    url = reverse("admin:catalog_aimodel_default", args=[row.pk])

    assert staff("viewer").post(url, {"on": "1"}).status_code == 403
    staff("catalog manager").post(url, {"on": "1"})

    shown = {one.words: one.value for one in configuration_of("fal")}
    assert shown["Default models"] == "fal-ai/flux/dev for text-to-image"
