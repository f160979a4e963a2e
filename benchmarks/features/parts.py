"""One measurement in a process of its own: `run(NAME, …)` starts it and gives its figures."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.features import point_in_time, precomputed, serving, state, streaming
from benchmarks.features.measured import Figures

__all__ = ["PartError", "run"]

PARTS: dict[str, Callable[..., Figures]] = {
    "as_of_numpy": lambda size, folder: point_in_time.in_numpy(size, Path(folder)),
    "as_of_growth": lambda size, n: point_in_time.growth(size, int(n)),
    "as_of_duckdb": lambda size, folder: point_in_time.duckdb(size, Path(folder)),
    "as_of_for_feast": lambda size, n, variant, folder: precomputed.prepare(size, int(n), variant, Path(folder)),
    "read_memory": serving.from_memory,
    "read_redis": lambda size, port: serving.from_redis(size, int(port)),
    "read_for_feast": lambda size, folder: serving.prepare_for_feast(size, Path(folder)),
    "batches": streaming.micro_batches,
    "visible": streaming.until_visible,
    "keys": lambda n, which: state.many_keys(int(n), which),
    "write_log": lambda size, folder: state.write_log(size, Path(folder)),
    "recover": lambda size, folder: state.recover(size, Path(folder)),
}


class PartError(Exception):
    """A part that did not run, with its last words."""


def run(name: str, *arguments: str) -> Figures:
    """The figures of a part, run in a new process; raises PartError with the last line of what went wrong."""
    command = [sys.executable, "-m", "benchmarks.features.parts", name, *arguments]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    if found.returncode:
        raise PartError((found.stderr.strip().splitlines() or ["no output"])[-1])
    return json.loads(found.stdout.strip().splitlines()[-1])  # type: ignore[no-any-return]


if __name__ == "__main__":
    print(json.dumps(PARTS[sys.argv[1]](*sys.argv[2:])))
