"""`sixfold new` writes a system that works at once, and a data set to replace."""

import subprocess
import sys
from pathlib import Path

import pytest

from sixfold._core.errors import InputError
from sixfold.run.starter import likenesses, start
from sixfold.system import load_system

LIKE = sorted(likenesses())


@pytest.mark.parametrize("like", LIKE)
def test_the_file_is_a_commented_system_of_that_name(like: str, tmp_path: Path) -> None:
    made = start("mine", like, tmp_path)
    system = load_system(made.file)
    assert (system.name, system.data) == ("mine", "mine-data")
    assert set(made.events) >= ({system.spine.name} | {label.outcome.name for label in system.labels}) - {"calendar"}
    text = Path(made.file).read_text()
    for said in (
        "# Who and what",
        "# 1. Facts",
        "# 2. What came of",
        "# 1. The problem",
        "# 3. What the model",
        "# 4.-6.",
    ):
        assert said in text
    shipped = load_system(like)
    assert system.features.fingerprint == shipped.features.fingerprint


def test_nothing_is_overwritten_and_names_are_checked(tmp_path: Path) -> None:
    start("mine", "video", tmp_path)
    for name, like, said in (
        ("mine", "video", "is there already"),
        ("Mine!", "video", "cannot be called"),
        ("video", "video", "cannot be called"),
        ("other", "nothing", "nothing like 'nothing' to start from"),
    ):
        with pytest.raises(InputError, match=said):
            start(name, like, tmp_path)
    assert not (tmp_path / "other.py").exists()


@pytest.mark.slow
@pytest.mark.parametrize("like", LIKE)
def test_what_was_started_runs_at_once(like: str, tmp_path: Path) -> None:
    for words in (["new", "mine", "--like", like], ["run", "mine"], ["audit"]):
        line = [sys.executable, "-m", "sixfold", *words]
        done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    assert "0 differ" in done.stdout
