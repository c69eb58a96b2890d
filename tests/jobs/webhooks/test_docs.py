"""What docs/webhooks.md tells receivers to do works, and it names every event."""

import re
import time
from pathlib import Path
from typing import Any

import pytest

from genfeed.net.signing import new_secret, signed_headers
from jobs.webhooks.kinds import KINDS

TEXT = (Path(__file__).resolve().parents[3] / "docs" / "webhooks.md").read_text()


@pytest.fixture
def verify() -> Any:
    """The function that the page shows."""
    (source,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    names: dict[str, Any] = {}
    exec(source, names)
    return names["verify"]


def signed(secrets: list[str], at: int) -> dict[str, str]:
    return signed_headers(secrets, message_id="msg_1", at=at, body=b"{}")


def test_the_shown_receiver_takes_what_is_signed_and_nothing_else(verify: Any) -> None:
    old, new, now = new_secret(), new_secret(), int(time.time())

    assert verify(old, signed([old], now), b"{}")
    assert verify(old, signed([new, old], now), b"{}")
    assert not verify(old, signed([new], now), b"{}")
    assert not verify(old, signed([old], now), b"{ }")
    assert not verify(old, signed([old], now - 301), b"{}")


def test_the_page_names_every_event() -> None:
    assert [kind for kind in KINDS if f"`{kind}`" not in TEXT] == []
