"""Whatever a model makes: asked for, run and told in one way."""

from typing import Any

import pytest

from jobs.models import Job
from jobs.rendering import render_job
from tests.jobs.doubles import Provider, look, make_caller, make_job, result, submit
from tests.pricing.estimates.sold import IMAGES_OUT, PROMPT, VIDEO_OUT, field, make_sold

pytestmark = [pytest.mark.django_db, pytest.mark.once]

IMAGE = {"images": [{"url": "https://v3.fal.media/files/a/b.png"}]}
VIDEO = {"video": {"url": "https://v3.fal.media/files/a/b.mp4"}}
DURATION = field("duration", enum=["5", "10"], default="5")


def run(model: str, input: dict[str, Any], output: Any, units: str) -> tuple[Provider, Job]:
    provider = Provider()
    provider.sent = [{}] * Job.objects.count()
    provider.on_result = result(output, units=units)
    job = make_job(make_caller(), model=model, input=input)
    return provider, look(provider, submit(provider, job))


def test_an_image_and_a_video_are_asked_for_alike() -> None:
    make_sold("fal-ai/flux/dev", outputs=IMAGES_OUT)
    make_sold("fal-ai/kling/text-to-video", "0.07", "seconds", inputs=[PROMPT, DURATION], outputs=VIDEO_OUT)

    _, image = run("fal-ai/flux/dev", {"prompt": "a fox"}, IMAGE, "1")
    _, video = run("fal-ai/kling/text-to-video", {"prompt": "a fox runs", "duration": "10"}, VIDEO, "10")

    shown = [render_job(job, shows_cost=True) for job in (image, video)]
    assert [one["status"] for one in shown] == ["succeeded", "succeeded"]
    assert [one["cost"] for one in shown] == ["0.025", "0.7"]
    assert [one["output"] for one in shown] == [IMAGE, VIDEO]
    assert set(shown[0]) == set(shown[1])


def test_a_video_from_an_image_hands_the_file_on() -> None:
    file = field("image_url", required=True, media="image")
    make_sold("fal-ai/kling/image-to-video", "0.07", "seconds", inputs=[PROMPT, file, DURATION], outputs=VIDEO_OUT)
    address = "https://example.com/fox.png"

    provider, job = run("fal-ai/kling/image-to-video", {"prompt": "run", "image_url": address}, VIDEO, "5")

    assert provider.sent[-1]["image_url"] == address
    assert (job.status, job.cost) == ("succeeded", 350_000_000)


@pytest.mark.parametrize(
    ("output", "outputs", "told"),
    [
        (IMAGE, IMAGES_OUT, ("image", "images.0.url")),
        (
            {"image": IMAGE["images"][0]},
            [field("image", "object", required=True, media="image")],
            ("image", "image.url"),
        ),
        (VIDEO, VIDEO_OUT, ("video", "video.url")),
    ],
)
def test_whatever_field_a_file_comes_in_it_is_told_in_one_form(
    output: Any, outputs: list[Any], told: tuple[str, str]
) -> None:
    make_sold("acme/made", outputs=outputs)
    _, job = run("acme/made", {"prompt": "a fox"}, output | {"seed": 7}, "1")

    shown = render_job(job, shows_cost=False)

    (file,) = shown["assets"]
    assert (file["kind"], file["path"]) == told
    assert {"url", "width", "height", "content_type", "size", "seconds", "nsfw"} < set(file)
    assert shown["output"]["seed"] == 7
