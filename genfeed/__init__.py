import sys

# httpx loads a command-line program of its own wherever what that needs is installed: a tenth of the time in which each
# of our processes starts. None says that it can't be had, which httpx expects.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
