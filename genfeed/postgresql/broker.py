"""The worker's queue of tasks, by the database's clock from the first look on."""

from __future__ import annotations

from typing import Any

from django.db import connections
from django_q.brokers.orm import ORM
from django_q.conf import Conf


class Broker(ORM):
    """Named by settings. Connects before it reads the time that it compares locks with."""

    @staticmethod
    def get_connection(list_key: str | None = None) -> Any:
        rows = ORM.get_connection(list_key)
        connections[Conf.ORM].ensure_connection()
        return rows
