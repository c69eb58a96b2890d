"""Keys in several web processes: a revocation is seen by all of them, and all their uses are counted."""

import json
import time
from pathlib import Path

import httpx

from tests.bench.processes import manage, settings_for
from tests.bench.serving import web

_REVOKE = """
from genfeed.clients.keys import revoke_key
from genfeed.clients.models import ApiKey
from genfeed.journal.audit import SYSTEM
revoke_key(ApiKey.objects.get(), actor=SYSTEM)
"""
_USES = "from genfeed.clients.models import ApiKey; print(ApiKey.objects.get().uses)"


def test_two_processes_refuse_a_revoked_key_within_two_seconds_and_count_all_its_uses(tmp_path: Path) -> None:
    settings = settings_for(tmp_path / "var")
    manage(settings, "migrate", "--verbosity", "0")
    key = json.loads(manage(settings, "create_client", "Acme", "--json").output)["api_key"]

    with web(settings) as one, web(settings) as other, httpx.Client(headers={"Authorization": f"Bearer {key}"}) as api:
        before = [api.get(f"{base}/api/v1/models").status_code for base in (one, other) for _ in range(25)]
        manage(settings, "shell", "--verbosity", "0", "--no-imports", "-c", _REVOKE)
        time.sleep(2)
        after = [api.get(f"{base}/api/v1/models").status_code for base in (one, other)]

    assert before == [200] * 50
    assert after == [401, 401]
    assert manage(settings, "shell", "--verbosity", "0", "--no-imports", "-c", _USES).output.strip() == "50"
