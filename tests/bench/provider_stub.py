"""A provider that answers every request with the same image at once: `python -m tests.bench.provider_stub PORT`.

Whoever calls it is measured at the most that it can do.
"""

import asyncio
import json
import sys

_BODY = json.dumps(
    {
        "images": [
            {"url": "http://127.0.0.1/files/lion/one.jpeg", "width": 1024, "height": 768, "content_type": "image/jpeg"}
        ],
        "timings": {"inference": 0.1},
        "seed": 1,
        "has_nsfw_concepts": [False],
        "prompt": "a lighthouse at dusk",
    }
).encode()
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(_BODY) + _BODY


class _Caller(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._buffer = b""

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while b"\r\n\r\n" in self._buffer:
            head, _, rest = self._buffer.partition(b"\r\n\r\n")
            _, named, length = head.lower().partition(b"content-length:")
            size = int(length.split(b"\r\n")[0]) if named else 0
            if len(rest) < size:
                return
            self._buffer = rest[size:]
            self._transport.write(_ANSWER)  # type: ignore[attr-defined]


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(_Caller, "127.0.0.1", port)
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
