"""Memory that was freed, given back to the system."""

import ctypes

__all__ = ["release_freed"]


def release_freed() -> None:
    """Give back what was freed; where the C library cannot be asked to, it keeps it for later.

    glibc keeps freed memory below 32 MB a piece for the next that asks, and large arrays then ask the system for more:
    after reading a log of two million events that was a quarter of the process.
    """
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):  # not glibc; TypeError on Windows
        return
    trim(0)
