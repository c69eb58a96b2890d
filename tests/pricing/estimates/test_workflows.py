"""`POST /api/v1/workflows/estimate`: steps, references, repetitions and totals; what makes no sense is named."""

from typing import Any

import pytest
from django.test import Client as HttpClient

from catalog import published
from genfeed.journal.audit import SYSTEM
from pricing.existing.duplicates import link
from pricing.money import parse_usd
from tests import kept_rows
from tests.pricing.estimates.sold import (
    DURATION,
    IMAGE_URL,
    IMAGES_OUT,
    NUM_IMAGES,
    PROMPT,
    VIDEO_OUT,
    VIDEO_URL,
    field,
    make_sold,
    post,
)

pytestmark = [pytest.mark.django_db, pytest.mark.once]

PATH = "/workflows/estimate"
PICTURE = {"name": "picture", "model": "fal-ai/image", "input": {"prompt": "a"}}
IMAGE_REF = {"$ref": "steps.picture.output.images.0.url"}
FILM = {"name": "film", "model": "fal-ai/film", "input": {"prompt": "b", "image_url": IMAGE_REF}}


@pytest.fixture(autouse=True)
def _models(db: None) -> None:
    """Prices by markup of nothing: $0.03 an image, $0.10 a second of film, $0.02 a second of lip movement."""
    kept_rows.once(("workflows",), _make_models)
    published.forget()


def _make_models() -> None:
    from tests.pricing.selling.priced import add_rule

    make_sold("fal-ai/image", "0.03", "images", inputs=[PROMPT, NUM_IMAGES], outputs=IMAGES_OUT)
    make_sold(
        "fal-ai/film", "0.10", "seconds", inputs=[PROMPT, IMAGE_URL, DURATION], outputs=VIDEO_OUT,
        media_type="video", category="image-to-video",
    )  # fmt: skip
    make_sold(
        "fal-ai/lips", "0.02", "seconds", inputs=[VIDEO_URL, field("audio_url", media="audio")], outputs=VIDEO_OUT,
        media_type="video", category="video-to-video",
    )  # fmt: skip
    add_rule("global", mode="markup", rate="0")


def workflow(client: HttpClient, *steps: dict[str, Any], status: int = 200) -> Any:
    return post(client, PATH, {"steps": list(steps)}, status)


def test_the_total_is_the_sum_of_all_steps(asker: HttpClient) -> None:
    found = workflow(asker, PICTURE, FILM)

    assert [(step["name"], step["runs"], step["price"]) for step in found["steps"]] == [
        ("picture", 1, "0.03"),
        ("film", 1, "0.5"),
    ]
    assert found["total"] == {
        "price": "0.53", "low": "0.53", "high": "0.53", "currency": "USD", "confidence": "exact", "missing": [],
    }  # fmt: skip


def test_each_step_shows_the_estimate_of_one_run(asker: HttpClient) -> None:
    step = workflow(asker, {**PICTURE, "quantity": 7})["steps"][0]

    assert (step["price"], step["estimate"]["price"], step["runs"]) == ("0.21", "0.03", 7)


def test_costs_are_for_staff_only(asker: HttpClient, admin_api: HttpClient) -> None:
    assert "cost" not in str(workflow(asker, PICTURE, FILM))
    found = workflow(admin_api, PICTURE, FILM)
    assert (found["total"]["cost"], found["steps"][1]["cost"]) == ("0.53", "0.5")


def test_a_quantity_repeats_its_own_step_only(asker: HttpClient) -> None:
    found = workflow(asker, {**PICTURE, "quantity": 3}, FILM)

    assert [step["runs"] for step in found["steps"]] == [3, 1]


def test_a_fan_out_runs_for_every_run_before(asker: HttpClient) -> None:
    third = {"name": "lips", "model": "fal-ai/lips", "fan_out": 1, "input": {
        "video_url": {"$ref": "steps.film.output.video.url"}, "audio_url": "https://example.com/a.mp3"}}  # fmt: skip
    found = workflow(asker, {**PICTURE, "quantity": 3}, {**FILM, "fan_out": 2}, third)

    assert [(step["runs"], step["price"]) for step in found["steps"]] == [(3, "0.09"), (6, "3"), (6, "0.6")]
    assert found["total"]["price"] == "3.69"


def test_a_reference_makes_a_dependency(asker: HttpClient) -> None:
    found = workflow(asker, FILM, PICTURE)

    assert found["order"] == ["picture", "film"]
    assert [step["depends_on"] for step in found["steps"]] == [["picture"], []]


def test_what_an_earlier_step_makes_tells_how_long_a_later_one_is(asker: HttpClient) -> None:
    lips = {"name": "lips", "model": "fal-ai/lips", "input": {"video_url": {"$ref": "steps.film.output.video.url"}}}
    film = {**FILM, "input": {**FILM["input"], "duration": "10"}}

    found = workflow(asker, PICTURE, film, lips)

    assert (found["steps"][2]["price"], found["steps"][2]["confidence"]) == ("0.2", "exact")


def test_media_facts_that_are_told_go_before_those_handed_on(asker: HttpClient) -> None:
    lips = {"name": "lips", "model": "fal-ai/lips", "media": {"input_video_seconds": 30},
            "input": {"video_url": {"$ref": "steps.film.output.video.url"}}}  # fmt: skip

    assert workflow(asker, PICTURE, FILM, lips)["steps"][2]["price"] == "0.6"


def test_the_confidence_is_the_worst_and_what_is_missing_is_named_by_step(asker: HttpClient) -> None:
    lips = {"name": "lips", "model": "fal-ai/lips", "input": {"video_url": "https://example.com/a.mp4"}}

    found = workflow(asker, PICTURE, lips)["total"]

    assert (found["price"], found["high"], found["confidence"]) == (None, None, "unknown")
    assert found["missing"] == [{"step": "lips", "missing": ["input_video_seconds"]}]


def test_a_reference_to_a_text_leaves_its_length_unknown(asker: HttpClient) -> None:
    text_out = [field("output", required=True)]
    make_sold("fal-ai/llm", "0.01", "requests", inputs=[PROMPT], outputs=text_out, category="llm", media_type="text")
    make_sold("fal-ai/say", "0.05", "1000 characters", inputs=[field("text", required=True)], category="text-to-speech")
    steps = [
        {"name": "write", "model": "fal-ai/llm", "input": {"prompt": "a"}},
        {"name": "say", "model": "fal-ai/say", "input": {"text": {"$ref": "steps.write.output.output"}}},
    ]

    found = workflow(asker, *steps)["steps"][1]

    assert (found["confidence"], found["missing"]) == ("unknown", ["text"])


def test_a_list_by_reference_counts_what_the_step_makes(asker: HttpClient) -> None:
    images = field("image_urls", "array", required=True, media="image", items={"type": "string"})
    rule = {"version": 1, "charges": [{"name": "input images", "price": "0.01", "per": {"of": "input_images"}}]}
    make_sold("fal-ai/merge", "1", "units", inputs=[images], rule=rule, outputs=IMAGES_OUT)
    four = {**PICTURE, "input": {"prompt": "a", "num_images": 4}}
    merge = {"name": "merge", "model": "fal-ai/merge", "input": {"image_urls": {"$ref": "steps.picture.output.images"}}}

    assert workflow(asker, four, merge)["steps"][1]["price"] == "0.04"


def test_a_list_of_a_billion_files_is_not_handed_on(asker: HttpClient) -> None:
    many = field("num_images", "integer", default=1)
    make_sold("fal-ai/many", "0.03", "images", inputs=[PROMPT, many], outputs=IMAGES_OUT)
    urls = field("image_urls", "array", required=True, items={"type": "string", "media": "image"})
    make_sold("fal-ai/collage", "0.01", "images", inputs=[PROMPT, urls], outputs=IMAGES_OUT)
    first = {"name": "first", "model": "fal-ai/many", "input": {"prompt": "a", "num_images": 10**9}}
    second = {
        "name": "second", "model": "fal-ai/collage",
        "input": {"prompt": "b", "image_urls": {"$ref": "steps.first.output.images"}},
    }  # fmt: skip

    body = workflow(asker, first, second, status=422)

    [problem] = body["details"]["problems"]
    assert (problem["path"], problem["code"]) == ("steps.second.input.image_urls", "too_many")
    assert "1,000,000,000 files" in problem["message"]


def test_the_cheapest_alternative_of_the_same_task_is_named(asker: HttpClient) -> None:
    make_sold("fal-ai/cheaper", "0.02", "images", inputs=[PROMPT, NUM_IMAGES])
    make_sold("fal-ai/cheapest", "0.01", "images", inputs=[PROMPT, NUM_IMAGES])
    make_sold("fal-ai/cheap-edit", "0.001", "images", inputs=[PROMPT, IMAGE_URL], category="image-to-image")

    step = workflow(asker, {**PICTURE, "input": {"prompt": "a", "num_images": 3}})["steps"][0]

    assert step["cheapest_alternative"] == {
        "model": "fal-ai/cheapest", "name": "cheapest", "provider": "fal", "price": "0.03", "saves": "0.06",
        "leaves_out": [], "same_model": False,
    }  # fmt: skip


def test_the_cheapest_step_has_no_alternative(asker: HttpClient) -> None:
    make_sold("fal-ai/dearer", "0.04", "images", inputs=[PROMPT])

    assert workflow(asker, PICTURE)["steps"][0]["cheapest_alternative"] is None


def test_a_model_that_can_not_do_what_is_asked_is_no_alternative(asker: HttpClient) -> None:
    make_sold("fal-ai/one-only", "0.001", "images", inputs=[PROMPT])

    step = workflow(asker, {**PICTURE, "input": {"prompt": "a", "num_images": 3}})["steps"][0]

    assert step["cheapest_alternative"] is None


def test_an_alternative_takes_files_under_its_own_names(asker: HttpClient) -> None:
    start = field("start_image", required=True, media="image")
    make_sold(
        "fal-ai/film-2", "0.05", "seconds", inputs=[PROMPT, start, DURATION], outputs=VIDEO_OUT,
        media_type="video", category="image-to-video",
    )  # fmt: skip

    found = workflow(asker, PICTURE, FILM)["steps"][1]["cheapest_alternative"]

    assert (found["model"], found["price"]) == ("fal-ai/film-2", "0.25")


def test_the_same_model_elsewhere_is_an_alternative_whatever_its_category_says(asker: HttpClient) -> None:
    own = make_sold("fal-ai/picture-x", "0.025", "images", inputs=[PROMPT, NUM_IMAGES])
    other = make_sold("other/picture-x", "0.02", "images", inputs=[PROMPT, NUM_IMAGES], category="illustration")
    step = {**PICTURE, "model": own.endpoint_id}
    assert workflow(asker, step)["steps"][0]["cheapest_alternative"] is None

    link(own, other, actor=SYSTEM, reason="The vendor says so.")

    found = workflow(asker, step)["steps"][0]["cheapest_alternative"]
    assert (found["model"], found["same_model"]) == (other.endpoint_id, True)


def refused(client: HttpClient, *steps: dict[str, Any], status: int = 400) -> dict[str, Any]:
    return workflow(client, *steps, status=status)


def test_a_cycle_is_refused_with_all_its_steps(asker: HttpClient) -> None:
    one = {**PICTURE, "name": "a", "depends_on": ["c"]}
    two = {**PICTURE, "name": "b", "depends_on": ["a"]}
    three = {**PICTURE, "name": "c", "depends_on": ["b"]}

    body = refused(asker, one, two, three, {**PICTURE, "name": "d", "depends_on": ["a"]})

    assert body["code"] == "invalid_request"
    assert set(body["details"]["cycle"]) == {"a", "b", "c"}
    assert "a → c → b → a" in body["message"]


def test_a_step_that_waits_for_itself_is_refused(asker: HttpClient) -> None:
    assert refused(asker, {**PICTURE, "depends_on": ["picture"]})["details"]["cycle"] == ["picture", "picture"]


def test_a_step_that_is_not_there_is_refused_by_name(asker: HttpClient) -> None:
    body = refused(asker, {**PICTURE, "name": "pictures"}, FILM)

    assert "'picture'" in body["message"]
    assert body["hint"] == "Did you mean 'pictures'?"


def test_a_name_that_is_used_twice_is_refused(asker: HttpClient) -> None:
    assert "'picture'" in refused(asker, PICTURE, PICTURE)["message"]


def test_an_unknown_model_is_refused_with_its_step(asker: HttpClient) -> None:
    body = refused(asker, PICTURE, {"name": "x", "model": "fal-ai/nothing", "input": {}}, status=404)

    assert (body["code"], body["details"]["step"]) == ("model_not_found", "x")
    assert "Step 'x'" in body["message"]


def test_a_model_that_is_not_offered_is_refused_with_its_step(asker: HttpClient) -> None:
    make_sold("fal-ai/old", status="retired")

    body = refused(asker, {**PICTURE, "model": "fal-ai/old"}, status=410)

    assert body["code"] == "model_retired"


def test_mistakes_of_all_steps_are_named_at_once(asker: HttpClient) -> None:
    bad = {**PICTURE, "input": {"prompt": "a", "num_images": 99}}
    worse = {"name": "film", "model": "fal-ai/film", "input": {"image_url": IMAGE_REF, "durations": "5"}}

    body = refused(asker, bad, worse, status=422)

    assert body["code"] == "invalid_input"
    assert {problem["path"] for problem in body["details"]["problems"]} == {
        "steps.picture.input.num_images",
        "steps.film.input.prompt",
        "steps.film.input.durations",
    }


@pytest.mark.parametrize(
    "ref",
    [
        "",
        "picture",
        "steps.picture",
        "steps.picture.output",
        "steps.picture.input.prompt",
        "steps..output.a",
        5,
        None,
        {},
    ],
)
def test_what_is_no_reference_is_refused(asker: HttpClient, ref: Any) -> None:
    film = {**FILM, "input": {"prompt": "b", "image_url": {"$ref": ref}}}

    problems = refused(asker, PICTURE, film, status=422)["details"]["problems"]

    assert [(one["path"], one["code"]) for one in problems] == [("steps.film.input.image_url", "bad_reference")]


def test_a_reference_with_something_beside_it_is_refused(asker: HttpClient) -> None:
    film = {**FILM, "input": {"prompt": "b", "image_url": {**IMAGE_REF, "url": "https://example.com/a.png"}}}

    assert refused(asker, PICTURE, film, status=422)["code"] == "invalid_input"


@pytest.mark.parametrize("path", ["pictures.0.url", "images.first.url", "images.0.link", "seed.value"])
def test_a_reference_to_nothing_is_refused_with_the_outputs(asker: HttpClient, path: str) -> None:
    film = {**FILM, "input": {"prompt": "b", "image_url": {"$ref": f"steps.picture.output.{path}"}}}

    problem = refused(asker, PICTURE, film, status=422)["details"]["problems"][0]

    assert problem["code"] == "unknown_output"
    assert "images, seed" in problem["hint"]


@pytest.mark.parametrize(
    ("name", "path", "code"),
    [
        ("image_url", "seed", "type"),
        ("image_url", "images", "type"),
        ("image", "images.0.url", "unknown_field"),
        ("duration", "images.0.width", "type"),
    ],
)
def test_a_reference_to_another_type_of_value_is_refused(asker: HttpClient, name: str, path: str, code: str) -> None:
    film = {**FILM, "input": {**FILM["input"], name: {"$ref": f"steps.picture.output.{path}"}}}

    problems = refused(asker, PICTURE, film, status=422)["details"]["problems"]

    assert [(one["path"], one["code"]) for one in problems] == [(f"steps.film.input.{name}", code)]


def test_a_number_by_reference_is_taken_whatever_its_bounds(asker: HttpClient) -> None:
    seed = field("num_images", "integer", default=1, minimum=2, maximum=4)
    make_sold("fal-ai/again", "0.03", "images", inputs=[PROMPT, seed])
    again = {"name": "again", "model": "fal-ai/again", "input": {
        "prompt": "a", "num_images": {"$ref": "steps.picture.output.seed"}}}  # fmt: skip

    assert workflow(asker, PICTURE, again)["steps"][1]["confidence"] == "derived"


def test_a_file_of_the_wrong_kind_is_refused(asker: HttpClient) -> None:
    lips = {"name": "lips", "model": "fal-ai/lips", "input": {"video_url": IMAGE_REF}}

    problem = refused(asker, PICTURE, lips, status=422)["details"]["problems"][0]

    assert (problem["path"], problem["code"]) == ("steps.lips.input.video_url", "wrong_media")


@pytest.mark.parametrize("value", [0, -1, 10_001, 1.5, "3", True, None])
def test_a_quantity_out_of_bounds_is_refused(asker: HttpClient, value: Any) -> None:
    assert refused(asker, {**PICTURE, "quantity": value})["code"] == "invalid_request"


def test_the_largest_quantity_is_taken(asker: HttpClient) -> None:
    assert workflow(asker, {**PICTURE, "quantity": 10_000})["total"]["price"] == "300"


def test_repetitions_of_repetitions_are_bounded(asker: HttpClient) -> None:
    steps = [{**PICTURE, "name": "s0", "quantity": 10_000}]
    steps += [{**PICTURE, "name": f"s{n}", "fan_out": 10_000, "depends_on": [f"s{n - 1}"]} for n in range(1, 20)]

    body = refused(asker, *steps)

    assert "'s1'" in body["message"]


@pytest.mark.parametrize("steps", [[], [PICTURE] * 201])
def test_a_workflow_has_one_to_two_hundred_steps(asker: HttpClient, steps: list[Any]) -> None:
    assert refused(asker, *steps)["code"] == "invalid_request"


@pytest.mark.parametrize("name", ["", "a.b", "a b", "x" * 65, "ü", None])
def test_a_name_that_no_reference_could_carry_is_refused(asker: HttpClient, name: Any) -> None:
    assert refused(asker, {**PICTURE, "name": name})["code"] == "invalid_request"


def test_two_hundred_steps_are_estimated_with_few_queries(
    asker: HttpClient, django_assert_max_num_queries: Any
) -> None:
    steps = [{**PICTURE, "name": f"s{number}", "quantity": number + 1} for number in range(200)]

    with django_assert_max_num_queries(20):
        found = post(asker, PATH, {"steps": steps})

    assert parse_usd(found["total"]["price"]) == sum(range(1, 201)) * 30_000_000


def test_a_long_chain_is_put_in_order(asker: HttpClient) -> None:
    steps = [{**PICTURE, "name": f"s{n}", "depends_on": [f"s{n + 1}"] if n < 199 else []} for n in range(200)]

    assert post(asker, PATH, {"steps": steps})["order"] == [f"s{n}" for n in reversed(range(200))]
