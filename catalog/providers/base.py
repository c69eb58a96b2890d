"""The one interface between GenFeed and the companies whose models it knows.

A provider is a module that defines these functions on an object and registers it by being imported. HTTP to a
provider happens nowhere else.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol


class ProviderError(Exception):
    """Something that a provider did; the message is written for a person."""


class ProviderUnavailableError(ProviderError):
    """No usable answer after all retries: network or time-out (`status` None), or a 5xx."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class ProviderRateLimitedError(ProviderError):
    """429 for longer than it makes sense to wait; `retry_after` in seconds where the provider said so."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ProviderKeyError(ProviderError):
    """401 or 403: the key is missing, wrong, or may not do this."""


class ProviderNotConfiguredError(ProviderError):
    """The provider gives nothing without a key, and none is set."""


class ProviderBadAnswerError(ProviderError):
    """An answer that is not what the provider's own documentation promises."""


class ProviderRejectedError(ProviderError):
    """Any other 4xx: the provider did not accept what we asked; `status` is the HTTP status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class NotOfferedError(ProviderError):
    """The provider has no such thing at all, for example no list of prices; nothing is wrong."""


class UnknownProviderError(LookupError):
    """No such provider is registered; the message names those that are."""


@dataclass(frozen=True)
class ListedModel:
    """A model as a listing tells of it, without its schema."""

    endpoint_id: str
    name: str
    category: str
    description: str
    status: str  # "active" or "deprecated"
    kind: str | None
    tags: list[str]
    thumbnail_url: str
    updated_at: str
    metadata: dict[str, Any] = field(repr=False)
    # What names this very state of the model at the provider, where it has to be run by that; None: it is not told, and
    # what is known stays.
    version: str | None = ""


@dataclass(frozen=True)
class ListingPage:
    """One page of a listing; `number` counts from 1."""

    number: int
    models: list[ListedModel]
    problems: list[str]  # records that were skipped, each with the reason


@dataclass(frozen=True)
class FetchedSchema:
    """A model's OpenAPI document, or in words why there is none. `answered`: the provider said so itself."""

    endpoint_id: str
    document: dict[str, Any] | None
    problem: str = ""
    answered: bool = True


@dataclass(frozen=True)
class PriceRow:
    """One model's row of a price list, exactly as it was written; `unit_price` in `currency` for one `unit`.

    `problem` says in words why a row can't be used (its price is then None). `answered`: the provider said so itself;
    False where it gave no answer for this model, which tells nothing about its price. `was_asked`: False where it was
    not even asked for this model, whose turn comes in a later sync.
    """

    endpoint_id: str
    unit: str = ""
    unit_price: Decimal | None = None
    currency: str = "USD"
    problem: str = ""
    answered: bool = True
    was_asked: bool = True


@dataclass(frozen=True)
class PriceText:
    """What a provider says about a model's price in words for people; "" where it says nothing."""

    endpoint_id: str
    note: str = ""
    billing_message: str = ""
    machine_type: str = ""


@dataclass(frozen=True)
class BillingEvent:
    """One line of a provider's bill, amounts exact and in USD. `unit` is "" where the provider does not name it.

    `total` is what is owed, after discounts; `subtotal` the same before them.
    """

    request_id: str
    endpoint_id: str
    at: datetime
    units: Decimal | None
    unit: str
    unit_price: Decimal | None
    percent_discount: Decimal | None
    subtotal: Decimal
    discount: Decimal
    total: Decimal
    raw: dict[str, Any] = field(repr=False)


@dataclass(frozen=True)
class BillingPage:
    """One page of a bill; `problems` are lines that can't be read, each with the reason."""

    events: list[BillingEvent]
    problems: list[str]


@dataclass(frozen=True)
class AccountBalance:
    """What is left of the operator's credit at a provider, exact."""

    account: str
    balance: Decimal
    currency: str


@dataclass(frozen=True)
class KeyCheck:
    """`state` is one of catalog.models.Provider.KeyState, or `exhausted`; `detail` a sentence."""

    state: str
    detail: str


class ProviderInterface(Protocol):
    """What GenFeed asks of a provider. All reads are free and may be repeated."""

    slug: str
    name: str
    needs_key_for_catalog: bool

    @property
    def source(self) -> str:
        """The address that is asked, for people."""
        ...

    def is_configured(self) -> bool:
        """Whether there is a key to generate with."""
        ...

    def list_models(
        self, *, category: str | None = None, status: str | None = None, query: str | None = None
    ) -> Iterator[ListingPage]:
        """All models, page by page until the provider says that there are no more; raises ProviderError."""
        ...

    def get_model(self, endpoint_id: str) -> ListedModel | None:
        """One model, None where the provider does not know it; raises ProviderError."""
        ...

    def fetch_schemas(self, endpoint_ids: Sequence[str]) -> list[FetchedSchema]:
        """The schemas of a small batch; an id that the provider does not answer is left out; raises ProviderError."""
        ...

    def fetch_prices(
        self, endpoint_ids: Sequence[str], *, apart: bool = False, progress: Callable[[int], None] | None = None
    ) -> dict[str, PriceRow]:
        """The price rows of these models; a model without a price is left out.

        `apart`: most of them are thought to have none. `progress` is told how many models are done. Raises
        ProviderError where nothing was answered at all, NotOfferedError where there is no price list.
        """
        ...

    def fetch_price_texts(self) -> Iterator[PriceText]:
        """The price texts of all models; raises ProviderError, perhaps after some, and NotOfferedError."""
        ...

    def fetch_price_text(self, endpoint_id: str) -> PriceText | None:
        """One model's price text, None where it has no page; raises ProviderError, NotOfferedError."""
        ...

    def historical_cost(self, endpoint_id: str, calls: int) -> Decimal | None:
        """What so many calls cost together, USD, by the provider's own history; None where it has none.

        Tried once only, because such calls are limited hard; raises ProviderError, NotOfferedError.
        """
        ...

    def can_read_bills(self) -> bool:
        """Whether there is a key that may read the account's bills."""
        ...

    def billing_events(self, start: datetime, end: datetime) -> Iterator[BillingPage]:
        """The bill from `start` to before `end`, page by page, in the provider's order, as it reads at this moment.

        Bills come late and are revised: what was read before may be shown again with other amounts. Raises
        ProviderError, perhaps after some pages; ProviderNotConfiguredError without a key that may read bills.
        """
        ...

    def account_balance(self) -> AccountBalance:
        """What is left of the operator's credit; raises ProviderError, ProviderNotConfiguredError, NotOfferedError."""
        ...

    def check_key(self) -> KeyCheck:
        """Whether the configured key is accepted. Never raises."""
        ...

    def close(self) -> None:
        """Closes connections."""
        ...


@dataclass(frozen=True)
class Registration:
    """`key_setting`: the name of the setting that holds the operator's key. `can_be_asked`: whether it tells anything
    as things stand; False for one that needs a key and has none. `has_public_prices`: they are the same for everybody,
    whoever asks."""

    slug: str
    name: str
    open: Any  # () -> ProviderInterface
    key_setting: str = ""
    can_be_asked: Callable[[], bool] = lambda: True
    has_public_prices: bool = False


_registry: dict[str, Registration] = {}


def register(
    slug: str,
    name: str,
    open_provider: Any,
    *,
    key_setting: str = "",
    can_be_asked: Callable[[], bool] = lambda: True,
    has_public_prices: bool = False,
) -> None:
    """Makes a provider known under `slug`; `open_provider()` builds one from the current settings."""
    _registry[slug] = Registration(slug, name, open_provider, key_setting, can_be_asked, has_public_prices)


def usual() -> str:
    """The provider that is meant where none is named: the one registered first."""
    return next(iter(_registry))


def key_setting(slug: str) -> str:
    """The name of the setting that holds the operator's key; "" where the provider needs or has none."""
    return _registry[slug].key_setting if slug in _registry else ""


def name_of(slug: str) -> str:
    """What a registered provider is called; raises UnknownProviderError."""
    return _registration(slug).name


def has_public_prices(slug: str) -> bool:
    """Whether the provider tells everybody the same prices; others may show an account its own."""
    return slug in _registry and _registry[slug].has_public_prices


def in_use() -> list[Registration]:
    """The registered providers that tell their models as things stand: all but those that need a key and have none."""
    return [entry for entry in registered() if entry.can_be_asked()]


def registered() -> list[Registration]:
    """All registered providers, by slug."""
    return [_registry[slug] for slug in sorted(_registry)]


def is_registered(slug: str) -> bool:
    """Whether this installation can talk to the provider; a row may outlive the code that made it."""
    return slug in _registry


def open_provider(slug: str) -> ProviderInterface:
    """A provider built from the current settings; raises UnknownProviderError."""
    provider: ProviderInterface = _registration(slug).open()
    return provider


def _registration(slug: str) -> Registration:
    if slug not in _registry:
        known = ", ".join(sorted(_registry)) or "none"
        raise UnknownProviderError(f"There is no provider {slug!r}. Registered providers: {known}.")
    return _registry[slug]
