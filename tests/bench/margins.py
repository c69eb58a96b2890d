"""A margin change: how long it takes until every price of the catalog follows it."""

import json
from collections.abc import Iterator
from pathlib import Path

from tests.bench.processes import manage, settings_for
from tests.bench.rows import Row, below

_CHANGES = """
import json, time
from catalog import published
from catalog.models import AIModel
from genfeed.clients.models import Client
from genfeed.journal.audit import SYSTEM
from pricing.selling import offers
from pricing.margins.preview import preview_save
from pricing.margins.rules import Draft, check_rule, end_rule, save_rule
def timed(call):
    started = time.perf_counter()
    result = call()
    return result, 1000 * (time.perf_counter() - started)
_, estimated = timed(lambda: offers.recompute(None, reason="bench"))
offers.reprice(reason="bench")
before = dict(AIModel.objects.values_list("pk", "price"))
draft = Draft("global", rate="0.61", minimum=2_000_000)
_, previewed = timed(lambda: preview_save(check_rule(draft)))
rule, saved = timed(lambda: save_rule(draft, actor=SYSTEM))
changed = sum(before[pk] != price for pk, price in AIModel.objects.values_list("pk", "price"))
_, ended = timed(lambda: end_rule(rule, actor=SYSTEM))
client, _ = Client.objects.get_or_create(name="Margins bench")
own = save_rule(Draft("client", client_id=client.pk, rate="0.33"), actor=SYSTEM)
published.forget()
published.current()
_, scoped = timed(lambda: published.for_client(client.pk))
end_rule(own, actor=SYSTEM)
print(json.dumps({"models": len(before), "changed": changed, "estimated": estimated, "previewed": previewed,
                  "saved": saved, "ended": ended, "scoped": scoped}))
"""


def measure(var: Path) -> Iterator[Row]:
    """Changes the margin of the filled and priced bench installation, and takes it back."""
    settings = settings_for(var) | {"LOG_LEVEL": "ERROR"}
    found = json.loads(manage(settings, "shell", "--no-imports", "-c", _CHANGES).output.strip().splitlines()[-1])
    note = f" ({found['changed']:,} of {found['models']:,} prices changed)"
    yield below("margin rule saved, all selling prices published", found["saved"], 1000, "ms", note)
    yield below("  the same rule ended again", found["ended"], 1000, "ms")
    yield Row("  its preview", f"{found['previewed']:.0f} ms")
    yield Row("the catalog with one client's own prices, made at first need", f"{found['scoped']:.0f} ms")
    yield Row("all default requests estimated anew", f"{found['estimated']:.0f} ms")
