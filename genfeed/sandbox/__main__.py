"""`python -m genfeed.sandbox`: the sandbox without Django."""

import argparse
from typing import NoReturn

from genfeed.sandbox.server import DESCRIPTION, add_options, leave, run


def main() -> NoReturn:
    """Read the options and serve."""
    parser = argparse.ArgumentParser(prog="sandbox", description=DESCRIPTION)
    add_options(parser)
    options = parser.parse_args()
    leave(
        run(
            host=options.host,
            port=options.port,
            fd=options.fd,
            latency_ms=options.latency,
            catalog=options.catalog,
            base_url=options.base_url,
        )
    )


if __name__ == "__main__":
    main()
