"""Form fields of clients and keys: lists of models with one id a line, and a time zone that is chosen by typing."""

from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.core.exceptions import ValidationError
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from genfeed.clients.restrictions import BadListError, check_list


class ModelListField(forms.CharField):
    """A list of model ids, written one a line; empty lines are left out."""

    def __init__(self, **options: Any) -> None:
        widget = forms.Textarea(attrs={"rows": 4, "cols": 60, "spellcheck": "false", "class": "gf-code"})
        super().__init__(required=False, widget=widget, **options)

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def clean(self, value: Any) -> list[str]:
        lines = [line for line in str(value or "").splitlines() if line.strip()]
        try:
            return check_list(lines)
        except BadListError as error:
            raise ValidationError(str(error)) from None

    def has_changed(self, initial: Any, data: Any) -> bool:
        lines = [line.strip() for line in str(data or "").splitlines() if line.strip()]
        return sorted(initial or []) != sorted(set(lines))


class TimezoneInput(forms.TextInput):
    """A text field that offers the names of all time zones while one types."""

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        names = f"{name}-names"
        field = super().render(name, value, {**(attrs or {}), "list": names, "autocomplete": "off"}, renderer)
        options = format_html_join(
            "", '<option value="{}"></option>', ((zone,) for zone in sorted(available_timezones()))
        )
        return format_html('{}<datalist id="{}">{}</datalist>', field, names, options)
