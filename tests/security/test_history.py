"""Nothing secret was ever committed: the tree and the whole history, by what secrets look like."""

import math
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
# One per kind; where a test makes one up, it is one of EXAMPLES. Each begins with letters where it can, which are found
# twenty times as fast as the beginning of a word: that they are one is looked at afterwards.
PATTERNS = {
    "an API key of ours": re.compile(r"gf_(?:test_)?([A-Za-z0-9_-]{40,})"),
    "a page's token": re.compile(r"gfb_(gAAAA[A-Za-z0-9_=-]{60,})"),
    "something sealed": re.compile(r"(?<![A-Za-z0-9_-])(gAAAA[A-Za-z0-9_-]{90,})"),
    "a key of fal": re.compile(r"\b([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}:[0-9a-f]{32})\b"),
    "a token of Replicate": re.compile(r"(r8_[A-Za-z0-9]{37})\b"),
    "a key of OpenAI": re.compile(r"(sk-[A-Za-z0-9_-]{32,})"),
    "a key of AWS": re.compile(r"(A(?:KIA|SIA)[A-Z0-9]{16})\b"),
    "a token of GitHub": re.compile(r"(gh[pousr]_[A-Za-z0-9]{36,})\b"),
    "a token of Slack": re.compile(r"(xox[baprs]-[A-Za-z0-9-]{20,})"),
    "a private key": re.compile(r"(-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----\s+[A-Za-z0-9+/=\s]{60,})"),
    "a secret of a webhook": re.compile(r"(whsec_[A-Za-z0-9+/=]{32,})"),
    "a password in an address": re.compile(
        r"\b(?:postgres(?:ql)?|mysql|redis|amqp|smtp)://[^:/\s@]+:([^@\s/…<{$*]{12,})@"
    ),
}
EXAMPLES = {"a" * 32, "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
_MOST = 400_000_000


def found_in(text: str) -> list[str]:
    """What in a text looks like a real secret, each with its kind and its beginning."""
    found = []
    for kind, pattern in PATTERNS.items():
        for match in at_the_beginning_of_words(pattern, text):
            if is_random(match[1]) and not any(one in match[1] for one in EXAMPLES):
                found.append(f"{kind}: {match[0][:16]}…")
    return found


def at_the_beginning_of_words(pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    at = 0
    while match := pattern.search(text, at):
        at = match.start()
        if at and re.match(r"\w\w", text[at - 1 : at + 1]):
            at += 1
        else:
            yield match
            at = match.end()


def is_random(text: str) -> bool:
    """Whether a text has the many different characters that made-up examples lack: more than 3 bits in each."""
    counts = Counter(text)
    return -sum(n / len(text) * math.log2(n / len(text)) for n in counts.values()) > 3.0


def git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, timeout=120, check=False)
    if done.returncode:
        pytest.skip("this is no checkout of git")
    return done.stdout.decode("utf-8", "replace")


def test_no_file_of_the_tree_holds_a_secret() -> None:
    found = {}
    for name in git("ls-files", "-z").split("\0"):
        path = ROOT / name
        is_text = name and path.is_file() and path.stat().st_size < 5_000_000
        if is_text and (secrets := found_in(path.read_bytes().decode("utf-8", "replace"))):
            found[name] = secrets
    assert found == {}


def test_no_commit_ever_held_a_secret() -> None:
    added = git(
        "log", "--all", "-p", "--no-color", "--unified=0", "--no-textconv", "--", ".", ":(exclude)requirements*.txt"
    )
    assert len(added) < _MOST
    assert found_in("\n".join(line for line in added.splitlines() if line.startswith("+"))) == []


def test_files_of_secrets_are_never_committed() -> None:
    names = set(git("log", "--all", "--name-only", "--format=").splitlines())
    secret = re.compile(r"(^|/)(\.env|secret_key|encryption_keys|catalog_signing_key|.*\.(pem|p12|sqlite3|key))$")
    assert {name for name in names if secret.search(name)} == set()


@pytest.mark.parametrize(
    "text",
    [
        "gf_" + "Zk3v9QxLr7TnB2mWc8YhJd5FgPsKaEuV1oXiN4bRqtM",
        "FAL_KEY=1f0c2b3a-4d5e-6f70-8192-a3b4c5d6e7f8:" + "0123456789abcdef" * 2,
        "DATABASE_URL=postgres://genfeed:" + "pR7vX2qLm9ZtB4wK@db.example.com/genfeed",
    ],
)
def test_a_real_one_would_be_found(text: str) -> None:
    assert found_in(text)


def test_what_is_made_up_is_not_taken_for_a_secret() -> None:
    assert found_in("gf_" + "a" * 43 + " postgres://genfeed:password@host/genfeed postgres://user:…@db") == []
