"""`make bench`: every measurement of the project in one run, as a table. `python -m tests.bench PART …`: some of them.

With --write, docs/benchmarks.md and docs/benchmarks.json hold what was measured; parts that did not run keep theirs.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress

import psutil

from tests.bench import load, written
from tests.bench.machine import describe, moment
from tests.bench.parts import FOLDER, PARTS, end_as_by_ctrl_c, recorded
from tests.bench.rows import Row
from tests.sandbox_server import ROOT

# What a part has to end its own processes once it is told to stop.
_STOP_SECONDS = 20


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"all of them, unless named: {', '.join(PARTS)}")
    parser.add_argument("--write", action="store_true", help="keep the results in docs/benchmarks.md and .json")
    parser.add_argument(
        "--minutes", type=int, default=60, help="after which it stops, whatever is left; 60 unless said"
    )
    chosen = parser.parse_args(arguments)
    until = time.monotonic() + 60 * chosen.minutes
    if unknown := set(chosen.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}; parts are {', '.join(PARTS)}")
    words = " ".join(f"{name}: {said}." for name, said in describe().items())
    print(f"{words}\nLoad by {load.tool()}; catalog: {'recorded' if recorded() else 'the sandbox’s own'}.", flush=True)
    is_good = True
    with tempfile.TemporaryDirectory(prefix="genfeed-bench-", ignore_cleanup_errors=True) as folder:
        for name in chosen.parts or PARTS:
            begun, started = moment(), time.monotonic()
            seconds = min(PARTS[name].seconds, int(until - started))
            if seconds < 1:
                print(f"\n{PARTS[name].title} ({name}): not measured, {chosen.minutes} minutes are over", flush=True)
                is_good = False
                continue
            print(f"\n{PARTS[name].title} ({name}; {begun['at']}, load {begun['load']})", flush=True)
            rows = _measure(name, folder, seconds)
            is_good = is_good and not any(row.passed is False for row in rows)
            if chosen.write:
                written.keep(name, rows, begun | {"seconds": f"{time.monotonic() - started:.0f}"})
    return int(not is_good)


def _measure(name: str, folder: str, seconds: int) -> list[Row]:
    """The rows of a part, printed as they come; where it fails or takes too long, a last one says so."""
    rows: list[Row] = []
    environment = {**os.environ, FOLDER: folder}
    command = [sys.executable, "-m", "tests.bench.parts", name]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        late = threading.Event()
        timer = threading.Timer(seconds, _stop, (process, late))
        timer.start()
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if line.startswith('{"what"'):
                    rows.append(Row(**json.loads(line)))
                    _show(rows[-1])
            process.wait()
        except KeyboardInterrupt:
            _stop(process, late)
            raise
        finally:
            timer.cancel()
    if process.returncode:
        why = f"stopped after {seconds} s" if late.is_set() else "FAILED"
        rows.append(Row(f"{PARTS[name].title}: the rest", why, "measured", False))
        _show(rows[-1])
    return rows


def _stop(process: subprocess.Popen[str], late: threading.Event) -> None:
    """As Ctrl-C does, so that what it has started is stopped by it; then with all that it has left."""
    late.set()
    started = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    _, alive = psutil.wait_procs([psutil.Process(process.pid), *started], timeout=_STOP_SECONDS)
    for one in alive:
        with suppress(psutil.NoSuchProcess):
            one.kill()


def _show(row: Row) -> None:
    judged = "" if row.passed is None else "  ok" if row.passed else "  MISSED"
    print(f"  {row.what}: {row.measured}{f'  [{row.bar}]' if row.bar else ''}{judged}", flush=True)


if __name__ == "__main__":
    end_as_by_ctrl_c()
    sys.exit(main(sys.argv[1:]))
