"""What docs/quick-start.md shows sends again what is worth it. All its examples run in test_openai_client.py."""

import json
import os
import shutil
import subprocess
from typing import Any

import httpx
import pytest

from tests.protocols.quick_start import blocks

REFUSED = {"code": "rate_limited", "message": "Too many.", "hint": "Wait.", "requestId": "req_1"}
BUSY = REFUSED | {"code": "idempotency_in_progress"}
WRONG = REFUSED | {"code": "invalid_input"}
# What is answered (status, body, Retry-After; None: the connection is lost), what comes of it, seconds waited.
CASES: dict[str, tuple[list[Any], str, list[int]]] = {
    "success": ([[201, {"id": "a"}, None]], "a", []),
    "limit": ([[429, REFUSED, "7"], [201, {"id": "a"}, None]], "a", [7]),
    "lost": ([None, [502, "<html>", None], [409, BUSY, None], [201, {"id": "a"}, None]], "a", [2, 4, 8]),
    "refused": ([[422, WRONG, None]], "invalid_input", []),
    "for good": ([[429, REFUSED, "1"]] * 5, "rate_limited", [1, 1, 1, 1]),
}
_STUB = """
const answers = JSON.parse(process.env.ANSWERS), keys = [], waits = [];
globalThis.setTimeout = (done, milliseconds) => { waits.push(milliseconds / 1000); queueMicrotask(done); };
globalThis.fetch = async (_url, { headers }) => {
  keys.push(headers["Idempotency-Key"]);
  const given = answers.shift();
  if (!given) throw new TypeError("fetch failed");
  const [status, body, after] = given;
  return new Response(JSON.stringify(body), { status, headers: after ? { "Retry-After": after } : {} });
};
"""
_ASK = """
const came = await call("POST", "/jobs", {}).then((said) => said.id, (error) => error.code);
console.log(JSON.stringify([came, waits, keys]));
"""


def in_python(answers: list[Any], monkeypatch: pytest.MonkeyPatch) -> tuple[str, list[int], list[str]]:
    monkeypatch.setenv("GENFEED_URL", "https://media.example.com/api/v1")
    monkeypatch.setenv("GENFEED_KEY", "gf_test_0")
    names: dict[str, Any] = {}
    exec(blocks("python")[0], names)
    keys, waits, left = [], [], iter(answers)

    def answer(request: httpx.Request) -> httpx.Response:
        keys.append(request.headers["Idempotency-Key"])
        given = next(left)
        if given is None:
            raise httpx.ReadError("lost")
        status, body, after = given
        content = body if isinstance(body, str) else json.dumps(body)
        return httpx.Response(status, content=content, headers={"Retry-After": after} if after else {})

    names["api"] = httpx.Client(base_url=os.environ["GENFEED_URL"], transport=httpx.MockTransport(answer))
    monkeypatch.setattr("time.sleep", waits.append)
    try:
        came = names["call"]("POST", "/jobs", {})["id"]
    except names["GenFeedError"] as error:
        came = error.code
    return came, waits, keys


def in_javascript(answers: list[Any]) -> tuple[str, list[int], list[str]]:
    if not shutil.which("node"):
        pytest.skip("node is not installed here")
    imports, rest = blocks("js")[0].split("\n", 1)
    program = imports + _STUB + rest + _ASK
    done = subprocess.run(
        ["node", "--input-type=module", "-e", program], env=os.environ | {"ANSWERS": json.dumps(answers)},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    came, waits, keys = json.loads(done.stdout)
    return came, waits, keys


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("language", ["python", "javascript"])
def test_what_is_worth_it_is_sent_again_after_the_wait_and_under_one_key(
    name: str, language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers, outcome, pauses = CASES[name]
    came, waits, keys = in_python(answers, monkeypatch) if language == "python" else in_javascript(answers)

    assert (came, waits) == (outcome, pauses)
    assert len(keys) == len(answers)
    assert len(set(keys)) == 1
