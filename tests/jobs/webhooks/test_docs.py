"""What docs/webhooks.md tells receivers to do works, and it names every event."""

import json
import re
import shutil
import subprocess
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


def test_the_shown_receiver_in_javascript_decides_alike(tmp_path: Path) -> None:
    if not shutil.which("node"):
        pytest.skip("node is not installed here")
    old, new, now = new_secret(), new_secret(), int(time.time())
    asked = [
        (old, signed([old], now), "{}"), (old, signed([new, old], now), "{}"),
        (old, signed([new], now), "{}"), (old, signed([old], now), "{ }"), (old, signed([old], now - 301), "{}"),
    ]  # fmt: skip
    asked += [(old, signed([old], now) | {name: "v1,x"}, "{}") for name in ("webhook-timestamp", "webhook-signature")]
    (source,) = re.findall(r"```js\n(.*?)```", TEXT, re.DOTALL)
    (tmp_path / "receiver.mjs").write_text(
        f"{source}\nconst asked = {json.dumps(asked)};"
        "const verified = asked.map(([secret, headers, body]) => verify(secret, headers, Buffer.from(body)));"
        "console.log(JSON.stringify(verified));"
    )

    done = subprocess.run(
        ["node", "receiver.mjs"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [True, True, False, False, False, False, False]


def test_the_page_names_every_event() -> None:
    assert [kind for kind in KINDS if f"`{kind}`" not in TEXT] == []
