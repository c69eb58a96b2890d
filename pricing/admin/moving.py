"""Forms of the account page: terms, and money that people move; amounts in USD as exact decimal text."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
from django import forms
from django.core import signing

from genfeed.journal.audit import Actor
from pricing.ledger.accounts import correct_balance, forgive_debt, set_terms, top_up
from pricing.ledger.afterwards import refund
from pricing.models import Account, Hold
from pricing.money import NotMoney, format_usd, parse_usd

_SIGNER = signing.TimestampSigner(salt="pricing.account.confirm")
_CONFIRM_SECONDS = 3600


class UsdField(forms.CharField):
    """An exact amount in USD, as text; its value is whole nano-USD."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**({"max_length": 40} | options))
        self.widget.attrs.update(inputmode="decimal", autocomplete="off")

    def clean(self, value: Any) -> int | None:
        text = super().clean(value)
        if not text:
            return None
        try:
            return parse_usd(text)
        except NotMoney as error:
            raise forms.ValidationError(f"{error}.") from None

    def prepare_value(self, value: Any) -> Any:
        return format_usd(value) if isinstance(value, int) else value


class Confirmed(forms.Form):
    """A form that is shown once more before it counts; its seal says that just these values were."""

    def seal(self) -> str:
        return _SIGNER.sign(self._digest())

    def was_shown(self, seal: str) -> bool:
        try:
            return _SIGNER.unsign(seal, max_age=_CONFIRM_SECONDS) == self._digest()
        except signing.BadSignature:
            return False

    def _digest(self) -> str:
        typed = {name: self.data.get(name, "") for name in self.fields}
        return hashlib.sha256(orjson.dumps(typed, option=orjson.OPT_SORT_KEYS)).hexdigest()


class MoneyForm(Confirmed):
    amount = UsdField(label="Amount, USD", help_text="e.g. 25.50")
    reason = forms.CharField(max_length=500, help_text="Stays beside the movement for good.")
    reference = forms.CharField(
        required=False, max_length=120, help_text="An invoice or payment: the same one is booked once, however often."
    )


class CorrectForm(MoneyForm):
    amount = UsdField(label="Amount, USD", help_text="Below 0 takes money out, e.g. -3.10")


class RefundForm(MoneyForm):
    job = forms.CharField(max_length=40, help_text="The job's id.")
    reference = forms.CharField(max_length=120, help_text="e.g. the ticket: the same one is given back once.")
    field_order = ["job", "amount", "reason", "reference"]

    def __init__(self, *args: Any, account: Account, **options: Any) -> None:
        super().__init__(*args, **options)
        self.account = account

    def clean_job(self) -> str:
        job = self.cleaned_data["job"].strip()
        if not Hold.objects.filter(job=job, account=self.account).exists():
            raise forms.ValidationError("This client has no such job.")
        return job


class ForgiveForm(Confirmed):
    reason = forms.CharField(max_length=500, help_text="Stays beside the movement for good.")


class TermsForm(Confirmed):
    funding = forms.ChoiceField(choices=Account.Funding.choices)
    credit_line = UsdField(label="Credit line, USD", help_text="How far a postpaid client may owe; prepaid: 0.")
    billing = forms.ChoiceField(choices=Account.Billing.choices)
    charges_failures = forms.BooleanField(required=False, label="Charge failures that the provider billed")
    charges_cancels = forms.BooleanField(required=False, label="Charge cancels that the provider billed")
    low_balance = UsdField(required=False, label="Low-balance notice, USD", help_text="Empty: none.")
    reason = forms.CharField(max_length=500, help_text="For the audit.")


@dataclass(frozen=True)
class Move:
    """One form of the page: its title, what it says before it is confirmed, and what it then does."""

    title: str
    make: Callable[..., Confirmed]
    words: Callable[[Account, dict[str, Any]], str]
    run: Callable[[Account, dict[str, Any], Actor], Any]


def _after(account: Account, change: int) -> str:
    now = f"available {format_usd(account.available)} → {format_usd(account.available + change)} USD"
    return f"{account.client}: {now}."


def _top_up(account: Account, data: dict[str, Any], actor: Actor) -> Any:
    return top_up(account.client_id, data["amount"], actor=actor, reason=data["reason"], reference=data["reference"])


def _correct(account: Account, data: dict[str, Any], actor: Actor) -> Any:
    said = {"reason": data["reason"], "reference": data["reference"]}
    return correct_balance(account.client_id, data["amount"], actor=actor, **said)


def _refund(account: Account, data: dict[str, Any], actor: Actor) -> Any:
    return refund(data["job"], data["amount"], actor=actor, reason=data["reason"], reference=data["reference"])


def _set_terms(account: Account, data: dict[str, Any], actor: Actor) -> Any:
    terms = {name: value for name, value in data.items() if name != "reason"}
    return set_terms(account.client_id, actor=actor, reason=data["reason"], **terms)


def _terms_words(account: Account, data: dict[str, Any]) -> str:
    changed = []
    for name, value in data.items():
        if name == "reason" or getattr(account, name) == value:
            continue
        old, new = (
            format_usd(one) if isinstance(one, int) and not isinstance(one, bool) else str(one)
            for one in (getattr(account, name), value)
        )
        changed.append(f"{name.replace('_', ' ')} {old} → {new}")
    return f"{account.client}: {', '.join(changed) or 'nothing changes'}."


MOVES: dict[str, Move] = {
    "top-up": Move("Top up", MoneyForm, lambda account, data: _after(account, data["amount"]), _top_up),
    "correct": Move(
        "Correct the balance", CorrectForm, lambda account, data: _after(account, data["amount"]), _correct
    ),
    "refund": Move(
        "Refund a job",
        RefundForm,
        lambda account, data: (
            f"{data['job']}: {format_usd(data['amount'])} USD back. {_after(account, data['amount'])}"
        ),
        _refund,
    ),
    "forgive": Move(
        "Forgive the debt",
        ForgiveForm,
        lambda account, data: f"{account.client}: {format_usd(max(0, -account.available))} USD are written off.",
        lambda account, data, actor: forgive_debt(account.client_id, actor=actor, reason=data["reason"]),
    ),
    "terms": Move("Terms", TermsForm, _terms_words, _set_terms),
}
