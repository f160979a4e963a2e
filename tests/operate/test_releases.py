"""Releases are what they contain, are refused when damaged, and move as facts in the log."""

from pathlib import Path

import pytest

from sixfold._core.errors import InputError, ReleaseError
from sixfold.engines.memory.log import MemoryLog
from sixfold.operate.releases import build_release, champion, moves, open_release, promote, rollback


@pytest.fixture
def content(tmp_path: Path) -> Path:
    folder = tmp_path / "content"
    (folder / "models" / "ranker").mkdir(parents=True)
    (folder / "models" / "ranker" / "model.json").write_text('{"kind": "none"}')
    (folder / "fallback.json").write_text("[1, 2]")
    return folder


def test_the_same_content_is_the_same_release(tmp_path: Path, content: Path) -> None:
    first = build_release(tmp_path / "releases", content, {"system": "a"})
    again = build_release(tmp_path / "releases", content, {"system": "a"})
    other = build_release(tmp_path / "releases", content, {"system": "b"})
    assert first.id == again.id != other.id
    assert first.models == ("ranker",)
    assert not list((tmp_path / "releases").glob(".building-*"))


@pytest.mark.parametrize("damage", ["change", "lose", "manifest", "forge"])
def test_a_damaged_release_is_refused_with_what_to_do(tmp_path: Path, content: Path, damage: str) -> None:
    release = build_release(tmp_path / "releases", content, {})
    model = release.folder / "models" / "ranker" / "model.json"
    manifest = release.folder / "manifest.json"
    if damage == "change":
        model.write_text('{"kind": "evil"}')
    elif damage == "lose":
        model.unlink()
    elif damage == "manifest":
        manifest.write_text("{")
    else:
        manifest.write_text(manifest.read_text().replace('"about":{}', '"about":{"system":"other"}'))
    with pytest.raises(ReleaseError, match="roll back to another release"):
        open_release(tmp_path / "releases", release.id)


def test_an_unknown_release_names_those_there_are(tmp_path: Path, content: Path) -> None:
    release = build_release(tmp_path / "releases", content, {})
    with pytest.raises(ReleaseError, match=release.id):
        open_release(tmp_path / "releases", "0123456789abcdef")
    with pytest.raises(InputError, match="letters and digits"):
        open_release(tmp_path / "releases", "../content")
    with pytest.raises(ReleaseError, match="no model 'two_tower'; it has ranker"):
        release.model("two_tower")


def test_moves_are_facts_and_rolling_back_twice_goes_back_twice() -> None:
    log = MemoryLog()
    assert champion(log) is None
    for step, name in enumerate(["aa", "bb", "cc"]):
        promote(log, name, "better", now=step)
    assert champion(log) == "cc"
    assert rollback(log, "worse", now=10).release == "bb"
    assert rollback(log, "worse still", now=11).release == "aa"
    assert champion(log) == "aa"
    with pytest.raises(ReleaseError, match="only aa has served"):
        rollback(log, "nothing left", now=12)
    promote(log, "dd", "new", now=13)
    assert rollback(log, "bad", now=14).release == "aa"
    assert [move.action for move in moves(log)] == ["promote"] * 3 + ["rollback"] * 2 + ["promote", "rollback"]
