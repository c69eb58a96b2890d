"""The typography of price texts made uniform, so that readers meet one spelling of each thing."""

from __future__ import annotations

import re

_NUMBER = r"\d+(?:,\d{3})*(?:\.\d+)?"
_WORDS_FOR_NUMBERS = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "eight": 8, "ten": 10}
_REPLACEMENTS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.I), replacement)
    for pattern, replacement in (
        (r"\*\*|`", ""),
        (r"(?<![\w*])\*(?=[^\s*])([^*\n]*[^\s*])\*(?![\w*])", r"\1"),
        (r"(\$\d+\.\d+)\s*cents\b", r"\1"),
        (r"[’‘]", "'"),
        (r"[–—]", "-"),
        (r"[→⇒]", ":"),
        (r"[×✕]", "x"),
        (r"(\d)\s*\*\s*(\d)", r"\1x\2"),
        (r"\s\*\s|(?<=\d)\*\s", " x "),
        (r"\baditional\b", "additional"),
        (r"\bmillition\b", "million"),
        (r"\babd\b", "and"),
        (r"\byou request\b", "your request"),
        (r"%\s?(\d+)\b", r"\1%"),
        (r"(\d),(\d{3})\b", r"\1\2"),
        (rf"(?<![\d$.])({_NUMBER})\s?\$(?!\d)", r"$\1"),
        (r"\b(cost|costs|costing|pricing is|price is|with)\s+(\d*\.\d+)\b(?!\s*(?:x|times|s\b))", r"\1 $\2"),
        (r"\$\s+(\d)", r"$\1"),
        (r"\b(\d{3,4})\s*p\b", r"\1p"),
        (r"\b(\d{3,5})\s*x\s*(\d{3,5})\b", r"\1x\2"),
        (r"\bmillion input tokens\b", "million input tokens"),
        (r"\b(\d+(?:\.\d+)?)[\s-]*(?:seconds?|secs?|s)\b", r"\1s"),
        (r"\b(\d+)[\s-]*fps\b", r"\1fps"),
        (r"\b(\d+)-step\b", r"\1 step"),
    )
)
_NUMBER_WORD = re.compile(rf"\b({'|'.join(_WORDS_FOR_NUMBERS)})[\s-]second\b", re.I)
_BULLET = re.compile(r"\n\s*[-*•]\s+")
_BREAK = re.compile(r"(?<=[.!?:;])\s*\n\s*|\n\s*\n\s*")
_END = re.compile(r"(?<=[.!?;])\s+(?=[^\s])|;\s*")


def clean(text: str) -> str:
    """One text with uniform typography and lower case: `$` before numbers, `720p`, `5s`, `60fps`, plain signs."""
    text = _BULLET.sub(". ", text)
    text = _BREAK.sub(". ", text)
    text = _NUMBER_WORD.sub(lambda match: f"{_WORDS_FOR_NUMBERS[match[1].lower()]}s", text)
    for pattern, replacement in _REPLACEMENTS:
        text = pattern.sub(replacement, text)
    return " ".join(text.split()).lower()


def sentences(text: str) -> list[str]:
    """The sentences of a text, cleaned, without their final punctuation."""
    parts = (part.strip(" .;!?") for part in _END.split(clean(text)))
    return [part.strip() for part in parts if part.strip(" .,;:!?-")]
