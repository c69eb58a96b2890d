"""Mixed traffic as many kinds of clients make it: each does one thing after the other, and notes what was answered."""

import base64
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

MODEL = "fal-ai/flux/dev"
PATIENCE_SECONDS = 60
_IMAGE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@dataclass
class Traffic:
    """Clients of one installation. `done` counts what was done, `wrong` are answers that should not have come.

    `rate` is jobs a second; everything else comes beside them, in its share. What is not rare is done once before.
    """

    base_url: str
    key: str
    admin_key: str
    password: str
    hook: str
    rate: float
    clients: int = 8
    seed: int = 1
    done: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    late: int = 0

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._turn = 0
        self._started = 0.0
        self._chance = random.Random(self.seed)
        self._jobs: list[str] = []
        self._first = [name for name, (share, _) in DEEDS.items() if share >= 1]
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(self.clients)]

    def start(self) -> None:
        self._started = time.monotonic()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ends what is under way; fails where that takes too long."""
        self._stop.set()
        for thread in self._threads:
            thread.join(2 * PATIENCE_SECONDS)
            assert not thread.is_alive(), "a client of the soak does not end"

    def _work(self) -> None:
        headers = {"Authorization": f"Bearer {self.key}"}
        staff = httpx.Client(base_url=self.base_url, trust_env=False, timeout=PATIENCE_SECONDS, follow_redirects=True)
        with (
            staff,
            httpx.Client(base_url=self.base_url, headers=headers, trust_env=False, timeout=PATIENCE_SECONDS) as http,
        ):
            log_in(staff, self.password)
            while not self._stop.is_set():
                with self._lock:
                    at = self._started + self._turn / (self.rate * JOBS_EVERY)
                    self._turn += 1
                    name = self._first.pop(0) if self._first else self._any_deed()
                wait = at - time.monotonic()
                self.late += wait < -5
                if self._stop.wait(max(0.0, wait)):
                    return
                try:
                    DEEDS[name][1](Client(self, http, staff))
                    self.done[name] += 1
                except (httpx.HTTPError, AssertionError) as error:
                    self.wrong.append(f"{name}: {type(error).__name__}: {str(error)[:300]}")

    def _any_deed(self) -> str:
        return self._chance.choices(list(DEEDS), [share for share, _ in DEEDS.values()])[0]

    def note_job(self, job: str) -> None:
        with self._lock:
            self._jobs = [*self._jobs[-199:], job]

    def any_job(self) -> str:
        with self._lock:
            return self._chance.choice(self._jobs) if self._jobs else ""


@dataclass(frozen=True)
class Client:
    """One of them: its connection with a key, and that of a person in the admin."""

    traffic: Traffic
    http: httpx.Client
    staff: httpx.Client

    def get(self, path: str, *expected: int, **options: Any) -> httpx.Response:
        return checked(self.http.get(path, **options), *(expected or (200,)))

    def post(self, path: str, body: Any, *expected: int, **options: Any) -> httpx.Response:
        return checked(self.http.post(path, json=body, **options), *(expected or (201,)))


def checked(answer: httpx.Response, *expected: int) -> httpx.Response:
    """The answer, where it is one of those that were to come."""
    where = f"{answer.request.method} {answer.request.url.path}"
    assert answer.status_code in expected, f"{where}: {answer.status_code} {answer.text[:200]}"
    return answer


def log_in(staff: httpx.Client, password: str) -> None:
    """A person signs in to the admin."""
    page = checked(staff.get("/admin/login/"), 200)
    form = {
        "username": "soak",
        "password": password,
        "csrfmiddlewaretoken": page.cookies["csrftoken"],
        "next": "/admin/",
    }
    answer = staff.post("/admin/login/", data=form, headers={"Referer": str(page.url)})
    assert answer.url.path == "/admin/", f"the admin does not let in: {answer.status_code}"


def _job(one: Client) -> None:
    prompt = f"a lighthouse {random.random()}"
    body = {"model": MODEL, "input": {"prompt": prompt}, "webhook_url": one.traffic.hook, "metadata": {"of": "soak"}}
    one.traffic.note_job(one.post("/api/v1/jobs", body, headers={"Idempotency-Key": prompt}).json()["id"])


def _look(one: Client) -> None:
    if job := one.traffic.any_job():
        one.get(f"/api/v1/jobs/{job}")
        one.get(f"/api/v1/jobs/{job}/events")


def _lists(one: Client) -> None:
    for path in (
        "/models?limit=50",
        "/models?q=video",
        f"/models/{MODEL}",
        "/jobs?limit=20",
        "/usage",
        "/balance",
        "/assets",
    ):
        one.get(f"/api/v1{path}")


def _estimates(one: Client) -> None:
    items = [{"model": MODEL, "input": {"prompt": "a fox", "num_images": number}} for number in (1, 2, 3)]
    one.post("/api/v1/estimates", {"items": items}, 200)


def _stream(one: Client) -> None:
    """Opens a stream, reads what is there, and is gone without a word."""
    address = (
        f"/api/v1/jobs/{job}/events" if (job := one.traffic.any_job()) and random.random() < 0.5 else "/api/v1/events"
    )
    with one.http.stream("GET", address, headers={"Accept": "text/event-stream"}) as answer:
        assert answer.status_code == 200, f"stream: {answer.status_code}"
        for number, _ in enumerate(answer.iter_lines()):
            if number >= 3:
                return


def _batch(one: Client) -> None:
    body = {"model": MODEL, "prompts": [f"an owl {random.random()}" for _ in range(3)], "webhook_url": one.traffic.hook}
    made = one.post("/api/v1/batches", body).json()
    one.get(f"/api/v1/batches/{made['id']}")


def _workflow(one: Client) -> None:
    steps = [
        {"name": "first", "model": MODEL, "input": {"prompt": f"a fox {random.random()}"}},
        {"name": "second", "model": MODEL, "input": {"prompt": "the same at night"}, "depends_on": ["first"]},
    ]
    made = one.post("/api/v1/workflows", {"steps": steps}).json()
    one.get(f"/api/v1/workflows/{made['id']}")


def _upload(one: Client) -> None:
    answer = one.http.post("/api/v1/uploads", files={"file": ("dot.png", _IMAGE, "image/png")})
    made = checked(answer, 200, 201, 202).json()
    one.get(f"/api/v1/uploads/{made['id']}")


def _file(one: Client) -> None:
    """Reads a piece of a stored file, and asks whether the whole has changed."""
    stored = [asset for asset in one.get("/api/v1/assets?limit=10").json()["items"] if asset["state"] == "stored"]
    if stored:
        url = random.choice(stored)["url"]
        piece = checked(one.http.get(url, headers={"Range": "bytes=0-9"}), 206)
        assert len(piece.content) == 10
        checked(one.http.get(url, headers={"If-None-Match": piece.headers.get("ETag", "")}), 200, 304)


def _fal(one: Client) -> None:
    key = {"Authorization": f"Key {one.traffic.key}"}
    body = {"prompt": f"a cat {random.random()}"}
    made = one.post(f"/fal/queue/{MODEL}", body, 200, headers=key).json()
    one.get(httpx.URL(made["status_url"]).raw_path.decode(), 200, 202, headers=key)


def _openai(one: Client) -> None:
    one.get("/v1/models")
    body = {"model": MODEL, "prompt": f"a dog {random.random()}", "response_format": "url"}
    assert one.post("/v1/images/generations", body, 200).json()["data"]


def _cancel(one: Client) -> None:
    body = {"model": MODEL, "input": {"prompt": f"never {random.random()}"}}
    job = one.post("/api/v1/jobs", body).json()["id"]
    one.post(f"/api/v1/jobs/{job}/cancel", None, 200, 409)


def _refused(one: Client) -> None:
    """What clients do wrong, which must leave nothing behind."""
    one.post("/api/v1/jobs", {"model": MODEL, "input": {"promt": "a fox"}}, 422)
    one.post("/api/v1/jobs", {"model": "fal-ai/no-such", "input": {}}, 404)
    # Unknown keys are looked up a few times a minute.
    one.get("/api/v1/models", 401, 429, headers={"Authorization": "Bearer gf_wrong"})


def _admin(one: Client) -> None:
    for path in ("", "jobs/job/", "jobs/queue/", "catalog/aimodel/", "pricing/usagerecord/profitability/"):
        checked(one.staff.get(f"/admin/{path}"), 200)


def _sync(one: Client) -> None:
    one.post("/api/v1/admin/sync", {}, 200, 201, 202, 409, headers={"Authorization": f"Bearer {one.traffic.admin_key}"})


def _switch(one: Client) -> None:
    """Staff switches a model that nobody here uses, and every process reads the catalog anew."""
    staff = {"Authorization": f"Bearer {one.traffic.admin_key}"}
    items = one.get("/api/v1/admin/models?limit=20", headers=staff).json()["items"]
    if other := next((item for item in items if item["id"] != MODEL), None):
        body = {"ids": [f"{other['provider']}:{other['id']}"], "enabled": not other["enabled"], "reason": "soak"}
        one.post("/api/v1/admin/models/bulk-toggle", body, 200, headers=staff)


# How often each is done among all, and what it is.
DEEDS: dict[str, tuple[float, Callable[[Client], None]]] = {
    "jobs with webhooks": (40, _job),
    "jobs looked at": (20, _look),
    "lists, usage, balance": (8, _lists),
    "estimates": (8, _estimates),
    "streams dropped": (8, _stream),
    "batches of three": (3, _batch),
    "workflows of two": (2, _workflow),
    "uploads": (4, _upload),
    "pieces of files": (8, _file),
    "fal's protocol": (6, _fal),
    "OpenAI's protocol": (3, _openai),
    "jobs canceled": (2, _cancel),
    "requests refused": (4, _refused),
    "five pages of the admin": (2, _admin),
    "syncs": (0.05, _sync),
    "models switched": (0.1, _switch),
}
# Jobs that a deed makes.
_JOBS = {
    "jobs with webhooks": 1,
    "batches of three": 3,
    "workflows of two": 2,
    "fal's protocol": 1,
    "OpenAI's protocol": 1,
    "jobs canceled": 1,
}
# Deeds for each job.
JOBS_EVERY = sum(share for share, _ in DEEDS.values()) / sum(DEEDS[name][0] * jobs for name, jobs in _JOBS.items())
