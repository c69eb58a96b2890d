"""Lists of the admin are narrowed by their filters alone: no address asks for what the one who looks may not see."""

from collections.abc import Callable, Iterator

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.test import Client as HttpClient
from django.test import RequestFactory

from jobs.models import Job
from tests.security.world import make_world

pytestmark = pytest.mark.django_db
JOBS = "/admin/jobs/job/"


@pytest.fixture
def request_of_all(staff: Callable[[str], HttpClient]) -> HttpRequest:
    """Of somebody who may see everything."""
    request = RequestFactory().get("/admin/")
    request.user = User.objects.get(pk=staff("superuser").session["_auth_user_id"])
    return request


@pytest.mark.once
def test_what_a_viewer_may_not_see_can_not_be_asked_for_by_its_beginning(staff: Callable[[str], HttpClient]) -> None:
    job = make_world().ids["job_id"]
    assert Job.objects.get(pk=job).input == {"prompt": "a fox"}
    viewer = staff("viewer")
    assert job in viewer.get(JOBS).content.decode()
    for guess in ("input__icontains=fox", "input__prompt__startswith=a", "output__isnull=1", "token__startswith=a"):
        assert viewer.get(f"{JOBS}?{guess}").status_code == 400, guess


def columns() -> Iterator[tuple[admin.ModelAdmin, str]]:
    """Every column of every list, and one beyond each relation."""
    for model, model_admin in admin.site._registry.items():
        for field in model._meta.get_fields():
            yield model_admin, field.name


@pytest.mark.once
def test_no_list_is_narrowed_by_a_column_that_is_no_filter_of_it(request_of_all: HttpRequest) -> None:
    taken = {}
    for model_admin, name in columns():
        shown = [str(getattr(one, "parameter_name", one)) for one in model_admin.get_list_filter(request_of_all)]
        if not any(name in one for one in [*shown, str(model_admin.date_hierarchy)]):
            for lookup in (name, f"{name}__startswith", f"{name}__id__startswith"):
                taken[f"{model_admin} {lookup}"] = model_admin.lookup_allowed(lookup, "a", request_of_all)
    assert len(taken) > 500
    assert [where for where, is_taken in taken.items() if is_taken] == []


@pytest.mark.once
def test_filters_narrow_as_before(staff: Callable[[str], HttpClient]) -> None:
    browser = staff("superuser")
    for narrowed in (
        "jobs/job/?status=open&client=a&day=2026-01-01",
        "journal/auditevent/?action__exact=a&at__year=2026",
        "clients/apikey/?client__id__exact=1",
        "pricing/pricepoint/?standing__exact=held",
        "pricing/hold/?closed_at__isempty=1",
        "jobs/webhookdelivery/?message__kind=a",
        "pricing/existingmodel/?model__provider__id__exact=1",
        "catalog/aimodel/?media_type=image&enabled=yes",
    ):
        assert browser.get(f"/admin/{narrowed}").status_code == 200, narrowed
