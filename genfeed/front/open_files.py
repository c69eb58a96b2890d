"""Room for connections: each is an open file, and many systems allow a process 1,024 of them by default."""

import resource

_ENOUGH = 65_536


def allow_many() -> None:
    """Raises this process's own limit as far as the system allows, up to 65,536."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
