"""What a program with fal's own Python client does, unchanged; run as a process of its own, it prints what it saw.

Only its environment says where the hosts are, and which key it has. The prompts are known to the sandbox.
"""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import fal_client

MODEL = "fal-ai/flux/dev"
FOX = {"prompt": "a fox"}


def states() -> Any:
    handle = fal_client.submit(MODEL, {"prompt": "a slow fox"})
    seen = list(handle.iter_events(with_logs=True, interval=0.05))
    return {
        "id": handle.request_id,
        "kinds": [type(one).__name__ for one in seen],
        "logs": [line["message"] for one in seen for line in (getattr(one, "logs", None) or [])],
        "output": handle.get(),
        "by_id": type(fal_client.status(MODEL, handle.request_id)).__name__,
        "again": fal_client.result(MODEL, handle.request_id),
    }


def subscribe() -> Any:
    enqueued: list[str] = []
    return [fal_client.subscribe(MODEL, FOX, on_enqueue=enqueued.append), enqueued]


def run() -> Any:
    started = time.monotonic()
    return [fal_client.run(MODEL, {"prompt": "a slow fox"}), time.monotonic() - started]


def stream() -> Any:
    return list(fal_client.stream(MODEL, FOX))


def concurrently() -> Any:
    async def both() -> list[Any]:
        calls = (fal_client.run_async(MODEL, FOX), fal_client.subscribe_async(MODEL, FOX))
        return await asyncio.gather(*calls)

    return asyncio.run(both())


def cancel() -> Any:
    handle = fal_client.submit(MODEL, {"prompt": "an endless fox"})
    handle.cancel()
    seen = list(handle.iter_events(interval=0.05))
    return [type(seen[-1]).__name__, seen[-1].error_type, error(handle.get)]  # type: ignore[attr-defined]


def errors() -> Any:
    return {
        "input": error(lambda: fal_client.submit(MODEL, {"prompt": 7})),
        "content": error(lambda: fal_client.subscribe(MODEL, {"prompt": "an indecent fox"})),
        "run": error(lambda: fal_client.run(MODEL, {"prompt": "an indecent fox"})),
        "model": error(lambda: fal_client.submit("fal-ai/unknown", FOX)),
        "key": error(lambda: fal_client.SyncClient(key="gf_wrong").submit(MODEL, FOX)),
        "start": error(lambda: fal_client.run(MODEL, {"prompt": "a waiting fox"}, start_timeout=1.5)),
    }


def once() -> Any:
    same = {"Idempotency-Key": "one"}
    ids = [fal_client.submit(MODEL, FOX, headers=same).request_id for _ in range(2)]
    told = error(lambda: fal_client.submit(MODEL, FOX, headers=same, webhook_url="https://example.com/hook"))
    return [*ids, told[:2]]


def error(call: Callable[[], Any]) -> list[Any]:
    """The class, status and type of what a call raises."""
    try:
        return ["nothing", call()]
    except fal_client.FalClientError as raised:
        found = getattr(raised, "message", None)
        detail = [one["type"] for one in found] if isinstance(found, list) else found
        return [
            type(raised).__name__,
            getattr(raised, "status_code", None),
            detail,
            getattr(raised, "error_type", None),
        ]


def main() -> None:
    steps = (states, subscribe, run, stream, concurrently, cancel, errors, once)
    print(json.dumps({step.__name__: step() for step in steps}))


if __name__ == "__main__":
    main()
