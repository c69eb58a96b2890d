"""Streams of real processes: followed while jobs run, through a kill -9 and a stop, beside slow clients.

A real browser follows them in tests/browser/test_events.py.
"""

import json
import socket
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.db import connection

from tests.event_source import EventSource
from tests.fleet import Fleet, fleet
from tests.prepared import own_postgres

pytestmark = pytest.mark.django_db

JOBS = 12
BODY = {"model": "fal-ai/flux/dev", "input": {"prompt": "a fox"}}
PATIENCE_SECONDS = 60


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory, migrated_database: Path | None) -> Iterator[Fleet]:
    """Web process, dispatcher and sandbox, on a database of their own."""
    settings = {"MAX_CLIENT_STREAMS": "3", "READS_PER_MINUTE": "1000000"}
    if connection.vendor == "sqlite":
        var = tmp_path_factory.mktemp("live") / "var"
        with fleet(var, settings=settings, worker=False, migrated=migrated_database) as running:
            yield _started(running)
        return
    with (
        own_postgres(tmp_path_factory, "live") as url,
        fleet(
            tmp_path_factory.mktemp("live") / "var", settings=settings | {"DATABASE_URL": url}, worker=False
        ) as running,
    ):
        yield _started(running)


def _started(running: Fleet) -> Fleet:
    running.key = running.prepare()  # type: ignore[attr-defined]
    running.start_all()
    return running


@pytest.fixture
def api(one: Fleet) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{one.base_url}/api/v1", headers=key(one), trust_env=False, timeout=30) as client:
        yield client


def key(one: Fleet) -> dict[str, str]:
    return {"Authorization": f"Bearer {one.key}"}  # type: ignore[attr-defined]


def post(api: httpx.Client) -> dict[str, Any]:
    answer = api.post("/jobs", json=BODY)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def listed(api: httpx.Client, job: str) -> list[dict[str, Any]]:
    return list(api.get(f"/jobs/{job}/events?limit=500").json()["items"])


def told(events: Iterable[dict[str, Any]]) -> list[Any]:
    """Events without what becomes known of files later."""
    return [
        {**event, "data": {name: value for name, value in event["data"].items() if name != "assets"}}
        for event in events
    ]


def log_lines(events: Iterable[dict[str, Any]]) -> list[str]:
    return [line["message"] for event in events for line in event["data"].get("logs", ())]


@pytest.mark.parametrize(
    "head",
    [
        "POST /webhooks/fal/a/b HTTP/1.1\r\nContent-Length: 70000",
        "POST /webhooks/fal/a/b HTTP/1.1\r\nTransfer-Encoding: chunked",
        # Its token would be read before anybody is asked who they are: so large a form is not read at all.
        "POST /admin/login/ HTTP/1.1\r\nContent-Length: 90000000\r\nContent-Type: multipart/form-data; boundary=x\r\n"
        f"Cookie: csrftoken={'a' * 32}",
    ],
)
def test_clients_that_send_slowly_stop_nobody_else(one: Fleet, api: httpx.Client, head: str) -> None:
    slow = [socket.create_connection(("127.0.0.1", one.port), timeout=10) for _ in range(8)]
    try:
        for connection_ in slow:
            connection_.sendall(f"{head}\r\nHost: 127.0.0.1\r\n\r\n".encode() + b"1\r\nx")
        posted = api.post("/jobs", json=BODY, timeout=10)
    finally:
        for connection_ in slow:
            connection_.close()

    assert posted.status_code == 201, posted.text


def test_a_job_that_is_sent_in_chunks_is_accepted(api: httpx.Client) -> None:
    body = json.dumps(BODY).encode()
    answer = api.post("/jobs", content=iter([body[:10], body[10:]]), headers={"Content-Type": "application/json"})

    assert answer.request.headers["Transfer-Encoding"] == "chunked"
    assert answer.status_code == 201, answer.text


def test_a_job_is_followed_live_to_its_end(one: Fleet, api: httpx.Client) -> None:
    one.sandbox.faults(processing_ms=1_500)
    job = post(api)
    source = EventSource(job["events_url"] if "://" in job["events_url"] else f"{one.base_url}{job['events_url']}")

    source.wait(PATIENCE_SECONDS)

    assert told(data for _, _, data in source.events) == told(listed(api, job["id"]))
    types = [type for _, type, _ in source.events]
    assert (types[0], types[-1]) == ("job_queued", "job_succeeded")
    assert "job_started" in types
    # It came while the job ran, and was told to stay away after the last event.
    assert source.arrived[types.index("job_started")] < source.arrived[-1] - 0.5
    assert source.statuses[-1] == 204
    assert source.statuses.count(200) == 1


def test_log_lines_of_a_moving_window_come_once_and_in_order(one: Fleet, api: httpx.Client) -> None:
    one.sandbox.faults(processing_ms=3_000)
    job = post(api)
    source = EventSource(f"{one.base_url}/api/v1/jobs/{job['id']}/events", headers=key(one))
    source.wait(PATIENCE_SECONDS)

    # Those of the stream, as they came; the list tells the same.
    lines = log_lines(event for _, _, event in source.events)
    assert len(lines) > 1
    assert lines == log_lines(listed(api, job["id"]))
    assert lines == sorted(set(lines), key=lambda line: int(line.split()[1]))
    assert lines[-1].split()[1] == lines[-1].split()[-1]


def test_no_event_is_lost_or_doubled_when_the_web_process_is_killed(one: Fleet, api: httpx.Client) -> None:
    one.sandbox.faults(processing_ms=2_000)
    client = EventSource(f"{one.base_url}/api/v1/events", headers=key(one))
    assert client.opened.wait(20)
    jobs = [post(api)["id"] for _ in range(JOBS)]
    of_one = EventSource(f"{one.base_url}/api/v1/jobs/{jobs[-1]}/events", headers=key(one))
    assert of_one.opened.wait(20)
    before = len(client.events)

    one.kill("web")
    time.sleep(1)
    one.start_all()

    of_one.wait(PATIENCE_SECONDS)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while sum(type == "job_succeeded" for _, type, _ in client.events) < JOBS and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(0.5)
    client.close()
    assert 0 in client.statuses
    assert len(client.events) > before
    for job in jobs:
        expected = [(event["number"], event["type"]) for event in listed(api, job)]
        assert [(data["number"], type) for _, type, data in client.events if data["job"] == job] == expected
    assert told(data for _, _, data in of_one.events) == told(listed(api, jobs[-1]))


def test_a_stop_ends_streams_cleanly_so_that_they_go_on_elsewhere(one: Fleet, api: httpx.Client) -> None:
    # Longer than anybody waits for a process to end.
    one.sandbox.faults(processing_ms=120_000)
    job = post(api)
    source = EventSource(f"{one.base_url}/api/v1/jobs/{job['id']}/events", headers=key(one))
    assert source.opened.wait(20)
    web = one.running["web"]

    one.end("web")
    one.start_all()
    assert api.post(f"/jobs/{job['id']}/cancel").status_code == 200
    source.wait(PATIENCE_SECONDS)

    # By itself, though the stream had long to go.
    assert web.returncode == 0
    assert any("stopping" in comment for comment in source.comments)
    assert "gracefully" not in one.log.read_text()
    assert told(data for _, _, data in source.events) == told(listed(api, job["id"]))


def test_the_front_gives_back_the_places_of_streams_that_were_left(one: Fleet, api: httpx.Client) -> None:
    one.sandbox.faults(processing_ms=60_000)
    job = post(api)["id"]
    url = f"{one.base_url}/api/v1/jobs/{job}/events"

    def status() -> int:
        with httpx.stream("GET", url, headers=key(one) | {"Accept": "text/event-stream"}, trust_env=False) as answer:
            return answer.status_code

    held = [httpx.Client(trust_env=False) for _ in range(3)]
    for client in held:
        request = client.build_request("GET", url, headers=key(one) | {"Accept": "text/event-stream"})
        assert client.send(request, stream=True).status_code == 200
    assert status() == 429
    for client in held:
        client.close()
    deadline = time.monotonic() + 20
    while (last := status()) != 200 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert last == 200
    api.post(f"/jobs/{job}/cancel")
