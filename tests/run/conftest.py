"""One tiny finished run, shared by the tests that only look at it."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Sixfold = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def sixfold() -> Sixfold:
    """Run the command line as a user does, in a process of its own."""

    def call(*words: str, home: Path | None = None) -> "subprocess.CompletedProcess[str]":
        line = [sys.executable, "-m", "sixfold", *words, *(("--home", str(home)) if home else ())]
        return subprocess.run(line, capture_output=True, text=True, timeout=600, check=False)

    return call


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, sixfold: Sixfold) -> tuple[Path, str]:
    """The home of `sixfold run video --data shorts-tiny`, and what it printed."""
    home = tmp_path_factory.mktemp("finished")
    done = sixfold("run", "video", "--data", "shorts-tiny", home=home)
    assert done.returncode == 0, done.stdout + done.stderr
    return home, done.stdout


@pytest.fixture
def home(finished: tuple[Path, str], tmp_path: Path) -> Path:
    """A copy of the finished home that a test may break."""
    return Path(shutil.copytree(finished[0], tmp_path / "home"))
