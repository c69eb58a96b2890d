"""What variants of the built-in models cost, and the price texts made from it.

This table is the sandbox's own truth. It knows nothing of how a client estimates, so the two can disagree.
"""

import tomllib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from genfeed.sandbox.builtin.tables import DATA

When = dict[str, Any]
RATE_WORDS = {"resolution": "at {}", "duration": "for a length of {}", "image_size": "at {}"}


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

    def to_text(self) -> str:
        """The rule in sentences, for the price text or the billing message."""
        sentences = [self._rates_sentence()] if self.rates else []
        if self.first:
            sentences = [f"The first {self.per} costs **${self.first}**, each further one **${self.rates[0].price}**."]
        if self.included:
            count, price = self.included
            sentences.insert(
                0, f"Up to {count} seconds cost **${price}** together; longer results are charged in full."
            )
        if self.fps:
            sentences.append(f"Seconds are counted at {self.fps} frames per second.")
        if self.round_up:
            sentences.append(f"The count is rounded up to the next {_multiple(self.round_up, self.per)}.")
        if self.least:
            sentences.append(f"At least {self.least} are charged.")
        sentences += [f"The price is multiplied by {one.price} {_condition(one.when)}." for one in self.factors]
        sentences += [f"An extra **${one.price}** is added once {_condition(one.when)}." for one in self.extras]
        return " ".join(sentences)

    def _rates_sentence(self) -> str:
        first, *others = self.rates
        parts = [f"**${first.price}** per {self.per} {_condition(first.when)}".rstrip()]
        parts += [f"**${rate.price}** {_condition(rate.when) or 'otherwise'}" for rate in others]
        listed = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
        return f"This model costs {listed}."


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


def _condition(when: When) -> str:
    """`{"resolution": "720p", "generate_audio": False}` as `at 720p without audio`."""
    return " ".join(_one_condition(name, value) for name, value in when.items())


def _one_condition(name: str, value: Any) -> str:
    words = name.replace("_", " ").removeprefix("generate ").removeprefix("enable ").removesuffix(" switch")
    if isinstance(value, bool):
        return f"{'with' if value else 'without'} {words}"
    if name in RATE_WORDS:
        return RATE_WORDS[name].format(value)
    return f"with {words} {value}"


def _multiple(count: int, per: str) -> str:
    kind = per.split(" ", 1)[0]
    return f"whole {kind}" if count == 1 else f"{count} {kind}s"
