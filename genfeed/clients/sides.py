"""The two sides of a client: live, which is the client itself, and test, which only its test keys see.

The test side is a client row of its own. Jobs, files, batches, events, webhooks, limits and repeated requests belong to
a client's row, so those of one side are as strange to the other as another client's, without anybody asking for it.
Prices, terms, own keys and people's decisions belong to the client itself (`Caller.live_id`).
"""

from __future__ import annotations

from django.db import IntegrityError, transaction

from genfeed.clients.models import OF_BOTH_SIDES, Client


def side_for_tests(client: Client) -> Client:
    """The test side of a client; made at first need, with the same terms and limits, and without an address."""
    found = Client.objects.filter(test_of=client).first()
    if found is not None:
        return found
    terms = {column: getattr(client, column) for column in OF_BOTH_SIDES}
    try:
        with transaction.atomic():
            return Client.objects.create(test_of=client, name=client.name_of_test_side(), **terms)
    except IntegrityError:
        # Another request was faster.
        return Client.objects.get(test_of=client)
