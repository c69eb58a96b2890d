"""Keys in several web processes: a revocation is seen by all of them, and all their uses are counted."""

import json
import time
from pathlib import Path

import httpx
import pytest

from tests.bench.processes import manage, settings_for
from tests.bench.serving import web
from tests.prepared import copy_of_prepared

_REVOKE = """
from genfeed.clients.keys import revoke_key
from genfeed.clients.models import ApiKey
from genfeed.journal.audit import SYSTEM
revoke_key(ApiKey.objects.get(client__name="Acme"), actor=SYSTEM)
"""
_USES = "from genfeed.clients.models import ApiKey; print(ApiKey.objects.get(client__name='Acme').uses)"


def test_two_processes_refuse_a_revoked_key_within_two_seconds_and_count_all_its_uses(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    settings = settings_for(copy_of_prepared(tmp_path_factory, tmp_path / "var"))
    key = json.loads(manage(settings, "create_client", "Acme", "--json").output)["api_key"]

    with web(settings) as one, web(settings) as other, httpx.Client(headers={"Authorization": f"Bearer {key}"}) as api:
        before = [api.get(f"{base}/api/v1/models").status_code for base in (one, other) for _ in range(25)]
        manage(settings, "shell", "--verbosity", "0", "--no-imports", "-c", _REVOKE)
        ends_at = time.monotonic() + 2
        after: list[int] = []
        while after[-2:] != [401, 401] and time.monotonic() < ends_at:
            after += [api.get(f"{base}/api/v1/models").status_code for base in (one, other)]
            time.sleep(0.05)
        after += [api.get(f"{base}/api/v1/models").status_code for base in (one, other)]

    assert before == [200] * 50
    assert after[-2:] == [401, 401]
    uses = manage(settings, "shell", "--verbosity", "0", "--no-imports", "-c", _USES).output.strip()
    assert int(uses) == (before + after).count(200)
