#!/usr/bin/env python
"""Django's command-line utility for GenFeed."""

import gc
import os
import signal
import sys

if sys.version_info < (3, 12):  # noqa: UP036 - the sentence is for whoever starts it with an older Python
    sys.exit(f"GenFeed needs Python 3.12 or newer; this is Python {sys.version.split()[0]}.")


def main() -> None:
    if sys.argv[1:2] == ["web"]:
        # Until the server listens for it: told to reload while it starts, it would end, and it is new anyway.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "genfeed.settings")
    # What is imported stays to the end: looked through while it is loaded, it takes a seventh longer to start.
    gc.disable()
    import django
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import BaseCommand, execute_from_command_line
    from django.db.utils import OperationalError, ProgrammingError

    try:
        django.setup()
    except ImproperlyConfigured as error:
        sys.exit(str(error))
    gc.freeze()
    gc.enable()
    # Whether the settings make sense. The checks of our own code, for which all pages are loaded, are for its tests and
    # `manage.py check`.
    BaseCommand.requires_system_checks = ["settings"]
    try:
        execute_from_command_line(sys.argv)
    except (OperationalError, ProgrammingError):
        if _lacks_migrations():
            sys.exit("The database is empty or of an older version. Run `manage.py migrate` first, or `manage.py up`.")
        raise


def _lacks_migrations() -> bool:
    """False too where the database does not answer: then its own error says more."""
    from django.db import DatabaseError

    from genfeed.health import is_migrated

    try:
        return not is_migrated()
    except DatabaseError:
        return False


if __name__ == "__main__":
    main()
