"""One of several processes that hold and settle on one client: `python -m tests.bench.pairs NAME SECONDS`.

Says `ready`, waits for a line, so that all begin together, and prints how many pairs it finished.
"""

import sys
import time

import django


def main(name: str, seconds: float) -> int:
    django.setup()
    from django.db import transaction

    from pricing.budgets.reserving import Reservation
    from pricing.ledger.holds import place_hold
    from pricing.ledger.settling import settle
    from pricing.models import Account, Budget

    client_id = Account.objects.values_list("client_id", flat=True).get(client__name="Pairs")
    model = Budget.objects.exclude(model=None).select_related("model").get(client_id=client_id).model
    assert model is not None
    print("ready", flush=True)
    sys.stdin.readline()
    start = time.monotonic()
    done = 0
    while time.monotonic() < start + seconds:
        job = f"job_{name}_{done}"
        wanted = Reservation(client_id, None, job, model.pk, model.category, 50_000_000)
        with transaction.atomic():
            place_hold(wanted, max_in_flight=50, max_queued=100)
        with transaction.atomic():
            settle(job, charge=40_000_000, cost=12_000_000)
        done += 1
    return done


if __name__ == "__main__":
    print(main(sys.argv[1], float(sys.argv[2])))
