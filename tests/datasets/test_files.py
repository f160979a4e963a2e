"""Finding and checking the files of data sets."""

from pathlib import Path

import pytest

from sixfold._core.errors import DataError
from sixfold.datasets import open_source
from sixfold.datasets.files import DataFile, Publication, differences, find_folder, read_file
from sixfold.datasets.kuairand import KuaiRand
from sixfold.datasets.movielens import MovieLens
from sixfold.testing.samples import write_kuairand, write_movielens

PUBLICATION = Publication("Things", "Nobody", "CC0", "10.0/0", "https://example.org/things")


def folders(root: Path, *names: str) -> None:
    for name in names:
        (root / name).mkdir(parents=True)


def test_the_nearest_claim_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders(tmp_path, "mine", "home/things", "env/things", "up/shared/data/things", "up/project/src")
    monkeypatch.chdir(tmp_path / "up/project/src")
    environ = {"SIXFOLD_DATA": str(tmp_path / "env")}
    home = tmp_path / "home"
    assert find_folder("things", folder=tmp_path / "mine", home=home, environ=environ) == tmp_path / "mine"
    assert find_folder("things", home=home, environ=environ) == tmp_path / "home/things"
    assert find_folder("things", environ=environ) == tmp_path / "env/things"
    assert find_folder("things", environ={}) == tmp_path / "up/shared/data/things"


def test_a_wrong_home_is_an_error_and_not_a_reason_to_look_elsewhere(tmp_path: Path) -> None:
    folders(tmp_path, "env/things")
    with pytest.raises(DataError, match=r"looked for a folder at .*nowhere/things.*SIXFOLD_DATA"):
        find_folder("things", home=tmp_path / "nowhere", environ={"SIXFOLD_DATA": str(tmp_path / "env")})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a,b\n1,x\n", "lacks the columns c"),
        ("a,b,c\n1,x,2.5\n", "has 1 rows"),
        ("a,b,c\n1,x,much\n2,y,1\n", "c of type string"),
        ("a,b,c\n1,x\n", "cannot be read"),
        ("", "cannot be read"),
    ],
)
def test_a_damaged_file_says_what_was_expected_and_where_to_get_it(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "things.csv").write_text(content)
    file = DataFile("things.csv", ("a", "b", "c"), rows=2, sha256="feed", text=("b",))
    with pytest.raises(DataError) as caught:
        read_file(tmp_path, file, PUBLICATION)
    for part in (words, "things.csv", "expected 2 rows, columns a, b, c, SHA-256 feed", "https://example.org/things"):
        assert part in str(caught.value)


def test_a_line_with_too_few_fields_is_named(tmp_path: Path) -> None:
    (tmp_path / "things.dat").write_text("1::x\n2\n")
    with pytest.raises(DataError, match="line 2 has 1 fields instead of 2"):
        read_file(tmp_path, DataFile("things.dat", ("a", "b"), text=("b",)), PUBLICATION)


def test_other_bytes_are_noted(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("hello")
    good = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    assert differences(tmp_path, [DataFile("a", (), sha256=good), DataFile("a", ())]) == ()
    (note,) = differences(tmp_path, [DataFile("a", (), sha256="0" * 64)])
    assert "2cf24dba5fb0" in note


def test_a_data_set_opens_by_name_and_by_folder(tmp_path: Path) -> None:
    folders(tmp_path, "kuairand-pure", "other", "empty")
    write_kuairand(tmp_path / "kuairand-pure")
    write_movielens(tmp_path / "other")
    assert open_source("kuairand-pure", home=tmp_path) == KuaiRand(tmp_path / "kuairand-pure")
    assert open_source(str(tmp_path / "other")) == MovieLens(tmp_path / "other")
    with pytest.raises(DataError, match="neither a known data set nor a folder"):
        open_source("kuairand", home=tmp_path)
    with pytest.raises(DataError, match="holds no data set we know"):
        open_source(str(tmp_path / "empty"))
