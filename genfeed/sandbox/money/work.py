"""What a request has used, as far as a bill asks for it."""

from dataclasses import dataclass
from decimal import Decimal
from math import ceil
from typing import Any

from genfeed.sandbox.outputs.measures import Measures

STEPS = ("steps", "num_steps", "number_of_steps", "training_steps", "max_train_steps", "iterations")
MILLION = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class Work:
    """`given`: the input with its defaults; `pictures`: how many were made; `compute_seconds`: how long it ran."""

    given: dict[str, Any]
    measures: Measures
    pictures: int
    is_film: bool
    compute_seconds: float

    @property
    def count(self) -> Decimal:
        """How many things were made."""
        return Decimal(self.pictures or self.measures.count)

    @property
    def seconds(self) -> Decimal:
        """The length of the film or sound."""
        return decimal(self.measures.seconds)

    @property
    def steps(self) -> Decimal:
        """The steps of a training."""
        return next((decimal(value) for name in STEPS if isinstance(value := self.given.get(name), int)), Decimal(1000))

    @property
    def characters(self) -> Decimal:
        """The length of the text."""
        return Decimal(len(self.measures.text))

    @property
    def megapixels(self) -> Decimal:
        """All points of all pictures, or of all frames, in millions."""
        points = Decimal(self.measures.width * self.measures.height) / MILLION
        return points * (self.measures.frames if self.is_film else self.count)

    @property
    def whole_megapixels(self) -> Decimal:
        """The same rounded up: a film as a whole, and every picture to units of 1024 x 1024 points."""
        return Decimal(ceil(self.megapixels)) if self.is_film else self.binary_megapixels

    @property
    def binary_megapixels(self) -> Decimal:
        """Every picture in whole units of 1024 x 1024 points."""
        return self.count * ceil(Decimal(self.measures.width * self.measures.height) / (1024 * 1024))

    @property
    def input_pictures(self) -> Decimal:
        """How many pictures came in."""
        lists = (value for name, value in self.given.items() if "image_urls" in name and isinstance(value, list))
        return Decimal(sum(map(len, lists)) + sum(bool(self.given.get(name)) for name in ("image_url", "input_image")))

    @property
    def video_tokens(self) -> Decimal:
        """Tokens of a film at 24 frames a second."""
        return Decimal(self.measures.width * self.measures.height * 24) * self.seconds / 1024

    @property
    def text_tokens(self) -> Decimal:
        """Tokens of a text: four characters each, and a hundred for the answer."""
        return self.characters / 4 + 100


def decimal(value: float) -> Decimal:
    """A JSON number as it is written."""
    return Decimal(str(value))
