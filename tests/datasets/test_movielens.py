"""MovieLens 1M as events."""

from pathlib import Path

import numpy as np
import pytest

from sixfold._core.errors import DataError
from sixfold._core.table import Table
from sixfold._core.times import SECOND
from sixfold.datasets.movielens import FILES, MovieLens
from sixfold.testing.samples import write_movielens

STREAMS = ("user_meta", "movie_meta", "shown", "rating")


def read(source: MovieLens) -> dict[str, Table]:
    chunks = list(source.chunks())
    return {name: Table.concat([chunk[name] for chunk in chunks if name in chunk]) for name in STREAMS}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_movielens(tmp_path)
    return tmp_path


def test_only_rows_with_times_and_the_people_they_are_about(folder: Path) -> None:
    streams = read(MovieLens(folder, whole=False))
    assert set(streams["rating"]["user"].tolist()) == set(streams["user_meta"]["user"].tolist()) == set(range(1, 16))
    assert len(streams["movie_meta"]) == 40
    row = streams["movie_meta"].take(streams["movie_meta"]["movie"] == 7).row(0)
    assert (row["title"], row["genre"], row["genres"], row["year"]) == (
        "Movie, the 7th é (1957)",
        "Drama",
        "Drama|Comedy",
        1957.0,
    )


def test_no_rating_is_visible_in_its_own_second(folder: Path) -> None:
    streams = read(MovieLens(folder, whole=False))
    shown, rating = streams["shown"], streams["rating"]
    begun = dict(zip(shown["id"].tolist(), shown["at"].tolist(), strict=True))
    assert all(
        at == begun[text] + SECOND for text, at in zip(rating["id"].tolist(), rating["at"].tolist(), strict=True)
    )
    assert len(np.unique(shown["at"])) < len(shown)
    assert (rating["loved"] == (rating["rating"] >= 4)).all()


def test_people_are_known_before_their_first_rating(folder: Path) -> None:
    streams = read(MovieLens(folder, whole=False))
    for row in streams["user_meta"].rows():
        assert row["at"] == streams["shown"]["at"][streams["shown"]["user"] == row["user"]].min()
    assert (streams["movie_meta"]["at"] == streams["shown"]["at"].min()).all()


def test_the_layout_of_the_publisher_has_all_times(tmp_path: Path) -> None:
    write_movielens(tmp_path, original=True)
    streams = read(MovieLens(tmp_path, whole=False))
    assert len(streams["user_meta"]) == 30
    assert len(streams["rating"]) == 600


def test_cut_files_are_named(folder: Path) -> None:
    movies = folder / "movies.dat"
    movies.write_text(movies.read_text("latin-1")[:-30], "latin-1")
    with pytest.raises(DataError, match=r"movies.dat cannot be read \(line 40 has 2 fields instead of 3\)"):
        next(MovieLens(folder, whole=False).chunks())
    with pytest.raises(DataError, match=r"ratings.parquet has 600 rows; expected 1,000,209"):
        next(MovieLens(folder).chunks())


def test_the_real_ratings(data_home: Path) -> None:
    if not (data_home / "movielens-1m").is_dir():
        pytest.skip("no movielens-1m among the real data")
    source = MovieLens(data_home / "movielens-1m")
    assert (source.notes, len(FILES)) == ((), 3)
    streams = read(source)
    sizes = {name: len(table) for name, table in streams.items()}
    assert sizes == {"user_meta": 2_999, "movie_meta": 3_883, "shown": 487_650, "rating": 487_650}
