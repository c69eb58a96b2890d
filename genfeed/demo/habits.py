"""Who the simulated clients are, what they ask for, and how often: data, and the dice that turn it into a calendar.

Models are those of the sandbox's built-in catalog. Amounts are whole USD.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

PREFIX = "Demo: "

SCHNELL, DEV, ULTRA = "fal-ai/flux/schnell", "fal-ai/flux/dev", "fal-ai/flux-pro/v1.1-ultra"
SEEDREAM, QWEN = "fal-ai/bytedance/seedream/v4/text-to-image", "fal-ai/qwen-image"
IDEOGRAM, RECRAFT = "fal-ai/ideogram/v3", "fal-ai/recraft/v3/text-to-image"
BANANA, BANANA_2 = "fal-ai/nano-banana", "fal-ai/nano-banana-2"
KLING, VEO = "fal-ai/kling-video/v2.5-turbo/pro/text-to-video", "fal-ai/veo3.1/fast"
WAN, LTX = "fal-ai/wan/v2.2-5b/text-to-video/distill", "fal-ai/ltx-2/text-to-video/fast"
HAILUO, PIKA = "fal-ai/minimax/hailuo-02/standard/text-to-video", "fal-ai/pika/v2.2/text-to-video"
SORA, UNPRICED = "fal-ai/sora-2/text-to-video", "fal-ai/gpt-image-1-mini"
CHATTERBOX, ELEVEN = "fal-ai/chatterbox/text-to-speech", "fal-ai/elevenlabs/tts/turbo-v2.5"
SPEECH, LYRIA = "fal-ai/minimax/speech-02-hd", "fal-ai/lyria2"
STABLE = "fal-ai/stable-audio-25/text-to-audio"

_SUBJECTS = (
    "a lighthouse in a storm", "a fox in fresh snow", "a bicycle on a pier", "an old bookshop at night",
    "a tram in the rain", "a bowl of ripe apricots", "a greenhouse full of ferns", "a paper boat on a canal",
    "a mountain hut at dawn", "a robot that waters tulips",
)  # fmt: skip
_STYLES = ("watercolour", "as a photograph", "pencil sketch", "in flat colours", "film still", "isometric")


@dataclass(frozen=True, slots=True)
class Habit:
    """One client: `visits` on a working day in the busy month, of which `weekend` happen on a Saturday or Sunday.

    `balance` is what it pays at the beginning, and again whenever `top_up` says so; `credit` makes it pay later.
    `budgets` are limits by period, `limits` columns of the client's row.
    """

    name: str
    visits: float
    models: dict[str, float]
    weekend: float = 0.3
    hours: tuple[int, int] = (7, 18)
    burst: tuple[int, int] = (1, 3)
    balance: int = 200
    top_up: bool = True
    credit: int = 0
    budgets: dict[str, int] = field(default_factory=dict)
    limits: dict[str, int] = field(default_factory=dict)
    max_price: str | None = None

    @property
    def client(self) -> str:
        """What the client is called; nobody takes it for a real one."""
        return PREFIX + self.name


HABITS = (
    Habit("Advertising agency", 3.8, {DEV: 4, ULTRA: 3, IDEOGRAM: 3, BANANA: 2, KLING: 1}, weekend=0.1, burst=(1, 4)),
    Habit("Film studio", 2.6, {KLING: 5, VEO: 2, HAILUO: 3, LTX: 2, PIKA: 2}, hours=(9, 21), burst=(1, 2), credit=500),
    Habit("Web shop", 4.5, {SEEDREAM: 5, BANANA_2: 4, QWEN: 2}, weekend=0.8, hours=(5, 22), balance=60),
    Habit("Audiobook maker", 3.0, {CHATTERBOX: 4, ELEVEN: 4, SPEECH: 3}, weekend=0.2, burst=(2, 5), balance=25),
    Habit("Game developer", 2.2, {SCHNELL: 5, DEV: 2, RECRAFT: 3, STABLE: 1}, weekend=0.6, hours=(10, 23)),
    Habit("Music teacher", 0.9, {LYRIA: 3, STABLE: 2}, weekend=0.5, burst=(1, 1), balance=30),
    Habit("School newspaper", 1.1, {SCHNELL: 4, DEV: 1}, weekend=0.05, hours=(7, 14), balance=20, budgets={"month": 1}),
    Habit(
        "Phone app", 3.4, {SCHNELL: 6, BANANA: 3, BANANA_2: 2}, weekend=1.3, hours=(0, 23), burst=(3, 6),
        limits={"max_in_flight": 1, "max_queued": 2},
    ),
    Habit("Fashion house", 1.9, {ULTRA: 3, SEEDREAM: 3, BANANA_2: 2}, weekend=0.1, budgets={"day": 1}, burst=(2, 4)),
    Habit("Trailer workshop", 1.5, {VEO: 3, PIKA: 4, KLING: 1}, hours=(12, 22), burst=(1, 2), balance=250),
    Habit("Print on demand", 2.2, {IDEOGRAM: 3, RECRAFT: 3, QWEN: 2}, weekend=0.7, burst=(1, 3), balance=100),
    Habit("Hobby painter", 0.8, {DEV: 2, WAN: 1}, weekend=2.5, hours=(17, 23), balance=5, top_up=False),
    Habit("Thrifty blogger", 0.9, {SCHNELL: 2, ULTRA: 2}, weekend=0.8, burst=(1, 2), balance=15, max_price="0.10"),
)  # fmt: skip

# What is asked for beyond the model's own defaults, one of them a request.
OPTIONS: dict[str, tuple[dict[str, Any], ...]] = {
    SCHNELL: ({}, {"num_images": 2}, {"num_images": 4}, {"image_size": "square"}),
    DEV: ({}, {}, {"image_size": "landscape_16_9"}, {"num_images": 2}),
    VEO: ({}, {"generate_audio": False}, {"duration": "4s"}),
    LTX: ({}, {"duration": 8}),
}
TEXTS = (CHATTERBOX, ELEVEN, SPEECH)
FILMS = (KLING, VEO, WAN, LTX, HAILUO, PIKA, SORA)
SOUNDS = (LYRIA, STABLE, *TEXTS)


@dataclass(frozen=True, slots=True)
class Visit:
    """A client comes at a moment and asks for so many runs of a model, one after the other."""

    at: datetime
    habit: Habit
    model: str
    inputs: tuple[dict[str, Any], ...]
    seconds: float


def models() -> set[str]:
    """Every model that somebody uses; the two that nobody gets are not among them."""
    return {model for habit in HABITS for model in habit.models}


def calendar(first: date, busy_from: date, until: datetime, dice: random.Random) -> Iterator[Visit]:
    """All visits from a day on until a moment, in order; before `busy_from` a third of them come."""
    day = first
    while day <= until.date():
        share = 1.0 if day >= busy_from else 0.3
        visits = [visit for habit in HABITS for visit in _visits(habit, day, share, dice)]
        # One after the other: a visit ends before the next begins.
        yield from (visit for visit in sorted(visits, key=lambda visit: visit.at) if visit.at < until)
        day += timedelta(days=1)


def _visits(habit: Habit, day: date, share: float, dice: random.Random) -> Iterator[Visit]:
    expected = habit.visits * share * (habit.weekend if day.weekday() >= 5 else 1.0)
    count = int(expected * dice.uniform(0.6, 1.4) + dice.random())
    midnight = datetime.combine(day, time(), UTC)
    for _ in range(count):
        seconds = dice.triangular(habit.hours[0] * 3600, habit.hours[1] * 3600)
        (model,) = dice.choices(list(habit.models), list(habit.models.values()))
        inputs = tuple(_input(model, dice) for _ in range(dice.randint(*habit.burst)))
        yield Visit(midnight + timedelta(seconds=seconds), habit, model, inputs, _takes(model, dice))


def _input(model: str, dice: random.Random) -> dict[str, Any]:
    words = f"{dice.choice(_SUBJECTS)}, {dice.choice(_STYLES)}"
    if model in TEXTS:
        return {"text": " ".join([f"Chapter {dice.randint(1, 40)}: {words}."] * dice.randint(3, 25))}
    return {"prompt": words, **dice.choice(OPTIONS.get(model, ({},)))}


def _takes(model: str, dice: random.Random) -> float:
    """How many seconds a run takes; most take about as long as they usually do, and some much longer."""
    usual = 70.0 if model in FILMS else 9.0 if model in SOUNDS else 4.0
    return min(dice.lognormvariate(0, 0.4) * usual, usual * 2.4)
