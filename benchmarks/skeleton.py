"""The whole skeleton on real logs: `python -m benchmarks.skeleton [--data kuairand-pure] [--home FOLDER]`.

Each phase runs as its own `sixfold` command, so that its peak memory is its own; then one server process, pinned to one
core, answers decisions over loopback at concurrency 8, and served decisions are audited.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.service import load
from sixfold.run.home import current_home
from sixfold.run.live import running_service

REQUESTS = 2_000
PHASES = ("ingest", "train", "evaluate", "release")


@dataclass(frozen=True, slots=True)
class Phase:
    """One command: wall seconds, peak resident memory in GB, and what it wrote with --json."""

    seconds: float
    peak_gb: float
    result: Any


def command(*words: str, home: Path, folder: Path) -> Phase:
    """Run `sixfold WORDS --home HOME --json …`; stops the benchmark if it fails."""
    out = folder / f"{words[0]}.json"
    began = time.perf_counter()
    line = [sys.executable, "-m", "sixfold", *words, "--home", str(home), "--json", str(out)]
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"sixfold {' '.join(words)} failed")
    return Phase(time.perf_counter() - began, usage.ru_maxrss / 1e6, json.loads(out.read_text()))


def serve_and_load(home: Path) -> dict[str, float]:
    """Decisions at concurrency 8 for random known users, the server pinned to one core, this client to the others."""
    place = current_home(home)
    with place.log() as log:
        users = log.read(0, log.end()[0], ["shown"])["shown"]["user"]
    chosen = np.random.default_rng(0).choice(users, REQUESTS + 100).tolist()
    cores = psutil.Process().cpu_affinity() or [0]
    with running_service(place, home) as url:
        server = psutil.Process(json.loads((place.folder / "service.json").read_text())["pid"])
        server.cpu_affinity(cores[:1])
        psutil.Process().cpu_affinity(cores[1:] or cores)
        found = load(url, lambda i: {"user": chosen[i], "n": 20, "context": {"tab": "1"}}, count=REQUESTS)
        peak = server.memory_info().rss / 1e9
    psutil.Process().cpu_affinity(cores)
    return {**asdict(found), "server_gb": peak}


def main() -> None:
    """Run everything and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--system", default="video")
    parser.add_argument("--data", default="kuairand-pure")
    parser.add_argument("--home", type=Path, help="use and keep this folder; by default a fresh one that goes")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        home = options.home or folder / "home"
        done = {"ingest": command("ingest", options.system, "--data", options.data, home=home, folder=folder)}
        done |= {name: command(name, home=home, folder=folder) for name in PHASES[1:]}
        served = serve_and_load(home)
        done["audit"] = command("audit", "--last", "1000", home=home, folder=folder)
    report(done, served)


def report(done: dict[str, Phase], served: dict[str, float]) -> None:
    """The figures beside their bars."""
    ingested, trained = done["ingest"].result, done["train"].result
    seconds = trained["seconds"]
    impressions = sum(trained["impressions"].values())
    audited = sum(row["compared"] for row in done["audit"].result["features"])
    wrong = sum(row["missing"] + row["extra"] + row["mismatching"] for row in done["audit"].result["features"])
    rows = [
        ("decide p50", f"{served['p50_ms']:.1f} ms", ""),
        ("decide p99, concurrency 8, one server process on one core", f"{served['p99_ms']:.1f} ms", "≤ 25 ms"),
        ("decisions a second", f"{served['per_second']:.0f}", "≥ 150"),
        ("failed requests", f"{served['failed']:.0f} of {served['requests']:.0f}", "0"),
        ("ingest, checked and durable", f"{ingested['accepted'] / ingested['seconds']:,.0f} events/s", "≥ 20,000"),
        (
            "point-in-time features, with reading the log",
            f"{impressions / seconds['point-in-time features']:,.0f} rows/s",
            "",
        ),
        ("training, all models", f"{sum(seconds.values()) - seconds['point-in-time features']:.0f} s", ""),
        ("served values audited", f"{audited:,}, {wrong} differ", "0 differ"),
        *((f"peak memory of {name}", f"{phase.peak_gb:.2f} GB", "< 2 GB") for name, phase in done.items()),
        ("memory of the server under load", f"{served['server_gb']:.2f} GB", "< 2 GB"),
    ]
    width = max(len(name) for name, _, _ in rows)
    print(f"{'':{width}}  measured              bar")
    for name, figure, bar in rows:
        print(f"{name:{width}}  {figure:20}  {bar}")


if __name__ == "__main__":
    main()
