"""Every bar of the feature engine in one table: `python -m benchmarks.features [--size small|full] [--only NAME …]`.

Each part runs in a process of its own, so that its peak memory is its own, one after the other. Peers run in their own
environment, made from a lock file below --cache on first use. "By CPU time" stands beside what the wall says because
a machine may be shared; bars are held against the wall.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from benchmarks.features.measured import Row, table
from benchmarks.features.rows import SECTIONS, Context
from benchmarks.features.world import SIZES


def main() -> None:
    """Run what is asked for and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.features", description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--only", choices=SECTIONS, nargs="+", default=list(SECTIONS))
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "sixfold-peers")
    parser.add_argument("--json", type=Path, help="a file to write the figures to as well")
    asked = parser.parse_args()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        context = Context(asked.size, Path(folder), asked.cache)
        for name in asked.only:
            made = SECTIONS[name](context)
            for row in made:
                print("  ".join(cell for cell in row.cells() if cell), file=sys.stderr, flush=True)
            rows += made
    print(table(rows))
    if asked.json:
        asked.json.write_text(json.dumps([row.plain() for row in rows], indent=1))


if __name__ == "__main__":
    main()
