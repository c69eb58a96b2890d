"""Files in the JSON of jobs, and one by one."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from django.test import Client as HttpClient

from genfeed.clients.models import Client
from jobs.assets.models import Asset
from jobs.models import Job
from tests.jobs.assets.conftest import Fetch, fetch_all, key_of, make_asset
from tests.jobs.conftest import Run
from tests.jobs.doubles import Provider, look, result, submitted
from tests.sandbox_server import RunningSandbox

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("by_hand")]


def job_of(job: Job) -> Any:
    return key_of().get(f"/api/v1/jobs/{job.pk}").json()


def path_of(url: str) -> str:
    assert url.startswith("http://testserver/assets/")
    return url.removeprefix("http://testserver")


def test_a_stored_file_has_our_address_in_assets_and_output(fetch: Fetch) -> None:
    asset = fetch()
    assert asset.job is not None

    body = job_of(asset.job)

    (shown,) = body["assets"]
    assert shown["url"] == body["output"]["images"][0]["url"]
    assert HttpClient().get(path_of(shown["url"])).status_code == 200
    assert {name: shown[name] for name in ("id", "kind", "content_type", "state", "nsfw", "path")} == {
        "id": asset.pk,
        "kind": "image",
        "content_type": "image/jpeg",
        "state": "stored",
        "nsfw": False,
        "path": "images.0.url",
    }
    assert (shown["width"], shown["height"], shown["size"]) == (asset.width, asset.height, asset.size)


@pytest.mark.once
def test_while_a_file_is_on_its_way_the_output_names_the_providers(run: Run, sandbox: RunningSandbox) -> None:
    body = job_of(run())

    assert (body["assets"][0]["state"], body["assets"][0]["url"]) == ("pending", None)
    assert httpx.get(body["output"]["images"][0]["url"]).status_code == 200


@pytest.mark.once
def test_with_a_scanner_nothing_is_handed_out_before_it_was_scanned(run: Run, settings: Any) -> None:
    job = run()
    settings.ASSET_SCANNER = "jobs.assets.clamav.scan"

    assert job_of(job)["output"]["images"][0]["url"] is None


@pytest.mark.once
def test_the_address_of_a_file_that_was_refused_is_told_to_nobody(fetch: Fetch, sandbox: RunningSandbox) -> None:
    sandbox.faults(jobs=[{"file_url": "http://10.0.0.1/secret.png"}])
    asset = fetch()
    assert asset.job is not None

    body = job_of(asset.job)

    assert "10.0.0.1" not in str(body)
    assert (body["status"], body["assets"][0]["state"]) == ("succeeded", "refused")


@pytest.mark.once
def test_a_file_that_can_not_be_had_leaves_the_result_a_result(fetch: Fetch, sandbox: RunningSandbox) -> None:
    sandbox.faults(jobs=[{"file_status": 503}])
    asset = fetch()
    assert asset.job is not None

    body = job_of(asset.job)

    assert (body["status"], body["assets"][0]["state"]) == ("succeeded", "pending")
    assert body["assets"][0]["problem"] == "the host answered 503"
    assert body["charge"] is not None


@pytest.mark.once
def test_flagged_files_are_withheld_where_the_client_wants_none(fetch: Fetch, sandbox: RunningSandbox) -> None:
    sandbox.faults(jobs=[{"nsfw": True}])
    asset = fetch()
    assert asset.job is not None
    Client.objects.update(withholds_nsfw=True)

    body = job_of(asset.job)

    assert (body["output"]["images"][0]["url"], body["assets"][0]["url"]) == (None, None)
    assert (body["assets"][0]["nsfw"], body["assets"][0]["state"]) == (True, "stored")


@pytest.mark.once
def test_public_url_begins_every_address(fetch: Fetch, settings: Any) -> None:
    settings.PUBLIC_URL = "https://media.example.com"
    asset = fetch()
    assert asset.job is not None

    assert job_of(asset.job)["assets"][0]["url"].startswith("https://media.example.com/assets/ast_")


def test_a_list_of_jobs_reads_their_files_in_one_query(
    run: Run, django_assert_max_num_queries: Any, settings: Any
) -> None:
    for prompt in ("a fox", "a hen", "a cat"):
        fetch_all(run(input={"prompt": prompt}))
    client = key_of()
    client.get("/api/v1/jobs")

    with django_assert_max_num_queries(2):
        items = client.get("/api/v1/jobs").json()["items"]

    assert [item["assets"][0]["state"] for item in items] == ["stored"] * 3


@pytest.mark.once
def test_a_data_uri_becomes_a_file_and_leaves_the_output() -> None:
    svg = "data:image/svg+xml;base64,PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciLz4="
    provider = Provider()
    provider.on_result = result({"images": [{"url": svg}, {"url": svg}], "seed": 1})
    _, job = submitted(provider)
    job = look(provider, job)

    (asset,) = fetch_all(job)
    job.refresh_from_db()

    assert (asset.state, asset.content_type, asset.name) == ("stored", "image/svg+xml", "images-0.svg")
    assert job.output["images"][1]["url"] == f"asset:{asset.pk}"
    body = job_of(job)
    assert body["output"]["images"][0]["url"] == body["output"]["images"][1]["url"] == body["assets"][0]["url"]


@pytest.mark.once
def test_one_file_is_read_by_its_id() -> None:
    asset = make_asset(width=3, height=4, seconds=5.04)

    body = key_of().get(f"/api/v1/assets/{asset.pk}").json()

    assert (body["id"], body["width"], body["height"], body["seconds"]) == (asset.pk, 3, 4, 5.04)
    assert HttpClient().get(path_of(body["url"])).status_code == 200


@pytest.mark.once
def test_another_clients_file_is_unknown() -> None:
    asset = make_asset(client_name="Other")

    answer = key_of("Acme").get(f"/api/v1/assets/{asset.pk}")

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.once
def test_a_key_needs_the_scope() -> None:
    asset = make_asset()

    assert key_of("Acme", "models:read").get(f"/api/v1/assets/{asset.pk}").status_code == 403


@pytest.mark.once
def test_a_file_that_has_expired_says_so() -> None:
    asset = make_asset(state=Asset.State.EXPIRED)

    body = key_of().get(f"/api/v1/assets/{asset.pk}").json()

    assert (body["state"], body["url"]) == ("expired", None)


def test_files_are_listed_newest_first_and_page_by_page() -> None:
    made = [make_asset().pk for _ in range(3)]
    make_asset(client_name="Other")
    key = key_of()

    first = key.get("/api/v1/assets?limit=2").json()
    second = key.get(f"/api/v1/assets?limit=2&cursor={first['next_cursor']}").json()

    assert [one["id"] for one in first["items"] + second["items"]] == made[::-1]
    assert second["next_cursor"] is None


@pytest.mark.parametrize(
    ("query", "count"), [("kind=video", 1), ("state=expired", 1), ("origin=upload", 1), ("job=job_1", 0), ("", 3)]
)
def test_a_list_of_files_can_be_narrowed(query: str, count: int) -> None:
    make_asset(kind="video")
    make_asset(state="expired")
    make_asset(origin="upload")

    assert len(key_of().get(f"/api/v1/assets?{query}").json()["items"]) == count


def test_a_client_deletes_a_file_of_its_job_and_the_result_stays(fetch: Fetch, media: Path) -> None:
    asset = fetch()

    answer = key_of().delete(f"/api/v1/assets/{asset.pk}").json()

    assert (answer["state"], answer["url"]) == ("expired", None)
    assert [path for path in media.rglob("*") if path.is_file()] == []
    assert asset.job.status == "succeeded"


@pytest.mark.once
def test_another_clients_file_is_not_deleted() -> None:
    asset = make_asset()

    assert key_of("Other").delete(f"/api/v1/assets/{asset.pk}").status_code == 404
    assert Asset.objects.get().state == "stored"


@pytest.mark.parametrize("path", ["/api/v1/assets/ast_%00", "/api/v1/uploads/ast_%00"])
def test_a_null_character_in_an_id_names_no_file(path: str) -> None:
    assert key_of().get(path).status_code == 404


@pytest.mark.parametrize("query", ["cursor=ast_%00", "job=job_%00"])
def test_a_null_character_in_a_query_finds_nothing(query: str) -> None:
    make_asset()

    assert key_of().get(f"/api/v1/assets?{query}").json()["items"] == []
