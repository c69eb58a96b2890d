"""What variants of the built-in models cost; `price_texts` puts it into words.

This table is the sandbox's own truth. It knows nothing of how a client estimates, so the two can disagree.
"""

import tomllib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from genfeed.sandbox.builtin.tables import DATA

When = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rate:
    """A price for the inputs that `when` fits; an empty `when` fits all."""

    price: str
    when: When


@dataclass(frozen=True, slots=True)
class Rule:
    """How a family of models is charged; data/prices.toml explains the parts. Amounts are US dollars as text."""

    models: tuple[str, ...]
    per: str
    rates: tuple[Rate, ...] = ()
    fps: int | None = None
    round_up: int | None = None
    least: int | None = None
    included: tuple[int, str] | None = None
    first: str | None = None
    factors: tuple[Rate, ...] = ()
    extras: tuple[Rate, ...] = ()
    except_unit: tuple[str, ...] = ()
    is_billing_message: bool = False

    def speaks_of(self, endpoint_id: str, unit: str | None) -> bool:
        """Whether a model with this flat unit (None without a price) is charged by the rule."""
        if unit in self.except_unit:
            return False
        return any(fnmatchcase(endpoint_id, pattern) for pattern in self.models)


@dataclass(frozen=True, slots=True)
class Pricing:
    """All rules."""

    rules: tuple[Rule, ...]

    def rules_of(self, endpoint_id: str, unit: str | None) -> list[Rule]:
        """Every rule that speaks of a model; the table is right when it is one at most."""
        return [rule for rule in self.rules if rule.speaks_of(endpoint_id, unit)]

    def rule_of(self, endpoint_id: str, unit: str | None) -> Rule | None:
        """The rule of a model, None where the flat price says all."""
        return next(iter(self.rules_of(endpoint_id, unit)), None)


def read_pricing() -> Pricing:
    """Read data/prices.toml."""
    with (DATA / "prices.toml").open("rb") as file:
        return Pricing(tuple(_read_rule(entry) for entry in tomllib.load(file)["rule"]))


def _read_rule(entry: dict[str, Any]) -> Rule:
    rates = entry.get("rates") or ([{"price": entry["price"]}] if "price" in entry else [])
    included = entry.get("included")
    return Rule(
        models=tuple(entry["models"]),
        per=entry["per"],
        rates=tuple(Rate(rate["price"], rate.get("when", {})) for rate in rates),
        fps=entry.get("fps"),
        round_up=entry.get("round_up"),
        least=entry.get("least"),
        included=(included["count"], included["price"]) if included else None,
        first=entry.get("first"),
        factors=tuple(Rate(factor["times"], factor["when"]) for factor in entry.get("factors", [])),
        extras=tuple(Rate(extra["price"], extra["when"]) for extra in entry.get("extras", [])),
        except_unit=tuple(entry.get("except_unit", [])),
        is_billing_message=entry.get("billing_message", False),
    )
