"""An hour of mixed traffic, and the proof that nothing grows, leaks or is left behind.

`python -m tests.soak [--minutes 60] [--rate 20] [--warm-up 15] [--database PostgreSQL]` prints a table; `make soak`
runs it.
"""

import argparse
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path

from tests.soak.running import soak, words_of
from tests.soak.verdict import Bounds


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60, help="how long (60)")
    parser.add_argument("--rate", type=float, default=20, help="jobs a second, everything else beside them (20)")
    parser.add_argument("--warm-up", type=float, default=15, help="minutes after which nothing may grow any more (15)")
    parser.add_argument("--database", choices=["SQLite", "PostgreSQL"], default="SQLite")
    asked = parser.parse_args(arguments)
    from tests.bench.ledger import postgres

    with (
        tempfile.TemporaryDirectory(prefix="genfeed-soak-", ignore_cleanup_errors=True) as folder,
        postgres() if asked.database == "PostgreSQL" else nullcontext("") as url,
    ):
        found = soak(
            Path(folder),
            seconds=60 * asked.minutes,
            rate=asked.rate,
            settings={"DATABASE_URL": url} if url else {},
            bounds=Bounds(warm_up=asked.warm_up / asked.minutes),
        )
    print(words_of(asked.database, found), flush=True)
    return int(bool(found.problems))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
