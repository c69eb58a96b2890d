"""What docs/workflows.md shows works as it stands there, with a provider that makes real files."""

import re
import time
from pathlib import Path
from typing import Any

import orjson
import pytest

from jobs.dispatching.dispatcher import Dispatcher
from jobs.models import WorkflowRun
from pricing.ledger.checking import check_ledger
from tests.jobs.doubles import make_caller
from tests.jobs.workflows.flows import http_of, send
from tests.pricing.estimates.sold import IMAGE_URL, PROMPT, VIDEO_OUT, field, make_sold
from tests.sandbox_server import RunningSandbox

pytestmark = [pytest.mark.django_db, pytest.mark.once]
TEXT = (Path(__file__).resolve().parents[3] / "docs" / "workflows.md").read_text()
EXAMPLES = [
    (method, path, orjson.loads(body))
    for method, path, body in re.findall(r"`(POST) /api/v1(/[\w-]+)`\n```json\n(.*?)```", TEXT, re.DOTALL)
]
PATIENCE_SECONDS = 60


def test_the_page_shows_examples() -> None:
    assert [path for _, path, _ in EXAMPLES] == ["/workflows", "/workflow-templates", "/workflows"]
    assert TEXT.count("```json") == len(EXAMPLES)


def test_every_example_runs_to_its_end(sandbox: RunningSandbox, dispatcher: Dispatcher) -> None:
    make_sold(
        "fal-ai/kling-video/v2.1/standard/image-to-video", "0.05", "seconds",
        inputs=[PROMPT, IMAGE_URL, field("duration", enum=["5", "10"], default="5"), field("negative_prompt")],
        outputs=VIDEO_OUT, media_type="video", category="image-to-video",
    )  # fmt: skip
    http = http_of(make_caller())
    for method, path, body in EXAMPLES:
        send(http, path, body, method=method, status=201)

    until = time.monotonic() + PATIENCE_SECONDS
    while WorkflowRun.objects.filter(finished_at=None).exists():
        assert time.monotonic() < until, [send(http, f"/workflows/{run.pk}", method="get") for run in _runs()]
        if not dispatcher.tick():
            dispatcher._wait(0.01)

    shown: list[Any] = [send(http, f"/workflows/{run.pk}", method="get") for run in _runs()]
    assert [one["status"] for one in shown] == ["succeeded", "succeeded"], shown
    films = [step["runs"][0] for one in shown for step in one["steps"] if step["name"] == "film"]
    assert [film["assets"][0]["content_type"] for film in films] == ["video/mp4", "video/mp4"]
    # What the films were made of is the picture that we stored, brought to the provider from here.
    sent = [one["input"] for one in sandbox.queue()["requests"] if "image_url" in one["input"]]
    assert len(sent) == 2
    assert check_ledger() == []


def _runs() -> list[WorkflowRun]:
    return list(WorkflowRun.objects.order_by("pk"))
