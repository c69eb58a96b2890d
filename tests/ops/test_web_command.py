"""How the web process is started."""

from typing import Any

from genfeed.up import web_command


def test_streams_and_short_requests_share_one_port(settings: Any) -> None:
    settings.MAX_STREAMS = 500
    command = web_command("127.0.0.1", 8000)

    assert command[command.index("--interface") + 1 :][:2] == ["asgi", "genfeed.asgi:application"]
    # A stream takes a connection for good: short requests keep theirs beside them.
    assert command[command.index("--backpressure") + 1] == "1524"


def test_a_large_site_can_serve_short_requests_apart(settings: Any) -> None:
    settings.WEB_INTERFACE = "wsgi"
    command = web_command("127.0.0.1", 8000)

    assert command[command.index("--interface") + 1 :][:2] == ["wsgi", "genfeed.wsgi:application"]
    assert command[command.index("--blocking-threads") + 1] == str(settings.WEB_THREADS)
