"""deploy/nginx/genfeed.conf in a real nginx, before two groups of web processes that are restarted under load."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from genfeed.sandbox.media.making import Wish, make
from tests.event_source import EventSource
from tests.fleet import Fleet, fleet
from tests.held_sockets import HeldWeb
from tests.nginx import need_nginx, running_nginx
from tests.prepared import migrated
from tests.sandbox_server import free_port

# Accounts whose passwords are soon looked at: a guess at that of an account that is not there takes most of a second.
_ACCOUNTS = """
from django.contrib.auth.hashers import ScryptPasswordHasher
from django.contrib.auth.models import User
kept = ScryptPasswordHasher().encode("its own", "salt", n=2, p=1)
User.objects.bulk_create(User(username=f"somebody {number}", password=kept) for number in range(60))
"""
JOB = {"model": "fal-ai/flux/dev", "input": {"prompt": "a fox"}}


@dataclass
class Site:
    """A site behind nginx: a process for short requests, one for what waits."""

    base_url: str
    key: str
    fleet: Fleet
    short: HeldWeb
    waiting: HeldWeb
    folder: Path

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    def client(self, **options: Any) -> httpx.Client:
        return httpx.Client(base_url=self.base_url, verify=False, trust_env=False, timeout=60, **options)

    def ports_that_answered(self, path: str) -> set[str]:
        """Where nginx had requests for a path answered, by its log."""
        lines = (self.folder / "genfeed.log").read_text().splitlines()
        return {line.rsplit('"', 2)[1].rpartition(":")[2] for line in lines if f' {path}"' in line}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    need_nginx()
    folder = tmp_path_factory.mktemp("site")
    port = free_port()
    settings = {"PUBLIC_URL": f"https://127.0.0.1:{port}", "WEB_STOP_SECONDS": "15", "WEB_DRAIN_SECONDS": "3"}
    with ExitStack() as stack:
        app = stack.enter_context(
            fleet(folder / "var", settings=settings, worker=False, migrated=migrated(tmp_path_factory))
        )
        key = app.prepare()
        # Not so fast that all of it were there at once.
        app.sandbox.faults(latency_ms=200)
        webs = [HeldWeb(app.settings | {"WEB_INTERFACE": name}, folder / "web.log") for name in ("wsgi", "asgi")]
        for web in webs:
            stack.callback(web.close)
            web.start()
        short, waiting = webs
        nginx = running_nginx(folder / "nginx", port=port, short=[short.port], waiting=[waiting.port])
        base_url = stack.enter_context(nginx)
        yield Site(base_url, key, app, short, waiting, folder / "nginx")


def accept(site: Site, client: httpx.Client) -> Any:
    answer = client.post("/api/v1/jobs", json=JOB, headers=site.headers)
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_a_stream_comes_through_event_by_event(site: Site) -> None:
    with site.client() as client:
        job = accept(site, client)
        told = []
        with client.stream("GET", job["events_url"], headers={"Accept": "text/event-stream"}) as answer:
            for line in answer.iter_lines():
                if line.startswith("event: "):
                    told.append(line.removeprefix("event: "))
                # Nothing else can come before somebody works: what is here was not kept back.
                if told == ["job_queued"] and "dispatcher 1" not in site.fleet.running:
                    site.fleet.start("dispatcher 1")

    assert (told[0], told[-1]) == ("job_queued", "job_succeeded")


def test_a_part_of_a_film_can_be_asked_for(site: Site) -> None:
    content = make(Wish(kind="mp4", seed="a", width=320, height=240, seconds=2))
    with site.client() as client:
        file = client.post("/api/v1/uploads", files={"file": ("a.mp4", content)}, headers=site.headers).json()
        part = client.get(file["url"], headers={"Range": "bytes=100-199"})

    assert file["url"].startswith(f"{site.base_url}/assets/")
    assert (part.status_code, part.content) == (206, content[100:200])
    assert part.headers["Content-Range"] == f"bytes 100-199/{len(content)}"


def test_a_body_that_is_too_large_is_refused_in_the_shape_of_our_errors(site: Site) -> None:
    with site.client() as client:
        answer = client.post("/api/v1/jobs", content=b" " * 10_485_761, headers=site.headers)

    assert (answer.status_code, answer.json()["code"]) == (413, "payload_too_large")
    assert answer.json()["requestId"] == answer.headers["X-Request-Id"]


def test_an_upload_may_be_larger_than_any_other_request(site: Site) -> None:
    content = (
        make(Wish(kind="mp4", seed="a", width=64, height=64, seconds=1)) + b"\x00\xc0\x00\x00free" + bytes(12_582_904)
    )
    with site.client() as client:
        answer = client.post("/api/v1/uploads", files={"file": ("a.mp4", content)}, headers=site.headers)

    assert (answer.status_code, answer.json()["size"]) == (201, len(content))


@pytest.mark.parametrize("path", ["/metrics", "/readyz"])
def test_what_operators_ask_is_not_there_from_outside(site: Site, path: str) -> None:
    with site.client() as client:
        assert client.get(path).status_code == 404
        assert client.get(path, headers={"X-Forwarded-For": "127.0.0.1"}).status_code == 404


def test_the_application_knows_that_its_callers_use_tls(site: Site) -> None:
    with site.client() as client:
        through = client.get("/admin/login/")
        spoofed = httpx.get(f"{site.short.base_url}/admin/login/", trust_env=False)

    assert "Strict-Transport-Security" in through.headers
    assert "Secure" in through.headers["Set-Cookie"]
    assert "Strict-Transport-Security" not in spoofed.headers


def test_plain_http_is_sent_to_tls(site: Site) -> None:
    found = (site.folder / "genfeed.conf").read_text().partition("listen 127.0.0.1:")[2]
    plain = f"http://127.0.0.1:{found.partition(';')[0]}/api/v1/models?q=a"

    # Nobody is led elsewhere by the host that somebody else named.
    for host in ("127.0.0.1", "evil.example"):
        answer = httpx.get(plain, headers={"Host": host}, trust_env=False)
        assert (answer.status_code, answer.headers["Location"]) == (301, "https://127.0.0.1/api/v1/models?q=a")


def test_who_tries_keys_is_known_by_the_address_that_nginx_saw(site: Site) -> None:
    statuses = []
    with site.client(transport=httpx.HTTPTransport(local_address="127.0.0.3", verify=False)) as client:
        for number in range(40):
            headers = {"X-API-Key": "gf_nothing", "X-Forwarded-For": f"203.0.113.{number}"}
            statuses.append(client.get("/api/v1/models", headers=headers).status_code)
    with site.client(transport=httpx.HTTPTransport(local_address="127.0.0.2", verify=False)) as elsewhere:
        other = elsewhere.get("/api/v1/models", headers={"X-API-Key": "gf_nothing"})

    assert statuses[:20] == [401] * 20
    assert statuses[-5:] == [429] * 5
    assert other.status_code == 401


def test_who_guesses_passwords_is_known_by_the_address_that_nginx_saw(site: Site) -> None:
    site.fleet.shell(_ACCOUNTS)
    statuses = []
    with site.client(transport=httpx.HTTPTransport(local_address="127.0.0.4", verify=False)) as client:
        client.get("/admin/login/")
        headers = {"X-CSRFToken": client.cookies["csrftoken"], "Referer": f"{site.base_url}/admin/login/"}
        # Ten a minute; some come back while these take their time.
        for number in range(60):
            guess = {"username": f"somebody {number}", "password": "guess"}
            spoofed = headers | {"X-Forwarded-For": f"203.0.113.{number}"}
            statuses.append(client.post("/admin/login/", data=guess, headers=spoofed).status_code)
            if statuses[-1] != 200:
                break

    assert len(statuses) > 10
    assert statuses[-1] == 429


def test_what_waits_goes_to_the_one_group_and_the_rest_to_the_other(site: Site) -> None:
    waiting = ["/api/v1/events", "/mcp", "/v1/images/generations", "/fal/run/fal-ai/flux/dev", "/api/v1/uploads/ast_1"]
    short = ["/api/v1/models", "/admin/login/", "/static/genfeed/icon.svg"]
    with site.client() as client:
        for path in [*waiting, *short]:
            client.get(path, headers=site.headers)
    # The line of a request is written after its answer.
    wait_for(lambda: bool(site.ports_that_answered(short[-1])))

    for path in waiting:
        assert site.ports_that_answered(path) == {str(site.waiting.port)}, path
    for path in short:
        assert site.ports_that_answered(path) == {str(site.short.port)}, path


def test_the_log_has_no_signature(site: Site) -> None:
    with site.client() as client:
        client.get("/assets/ast_1/a.png?exp=1&sig=secretly")
        client.post("/webhooks/fal/job_1/a-token-of-a-job", content=b"{}")

    for log in (site.folder / "genfeed.log", site.folder / "error.log", site.folder / "genfeed.error.log"):
        assert "secretly" not in log.read_text()
        assert "a-token-of-a-job" not in log.read_text()


@dataclass
class Load:
    """Threads that ask without a pause until they are told to stop. `failed` says what was no success."""

    site: Site
    made: int = 0
    failed: list[str] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> "Load":
        for method, path in (("GET", "/api/v1/models"), ("GET", "/api/v1/balance"), ("POST", "/api/v1/estimates")):
            self._threads.append(threading.Thread(target=self._ask, args=(method, path)))
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive(), "a request has not ended"

    def _ask(self, method: str, path: str) -> None:
        # nginx sends a POST again only where the first try was certainly not taken.
        with self.site.client() as client:
            while not self._over.is_set():
                try:
                    answer = client.request(
                        method, path, headers=self.site.headers, json=JOB if method == "POST" else None
                    )
                except httpx.TransportError as error:
                    self.failed.append(f"{method} {path}: {error!r}")
                    continue
                self.made += 1
                if answer.status_code >= 400:
                    self.failed.append(f"{method} {path}: {answer.status_code} {answer.text[:200]}")
                time.sleep(0.03)


def test_web_processes_are_restarted_and_reloaded_without_a_failed_request(site: Site) -> None:
    # Straight at the process: what nginx passes on is shown above, and the source knows no certificate of ours.
    host = {"Host": site.base_url.removeprefix("https://")}
    source = EventSource(f"{site.waiting.base_url}/api/v1/events", headers=site.headers | host)
    try:
        assert source.opened.wait(20)
        with Load(site) as load:
            for web in (site.short, site.waiting):
                before = load.made
                web.begin_to_stop()
                assert web.says_that_it_will_stop()
                assert web.wait_for_end() == 0
                web.start()
                assert load.made > before
            site.waiting.reload()
        with site.client() as client:
            last = accept(site, client)["id"]
        wait_for(lambda: any(data.get("job") == last for _, _, data in source.events))
    finally:
        source.close()

    assert load.failed == []
    # The stream was told to go on elsewhere, and had nothing twice.
    assert source.statuses.count(200) >= 2
    assert any("stopping" in comment for comment in source.comments)
    told = [number for number, _, _ in source.events]
    assert len(told) == len(set(told))


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
