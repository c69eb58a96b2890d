"""The recipes of docs/media.md, each run with files of a client, over the recorded schemas and prices."""

import gzip
import re
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from django.core.files.storage import storages

from catalog import published, sync_runs
from genfeed.sandbox.media.making import Wish, make
from genfeed.sync import sync_everything
from jobs.assets import references
from jobs.assets.models import Asset
from jobs.assets.texts import replaced_texts, texts_in
from jobs.models import Job, Status
from tests.jobs.assets.conftest import make_asset
from tests.jobs.conftest import Run
from tests.jobs.doubles import make_caller
from tests.recorded import JUNE, requires_recorded, rows
from tests.sandbox_server import RunningSandbox

pytestmark = [pytest.mark.django_db, requires_recorded, pytest.mark.once]

PAGE = (Path(__file__).parents[3] / "docs" / "media.md").read_text()
RECIPES = {
    recipe["model"]: recipe
    for recipe in (orjson.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL))
}
_STANDS_FOR = re.compile(r"asset:ast_01…(\w+)")


@pytest.fixture(autouse=True)
def tools(sandbox: RunningSandbox, tmp_path: Path) -> None:
    """The provider offers its ffmpeg tools as recorded, and they were synced with their prices."""
    catalog = tmp_path / "tools.jsonl.gz"
    wanted = [row for row in rows(JUNE) if row["endpoint_id"].startswith("fal-ai/ffmpeg-api/")]
    catalog.write_bytes(gzip.compress(b"\n".join(map(orjson.dumps, wanted))))
    sandbox.load_catalog(catalog)
    row, _ = sync_runs.request_run(sync_runs.ensure_providers()["fal"], trigger="command")
    done = sync_everything(row)
    assert done.status == "succeeded", done.error
    published.forget()
    sandbox.clear_requests()
    make_caller()


def film(seconds: float, **columns: Any) -> Asset:
    content = make(Wish(kind="mp4", seed=str(seconds), width=320, height=240, seconds=seconds))
    facts = {"width": 320, "height": 240, "seconds": seconds, "fps": 24.0}
    return make_asset(content, kind="video", content_type="video/mp4", name="a.mp4", **facts, **columns)


def sound(seconds: float) -> Asset:
    content = make(Wish(kind="wav", seed=str(seconds), seconds=seconds))
    return make_asset(content, kind="audio", content_type="audio/wav", name="a.wav", seconds=seconds, origin="upload")


def bring(recipe: dict[str, Any]) -> dict[str, Any]:
    """The recipe with ids of real files: an upload, a file that a job made, and sounds."""
    files = {"film": film(3.0, origin="upload"), "second": film(2.0), "music": sound(5.0), "voice": sound(1.0)}
    return replaced_texts(recipe, lambda text: _STANDS_FOR.sub(lambda found: f"asset:{files[found[1]].pk}", text))


def files_are_here(job: Job) -> bool:
    return job.has_ended and not job.assets.filter(state=Asset.State.PENDING).exists()


def content_of(asset: Asset) -> bytes:
    with storages["assets"].open(asset.storage_name) as file:
        return file.read()


def addresses(value: Any) -> list[str]:
    return [text for text, _ in texts_in(value) if text.startswith("http")]


def sent(sandbox: RunningSandbox) -> dict[str, Any]:
    return sandbox.queue()["requests"][0]["input"]


@pytest.mark.parametrize("model", RECIPES)
def test_a_recipe_of_the_page_runs_and_the_provider_can_read_every_file(
    model: str, run: Run, sandbox: RunningSandbox
) -> None:
    recipe = bring(RECIPES[model])
    named = references.ids_in(recipe["input"])

    job = run(**recipe)

    assert (job.status, job.error) == (Status.SUCCEEDED, None)
    urls = addresses(sent(sandbox))
    assert len(urls) == len(named) > 0
    assert sorted(len(httpx.get(url).content) for url in urls) == sorted(
        Asset.objects.filter(pk__in=named).values_list("size", flat=True)
    )


def test_the_page_shows_every_tool_that_has_a_price() -> None:
    priced = {
        row["endpoint_id"] for row in rows(JUNE) if row["endpoint_id"].startswith("fal-ai/ffmpeg-api/") and row["price"]
    }

    assert set(RECIPES) == priced


def test_tracks_and_keyframes_keep_all_but_their_addresses(run: Run, sandbox: RunningSandbox) -> None:
    recipe = bring(RECIPES["fal-ai/ffmpeg-api/compose"])

    run(**recipe)

    [pictures, music] = sent(sandbox)["tracks"]
    assert [frame["timestamp"] for frame in pictures["keyframes"]] == [0, 3000]
    assert [frame["url"].startswith(sandbox.cdn_url) for frame in pictures["keyframes"] + music["keyframes"]] == [
        True
    ] * 3


def test_a_film_of_one_job_is_named_by_its_bare_id_in_the_next(run: Run, sandbox: RunningSandbox) -> None:
    merged = run(files_are_here, **bring(RECIPES["fal-ai/ffmpeg-api/merge-videos"]))
    made = merged.assets.get(kind="video")
    assert made.state == Asset.State.STORED

    job = run(model="fal-ai/ffmpeg-api/extract-frame", input={"video_url": made.pk, "frame_type": "last"})

    assert job.status == Status.SUCCEEDED
    assert httpx.get(addresses(sent(sandbox))[0]).content == content_of(made)


def test_the_length_of_a_film_sets_the_price_of_what_is_billed_by_the_second(run: Run) -> None:
    job = run(**bring(RECIPES["fal-ai/ffmpeg-api/extract-frame"]))

    assert Job.objects.get(pk=job.pk).quote["units"] == "3"
