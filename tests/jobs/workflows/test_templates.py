"""Templates: steps under a name with parameters, changed by versions, and run as they were."""

from typing import Any

import pytest
from django.test import Client as HttpClient

from genfeed.clients.keys import Caller
from jobs.accepting.secret_inputs import with_opened
from jobs.assets.models import Asset
from jobs.models import WorkflowRun, WorkflowTemplate
from tests.jobs.doubles import make_caller
from tests.jobs.workflows.flows import FILM, PICTURE, forward, http_of, job_of, lose, send
from tests.jobs.workflows.test_accepting import PNG
from tests.pricing.estimates.sold import IMAGES_OUT, PROMPT, field, make_sold

pytestmark = pytest.mark.django_db
PATH = "/workflow-templates"
POSTCARD: dict[str, Any] = {
    "name": "postcard",
    "description": "A picture that moves",
    "parameters": {
        "subject": {"type": "string"},
        "images": {"type": "integer", "default": 1, "enum": [1, 2]},
        "style": {"type": "string", "required": False},
    },
    "steps": [
        {
            "name": "picture",
            "model": "fal-ai/flux/dev",
            "input": {"prompt": {"$param": "subject"}, "num_images": {"$param": "images"}},
        },
        FILM,
    ],
}


@pytest.fixture
def http(caller: Caller) -> HttpClient:
    return http_of(caller)


def save(http: HttpClient, status: int = 201, **changed: Any) -> Any:
    return send(http, PATH, {**POSTCARD, **changed}, status=status)


def run(http: HttpClient, status: int = 201, **body: Any) -> Any:
    return send(http, "/workflows", {"template": "postcard", **body}, status=status)


def test_a_workflow_is_made_of_a_template_and_values(http: HttpClient) -> None:
    template = save(http)

    made = run(http, params={"subject": "an owl"})

    assert (made["template"], made["template_version"]) == (template["id"], 1)
    assert made["params"] == {"subject": "an owl", "images": 1}
    flow = forward(WorkflowRun.objects.get(pk=made["id"]))
    assert job_of(flow, "picture").input["prompt"] == "an owl"
    assert job_of(flow, "picture").input["num_images"] == 1


@pytest.mark.once
def test_a_template_is_named_by_its_id_too(http: HttpClient) -> None:
    template = save(http)

    assert run(http, template=template["id"], params={"subject": "an owl"})["template"] == template["id"]


@pytest.mark.once
@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({}, "without a value: subject"),
        ({"subject": 7}, "params.subject: is no string"),
        ({"subject": "a", "images": True}, "params.images: is no integer"),
        ({"subject": "a", "images": 3}, "params.images: is none of 1, 2"),
        ({"subjct": "a"}, "params.subjct: the template has no such parameter"),
    ],
)
def test_values_that_do_not_fit_are_refused_by_name(http: HttpClient, params: dict[str, Any], words: str) -> None:
    save(http)

    error = run(http, status=400, params=params)

    assert (error["code"], words in error["message"]) == ("invalid_request", True)


@pytest.mark.once
def test_an_optional_parameter_without_a_value_is_left_out(http: HttpClient) -> None:
    step = {**POSTCARD["steps"][0], "input": {"prompt": {"$param": "subject"}, "num_images": {"$param": "style"}}}
    save(http, steps=[step])

    made = run(http, params={"subject": "an owl"})

    assert WorkflowRun.objects.get(pk=made["id"]).plan[0]["input"] == {"prompt": "an owl"}


@pytest.mark.once
@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"parameters": {}}, "names the parameter 'subject', which is not declared"),
        ({"parameters": {**POSTCARD["parameters"], "images": {"type": "integer", "default": "x"}}}, "is no integer"),
        (
            {"parameters": {**POSTCARD["parameters"], "images": {"type": "integer", "default": 3, "enum": [1]}}},
            "none of its choices",
        ),
        ({"steps": [FILM]}, "waits for 'picture', which is no step"),
        ({"steps": [{**PICTURE, "depends_on": ["picture"]}]}, "wait for each other"),
        ({"steps": [{**PICTURE, "max_price": "much"}]}, "steps.picture.max_price"),
    ],
)
def test_a_template_that_could_never_run_is_not_saved(http: HttpClient, changed: dict[str, Any], words: str) -> None:
    error = save(http, status=400, **changed)

    assert (error["code"], words in error["message"]) == ("invalid_request", True)
    assert not WorkflowTemplate.objects.exists()


def test_a_change_is_a_new_version_and_a_workflow_keeps_the_one_that_it_ran(http: HttpClient) -> None:
    template = save(http)
    first = run(http, params={"subject": "an owl"})

    changed = send(http, f"{PATH}/{template['id']}", {**POSTCARD, "steps": POSTCARD["steps"][:1]}, method="put")
    second = run(http, params={"subject": "an owl"})
    old = run(http, version=1, params={"subject": "an owl"})

    assert (changed["version"], second["template_version"], old["template_version"]) == (2, 2, 1)
    assert [len(one["steps"]) for one in (first, second, old)] == [2, 1, 2]
    assert len(send(http, f"/workflows/{first['id']}", method="get")["steps"]) == 2
    assert len(send(http, f"{PATH}/postcard?version=1", method="get")["steps"]) == 2


def test_a_change_that_says_the_same_is_no_version(http: HttpClient) -> None:
    template = save(http)

    assert send(http, f"{PATH}/{template['id']}", POSTCARD, method="put")["version"] == 1


def test_a_change_of_what_was_changed_meanwhile_is_a_conflict(http: HttpClient, monkeypatch: Any) -> None:
    from jobs.workflows import templates

    template = save(http)
    check = templates.check_content

    def late(content: Any) -> None:
        check(content)
        WorkflowTemplate.objects.update(version=2)

    monkeypatch.setattr(templates, "check_content", late)
    body = {**POSTCARD, "description": "else"}
    WorkflowTemplate.objects.get().versions.create(number=2, parameters={}, steps=[])

    assert send(http, f"{PATH}/{template['id']}", body, method="put", status=409)["code"] == "conflict"


def test_a_name_is_taken_once(http: HttpClient) -> None:
    save(http)
    other = save(http, name="other")

    assert save(http, status=409)["code"] == "conflict"
    assert send(http, f"{PATH}/{other['id']}", POSTCARD, method="put", status=409)["code"] == "conflict"


def test_a_deleted_template_runs_nothing_and_frees_its_name(http: HttpClient) -> None:
    template = save(http)
    made = run(http, params={"subject": "an owl"})

    send(http, f"{PATH}/{template['id']}", method="delete", status=204)

    assert run(http, status=404, params={"subject": "an owl"})["code"] == "not_found"
    assert send(http, f"/workflows/{made['id']}", method="get")["template"] == template["id"]
    assert save(http)["id"] != template["id"]


def test_templates_are_listed_newest_first_a_page_at_a_time(http: HttpClient) -> None:
    first, second = save(http), save(http, name="other")

    page = send(http, f"{PATH}?limit=1", method="get")
    rest = send(http, f"{PATH}?limit=1&cursor={page['next_cursor']}", method="get")

    assert [one["id"] for one in page["items"] + rest["items"]] == [second["id"], first["id"]]
    assert rest["next_cursor"] is None


@pytest.mark.once
def test_a_template_is_unknown_to_other_clients(http: HttpClient) -> None:
    template = save(http)
    other = http_of(make_caller(name="Beta"))

    assert send(other, f"{PATH}/{template['id']}", method="get", status=404)["code"] == "not_found"
    assert run(other, status=404)["code"] == "not_found"
    assert send(other, PATH, method="get")["items"] == []


@pytest.mark.once
def test_a_test_key_reads_and_runs_live_templates_and_changes_its_own_alone(
    caller: Caller, http: HttpClient, settings: Any
) -> None:
    settings.TEST_SANDBOX_URL = "http://127.0.0.1:9"
    live, tester = save(http), http_of(caller, is_test=True)
    body, params = {**POSTCARD, "description": "tried"}, {"subject": "an owl"}

    assert (live["livemode"], run(tester, params=params)["template"]) == (True, live["id"])
    for method in ("put", "delete"):
        error = send(tester, f"{PATH}/{live['id']}", body, method=method, status=403)
        assert (error["code"], "live" in error["message"]) == ("forbidden_scope", True)
    assert send(http, f"{PATH}/{live['id']}", method="get") == live

    own = send(tester, PATH, body, status=201)
    assert (own["livemode"], run(tester, params=params)["template"]) == (False, own["id"])
    assert [one["id"] for one in send(tester, PATH, method="get")["items"]] == [own["id"], live["id"]]
    assert run(tester, template=live["id"], params=params)["template"] == live["id"]
    # And live keys do not know it.
    assert run(http, params=params)["template"] == live["id"]
    assert send(http, f"{PATH}/{own['id']}", method="get", status=404)["code"] == "not_found"
    send(tester, f"{PATH}/postcard", method="delete", status=204)
    assert send(http, f"{PATH}/postcard", method="get") == live


@pytest.mark.once
def test_a_secret_is_given_with_each_workflow_and_kept_sealed(caller: Caller, http: HttpClient) -> None:
    make_sold("fal-ai/keyed", inputs=[PROMPT, field("api_key", format="password")], outputs=IMAGES_OUT)
    step = {"name": "keyed", "model": "fal-ai/keyed", "input": {"prompt": "a fox", "api_key": "sesame"}}
    assert "is a secret" in save(http, status=400, steps=[step])["message"]
    step["input"] = {"prompt": "a fox", "api_key": {"$param": "key"}}
    save(http, steps=[step], parameters={"key": {"type": "string"}})

    made = run(http, params={"key": "sesame"})

    flow = forward(WorkflowRun.objects.get(pk=made["id"]))
    assert made["params"] == {"key": "(secret)"}
    assert "sesame" not in f"{flow.plan} {flow.params} {job_of(flow, 'keyed').input}"
    job = job_of(flow, "keyed")
    assert with_opened(job.input, job.secret_fields)["api_key"] == "sesame"
    lose(job)
    assert forward(flow).plan[0]["input"]["api_key"] == "(secret)"


@pytest.mark.once
@pytest.mark.parametrize("key", [{"default": "sesame"}, {"enum": ["sesame"]}])
def test_no_parameter_shows_what_stands_for_a_secret(caller: Caller, http: HttpClient, key: dict[str, Any]) -> None:
    make_sold("fal-ai/keyed", inputs=[PROMPT, field("api_key", format="password")], outputs=IMAGES_OUT)
    step = {"name": "keyed", "model": "fal-ai/keyed", "input": {"prompt": "a fox", "api_key": {"$param": "key"}}}

    error = save(http, status=400, steps=[step], parameters={"key": {"type": "string", **key}})

    assert "is a secret" in error["message"]


@pytest.mark.once
def test_a_secret_within_a_parameter_is_not_shown_either(caller: Caller, http: HttpClient) -> None:
    make_sold("fal-ai/keyed", inputs=[PROMPT, field("api_key", format="password")], outputs=IMAGES_OUT)
    step = {"name": "keyed", "model": "fal-ai/keyed", "input": {"$param": "all"}}
    save(http, steps=[step], parameters={"all": {"type": "object"}})

    made = run(http, params={"all": {"prompt": "a fox", "api_key": "sesame"}})

    assert made["params"] == {"all": {"prompt": "a fox", "api_key": "(secret)"}}
    assert "sesame" not in str(WorkflowRun.objects.values().get())


@pytest.mark.once
def test_a_file_in_a_parameter_is_uploaded_and_no_row_holds_it(caller: Caller, http: HttpClient) -> None:
    step = {"name": "film", "model": "fal-ai/film", "input": {"prompt": "a", "image_url": {"$param": "picture"}}}
    save(http, steps=[step], parameters={"picture": {"type": "string"}})

    made = run(http, params={"picture": f"data:image/png;base64,{PNG}"})

    asset = Asset.objects.get()
    assert made["params"] == {"picture": f"asset:{asset.pk}"}
    assert PNG not in str(WorkflowRun.objects.values().get())


@pytest.mark.once
def test_saving_again_under_the_same_key_saves_once(http: HttpClient) -> None:
    first = send(http, PATH, POSTCARD, status=201, **{"Idempotency-Key": "a"})
    again = send(http, PATH, POSTCARD, status=201, **{"Idempotency-Key": "a"})

    assert first == again
    assert WorkflowTemplate.objects.count() == 1
