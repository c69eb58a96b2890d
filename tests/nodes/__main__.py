"""`python -m tests.nodes [--short] [--only NAME …]`: does everything to the fleet, proves, and prints a table."""

import argparse
import os
import sys
import time

from tests.nodes.scenarios import ALL, LONG, SHORT, NotHereError
from tests.nodes.site import running_site


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="Seconds where a fault else lasts a minute.")
    parser.add_argument("--only", nargs="+", choices=list(ALL), default=list(ALL))
    parser.add_argument("--per-second", type=float, default=4.0, help="Jobs that clients send.")
    asked = parser.parse_args(arguments)
    wrong = 0
    with running_site(per_second=asked.per_second) as site:
        for name in asked.only:
            began = time.monotonic()
            site.load.flow()
            try:
                seen = ALL[name](site, SHORT if asked.short else LONG)
                found, problems = site.prove()
            except NotHereError as error:
                print(f"{name}: not done, {error}", flush=True)
                continue
            print(f"{name}: {seen.done}")
            print(f"  recovered after {seen.seconds:.1f} s; {seen.words}")
            print(f"  {len(found['jobs'])} jobs so far: {found['by']} {found['codes'] or ''}")
            print(f"  {problems or 'nothing lost, nothing doubled'}")
            print(f"  took {time.monotonic() - began:.0f} s, load {os.getloadavg()[0]:.1f}", flush=True)
            wrong += bool(problems)
        print(f"accepted by each web {dict(site.load.by_web)}, ended by each dispatcher {site.ended_by()}")
        print(
            f"requests without an answer, repeated at the other web: {site.load.unanswered}; told 503: {site.load.told}"
        )
        print(f"the stream was opened {site.follower.connections} times; webhooks taken: {len(site.receiver.ages)}")
        if wrong:
            print(site.tail())
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
