"""Models that a person names in a form."""

from catalog.models import AIModel


class BadAddressError(ValueError):
    """No such model, or several; the message says which and what to write."""


def find_model(address: str) -> AIModel:
    """The model at an id that only one provider has, or at `provider:id`; raises BadAddressError."""
    address = address.strip()
    if "\x00" in address:
        raise BadAddressError("A model's id has no such characters.")
    found = list(AIModel.objects.filter(endpoint_id=address)[:2])
    provider, separator, endpoint_id = address.partition(":")
    if not found and separator:
        found = list(AIModel.objects.filter(provider__slug=provider, endpoint_id=endpoint_id))
    if not found:
        raise BadAddressError(f"There is no model {address!r}.")
    if len(found) > 1:
        raise BadAddressError(f"More than one provider has {address!r}: write provider:id.")
    return found[0]
