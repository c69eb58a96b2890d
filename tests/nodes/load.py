"""Clients that send jobs all the time, to whichever web process answers, and write down what they were told."""

import itertools
import threading
import time
from collections import Counter
from typing import Any

import httpx

# As long as a client waits for an answer before it asks the other web process.
ANSWER_SECONDS = 3.0
_PAUSE_SECONDS = 0.2


class Load:
    """Senders, each job under an Idempotency-Key of its own until it is accepted.

    `accepted`: ids by number; `by_web`: how many each web process told; `unanswered`: no answer came, so the other web
    was asked; `told`: 503 with Retry-After, in the shape of all errors; `problems`: answers that no client expects.
    """

    def __init__(self, base_urls: list[str], key: str, *, senders: int, per_second: float) -> None:
        self.base_urls = base_urls
        self.accepted: dict[int, str] = {}
        self.by_web: Counter[str] = Counter()
        self.unanswered = 0
        self.told = 0
        self.problems: list[str] = []
        self._headers = {"Authorization": f"Bearer {key}"}
        self._numbers = itertools.count()
        self._pace = senders / per_second
        self._flowing = threading.Event()
        self._ended = threading.Event()
        self._busy = Counter[int]()
        self._threads = [threading.Thread(target=self._work, args=(n,), daemon=True) for n in range(senders)]

    def start(self) -> None:
        self._flowing.set()
        for thread in self._threads:
            thread.start()

    def rest(self, seconds: float) -> None:
        """Begins no more jobs, and waits until those that were begun are accepted; fails where that takes longer."""
        self._flowing.clear()
        deadline = time.monotonic() + seconds
        while any(self._busy.values()):
            assert time.monotonic() < deadline, (self.problems[-3:], dict(self._busy))
            time.sleep(0.02)

    def flow(self) -> None:
        """Goes on."""
        self._flowing.set()

    def stop(self) -> None:
        self._ended.set()
        self._flowing.set()
        for thread in self._threads:
            thread.join(ANSWER_SECONDS + 5)

    def _work(self, sender: int) -> None:
        with httpx.Client(headers=self._headers, timeout=ANSWER_SECONDS, trust_env=False) as http:
            while not self._ended.is_set():
                if not self._flowing.wait(0.1):
                    continue
                self._busy[sender] = 1
                if self._flowing.is_set():
                    self._send(http, next(self._numbers))
                self._busy[sender] = 0
                self._ended.wait(self._pace)

    def _send(self, http: httpx.Client, number: int) -> None:
        body = {"model": "fal-ai/flux/dev", "input": {"prompt": f"fox {number}"}}
        turn = number
        while not self._ended.is_set():
            base_url = self.base_urls[turn % len(self.base_urls)]
            turn += 1
            try:
                answer = http.post(f"{base_url}/api/v1/jobs", json=body, headers={"Idempotency-Key": f"n{number}"})
            except httpx.TransportError:
                self.unanswered += 1
                time.sleep(_PAUSE_SECONDS)
                continue
            if answer.status_code == 201:
                self.accepted[number] = str(answer.json()["id"])
                self.by_web[base_url] += 1
                return
            self._judge(answer)
            time.sleep(_PAUSE_SECONDS)

    def _judge(self, answer: httpx.Response) -> None:
        if answer.status_code == 503 and says_when(answer):
            self.told += 1
        # What a process that was stopped in the middle of it has still to answer.
        elif not (answer.status_code == 409 and answer.json()["code"] == "idempotency_in_progress"):
            self.problems.append(f"{answer.status_code} {answer.text[:300]}")


def says_when(answer: httpx.Response) -> bool:
    """Whether an error has the shape that all have, and tells when to come again."""
    said: dict[str, Any] = answer.json()
    return said.keys() >= {"code", "message", "hint", "requestId"} and int(answer.headers["Retry-After"]) > 0
