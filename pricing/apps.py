from django.apps import AppConfig


class PricingConfig(AppConfig):
    name = "pricing"

    def ready(self) -> None:
        # The catalog shows prices of single clients without knowing how they come about.
        from catalog import published
        from pricing.margins import scopes as margin_scopes

        published.register_scopes(scope_of=margin_scopes.scope_of, own_prices=margin_scopes.own_prices)
