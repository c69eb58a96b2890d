"""`manage.py add_model PROVIDER ID`: a private endpoint, or another model with fixed inputs, added by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandError, CommandParser

from catalog import sync_runs
from catalog.models import AIModel, Provider
from catalog.own_models import OwnModel, OwnModelError
from catalog.own_schemas import SchemaRefusedError, fetch, read_document
from catalog.providers.base import UnknownProviderError
from genfeed.clients.models import Client
from genfeed.journal.audit import Actor
from pricing.money import format_usd
from pricing.prices.own_models import OwnPrice, Preview, preview, save

_ACTOR = Actor(name="manage.py add_model")


class Command(BaseCommand):
    help = (
        "Adds a model that no provider lists: a private or fine-tuned endpoint, or another model with fixed inputs "
        "such as LoRA weights. No sync changes or retires it. With --dry-run it only says what would be made."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("provider", help="The provider's id, e.g. fal.")
        parser.add_argument("id", help="The model's id, e.g. acme/portraits.")
        parser.add_argument("--name", required=True, help="Its title.")
        parser.add_argument("--category", required=True, help="The provider's word, e.g. text-to-image.")
        parser.add_argument("--description", default="")
        parser.add_argument(
            "--schema", metavar="FILE_OR_URL",
            help="OpenAPI document, JSON Schema of the input, or {\"input\": schema, \"output\": schema}.",
        )  # fmt: skip
        parser.add_argument("--base", metavar="ID", help="Build on this model of the provider, which is then called.")
        parser.add_argument("--fixed", metavar="JSON", default="{}", help="Inputs of the base that are always sent.")
        parser.add_argument("--model-version", default="", help="Where the provider runs models by version.")
        parser.add_argument("--client", metavar="NAME", help="Offer it to this client alone.")
        parser.add_argument("--unit", default="", help="What the provider counts, e.g. images.")
        parser.add_argument("--unit-price", default="", metavar="USD", help="What one of them costs.")
        parser.add_argument("--free", action="store_true", help="It is free: --unit-price 0 is meant.")
        parser.add_argument("--rule", metavar="FILE", help="A price rule, JSON.")
        parser.add_argument("--price-of-base", action="store_true", help="It costs what the base costs.")
        parser.add_argument("--dry-run", action="store_true", help="Change nothing.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            provider = sync_runs.provider_row(options["provider"])
            wanted = self._wanted(provider, options)
            rule = _json(_read(options["rule"]), "--rule") if options["rule"] else None
            price = OwnPrice(
                options["unit"], options["unit_price"], options["free"], rule, as_base=options["price_of_base"]
            )
            self._tell(preview(wanted, price, actor=_ACTOR))
            if not options["dry_run"]:
                save(wanted, price, actor=_ACTOR)
        except (UnknownProviderError, SchemaRefusedError, OwnModelError) as error:
            raise CommandError(str(error)) from None
        self.stdout.write("Nothing was changed." if options["dry_run"] else "Added.")

    def _wanted(self, provider: Provider, options: dict[str, Any]) -> OwnModel:
        base = client = None
        if options["base"]:
            base = AIModel.objects.filter(provider=provider, endpoint_id=options["base"]).first()
            if base is None:
                raise CommandError(f"{provider} has no model {options['base']!r} here.")
        if options["client"]:
            client = Client.objects.filter(name__iexact=options["client"]).first()
            if client is None:
                raise CommandError(f"There is no client {options['client']!r}.")
        source = options["schema"] or ""
        is_url = source.startswith(("http://", "https://"))
        content = fetch(source) if is_url else _read(source) if source else None
        return OwnModel(
            provider=provider, endpoint_id=options["id"], name=options["name"], category=options["category"],
            description=options["description"], client=client, base=base, version=options["model_version"],
            document=read_document(content, options["id"]) if content is not None else None,
            fixed_input=_json(options["fixed"].encode(), "--fixed"), schema_url=source if is_url else "",
        )  # fmt: skip

    def _tell(self, shown: Preview) -> None:
        row = shown.row
        self.stdout.write(f"{row.provider.slug}:{row.endpoint_id}, {row.category}, {row.media_type}, {row.kind}")
        self.stdout.write(f"inputs: {', '.join(item['name'] for item in shown.inputs)}")
        self.stdout.write(f"outputs: {', '.join(item['name'] for item in shown.outputs) or 'none are known'}")
        if shown.flags:
            self.stdout.write(f"of the schema could not be read as it stands: {', '.join(shown.flags)}")
        made = shown.estimate
        if made and made.cost is not None and made.price is not None:
            self.stdout.write(f"an example costs {format_usd(made.cost)} and sells for {format_usd(made.price)} USD")
        else:
            self.stdout.write(f"an example has no price: {shown.refused or (made.basis if made else '')}")
        if shown.held:
            self.stdout.write(f"held: {shown.held}")


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise CommandError(f"{path} can't be read: {error.strerror}.") from None


def _json(content: bytes, name: str) -> dict[str, Any]:
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise CommandError(f"{name} is no JSON: {error}.") from None
    if not isinstance(value, dict):
        raise CommandError(f"{name} must be a JSON object.")
    return value
