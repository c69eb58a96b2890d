"""How a provider is set up here, for staff to see: each value with the name that sets it in the environment."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings

from catalog import key_ages
from catalog.models import DefaultModel, Provider
from genfeed.clients.models import ProviderKey
from genfeed.clients.provider_keys import hint_of

# Names behind the provider's own, as in FAL_MAX_RETRIES; those that it does not have are left out.
_VALUES = (
    ("MAX_CONCURRENT", "Requests at once by one key"),
    ("MAX_RETRIES", "Tries of a read, besides the first"),
    ("RETRY_DELAY", "Wait before the first of them, seconds"),
    ("OBJECT_SECONDS", "How long the provider keeps its copy of outputs, seconds"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """A value and what sets it; `name` is "" for what no setting does."""

    words: str
    value: str
    name: str


def configuration_of(slug: str) -> list[Row]:
    """The provider's settings as they are; of a key only its end, and since when it has been here."""
    rows = [Row(words, _key(name, key), name) for name, words, key in key_ages.operator_keys(slug)]
    for suffix, words in _VALUES:
        name = f"{slug.upper()}_{suffix}"
        if (value := getattr(settings, name, None)) is not None:
            rows.append(Row(words, str(value), name))
    where = settings.PUBLIC_URL
    hooks = f"{where}/webhooks/{slug}/…" if where else "none: results are asked for"
    rows.append(Row("Address that the provider calls back", hooks, "PUBLIC_URL"))
    rows.append(Row("Mode", settings.GENFEED_MODE, "GENFEED_MODE"))
    if settings.GENFEED_MODE == "core":
        count = ProviderKey.objects.filter(provider=slug).count()
        rows.append(Row("Clients with a key of their own", str(count), ""))
    chosen = DefaultModel.objects.filter(model__provider__slug=slug).values_list("category", "model__endpoint_id")
    said = ", ".join(f"{endpoint_id} for {category}" for category, endpoint_id in chosen)
    rows.append(Row("Default models", said or "none: chosen on a model's page; requests name theirs", ""))
    stored = Provider.objects.filter(slug=slug, enable_caching=True).exists()
    rows.append(Row("Answers from stored results", "for requests that allow it" if stored else "never", ""))
    return rows


def _key(name: str, key: str) -> str:
    if not key:
        return "not set"
    if settings.SANDBOX_ACTIVE:
        return "the sandbox's own"
    hint, since = hint_of(key), key_ages.since(name, key)
    return "set" + (f", ends in {hint}" if hint else "") + (f", in use since {since:%Y-%m-%d}" if since else "")
