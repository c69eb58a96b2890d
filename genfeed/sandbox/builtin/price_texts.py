"""Price texts as the platform writes them, made from the table of variants: facts in, sentences out."""

import re
from decimal import Decimal

from genfeed.sandbox.builtin.prices import Rate, Rule, When

# What is counted, where the platform's words for it are others than the table's.
PER = {
    "second of sound": "second of generated audio",
    "10 seconds of sound": "10 seconds of generated audio",
    "second of sound and sample": "second of output and per sample",
    "minute of sound": "minute of audio",
    "megapixel of input and output": "megapixel on both input and output side",
    "megapixel of video (width x height x frames)": "megapixel of video data (width × height × frames)",
}
TOKENS = "million video tokens"
# A 720p film of five seconds at 24 frames a second, in millions of tokens.
FILM = Decimal(1280 * 720 * 24 * 5) / 1024 / 1_000_000
TIMES = {"2": "double"}
LENGTH = re.compile(r"video of (\d+) seconds")


def price_text(rule: Rule) -> str:
    """The rule in sentences, for the price text or the billing message."""
    if rule.per.startswith(TOKENS):
        return _tokens(rule)
    sentences = _rates(rule)
    if rule.fps:
        sentences.append(f"Video seconds are calculated at {rule.fps} frames per second.")
    if rule.round_up == 1 and rule.per.startswith("second"):
        sentences.append("Video seconds will be rounded upwards.")
    if rule.round_up and not rule.rates:
        sentences.append("Images are billed by rounding up to the nearest megapixel.")
        sentences.append("Note: Pricing may change in the future.")
    return " ".join([*sentences, *_factors(rule.factors), *(_extra(one) for one in rule.extras)])


def _tokens(rule: Rule) -> str:
    """Film is priced by tokens: what a usual one costs about, then what a million of them does."""
    loud = next((rate for rate in rule.rates if rate.when.get("generate_audio", True)), rule.rates[0])
    silent = next((rate for rate in rule.rates if rate.when.get("generate_audio") is False), None)
    about = (FILM * Decimal(loud.price)).quantize(Decimal("0.001"))
    audio = " with audio" if silent else ""
    sentences = [
        f"Each 720p 5 second video{audio} costs roughly **${about}**.",
        f"For other resolutions, 1 million video tokens {audio[1:] + ' ' if audio else ''}costs **${loud.price}**.",
    ]
    if silent:
        sentences.append(f"Without audio, the price is **${silent.price}** per million tokens.")
    return " ".join([*sentences, "tokens(video) = (height x width x FPS x duration) / 1024."])


def _rates(rule: Rule) -> list[str]:
    if not rule.rates:
        return []
    if rule.first:
        return [
            f"The first processed megapixel will cost **${rule.first}**.",
            f"Each additional megapixel will cost **${rule.rates[0].price}**.",
        ]
    if rule.included:
        count, price = rule.included
        return [
            f"Your request will cost **${price}** for videos up to **{count}** seconds.",
            f"For longer videos, you will be charged **${rule.rates[0].price}** per second of output video.",
        ]
    if all(set(rate.when) == {"duration"} for rate in rule.rates):
        return [f"This model costs {_listed([_of_length(rate) for rate in rule.rates])}."]
    *named, last = rule.rates
    if named and not last.when and all(len(rate.when) == 1 for rate in named):
        # What holds otherwise comes first, and then what changes it.
        variants = (f"If you use {next(iter(rate.when.values()))} it will cost **${rate.price}**." for rate in named)
        return [f"This model costs **${last.price}** per {_per(rule)}.", *variants]
    if named and (length := LENGTH.fullmatch(rule.per)):
        listed = _listed([f"**${rate.price}** {_condition(rate.when)}" for rate in rule.rates])
        return [f"For **{length[1]}s video** your request will cost {listed}."]
    first, *others = rule.rates
    parts = [f"**${first.price}** per {_per(rule)} {_condition(first.when)}".rstrip()]
    parts += [f"**${rate.price}** {_condition(rate.when)}".rstrip() for rate in others]
    return [f"This model costs {_listed(parts)}{_counted(rule)}."]


def _per(rule: Rule) -> str:
    return PER.get(rule.per, rule.per)


def _of_length(rate: Rate) -> str:
    return f"**${rate.price}** for a **{str(rate.when['duration']).removesuffix('s')}-second video**"


def _counted(rule: Rule) -> str:
    """How the count is rounded, and from what on it is charged, at the end of a sentence."""
    words = ""
    if rule.round_up and rule.per.startswith("megapixel"):
        words = ", rounded up" if "video" in rule.per else ", rounded up to the nearest megapixel"
    elif rule.round_up and rule.round_up > 1:
        words = f", rolling up to the closest {rule.round_up} second increment"
    if rule.least:
        steps = rule.per == "step"
        words += (
            f" (minimum of {rule.least} steps is charged)" if steps else f", with a minimum of {rule.least} seconds"
        )
    return words


def _factors(factors: tuple[Rate, ...]) -> list[str]:
    if base := _linear_steps(factors):
        return [f"Additional inference steps above {base} incur a 1/{base} multiplier each."]
    return [_factor(one) for one in factors]


def _linear_steps(factors: tuple[Rate, ...]) -> int | None:
    """The number of steps that costs the plain price, where twice as many cost twice as much."""
    if not factors or any(set(one.when) != {"num_inference_steps"} for one in factors):
        return None
    bases = {int(one.when["num_inference_steps"]) / Decimal(one.price) for one in factors}
    return int(bases.pop()) if len(bases) == 1 else None


def _factor(one: Rate) -> str:
    ((name, value),) = one.when.items()
    times = TIMES.get(one.price, f"{one.price}x")
    if name == "duration":
        times = "doubled" if one.price == "2" else times
        return f"The price is {times} for {str(value).removesuffix('s')}-second durations."
    if name == "target_fps":
        return f"Processing at {value}fps {'doubles' if one.price == '2' else times} the cost."
    if isinstance(value, bool):
        return f"Enabling {_words(name)} will {times} the billed seconds."
    return f"{value} outputs will be charged at {times} the standard rate."


def _extra(one: Rate) -> str:
    return f"If {' and '.join(map(_words, one.when))} is used, an additional **${one.price}** will be charged."


def _condition(when: When) -> str:
    """`{"resolution": "720p", "generate_audio": False}` as `at 720p without audio`."""
    return " ".join(_one_condition(name, value) for name, value in when.items())


def _one_condition(name: str, value: object) -> str:
    if isinstance(value, bool):
        return f"{'with' if value else 'without'} {_words(name)}"
    if name in ("resolution", "image_size"):
        return f"at {value}p" if str(value).isdigit() else f"at {value}"
    is_name = isinstance(value, str) and value.isupper()
    return f"with {value}" if is_name else f"with {_words(name)} {value}"


def _words(name: str) -> str:
    return name.replace("_", " ").removeprefix("generate ").removeprefix("enable ").removesuffix(" switch")


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
