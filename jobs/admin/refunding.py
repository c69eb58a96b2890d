"""The form of a refund: an amount, a reason, and what makes a repeated request one refund."""

from __future__ import annotations

from django import forms

from pricing.admin.moving import MoneyForm, UsdField


class RefundForm(MoneyForm):
    amount = UsdField(label="Amount, USD", help_text="At most what was charged.")
    reference = forms.CharField(
        max_length=120, help_text="e.g. the ticket: the same one is given back once, however often it is sent."
    )
