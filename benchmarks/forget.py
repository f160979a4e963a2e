"""How long it takes to forget somebody in a home of half a million events, beside reading and writing its log once.

`python -m benchmarks.forget [--data shorts]` needs half a minute; every ratio is taken within the one run.
"""

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from sixfold._core.times import system_clock
from sixfold.data.privacy import KEY
from sixfold.run.certificate import verify
from sixfold.run.forget import forget
from sixfold.run.home import Home, open_home
from sixfold.run.ingest import ingest
from sixfold.run.serve import state_at, take_snapshot
from sixfold.system import System, load_system
from sixfold.worlds.shorts import SHORTS, Shorts


def seconds(run: Callable[[], object]) -> float:
    """How long `run` takes."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def subjects(home: Home) -> dict[str, str]:
    """A user with few events, the one with the most, and the item with the most."""
    with home.log() as log:
        shown = log.read(0, log.end()[0], ["shown"])["shown"]
    users, items = np.bincount(shown["user"]), np.bincount(shown["video"])
    few = int(np.flatnonzero(users == np.min(users[users > 0]))[0])
    return {
        f"user, {users[few]} impressions": f"user:{few}",
        f"user, {users.max()} impressions": f"user:{users.argmax()}",
        f"item, {items.max()} impressions": f"video:{items.argmax()}",
    }


def measure(original: Home, system: System, subject: str, root: Path) -> tuple[float, float]:
    """Seconds to forget a subject in a copy of a home, and to confirm the certificate."""
    folder = root / original.folder.name
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(original.folder, folder)
    home = Home(folder, original.system, original.source)
    began = time.perf_counter()
    made = forget(home, system, subject, clock=system_clock)
    took = time.perf_counter() - began
    checked = seconds(lambda: verify(home, system, Path(made.file), at=system_clock()))
    return took, checked


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="shorts", choices=list(SHORTS))
    data = parser.parse_args().data
    os.environ.setdefault(KEY, "a key for this benchmark only")
    system = load_system("video")
    with tempfile.TemporaryDirectory() as folder:
        home = open_home(Path(folder) / "one", "video", data)
        written = seconds(lambda: ingest(home, system, Shorts(SHORTS[data])))
        with home.log() as log:
            end = log.end()[0]
            read = seconds(lambda: log.read(0, end))
            take_snapshot(home, state_at(home, system, log, end))
        size = sum(path.stat().st_size for path in home.folder.rglob("*") if path.is_file())
        print(f"{end:,} events, {size / 1e6:.0f} MB; written in {written:.2f} s, read in {read:.2f} s")
        print(f"{'subject':<28}{'forget s':>10}{'× write':>9}{'confirm s':>11}{'× write':>9}")
        for what, subject in subjects(home).items():
            took, checked = measure(home, system, subject, Path(folder) / "two")
            print(f"{what:<28}{took:>10.2f}{took / written:>9.2f}{checked:>11.2f}{checked / written:>9.2f}")


if __name__ == "__main__":
    main()
