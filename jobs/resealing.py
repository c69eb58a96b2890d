"""Sealing all that is kept for long with the newest of ENCRYPTION_KEYS, so that the one before it can be given up."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Model

from genfeed.clients.models import ProviderKey
from genfeed.clients.sealing import CannotUnsealError, resealed
from jobs.models import OPEN, Job
from jobs.webhooks.models import WebhookEndpoint, WebhookSecret

_KEPT: tuple[tuple[type[Model], str], ...] = (
    (ProviderKey, "sealed"),
    (WebhookSecret, "secret"),
    (WebhookSecret, "previous_secret"),
    (WebhookEndpoint, "secret"),
    (WebhookEndpoint, "previous_secret"),
)


@dataclass(frozen=True)
class Resealed:
    """How many secrets were sealed anew, and those that no key opens, by their rows.

    `under_way`: jobs that have not ended, some of which carry copies that the key before has sealed.
    """

    done: int
    unreadable: list[str]
    under_way: int


def reseal() -> Resealed:
    """Seals kept secrets with the first of ENCRYPTION_KEYS; one that is replaced meanwhile stays as it then is."""
    done, unreadable = 0, list[str]()
    for model, name in _KEPT:
        rows = model._default_manager.exclude(**{name: ""})
        for pk, sealed in rows.order_by("pk").values_list("pk", name):
            try:
                new = resealed(sealed)
            except CannotUnsealError:
                unreadable.append(f"{model._meta.verbose_name} {pk}")
                continue
            if new != sealed:
                done += model._default_manager.filter(pk=pk, **{name: sealed}).update(**{name: new})
    return Resealed(done, unreadable, Job.objects.filter(status__in=OPEN).count())
