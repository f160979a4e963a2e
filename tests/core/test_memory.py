"""Freed memory goes back to the system."""

import platform

import psutil
import pytest

from sixfold._core.memory import release_freed


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries are not asked to give memory back")
def test_what_lies_between_small_survivors_is_given_back() -> None:
    freed = []
    survivors = []
    for _ in range(2_000):
        freed.append(bytearray(64_000))
        survivors.append(bytearray(600))
    freed.clear()
    release_freed()
    after = psutil.Process().memory_info().rss
    for _ in range(2_000):
        freed.append(bytearray(64_000))
    assert psutil.Process().memory_info().rss - after > 64_000_000, "the pages had stayed with the process"
    assert len(survivors) == 2_000
