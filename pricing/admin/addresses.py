"""Models that a person names in a form, or an address."""

from collections.abc import Iterable

from django.db.models import QuerySet

from catalog.models import AIModel


class BadAddressError(ValueError):
    """No such model, or several; the message says which and what to write."""


def find_model(address: str) -> AIModel:
    """The model at an id that only one provider has, or at `provider:id`; raises BadAddressError."""
    address = address.strip()
    if "\x00" in address:
        raise BadAddressError("A model's id has no such characters.")
    found = list(models_at(address)[:2])
    if not found:
        raise BadAddressError(f"There is no model {address!r}.")
    if len(found) > 1:
        raise BadAddressError(f"More than one provider has {address!r}: write provider:id.")
    return found[0]


def models_at(address: str) -> QuerySet[AIModel]:
    """All models at an id, or else the one at `provider:id`."""
    found = AIModel.objects.filter(endpoint_id=address)
    provider, separator, endpoint_id = address.partition(":")
    if separator and not found.exists():
        return AIModel.objects.filter(provider__slug=provider, endpoint_id=endpoint_id)
    return found


def addresses_of(keys: Iterable[int]) -> dict[int, str]:
    """`provider:id` of models by their keys: an id alone may be that of several providers."""
    rows = AIModel.objects.filter(pk__in=set(keys)).order_by().values_list("pk", "provider__slug", "endpoint_id")
    return {key: f"{provider}:{endpoint_id}" for key, provider, endpoint_id in rows}
