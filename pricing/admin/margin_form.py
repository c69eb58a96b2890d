"""The form of a new margin rule: people write amounts in USD, rates as 0.70 or 70 %, and moments in UTC."""

import hashlib
from typing import Any

import orjson
from django import forms
from django.core import signing

from catalog.models import AIModel, Provider
from genfeed.clients.models import Client
from pricing.margins.rules import BadRule, Draft
from pricing.models import MarginRule
from pricing.money import NotMoney, format_decimal, parse_decimal, parse_price, to_nano

_SIGNER = signing.TimestampSigner(salt="pricing.margins.preview")
# A preview is of the prices and rules of its time; an older one must be made again.
_PREVIEW_SECONDS = 3600


class MarginForm(forms.Form):
    """What a person types; `draft` turns it into what `margin_rules` takes."""

    scope = forms.ChoiceField(choices=MarginRule.Scope.choices, initial="global", label="Applies to")
    client = forms.ModelChoiceField(Client.customers.all(), required=False)
    model = forms.CharField(
        required=False, max_length=300, help_text="The model's id, e.g. fal-ai/flux/dev, or provider:id."
    )
    category = forms.CharField(required=False, max_length=80, help_text="e.g. text-to-image")
    provider = forms.ModelChoiceField(Provider.objects.all(), required=False)
    mode = forms.ChoiceField(choices=MarginRule.Mode.choices, initial="margin")
    rate = forms.CharField(initial="0.70", max_length=40, help_text="0.70 or 70 %. With a fixed price: 0.")
    fixed_price = forms.CharField(initial="0", max_length=40, help_text="USD a request, with the mode fixed price.")
    fee = forms.CharField(initial="0", max_length=40, label="Fee", help_text="USD added to every charge.")
    minimum = forms.CharField(
        initial="0.001", max_length=40, label="Minimum charge", help_text="USD; falls due once a charge."
    )
    starts_at = forms.DateTimeField(required=False, label="Starts at (UTC)", help_text="Empty: at once.")
    ends_at = forms.DateTimeField(required=False, label="Ends at (UTC)", help_text="Empty: never.")
    note = forms.CharField(required=False, max_length=300)
    reason = forms.CharField(required=False, max_length=500, help_text="For the audit.")

    def clean_rate(self) -> str:
        text = self.cleaned_data["rate"].strip()
        if not text.endswith("%"):
            return text
        try:
            return format_decimal(parse_decimal(text[:-1], what="rate") / 100)
        except NotMoney as error:
            raise forms.ValidationError(str(error)) from None

    def clean_fixed_price(self) -> int:
        return self._amount("fixed_price")

    def clean_fee(self) -> int:
        return self._amount("fee")

    def clean_minimum(self) -> int:
        return self._amount("minimum")

    def _amount(self, name: str) -> int:
        try:
            return to_nano(
                parse_price(self.cleaned_data[name], what=str(self.fields[name].label or name.replace("_", " ")))
            )
        except NotMoney as error:
            raise forms.ValidationError(str(error)) from None

    def clean_model(self) -> AIModel | None:
        address = self.cleaned_data["model"].strip()
        if not address:
            return None
        provider, colon, endpoint_id = address.partition(":")
        found = list(AIModel.objects.filter(endpoint_id=address)[:2])
        if not found and colon:
            found = list(AIModel.objects.filter(provider__slug=provider, endpoint_id=endpoint_id))
        if len(found) != 1:
            words = "Several providers have this model; write provider:id." if found else "There is no such model."
            raise forms.ValidationError(words)
        return found[0]

    def draft(self) -> Draft:
        """The rule that a valid form asks for."""
        data = self.cleaned_data
        values: dict[str, Any] = {
            name: data[name]
            for name in (
                "scope", "mode", "rate", "fixed_price", "fee", "minimum", "category", "starts_at", "ends_at", "note",
            )
        }  # fmt: skip
        targets = {f"{name}_id": data[name].pk for name in ("client", "model", "provider") if data[name]}
        return Draft(**values, **targets)

    def refuse(self, error: BadRule) -> None:
        """Shows a refusal beside the field that it names."""
        self.add_error(error.field if error.field in self.fields else None, str(error))

    def seal(self) -> str:
        """Proves, when the form comes back, that just these values were previewed."""
        return _SIGNER.sign(self._digest())

    def was_previewed(self, seal: str) -> bool:
        """Whether the values are those of a recent preview."""
        try:
            return _SIGNER.unsign(seal, max_age=_PREVIEW_SECONDS) == self._digest()
        except signing.BadSignature:
            return False

    def _digest(self) -> str:
        typed: dict[str, Any] = {name: self.data.get(name, "") for name in self.fields if name != "reason"}
        return hashlib.sha256(orjson.dumps(typed, option=orjson.OPT_SORT_KEYS)).hexdigest()
