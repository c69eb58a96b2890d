"""The page of one model: inputs, outputs, versions with what changed, the raw document, a check of an input."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from django.test import Client as HttpClient

from catalog.models import AIModel, SchemaVersion
from tests.admin.pages import Page, page_of, read
from tests.factories import INPUT_SCHEMA, make_model, make_schema_version

pytestmark = [pytest.mark.django_db, pytest.mark.once]

MODEL = "/admin/catalog/aimodel/"
Staff = Callable[[str], HttpClient]
ATTACK = '"><script>alert(1)</script><img src=x onerror=alert(2)>'


def page_url(row: AIModel) -> str:
    return f"{MODEL}{row.pk}/change/"


def model_with(**content: Any) -> AIModel:
    """A model whose stored schema has these parts."""
    row = make_model(schema_version=0, schema_state="understood")
    AIModel.objects.filter(pk=row.pk).update(schema_version=1, enabled=True, held_reason="")
    row.refresh_from_db()
    version = make_schema_version(row)
    version.content = SchemaVersion.pack(version.unpacked | content)
    version.save()
    return row


def input_row(client: HttpClient, **field: Any) -> list[str]:
    """The cells of the row of a field named `it`: type, default, allowed, description."""
    row = model_with(inputs=[{"name": "it", "type": "string", "required": False, "nullable": False, **field}])
    return read(client, page_url(row)).row("it")


# --- what it shows ---


def test_the_page_says_what_the_model_is(root: HttpClient) -> None:
    row = make_model(name="FLUX.1 [dev]", description="Makes pictures.", tags=["fast", "new"], capabilities=["seed"])

    page = read(root, page_url(row))

    assert page.one("h1").text == "FLUX.1 [dev]"
    assert page.one("p", "gf-id").text == "fal:fal-ai/flux/dev"
    assert [badge.text for badge in page.all("span", "gf-badge")][:5] == [
        "enabled", "active", "text-to-image", "image", "inference",
    ]  # fmt: skip
    assert "Makes pictures." in page.text
    assert (page.row("Tags"), page.row("Capabilities")) == (["fast, new"], ["seed"])


def test_a_held_model_says_why_in_a_sentence(root: HttpClient) -> None:
    row = make_model(schema_version=0, schema_state="not_understood", schema_problem="It has no paths.")

    text = read(root, page_url(row)).text

    assert "The model's schema is not understood, so its input can't be checked. (It has no paths.)" in text


def test_inputs_and_outputs_are_listed_in_their_order(root: HttpClient) -> None:
    page = read(root, page_url(make_model()))

    assert [code.text for code in page.all("code")] == ["prompt", "num_images", "1", "images"]
    assert page.row("prompt required") == ["string", "", "", "What to make."]
    assert page.row("num_images") == ["integer", "1", "≥ 1; ≤ 4", ""]
    assert page.row("images required") == ["array image", "", "", ""]


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ({"type": "integer", "default": 0}, ["integer", "0", "", ""]),
        ({"type": "boolean", "default": False}, ["boolean", "false", "", ""]),
        ({"default": ""}, ["string", '""', "", ""]),
        ({"default": None, "nullable": True}, ["string or null", "null", "", ""]),
        ({"media": "image"}, ["string image", "", "", ""]),
        ({"enum": ["png", "jpeg", 3]}, ["string", "", "png, jpeg, 3", ""]),
        ({"min_length": 1, "max_length": 9}, ["string", "", "at least 1 characters; at most 9 characters", ""]),
        (
            {"type": "number", "exclusive_minimum": 0, "exclusive_maximum": 1.5, "multiple_of": 0.5},
            ["number", "", "> 0; < 1.5; a multiple of 0.5", ""],
        ),
        (
            {"type": "array", "items": {"type": "string"}, "min_items": 1, "max_items": 4},
            ["array of string", "", "at least 1 items; at most 4 items", ""],
        ),
        (
            {"type": "object", "presets": ["square"], "fields": [{"name": "width"}, {"name": "height"}]},
            ["object", "", "square; fields width, height", ""],
        ),
        ({"title": "The prompt"}, ["string", "", "", "The prompt"]),
    ],
)
def test_a_field_says_what_it_takes(root: HttpClient, field: dict[str, Any], expected: list[str]) -> None:
    assert input_row(root, **field) == expected


def test_a_model_without_schema_shows_that_nothing_is_known_and_offers_no_check(root: HttpClient) -> None:
    row = make_model(schema_version=0, schema_state="missing", schema_problem="expansion_failed")

    page = read(root, page_url(row))

    assert "No inputs are known: expansion_failed." in page.text
    assert "No schema was ever understood: expansion_failed." in page.text
    assert not page.has("textarea")


def test_checking_an_input_of_a_model_without_schema_shows_its_page(root: HttpClient) -> None:
    row = make_model(schema_version=0, schema_state="missing")

    assert root.post(page_url(row), {"input": "{}"}).status_code == 200


@pytest.mark.parametrize("address", ["404404/change/", "no-number/change/", "9999999999999999999999/change/", "add/"])
def test_a_model_that_does_not_exist_is_not_found(root: HttpClient, address: str) -> None:
    assert root.get(MODEL + address).status_code == 404


def test_sixty_recorded_models_are_shown_with_exactly_their_inputs(
    recorded_fal: Any, recorded_synced: Any, root: HttpClient
) -> None:
    rows = list(AIModel.objects.order_by("endpoint_id"))

    wrong = {}
    for row in rows[:: len(rows) // 60]:
        version = SchemaVersion.objects.filter(model=row, number=row.schema_version).first()
        expected = version.unpacked["inputs"] + version.unpacked["outputs"] if version else []
        page = read(root, page_url(row))
        cells = [cells[0].removesuffix(" required") for cells in page.rows if len(cells) == 5 and cells[0] != "Field"]
        if cells != [" ".join(field["name"].split()) for field in expected]:
            wrong[row.endpoint_id] = cells

    assert wrong == {}


# --- versions ---


def test_a_new_version_says_what_changed_the_breaking_part_first(
    some_fal: Any, some_synced: Any, sync: Callable[..., Any], root: HttpClient
) -> None:
    document = some_fal.model("fal-ai/flux/dev")["openapi"]
    body = document["paths"]["/fal-ai/flux/dev"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    properties = {"seed": None, "sparkle": {"type": "boolean", "default": False}}
    patch = {"components": {"schemas": {body["$ref"].rpartition("/")[2]: {"properties": properties}}}}
    some_fal.patch_model("fal-ai/flux/dev", touch=True, openapi_patch=patch)
    run = sync()

    page = read(root, page_url(AIModel.objects.get(endpoint_id="fal-ai/flux/dev")))

    newest, oldest = page.all("details", "gf-version")
    assert newest.text.startswith("Version 2 breaking")
    assert "Breaking: Input seed: removed." in newest.text
    assert "Input sparkle: new, optional boolean, false by default." in newest.text
    assert newest.text.index("seed") < newest.text.index("sparkle")
    assert "The first version that was seen." in oldest.text
    assert page.has("a", href=f"/admin/catalog/syncrun/{run.pk}/change/")


def test_the_raw_document_of_each_version_is_one_link_away(root: HttpClient) -> None:
    row = model_with(document={"openapi": "3.0.4", "info": {"title": "<b>Füße</b>"}})
    page = read(root, page_url(row))
    link = next(link for link in page.all("a") if link.text == "raw document")

    answer = root.get(link.attributes["href"])

    assert orjson.loads(answer.content) == {"openapi": "3.0.4", "info": {"title": "<b>Füße</b>"}}
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_version_that_does_not_exist_is_not_found(root: HttpClient) -> None:
    assert root.get(f"{MODEL}{make_model().pk}/schema/7/").status_code == 404


def test_remarks_about_a_schema_are_shown(root: HttpClient) -> None:
    row = make_model()
    SchemaVersion.objects.filter(model=row).update(flags=["dangling_ref:TrackPoint"])

    assert "Remarks: dangling_ref:TrackPoint" in read(root, page_url(row)).text


# --- checking an input ---


def check(client: HttpClient, row: AIModel, text: str) -> Page:
    answer = client.post(page_url(row), {"input": text})
    assert answer.status_code == 200
    return page_of(answer)


def problems(page: Page) -> list[list[str]]:
    """The rows of the table of problems: where, problem, what to do."""
    return [cells for cells in page.rows if len(cells) == 3 and cells[0] != "Where"]


def test_the_check_begins_with_an_example_that_is_valid(root: HttpClient) -> None:
    row = make_model()
    example = read(root, page_url(row)).one("textarea").text

    assert orjson.loads(example) == {"prompt": "text"}
    assert check(root, row, example).has("p", "gf-ok")


def test_a_valid_input_is_called_valid_and_stays_in_the_form(root: HttpClient) -> None:
    page = check(root, make_model(), '{"prompt": "a cat", "num_images": 2}')

    assert page.one("p", "gf-ok").text == "This input is valid."
    assert page.one("textarea").text == '{"prompt": "a cat", "num_images": 2}'


def test_every_problem_is_named_with_its_path_and_what_to_do(root: HttpClient) -> None:
    page = check(root, make_model(), '{"num_images": 9, "promt": "a cat"}')

    assert problems(page) == [
        ["num_images", "9 is more than 4", "send 4 or less"],
        ["promt", 'unknown field "promt"', 'did you mean "prompt"?'],
        ["prompt", "this field is required", "send a string"],
    ]
    assert not page.has("p", "gf-ok")


def test_a_problem_deep_inside_is_named_with_its_whole_path(root: HttpClient) -> None:
    size = {"type": "object", "properties": {"width": {"type": "integer", "maximum": 100}}}
    row = model_with(input_schema={"type": "object", "properties": {"sizes": {"type": "array", "items": size}}})

    page = check(root, row, '{"sizes": [{"width": 1}, {"width": 101}]}')

    assert problems(page) == [["sizes[1].width", "101 is more than 100", "send 100 or less"]]


@pytest.mark.parametrize("text", ["", "{", "{'prompt': 'a'}", '{"prompt": NaN}', "[" * 2000, '{"prompt": "\\ud800"}'])
def test_what_is_no_json_is_told_so(root: HttpClient, text: str) -> None:
    page = check(root, make_model(), text)

    assert page.one("p", "errornote").text.startswith("This is no JSON:")
    assert page.one("textarea").text == text
    assert not page.has("p", "gf-ok")


@pytest.mark.parametrize("text", ["[]", '"text"', "null", "5"])
def test_json_that_is_no_object_is_a_problem_of_the_whole_input(root: HttpClient, text: str) -> None:
    [[path, problem, hint]] = problems(check(root, make_model(), text))

    assert path == "(input)"
    assert "not an object" in problem
    assert "JSON object" in hint


def test_nested_json_without_end_is_refused_instead_of_failing(root: HttpClient) -> None:
    page = check(root, make_model(), '{"prompt": ' + "[" * 900 + "]" * 900 + "}")

    assert not page.has("p", "gf-ok")


def test_a_viewer_may_check_an_input(staff: Staff) -> None:
    assert check(staff("viewer"), make_model(), '{"prompt": "a cat"}').has("p", "gf-ok")


def test_a_check_without_token_is_refused(root: HttpClient) -> None:
    root.handler.enforce_csrf_checks = True

    assert root.post(page_url(make_model()), {"input": "{}"}).status_code == 403


def test_a_check_changes_nothing(root: HttpClient) -> None:
    row = make_model()
    before = AIModel.objects.values().get(pk=row.pk)

    check(root, row, '{"prompt": "a cat"}')

    assert AIModel.objects.values().get(pk=row.pk) == before


def test_every_example_of_sixty_recorded_models_holds_what_is_required(
    recorded_fal: Any, recorded_synced: Any, root: HttpClient
) -> None:
    rows = list(AIModel.objects.exclude(schema_version=0).order_by("endpoint_id"))

    wrong = {}
    for row in rows[:: len(rows) // 60]:
        found = problems(check(root, row, read(root, page_url(row)).one("textarea").text))
        if any("required" in problem for _, problem, _ in found):
            wrong[row.endpoint_id] = found

    assert wrong == {}


# --- what a provider says is never markup ---


def test_text_of_a_provider_is_escaped(root: HttpClient) -> None:
    field = {"name": ATTACK, "type": "string", "required": True, "nullable": False, "description": ATTACK}
    row = model_with(inputs=[field | {"enum": [ATTACK], "default": ATTACK}], outputs=[field])
    AIModel.objects.filter(pk=row.pk).update(
        endpoint_id=ATTACK, name=ATTACK, description=ATTACK, category=ATTACK, tags=[ATTACK], capabilities=[ATTACK],
        limits={ATTACK: ATTACK}, kind="<b>", schema_problem=ATTACK, thumbnail_url=f"https://x/{ATTACK}",
    )  # fmt: skip
    SchemaVersion.objects.filter(model=row).update(flags=[ATTACK])

    page = check(root, row, ATTACK)

    assert [element.text for element in page.all("script") if "alert" in element.text] == []
    assert [element.tag for element in page.elements if "onerror" in element.attributes] == []
    assert page.one("h1").text == " ".join(ATTACK.split())
    assert page.one("img", "gf-picture").attributes["src"] == f"https://x/{ATTACK}"
    assert page.one("textarea").text == ATTACK


@pytest.mark.parametrize(
    "url", ["", "javascript:alert(1)", "data:image/svg+xml,<svg onload=alert(1)>", "//evil.example"]
)
def test_a_thumbnail_that_is_no_web_address_is_never_a_source(root: HttpClient, url: str) -> None:
    page = read(root, page_url(make_model(thumbnail_url=url)))

    assert page.all("img", "gf-picture") == []
    assert [value for element in page.elements for value in element.attributes.values() if value == url and url] == []


def test_the_check_does_not_echo_a_long_value_back_in_its_problem(root: HttpClient) -> None:
    row = model_with(input_schema=INPUT_SCHEMA | {"properties": {"prompt": {"type": "integer"}}})

    page = check(root, row, orjson.dumps({"prompt": "x" * 5000}).decode())

    assert [len(problem) < 300 for _, problem, _ in problems(page)] == [True]
