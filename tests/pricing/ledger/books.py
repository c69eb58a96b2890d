"""Clients with money, and jobs that hold some of it, for tests of the ledger."""

from typing import Any

from django.db import transaction

from catalog.models import AIModel
from genfeed.clients.models import Client
from genfeed.journal.audit import SYSTEM
from pricing.ledger.accounts import account_of, set_terms, top_up
from pricing.ledger.holds import Reservation, place_hold
from pricing.ledger.settling import Ended, release, settle
from pricing.models import Account, Hold
from pricing.money import NANO_PER_USD
from tests.factories import make_model

USD = NANO_PER_USD
CENT = USD // 100


def make_client(name: str = "alice", usd: int = 10, **terms: Any) -> Client:
    """A client with a balance; `terms` as `set_terms` takes them."""
    client = Client.objects.create(name=name)
    account_of(client.pk)
    if terms:
        set_terms(client.pk, actor=SYSTEM, **terms)
    if usd:
        top_up(client.pk, usd * USD, actor=SYSTEM, reason="paid")
    return client


def a_model() -> AIModel:
    """One and the same model for every job that does not care which."""
    return AIModel.objects.filter(endpoint_id="fal-ai/flux/dev").first() or make_model()


def hold(client: Client, job: str = "job_1", amount: int = USD, **more: Any) -> Hold:
    """Places a hold in a transaction of its own. `more`: key_id, model, max_in_flight, max_queued, now."""
    model = more.pop("model", None) or a_model()
    wanted = Reservation(client.pk, more.pop("key_id", None), job, model.pk, model.category, amount)
    with transaction.atomic():
        return place_hold(wanted, **{"max_in_flight": 10, "max_queued": 100, **more})


def end(job: str = "job_1", charge: int | None = None, cost: int = 0) -> Ended | None:
    """Settles with a charge, or releases where there is none, in a transaction of its own."""
    with transaction.atomic():
        return release(job, cost=cost) if charge is None else settle(job, charge=charge, cost=cost)


def balance(client: Client) -> tuple[int, int, int, int]:
    """available, held, spent, funded in nano-USD."""
    account = Account.objects.get(client=client)
    return account.available, account.held, account.spent, account.funded
