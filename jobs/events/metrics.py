"""Counters of streams."""

from __future__ import annotations

from prometheus_client import Counter

_opened = Counter("genfeed_streams_opened_total", "Event streams opened.", ["of"])
_sent = Counter("genfeed_stream_events_total", "Events sent by streams.")
_dropped = Counter("genfeed_streams_dropped_total", "Event streams ended because their client was too slow.")


def observe_opened(of: str) -> None:
    """Counts a stream of a `job` or a `client`."""
    _opened.labels(of).inc()


def observe_sent(count: int) -> None:
    """Counts events sent."""
    _sent.inc(count)


def observe_dropped() -> None:
    """Counts a stream whose client did not keep up."""
    _dropped.inc()
