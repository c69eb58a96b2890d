"""A request of some megabytes never becomes gigabytes: not by what it repeats, nor by what lists of its like show."""

from base64 import b64decode, b64encode
from typing import Any

import orjson
import pytest
from django.test import Client as HttpClient

from catalog import published
from jobs.assets import inline
from jobs.assets.models import Asset
from jobs.batches import asking
from jobs.models import Job, WorkflowTemplate
from jobs.workflows import templates
from pricing.estimates import quotes
from tests.jobs.doubles import make_caller
from tests.jobs.workflows.flows import http_of, make_models, send
from tests.jobs.workflows.test_accepting import PNG
from tests.pricing.estimates.sold import IMAGES_OUT, PROMPT, field, make_sold

pytestmark = [pytest.mark.django_db, pytest.mark.once]
HERE = {"$param": "a"}


@pytest.fixture
def http(db: None) -> HttpClient:
    make_models()
    published.forget()
    return http_of(make_caller())


def template(**changed: Any) -> dict[str, Any]:
    step = {"name": "picture", "model": "fal-ai/flux/dev", "input": {"prompt": [HERE] * 2_000}}
    return {"name": "many", "parameters": {"a": {"type": "string"}}, "steps": [step], **changed}


def test_a_value_that_stands_in_thousands_of_places_is_refused_before_it_is_written_there(http: HttpClient) -> None:
    send(http, "/workflow-templates", template(), status=201)

    told = send(http, "/workflows", {"template": "many", "params": {"a": "x" * 6_000}}, status=413)

    assert told["code"] == "payload_too_large"
    assert "12,004,000 bytes" in told["message"]


def test_a_default_multiplies_no_more_than_a_value(http: HttpClient) -> None:
    send(
        http, "/workflow-templates", template(parameters={"a": {"type": "string", "default": "x" * 6_000}}), status=201
    )

    assert send(http, "/workflows", {"template": "many"}, status=413)["code"] == "payload_too_large"


def test_a_template_is_so_small_that_a_hundred_can_be_listed(http: HttpClient) -> None:
    large = template(parameters={"a": {"type": "string", "default": "x" * templates.MOST_BYTES}})

    told = send(http, "/workflow-templates", large, status=413)
    saved = send(http, "/workflow-templates", template(), status=201)
    send(http, f"/workflow-templates/{saved['id']}", large, method="put", status=413)

    assert told["code"] == "payload_too_large"
    assert WorkflowTemplate.objects.get().version == 1


def test_so_are_the_values_of_a_workflow(http: HttpClient) -> None:
    send(
        http,
        "/workflow-templates",
        template(steps=[{**template()["steps"][0], "input": {"prompt": "a fox"}}]),
        status=201,
    )

    told = send(http, "/workflows", {"template": "many", "params": {"a": "x" * templates.MOST_BYTES}}, status=413)

    assert "params" in told["message"]


def test_what_the_items_of_a_batch_have_in_common_may_take_so_much_in_all(
    http: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "MOST_COMMON_BYTES", 100_000)
    batch = {"model": "fal-ai/flux/dev", "input": {"negative_prompt": "x" * 1_000}, "prompts": ["a fox"] * 200}

    told = send(http, "/batches", batch, status=413)

    assert told["code"] == "payload_too_large"
    assert not Job.objects.exists()


def test_a_list_of_jobs_reads_no_inputs(http: HttpClient, django_assert_max_num_queries: Any) -> None:
    send(http, "/jobs", {"model": "fal-ai/flux/dev", "input": {"prompt": "a fox"}}, status=201)
    list_of = "/api/v1/jobs"

    with django_assert_max_num_queries(20) as asked:
        told = orjson.loads(http.get(list_of).content)

    assert len(told["items"]) == 1
    assert [one["sql"] for one in asked if '"jobs_job"."input"' in one["sql"]] == []


def files(count: int) -> list[str]:
    return [f"data:image/png;base64,{b64encode(b64decode(PNG) + bytes([one])).decode()}" for one in range(count)]


def test_a_request_holds_some_files_and_no_thousands(http: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    make_sold(
        "fal-ai/many",
        inputs=[PROMPT, field("image_urls", "array", items={"type": "string"}, media="image")],
        outputs=IMAGES_OUT,
    )
    published.forget()
    monkeypatch.setattr(inline, "MOST_FILES", 2)
    step = {"name": "one", "model": "fal-ai/many"}
    for number, status in ((3, 413), (2, 201)):
        input = {"prompt": "a fox", "image_urls": files(number)}
        send(http, "/jobs", {"model": "fal-ai/many", "input": input}, status=status)
        send(http, "/workflows", {"steps": [step | {"input": input}]}, status=status)
        assert Asset.objects.count() == (0 if status == 413 else 4)


def test_the_items_of_a_batch_hold_some_thousand_files_together(
    http: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "MOST_FILES", 5)
    common = {"model": "fal-ai/flux/dev", "input": {"prompt": files(1)[0]}}

    told = send(http, "/batches", common | {"items": [{"input": {"a": files(1)[0]}}] * 3}, status=413)

    assert "6 files" in told["message"]
    assert not Asset.objects.exists()


def test_of_very_many_made_up_media_facts_the_first_are_named_and_few_are_guessed_at(monkeypatch: Any) -> None:
    guesses: list[str] = []
    monkeypatch.setattr(quotes, "get_close_matches", lambda name, *_, **__: guesses.append(name) or [])

    problems = quotes.media_problems({f"made_up_{number}": 1 for number in range(10_000)} | {"x" * 10_000: 1})

    assert (len(problems), len(guesses)) == (200, 5)
