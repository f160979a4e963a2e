"""MovieLens 1M: ratings of movies by people who joined MovieLens in 2000."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from sixfold._core.errors import DataError
from sixfold._core.table import Array, Table, column
from sixfold._core.times import SECOND
from sixfold.data.source import by_arrival
from sixfold.datasets.files import DataFile, Publication, differences, numbers, read_file, texts

__all__ = ["FILES", "ORIGINAL_RATINGS", "PUBLICATION", "MovieLens"]

PUBLICATION = Publication(
    name="MovieLens 1M",
    publisher="GroupLens Research, University of Minnesota; Harper and Konstan, The MovieLens Datasets, ACM TiiS 2015",
    licence="research use only, no redistribution; see the README of the data set",
    doi="10.1145/2827872",
    download="https://files.grouplens.org/datasets/movielens/ml-1m.zip",
)

FILES = (
    DataFile(
        "ratings.parquet",
        ("user_id", "movie_id", "rating", "timestamp"),
        1_000_209,
        "965a62344d56a91c316f662a7d4f27d1500a0743522fe60ef7a1bc0f2382a9ba",
    ),
    DataFile(
        "movies.dat",
        ("movie_id", "title", "genres"),
        3_883,
        "0140fc2356357c1a851d0f52e893a1e4d3696df632c4141cea8d5bc3d621f0b9",
        text=("title", "genres"),
    ),
    DataFile(
        "users.dat",
        ("user_id", "gender", "age", "occupation", "zip"),
        6_040,
        "1dc3a95300cb19f7c10e027daf29b8cdf1d908dab65b5edfb45950aa389a10a3",
        text=("gender", "age", "occupation", "zip"),
    ),
)
ORIGINAL_RATINGS = DataFile("ratings.dat", ("user_id", "movie_id", "rating", "timestamp"), 1_000_209)
"""The publisher's own file of ratings, in which every rating has a time."""

_LOVED = 4


@dataclass(frozen=True, slots=True)
class MovieLens:
    """A folder of MovieLens 1M as the streams `user_meta`, `movie_meta`, `shown` and `rating`.

    Ratings without a time are left out, and with them the people who have no other. What we assume, since the files
    do not say: a rated movie was on screen when it was rated, and the rating is known one second later, so that no
    rating is visible to the impressions of its own second (many share one). Movies are known from the first rating of
    all, people from their own first. Raises DataError if a file is missing, damaged or not complete;
    `whole=False` takes samples in the same layout.
    """

    folder: Path
    whole: bool = True

    @property
    def name(self) -> str:
        """`movielens-1m`."""
        return "movielens-1m"

    @property
    def utc_offset_s(self) -> int:
        """Times are UTC, and nothing says where people live."""
        return 0

    @property
    def files(self) -> tuple[DataFile, ...]:
        """The files that are read: the publisher's own ratings if they are there."""
        original = (self.folder / ORIGINAL_RATINGS.name).is_file()
        return (ORIGINAL_RATINGS if original else FILES[0], *FILES[1:])

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the figures should know about this copy; empty for the copy known to be good."""
        return differences(self.folder, self.files) if self.whole else ("a sample, not the whole data set",)

    def chunks(self) -> Iterator[Mapping[str, Table]]:
        """The events in order of arrival, 50,000 at a time."""
        ratings, movies, users = (read_file(self.folder, file, PUBLICATION, whole=self.whole) for file in self.files)
        ratings = ratings.filter(ratings["timestamp"].is_valid())
        if not ratings.num_rows:
            raise DataError(f"{self.folder / self.files[0].name} has no rating with a time")
        at = numbers(ratings, "timestamp", int) * SECOND
        user, movie = numbers(ratings, "user_id", int), numbers(ratings, "movie_id", int)
        rating = numbers(ratings, "rating", float)
        keys = {"user": user, "movie": movie}
        n = len(at)
        nothing = {"tab": column([None] * n, str), "position": np.full(n, -1), "decision": column([None] * n, str)}
        ids = column([f"rating-{u}-{m}" for u, m in zip(user.tolist(), movie.tolist(), strict=True)], str)
        yield from by_arrival(
            {
                "user_meta": _user_meta(users, user, at),
                "movie_meta": _movie_meta(movies, int(at.min())),
                "shown": _stream(ids, at, {**keys, **nothing}),
                "rating": _stream(ids, at + SECOND, {**keys, "rating": rating, "loved": rating >= _LOVED}),
            }
        )


def _stream(ids: Array, at: Array, columns: Mapping[str, Array]) -> Table:
    return Table({"id": ids, "at": at, "arrived": at, **columns})


def _user_meta(raw: pa.Table, rated_by: Array, rated_at: Array) -> Table:
    user = numbers(raw, "user_id", int)
    first = np.full(int(max(user.max(initial=0), rated_by.max())) + 1, np.iinfo(np.int64).max)
    np.minimum.at(first, rated_by, rated_at)
    active = first[user] < np.iinfo(np.int64).max
    columns = {"user": user, **{name: texts(raw, name) for name in ("gender", "age", "occupation")}}
    return _stream(column([f"user-{key}" for key in user.tolist()], str), first[user], columns).take(active)


def _movie_meta(raw: pa.Table, start: int) -> Table:
    movie, title, genres = numbers(raw, "movie_id", int), texts(raw, "title"), texts(raw, "genres")
    years = [re.search(r"\((\d{4})\)\s*$", text) for text in title.tolist()]
    columns = {
        "movie": movie,
        "title": title,
        "genre": column([text.split("|")[0] for text in genres.tolist()], str),
        "genres": genres,
        "year": column([float(found[1]) if found else None for found in years], float),
    }
    return _stream(column([f"movie-{key}" for key in movie.tolist()], str), np.full(len(movie), start), columns)
