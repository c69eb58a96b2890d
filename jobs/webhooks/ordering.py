"""Order where an endpoint asks for it: its deliveries stand in line, and only the first in line is attempted.

The first stays first while it waits to be tried again; the next one follows once it was delivered or given up. Places
only grow and are given under a lock of the endpoint, so that nothing ever gets in front of what is under way.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Exists, OuterRef, Subquery

from jobs.webhooks.models import WebhookDelivery, WebhookEndpoint

_waiting = WebhookDelivery.objects.filter(status=WebhookDelivery.Status.PENDING, place__isnull=False)


def line_up(deliveries: Iterable[WebhookDelivery]) -> list[WebhookDelivery]:
    """Those that may be saved: what goes to endpoints that are gone or switched off by now is left out.

    In the order given they get the next places of ordered endpoints, and the addresses that endpoints have by now. Call
    it in the transaction that saves them: until its end none of these endpoints changes, and who changes one then finds
    them all.
    """
    deliveries = list(deliveries)
    keys = {one.endpoint_id for one in deliveries if one.endpoint_id}
    locked = WebhookEndpoint.objects.select_for_update(no_key=True).filter(pk__in=keys).order_by("pk") if keys else ()
    endpoints = {endpoint.pk: endpoint for endpoint in locked}
    kept = []
    for one in deliveries:
        one.place = None
        if one.endpoint_id:
            endpoint = endpoints.get(one.endpoint_id)
            if endpoint is None or not endpoint.is_active:
                continue
            if endpoint.ordered:
                endpoint.last_place += 1
                one.place = endpoint.last_place
            one.url = endpoint.url
        kept.append(one)
    for endpoint in endpoints.values():
        if endpoint.ordered:
            endpoint.save(update_fields=["last_place"])
    return kept


def begin_order(endpoint: WebhookEndpoint) -> None:
    """What waits stands in line from now on, the oldest first. The endpoint is locked and saved by the caller."""
    pending = endpoint.deliveries.filter(status=WebhookDelivery.Status.PENDING).order_by("pk")
    rows = list(pending)
    for row in rows:
        endpoint.last_place += 1
        row.place = endpoint.last_place
    WebhookDelivery.objects.bulk_update(rows, ["place"], batch_size=500)


def end_order(endpoint: WebhookEndpoint) -> None:
    """What stands in line is due by itself from now on. The endpoint is locked by the caller."""
    _waiting.filter(endpoint=endpoint).update(place=None)


def firsts() -> list[str]:
    """The key of the first of each line: one look into an index for each ordered endpoint, however long its line is."""
    line = _waiting.filter(endpoint=OuterRef("pk")).order_by("place").values("pk")[:1]
    found = WebhookEndpoint.objects.filter(ordered=True).values_list(Subquery(line), flat=True)
    return [pk for pk in found if pk is not None]


def stands_behind() -> Exists:
    """For `annotate`: whether another delivery has to end before this one is attempted."""
    before = _waiting.filter(endpoint=OuterRef("endpoint"), place__lt=OuterRef("place"))
    return Exists(before)
