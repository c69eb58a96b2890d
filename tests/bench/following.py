"""Many followers of event streams in one process of their own: `python -m tests.bench.following PORT`.

Reads from its input: a line of JSON with [key, how many streams of all events] pairs; it prints `ready` once all are
open. Then a line for each job to be followed by its address. At the end of the input it waits a moment and prints what
every stream was told.
"""

import asyncio
import json
import sys
import time
from typing import Any

GRACE_SECONDS = 3.0


class Followed:
    """What one stream was told: (job, number) pairs, and the milliseconds from each event to its arrival."""

    def __init__(self, whose: str) -> None:
        self.whose = whose
        self.status = 0
        self.told: list[list[Any]] = []
        self.waits: list[float] = []
        self.opened = asyncio.Event()

    async def follow(self, port: int, path: str, key: str = "") -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        lines = [f"GET {path} HTTP/1.1", "Host: 127.0.0.1", "Accept: text/event-stream"]
        lines += [f"Authorization: Bearer {key}"] if key else []
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        # What stands between the lines of events are the lengths of chunks.
        while line := await reader.readline():
            if line.startswith(b"HTTP/1.1 "):
                self.status = int(line[9:12])
            elif line.startswith(b"retry:"):
                self.opened.set()
            elif line.startswith(b"data: "):
                now, event = time.time(), json.loads(line[6:])
                self.told.append([event.get("job", self.whose), event["number"]])
                self.waits.append(1000 * (now - _seconds(event["at"])))
            elif line == b"0\r\n":
                break
        writer.close()


def _seconds(moment: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(moment).timestamp()


async def main(port: int) -> None:
    loop = asyncio.get_running_loop()
    first = json.loads(await loop.run_in_executor(None, sys.stdin.readline))
    streams: list[Followed] = []
    tasks = []
    for key, many in first:
        for _ in range(many):
            streams.append(Followed(key))
            tasks.append(asyncio.ensure_future(streams[-1].follow(port, "/api/v1/events", key)))
        # Not all in one blow: a thousand browsers do not come in the same instant either.
        await asyncio.gather(*(one.opened.wait() for one in streams[-many:]))
    print("ready", flush=True)
    while line := (await loop.run_in_executor(None, sys.stdin.readline)).strip():
        job, path = json.loads(line)
        streams.append(Followed(job))
        tasks.append(asyncio.ensure_future(streams[-1].follow(port, path)))
    await asyncio.sleep(GRACE_SECONDS)
    print(json.dumps([[one.whose, one.status, one.told, one.waits] for one in streams]), flush=True)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
