"""Models by the id that a request names: found, or refused with the code that says why."""

from __future__ import annotations

from catalog import published
from catalog.availability import HELD_WORDS
from catalog.models import AIModel
from genfeed.clients.errors import ApiError
from pricing.equivalents import offered_equivalents
from pricing.reports.refusals import count_refused_model

# A model that can't be sold yet can still be asked about: the answer says what is missing.
_ASKABLE = "unpriced"


def find_model(
    address: str, *, within: published.Published, is_admin: bool, client_id: int | None = None, counts: bool = True
) -> published.Entry:
    """A catalog's model by its id, or by provider:id. Raises ApiError: unknown, ambiguous, retired, or not offered.

    Admins find all models; clients those that they are offered, and those that only lack a price. Who is refused a
    model is counted, under `client_id` where it is a client; nobody is with `counts` False.
    """
    try:
        return published.find(address, offered_only=not is_admin, within=within)
    except published.ModelAmbiguousError as error:
        hint = f"Name the provider: {' or '.join(error.candidates)}."
        raise ApiError("model_ambiguous", str(error), hint, details={"candidates": error.candidates}) from None
    except published.ModelNotFoundError as error:
        return _not_offered(address, within, error, client_id, counts)


def _not_offered(
    address: str, catalog: published.Published, error: published.ModelNotFoundError, client_id: int | None, counts: bool
) -> published.Entry:
    provider, _, bare = address.rpartition(":")
    known = catalog.by_id.get(address) or tuple(
        entry for entry in catalog.by_id.get(bare, ()) if entry.provider == provider
    )
    entries = [entry for entry in known if not entry.enabled]
    askable = [entry for entry in entries if entry.held_reason == _ASKABLE]
    if len(askable) == 1:
        if counts:
            count_refused_model(askable[0].pk, "model_unpriced", client_id=client_id)
        return askable[0]
    hint = f"Did you mean {' or '.join(error.nearest)}?" if error.nearest else "List them at /api/v1/models."
    details = {"nearest": error.nearest}
    if not entries:
        raise ApiError("model_not_found", str(error), hint, details=details)
    is_retired = all(entry.status == AIModel.Status.RETIRED for entry in entries)
    if counts:
        count_refused_model(entries[0].pk, "model_retired" if is_retired else "model_disabled", client_id=client_id)
    same = [
        f"{one.provider}:{one.id}"
        for entry in entries
        for one in offered_equivalents(entry.pk, kind=entry.kind, within=catalog)
    ]
    hint = f"The same model is offered as {' and '.join(same)}." if same else f"Choose another model. {hint}"
    details = {**details, "equivalents": same}
    if is_retired:
        message = f"{address!r} is retired: its provider no longer has it."
        raise ApiError("model_retired", message, hint, details=details)
    why = HELD_WORDS.get(entries[0].held_reason, "It is switched off.")
    raise ApiError("model_disabled", f"{address!r} is not offered now. {why}", hint, details=details)
