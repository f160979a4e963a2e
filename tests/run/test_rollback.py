"""Rolling back fails before any effect when the release to go back to cannot serve."""

from pathlib import Path

import pytest

from sixfold._core.errors import ReleaseError
from sixfold.operate.releases import build_release, champion, moves, promote
from sixfold.run.home import open_home
from sixfold.run.release import roll_back


def test_a_damaged_release_is_not_gone_back_to(tmp_path: Path) -> None:
    home = open_home(tmp_path / "home", "video", "shorts-tiny")
    content = tmp_path / "content"
    content.mkdir()
    (content / "fallback.json").write_text("[1]")
    first, second = (build_release(home.releases, content, {"seed": seed}) for seed in (1, 2))
    with home.log() as log:
        for now, made in enumerate((first, second)):
            promote(log, made.id, "better", now=now)
    whole = (first.folder / "fallback.json").read_bytes()
    (first.folder / "fallback.json").write_text("[2]")
    with pytest.raises(ReleaseError, match="damaged"):
        roll_back(home, "worse")
    with home.log() as log:
        assert champion(log) == second.id
        assert len(moves(log)) == 2
    (first.folder / "fallback.json").write_bytes(whole)
    assert roll_back(home, "worse").release == first.id
