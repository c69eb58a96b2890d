"""Which rows look like the same model under another id or provider. Pure; it suggests, with a score and the reason.

What counts: the words of the ids (without the first segment, which names a vendor), the display names, and whether both
make the same thing. Nothing here knows a model.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from catalog.schemas.media_types import MEDIA_TYPES, media_type

# Words of ids that tell nothing apart: fal-ai/flux/dev and fal-ai/flux-1/dev are one model.
_NOISE = frozenset({"1", "v1", "ai", "api", "model", "latest", "endpoint"})
# Words that only repeat the category.
_TASK = frozenset({"text", "image", "video", "audio", "speech", "music", "3d", "to", "generation", "generate"})
# A name or a set of words that more rows than this share tells nothing of any of them.
_SHARED_AT_MOST = 4
_BESIDE_THE_BEST = 12
_SHOWN_AT_MOST = 4
SUGGESTED_FROM = 55


@dataclass(frozen=True)
class Candidate:
    """A row as it is compared. `is_existing`: of the existing collection and not listed by its provider."""

    pk: int
    provider: str
    endpoint_id: str
    name: str
    category: str
    media_type: str
    is_existing: bool = False

    @cached_property
    def words(self) -> tuple[str, ...]:
        """The words of the id after the vendor's segment: fal-ai/flux-dev and fal-ai/flux/dev are (flux, dev)."""
        parts = self.endpoint_id.lower().split("/")
        return tuple(word for word in re.split(r"[^a-z0-9.]+", "/".join(parts[1:] or parts)) if word)

    @cached_property
    def joined(self) -> str:
        """The id's words as one: veo-3 and veo3 are the same."""
        return "".join(self.words).replace(".", "")

    @cached_property
    def telling(self) -> frozenset[str]:
        """The words that tell this model from others."""
        return frozenset(self.words) - _NOISE - _TASK

    @cached_property
    def plain_name(self) -> str:
        return re.sub(r"[^a-z0-9]+", "", self.name.lower())

    @cached_property
    def makes(self) -> str:
        """The media type, also where a category only names it, as older collections do; "" where nothing says it."""
        if self.media_type in MEDIA_TYPES and self.media_type != "other":
            return self.media_type
        found = media_type(self.category, [])[0]
        if found != "other":
            return found
        words = re.split(r"[^a-z0-9]+", self.category.lower())
        return next((word for word in words if word in MEDIA_TYPES and word != "other"), "")


@dataclass(frozen=True)
class Likeness:
    """Two rows, the one with the smaller key first; `score` 0 to 99: certain is only what a person says."""

    left: Candidate
    right: Candidate
    score: int
    reason: str


def find_likenesses(candidates: Iterable[Candidate]) -> list[Likeness]:
    """The pairs that seem to be one model, the likeliest first; about linear in the number of rows."""
    rows = list(candidates)
    found: dict[tuple[int, int], Likeness] = {}
    for group in _groups(rows):
        for position, one in enumerate(group):
            for other in group[position + 1 :]:
                left, right = (one, other) if one.pk < other.pk else (other, one)
                if left.pk == right.pk or (left.pk, right.pk) in found:
                    continue
                likeness = compare(left, right)
                if likeness is not None:
                    found[left.pk, right.pk] = likeness
    best = sorted(found.values(), key=lambda pair: (-pair.score, pair.left.endpoint_id, pair.right.endpoint_id))
    return _without_also_rans(best)


def _without_also_rans(pairs: list[Likeness]) -> list[Likeness]:
    """An existing row with a good counterpart is not shown that one's variants too; `pairs`: the likeliest first."""
    best: dict[int, int] = {}
    shown: Counter[int] = Counter()
    kept = []
    for pair in pairs:
        own = [row.pk for row in (pair.left, pair.right) if row.is_existing]
        if any(pair.score < best.get(key, 0) - _BESIDE_THE_BEST or shown[key] >= _SHOWN_AT_MOST for key in own):
            continue
        for key in own:
            best.setdefault(key, pair.score)
            shown[key] += 1
        kept.append(pair)
    return kept


def _groups(rows: list[Candidate]) -> Iterable[list[Candidate]]:
    """Rows that share anything worth a comparison."""
    by: dict[tuple[str, object], list[Candidate]] = defaultdict(list)
    for row in rows:
        if row.joined:
            by["id", row.joined].append(row)
        if row.telling:
            by["words", row.telling].append(row)
        if row.plain_name:
            by["name", row.plain_name].append(row)
    for (kind, _), group in by.items():
        # The same id words are rare and always worth it; names and families are shared by many.
        if len(group) > 1 and (kind == "id" or len(group) <= _SHARED_AT_MOST or any(row.is_existing for row in group)):
            yield group[:50]


def compare(left: Candidate, right: Candidate) -> Likeness | None:
    """How alike two rows are, None where too little speaks for it."""
    if left.makes and right.makes and left.makes != right.makes:
        return None
    same_category = bool(left.category) and left.category.lower() == right.category.lower()
    same_name = bool(left.plain_name) and left.plain_name == right.plain_name
    # Two endpoints that one provider lists are told apart by it on purpose: more must speak for their being one.
    is_strict = not (left.is_existing or right.is_existing) and left.provider == right.provider
    score, reasons = _by_ids(left, right)
    if is_strict and not (same_category and same_name and score >= _SAME_BUT_NOISE):
        return None
    if same_name:
        score = score + 4 if score else 60
        reasons.append(f"the same name ({right.name})")
    if score and same_category:
        score += 3
        reasons.append(f"the same category ({right.category})")
    elif score and not (left.makes and right.makes):
        score -= 5
        reasons.append("one of them does not say what it makes")
    if score < SUGGESTED_FROM:
        return None
    return Likeness(left, right, min(score, 99), "; ".join(reasons)[:300])


_SAME_WORDS, _SAME_BUT_NOISE, _SAME_BUT_TASK = 88, 72, 62


def _by_ids(left: Candidate, right: Candidate) -> tuple[int, list[str]]:
    vendors = "" if left.endpoint_id.split("/")[0] == right.endpoint_id.split("/")[0] else ", under another vendor"
    if left.joined and left.joined == right.joined:
        return _SAME_WORDS, [f"ids of the same words ({', '.join(right.words)}){vendors}"]
    if not left.telling or left.telling != right.telling:
        return 0, []
    mine, theirs = Counter(left.words), Counter(right.words)
    differing = set((mine - theirs) + (theirs - mine))
    if differing <= _NOISE:
        said = ", ".join(sorted(differing)) or "the order of their words"
        return _SAME_BUT_NOISE, [f"ids that differ only in {said}{vendors}"]
    if differing <= _NOISE | _TASK:
        return _SAME_BUT_TASK, [f"ids that differ only in what they make ({', '.join(sorted(differing))}){vendors}"]
    return 0, []
