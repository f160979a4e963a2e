"""Every system on its real data: the figures of docs/systems.md, and how long each run took.

`python -m benchmarks.systems` runs `sixfold run SYSTEM --data DATA` for each, one after the other, in a folder of its
own, and prints the table; with `--write` it puts the rows into docs/systems.md. Names limit it, as in
`python -m benchmarks.systems fraud demand`: rows of other systems stay. Data sets are looked for as the command line
does.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[1] / "docs" / "systems.md"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"


@dataclass(frozen=True)
class Row:
    """One run: a system over a data set, and the figures of which its field speaks."""

    system: str
    data: str
    figures: tuple[str, ...]


ROWS = (
    Row("video", "kuairand-pure", ("recall@k", "auc", "ne", "ece")),
    Row("movies", "movielens-1m", ("recall@k", "auc", "ne", "ece")),
    Row("fraud", "fraud-handbook-simulated", ()),
    Row("ads", "ipinyou-rtb-sample", ()),
    Row("search", "scifact", ()),
    Row("answers", "squad-dev", ()),
    Row("demand", "online-retail-ii-2009-2010", ()),
    Row("demand", "complete-journey-sample", ()),
)


def run(row: Row, folder: Path) -> dict[str, Any]:
    """The facts of one run; its own words on standard error if it fails."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "sixfold", "run", row.system, "--data", row.data, "--home", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    took = time.perf_counter() - began
    if done.returncode:
        sys.stderr.write(done.stdout[-2_000:] + done.stderr[-2_000:])
    (home,) = folder.glob(f"{row.system}@*")
    judged = json.loads((home / "candidate" / "evaluation.json").read_text())
    shown = row.figures or tuple(
        name for name in judged["all"] if name not in ("p50_ms", "recall@k", "xauc", "mean_ratio")
    )
    passed = sum(gate["passed"] for gate in judged["gates"])
    return {
        "seconds": took, "released": done.returncode == 0, "gates": f"{passed} of {len(judged['gates'])}",
        "p99": judged["all"]["p99_ms"], "figures": {name: judged["all"][name] for name in shown if name != "p99_ms"},
    }  # fmt: skip


def line(row: Row, facts: dict[str, Any]) -> str:
    """One row of the table in Markdown."""
    figures = ", ".join(f"{name} {value:.4g}" for name, value in facts["figures"].items() if value is not None)
    cells = (row.system, row.data, figures, f"{facts['p99']:.1f} ms", facts["gates"], f"{facts['seconds']:.0f} s")
    return "| " + " | ".join(cells) + " |"


def table(lines: dict[Row, str]) -> str:
    """The table in Markdown, in the order of ROWS."""
    head = ["| system | data | figures on the test range | decision p99, in process | gates | whole run |"]
    return "\n".join([*head, "|---|---|---|---|---|---|", *(lines[row] for row in ROWS if row in lines)])


def known() -> dict[Row, str]:
    """The rows that the page has."""
    page = PAGE.read_text().partition(BEGIN)[2].partition(END)[0].splitlines()
    found = {row: [text for text in page if text.startswith(f"| {row.system} | {row.data} |")] for row in ROWS}
    return {row: texts[0] for row, texts in found.items() if texts}


def main() -> None:
    """Run what is asked for, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("systems", nargs="*", help="only these systems")
    parser.add_argument("--write", action="store_true", help="also into docs/systems.md")
    asked = parser.parse_args()
    made: dict[Row, str] = {}
    for row in ROWS:
        if not asked.systems or row.system in asked.systems:
            with tempfile.TemporaryDirectory() as folder:
                made[row] = line(row, run(row, Path(folder)))
            print(made[row], flush=True)
            if asked.write:
                head, _, rest = PAGE.read_text().partition(BEGIN)
                PAGE.write_text(f"{head}{BEGIN}\n{table(known() | made)}\n{END}{rest.partition(END)[2]}")


if __name__ == "__main__":
    main()
