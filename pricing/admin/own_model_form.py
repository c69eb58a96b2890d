"""The form of a model that is added by hand: what it is, its schema, and what it costs."""

from __future__ import annotations

from typing import Any

import orjson
from django import forms
from django.http import QueryDict

from catalog import sync_runs
from catalog.models import AIModel, Provider, SchemaVersion
from catalog.own_models import OwnModel
from catalog.own_schemas import SchemaRefusedError, fetch, read_document
from catalog.providers import base as providers
from genfeed.clients.models import Client
from pricing.admin.moving import Confirmed
from pricing.prices.own_models import OwnPrice

# Laid out for reading up to this size; what is larger stays as it came.
_READABLE_BYTES = 200_000
_WIDE = {"endpoint_id": 50, "name": 50, "category": 30, "base": 50, "schema_url": 80, "reason": 60}
PRICE_FIELDS = ("as_base", "unit", "unit_price", "is_free", "rule")
_CODE = {"rows": 6, "spellcheck": "false", "class": "gf-code"}


class OwnModelForm(Confirmed):
    provider = forms.ModelChoiceField(Provider.objects.none(), empty_label=None)
    endpoint_id = forms.CharField(
        max_length=255, label="Id", help_text="As the provider calls it, e.g. acme/portraits. A model that is built on "
        "another one gets an id of your own making.",
    )  # fmt: skip
    name = forms.CharField(max_length=255, label="Title")
    category = forms.CharField(
        max_length=80, help_text="The provider's word, e.g. text-to-image. The media type follows from it.",
        widget=forms.TextInput(attrs={"list": "categories"}),
    )  # fmt: skip
    description = forms.CharField(max_length=2000, required=False, widget=forms.Textarea(attrs={"rows": 2}))
    client = forms.ModelChoiceField(
        Client.objects.none(), required=False, empty_label="all clients", label="Offered to",
        help_text="A model that was made of a client's own data is for that client alone.",
    )  # fmt: skip
    base = forms.CharField(
        max_length=255, required=False, label="Built on",
        help_text="The id of a model of this provider, which is what is called then. Empty for an endpoint of its own.",
    )  # fmt: skip
    fixed_input = forms.CharField(
        required=False, widget=forms.Textarea(attrs={**_CODE, "rows": 4}), label="Fixed inputs (JSON)",
        help_text='Sent with every request of a model that is built on another one, and hidden from clients: e.g. '
        '{"loras": [{"path": "https://…/weights.safetensors"}]}. The file must stay where it is.',
    )  # fmt: skip
    schema_url = forms.CharField(
        max_length=2000, required=False, label="Schema by address",
        help_text="Public, http or https; fetched once, at the preview. Not for a model that is built on another one.",
    )  # fmt: skip
    schema = forms.CharField(
        required=False, widget=forms.Textarea(attrs=_CODE), label="Schema (JSON)",
        help_text="An OpenAPI document, a JSON Schema of the input, or {\"input\": schema, \"output\": schema}. Empty: "
        "from the address.",
    )  # fmt: skip
    version = forms.CharField(max_length=80, required=False, help_text="Where the provider runs models by version.")
    as_base = forms.BooleanField(required=False, label="Costs what the model costs that it is built on")
    unit = forms.CharField(max_length=60, required=False, help_text="What the provider counts, e.g. images.")
    unit_price = forms.CharField(
        max_length=45, required=False, label="Cost of a unit, USD", help_text="Empty: no price yet. The margin rules "
        "make the selling price.",
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
    )  # fmt: skip
    is_free = forms.BooleanField(required=False, label="It is free")
    rule = forms.CharField(
        required=False, widget=forms.Textarea(attrs={**_CODE, "rows": 4}), label="Price rule (JSON)",
        help_text="Where one price of a unit does not say it all; as on the page of price rules.",
    )  # fmt: skip
    reason = forms.CharField(max_length=300, required=False, help_text="For the audit.")

    def __init__(self, *args: Any, row: AIModel | None = None, **options: Any) -> None:
        super().__init__(*args, **options)
        self.row = row
        for name, size in _WIDE.items():
            self.fields[name].widget.attrs["size"] = size
        slugs = list(sync_runs.ensure_providers())
        self.fields["provider"].initial = Provider.objects.filter(slug=providers.usual()).first()
        self.fields["provider"].queryset = Provider.objects.filter(slug__in=slugs)  # type: ignore[attr-defined]
        self.fields["client"].queryset = Client.objects.filter(is_active=True).order_by("name")  # type: ignore[attr-defined]
        if row:
            # Both stay, and prices are decided on their own page.
            for name in ("provider", "endpoint_id", *PRICE_FIELDS):
                del self.fields[name]

    def clean_fixed_input(self) -> dict[str, Any]:
        return _object(self.cleaned_data["fixed_input"], "Fixed inputs are an object of fields and values.") or {}

    def clean_rule(self) -> dict[str, Any] | None:
        return _object(self.cleaned_data["rule"], "A price rule is an object.")

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        provider = self.row.provider if self.row else data.get("provider")
        base = str(data.get("base", "")).strip()
        data["base"] = None
        if provider and base:
            bare = base.removeprefix(f"{provider.slug}:")
            data["base"] = AIModel.objects.filter(provider=provider, endpoint_id=bare.replace("\x00", "")).first()
            if data["base"] is None:
                self.add_error("base", f"{provider} has no model {base!r} here.")
        elif data.get("schema") and (endpoint_id := self.row.endpoint_id if self.row else data.get("endpoint_id")):
            try:
                data["document"] = read_document(data["schema"], endpoint_id)
            except SchemaRefusedError as error:
                self.add_error("schema", str(error))
        return data

    def wanted(self) -> OwnModel:
        """The model that a valid form describes."""
        data = self.cleaned_data
        return OwnModel(
            provider=self.row.provider if self.row else data["provider"],
            endpoint_id=self.row.endpoint_id if self.row else data["endpoint_id"].strip(),
            name=data["name"], category=data["category"].strip(), description=data["description"],
            document=data.get("document"), base=data["base"], fixed_input=data["fixed_input"], client=data["client"],
            version=data["version"], schema_url=data["schema_url"],
        )  # fmt: skip

    def price(self) -> OwnPrice | None:
        """What a valid form says of the price; None where it says nothing."""
        if self.row:
            return None
        said = {name: self.cleaned_data[name] for name in PRICE_FIELDS}
        return OwnPrice(**said) if any(said.values()) else None


def with_schema(posted: QueryDict) -> tuple[QueryDict, str]:
    """What was posted, with the schema from its address where none stands in the form; and why that failed, or "".

    What is shown by a preview is what is saved then: the address is not asked again.
    """
    data = posted.copy()
    url = data.get("schema_url", "").strip()
    if not url or data.get("base", "").strip() or (data.get("schema", "").strip() and data.get("do") != "fetch"):
        return data, ""
    try:
        data["schema"] = _readable(fetch(url))
    except SchemaRefusedError as error:
        return data, str(error)
    return data, ""


def initial_of(row: AIModel) -> dict[str, Any]:
    """What the form of a model shows that is there."""
    version = SchemaVersion.objects.filter(model=row, number=row.schema_version).first()
    document = "" if row.runs_as or version is None else _readable(orjson.dumps(version.unpacked["document"]))
    return {
        "name": row.name, "category": row.category, "description": row.description, "client": row.client_id,
        "base": row.runs_as, "fixed_input": pretty(row.fixed_input) if row.fixed_input else "",
        "schema_url": row.metadata.get("schema_url", ""), "schema": document,
        "version": "" if row.runs_as else row.upstream_version,
    }  # fmt: skip


def pretty(value: Any) -> str:
    """JSON for people."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


def _readable(content: bytes) -> str:
    text = content.decode(errors="replace")
    if len(content) > _READABLE_BYTES:
        return text
    try:
        return pretty(orjson.loads(content))
    except orjson.JSONDecodeError:
        return text


def _object(text: str, words: str) -> dict[str, Any] | None:
    if not text.strip():
        return None
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise forms.ValidationError(f"This is no JSON: {error}.") from None
    if not isinstance(value, dict):
        raise forms.ValidationError(words)
    return value
