#!/usr/bin/env python
"""Django's command-line utility for GenFeed."""

import os
import sys

if sys.version_info < (3, 12):  # noqa: UP036 - the sentence is for whoever starts it with an older Python
    sys.exit(f"GenFeed needs Python 3.12 or newer; this is Python {sys.version.split()[0]}.")


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "genfeed.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
