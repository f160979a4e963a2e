"""Every engine against the oracle on generated histories: `python -m benchmarks.equality [--histories 100000]`.

Prints on how many histories each engine was tried and how often it differed, to the bit; exits with 1 if any did. The
batch and the store in memory are tried on every history, the slower engines on every n-th (`--every redis=1`). A
mismatch is told by the number of its history: `--first NUMBER --histories 1` tries it again.
"""

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from sixfold.testing.equality import ENGINES, Mismatch, compared
from sixfold.testing.servers import has_redis, redis_server

EVERY = {"batch": 1, "memory": 1, "sqlite": 5, "sqlite, small cache": 5, "redis": 5, "duckdb": 1000}
_PIECE = 50
_REDIS_DATABASES = 16

Piece = tuple[dict[str, int], int, range, str]


def main() -> None:
    """Parse the command line, run, print, and exit."""
    options = parsed()
    every = {engine: EVERY[engine] for engine in ENGINES} | dict(options.every)
    every = {engine: n for engine, n in every.items() if n}
    if "redis" in every and not has_redis():
        every.pop("redis")
        print("redis-server is not installed: that store is left out")
    begun = time.perf_counter()
    tried, wrong = run(every, options)
    table = Table(title=f"{options.histories:,} histories from {options.first:,} on, seed {options.seed}")
    for heading in ("engine", "histories", "mismatches"):
        table.add_column(heading, justify="left" if heading == "engine" else "right")
    for engine in every:
        table.add_row(engine, f"{tried[engine]:,}", str(sum(mismatch.engine == engine for mismatch in wrong)))
    Console().print(table)
    for mismatch in wrong[:20]:
        print(f"history {mismatch.history}, {mismatch.engine}: {mismatch.what}")
    print(
        f"{sum(tried.values()):,} comparisons in {time.perf_counter() - begun:.0f} s on {options.processes} processes"
    )
    sys.exit(bool(wrong))


def parsed() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--histories", type=int, default=100_000)
    parser.add_argument("--first", type=int, default=0, help="the number of the first history")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=min(os.cpu_count() or 1, _REDIS_DATABASES))
    parser.add_argument(
        "--every", type=pair, nargs="*", default=[], metavar="ENGINE=N", help="every n-th history, 0 for none"
    )
    return parser.parse_args()


def pair(text: str) -> tuple[str, int]:
    """An engine and a number, from ENGINE=N."""
    engine, _, number = text.partition("=")
    if engine not in ENGINES or not number.isdigit():
        raise argparse.ArgumentTypeError(f"expected ENGINE=N with an engine of {', '.join(ENGINES)}")
    return engine, int(number)


def run(every: dict[str, int], options: argparse.Namespace) -> tuple[Counter[str], list[Mismatch]]:
    """All histories, in pieces over processes, with a bar."""
    tried: Counter[str] = Counter()
    wrong: list[Mismatch] = []
    columns = (TextColumn("histories"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with ExitStack() as stack:
        url = ""
        if "redis" in every:
            url = stack.enter_context(redis_server(Path(stack.enter_context(tempfile.TemporaryDirectory()))))
        pool = stack.enter_context(multiprocessing.get_context("spawn").Pool(options.processes))
        bar = stack.enter_context(Progress(*columns, console=Console(stderr=True)))
        task = bar.add_task("", total=options.histories)
        for done, found, mismatches in pool.imap_unordered(compare_piece, pieces(every, options, url)):
            tried.update(found)
            wrong += mismatches
            bar.advance(task, done)
    return tried, sorted(wrong, key=lambda mismatch: mismatch.history)


def pieces(every: dict[str, int], options: argparse.Namespace, url: str) -> Iterator[Piece]:
    """The histories, some at a time."""
    stop = options.first + options.histories
    for low in range(options.first, stop, _PIECE):
        yield every, options.seed, range(low, min(low + _PIECE, stop)), url


def compare_piece(piece: Piece) -> tuple[int, dict[str, int], list[Mismatch]]:
    """One process's part; each process has a database of the Redis server to itself."""
    every, seed, numbers, url = piece
    (number,) = multiprocessing.current_process()._identity or (1,)
    return len(numbers), *compared(every, seed, numbers, url=f"{url.removesuffix('/0')}/{number % _REDIS_DATABASES}")


if __name__ == "__main__":
    main()
