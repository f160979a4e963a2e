"""SQuAD 2.0 development set: questions about paragraphs of Wikipedia, half of them without an answer there."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sixfold._core.table import Array, Table, column
from sixfold._core.times import DAY, SECOND, instant
from sixfold.data.source import by_arrival
from sixfold.datasets.files import DataFile, Publication, differences, read_file

__all__ = ["FILES", "PUBLICATION", "VALIDATE", "Squad"]

PUBLICATION = Publication(
    name="SQuAD 2.0 development set",
    publisher="Stanford; Rajpurkar, Jia and Liang, Know What You Don't Know, ACL 2018",
    licence="CC BY-SA 4.0",
    doi="10.18653/v1/P18-2124",
    download="https://rajpurkar.github.io/SQuAD-explorer",
)

FILES = (
    DataFile(
        "paragraphs.parquet",
        ("paragraph_id", "title", "context"),
        1_216,
        "966957d802661c4577191f74098983dbae9c825438396a8a0e4a2c9f8c86230c",
        text=("title", "context"),
    ),
    DataFile(
        "questions_v2_dev16.parquet",
        ("id", "paragraph_id", "title", "question", "answers"),
        6_078,
        "e2ffb6b0356d8871e9fae317950162d79f8a5d0423e639680fcd8de3eb8080f5",
        text=("id", "title", "question", "answers"),
        lists=("answers",),
    ),
    DataFile(
        "questions_v2_test20_no_answers.parquet",
        ("id", "paragraph_id", "title", "question"),
        5_915,
        "d17b6e9e5d6fcb294f212093014c59f0707b403452098e07f9397c469b0f0f64",
        text=("id", "title", "question"),
    ),
    DataFile(
        "squad_v1_1_dev_questions_answers.parquet",
        ("question", "answers"),
        10_570,
        "ea9cd2ccf6ebcf316f68b2518276801a1b62345b33a216305c7d87a54b7ce3c8",
        text=("question", "answers"),
        lists=("answers",),
    ),
)

VALIDATE = ("Normans", "Computational_complexity_theory", "Huguenot", "Steam_engine")
"""The articles that thresholds are learnt on: the first four of the file."""

_UNKNOWN = "Miscellaneous"
"""Questions of this group are in no published set: whether they have an answer is not known."""

_START = instant("2018-06-11T00:00:00")
_OPENING = 13 * 3_600 * SECOND
_STEP = 60 * SECOND


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question about a paragraph, and what people accept as its answer; () for none there."""

    id: str
    question: str
    paragraph: int
    answers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Squad:
    """A folder of SQuAD's development set as the streams `passage_meta`, `asked` and `answer`.

    **Times are made up**: nothing says when a question was asked. All paragraphs are there from the start; then the
    questions of one article are asked on one day, a minute apart, and answered half a minute later. First come the
    articles whose answers were withheld from this release (to learn from), then `VALIDATE`, then the twelve others
    (the test): no article is in two parts. Withheld answers come from SQuAD 1.1 by the text of the question, and
    questions that are not in it have none: in SQuAD 2.0 exactly those were added.

    Somebody who asks about a paragraph has `pool` paragraphs before them, which is what `asked` lists: those that share
    the rarest words with the question, as a plain search finds them, its own always among them. `answer` says of the
    question's own paragraph what is accepted: an event each, one with nothing accepted if there is no answer in it.
    Raises DataError if a file is missing, damaged or not complete; `whole=False` takes samples in the same layout.
    """

    folder: Path
    whole: bool = True
    pool: int = 6

    @property
    def name(self) -> str:
        """`squad-dev`."""
        return "squad-dev"

    @property
    def utc_offset_s(self) -> int:
        """The times are made up, in UTC."""
        return 0

    @property
    def files(self) -> tuple[DataFile, ...]:
        """The files that are read."""
        return FILES

    @property
    def notes(self) -> tuple[str, ...]:
        """What is unusual about this copy; empty for the copy known to be good."""
        return differences(self.folder, self.files) if self.whole else ("a sample, not the whole data set",)

    def chunks(self) -> Iterator[Mapping[str, Table]]:
        """The paragraphs, then the questions in order of their made-up time."""
        raw, *questions = (read_file(self.folder, file, PUBLICATION, whole=self.whole).to_pylist() for file in FILES)
        titles = [row["title"].replace("_", " ") for row in raw]
        texts = [row["context"] for row in raw]
        keys = np.array([row["paragraph_id"] for row in raw], np.int64)
        meta = {"passage": keys, "title": column(titles, str), "text": column(texts, str)}
        pools = _Pools(dict(zip(keys.tolist(), texts, strict=True)))
        asked, answers = _Rows(), _Rows()
        for day, article in enumerate(_articles(*questions), 1):
            for i, question in enumerate(article):
                at = _START + day * DAY + _OPENING + i * _STEP
                for position, passage in enumerate(pools.of(question, self.pool)):
                    mine = {"question": question.question, "passage": passage, "position": position, "decision": None}
                    asked.add(f"{question.id}-{passage}", at, mine)
                for j, text in enumerate(question.answers or (None,)):
                    mine = {"question": question.question, "passage": question.paragraph, "accepted": text}
                    answers.add(f"{question.id}-{j}", at + _STEP // 2, {**mine, "found": text is not None})
        known = _stream(column([f"passage-{key}" for key in keys.tolist()], str), np.full(len(keys), _START), meta)
        streams = {
            "passage_meta": known,
            "asked": asked.table({"position": int, "passage": int}),
            "answer": answers.table({"passage": int, "found": bool}),
        }
        yield from by_arrival(streams)


class _Rows:
    """Events in the making."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.at: list[int] = []
        self.rows: list[dict[str, Any]] = []

    def add(self, id_: str, at: int, row: dict[str, Any]) -> None:
        self.ids.append(id_)
        self.at.append(at)
        self.rows.append(row)

    def table(self, kinds: Mapping[str, type]) -> Table:
        """The events; columns are text unless `kinds` says otherwise."""
        names = self.rows[0] if self.rows else ()
        columns = {name: column([row[name] for row in self.rows], kinds.get(name, str)) for name in names}
        return _stream(column(self.ids, str), np.array(self.at, np.int64), columns)


class _Pools:
    """All paragraphs by the words they have."""

    def __init__(self, paragraphs: Mapping[int, str]) -> None:
        words = [_words(text) for text in paragraphs.values()]
        self._keys = np.array(list(paragraphs), np.int64)
        self._row = {word: i for i, word in enumerate(sorted(set().union(*words)))}
        self._has = np.zeros((len(self._row), len(words)), np.bool_)
        for column_, some in enumerate(words):
            self._has[[self._row[word] for word in some], column_] = True
        self._worth = np.log(len(words) / self._has.sum(axis=1))

    def of(self, question: _Asked, n: int) -> list[int]:
        """The paragraphs with the rarest words of the question, most of them first; its own is the last at worst."""
        rows = [self._row[word] for word in sorted(_words(question.question)) if word in self._row]
        shared = self._worth[rows] @ self._has[rows]
        best: list[int] = self._keys[np.argsort(-shared, kind="stable")[:n]].tolist()
        return best if question.paragraph in best else [*best[: n - 1], question.paragraph]


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


def _articles(
    open_: Sequence[Mapping[str, Any]], withheld: Sequence[Mapping[str, Any]], published: Sequence[Mapping[str, Any]]
) -> list[list[_Asked]]:
    """The questions by article, in the order of their days; a question asked twice in an article counts once."""
    answers: dict[str, list[str]] = {}
    for row in published:
        answers.setdefault(row["question"], []).extend(row["answers"])
    found: dict[str, dict[str, _Asked]] = {}
    for row in withheld:
        if row["title"] != _UNKNOWN:
            known = tuple(dict.fromkeys(answers.get(row["question"], ())))
            _put(found, row, known)
    late: dict[str, dict[str, _Asked]] = {}
    for row in open_:
        _put(found if row["title"] in VALIDATE else late, row, tuple(dict.fromkeys(row["answers"])))
    return [list(article.values()) for article in (*found.values(), *late.values())]


def _put(articles: dict[str, dict[str, _Asked]], row: Mapping[str, Any], answers: tuple[str, ...]) -> None:
    asked = _Asked(row["id"], row["question"].strip(), row["paragraph_id"], answers)
    articles.setdefault(row["title"], {}).setdefault(asked.question, asked)


def _stream(ids: Array, at: Array, columns: Mapping[str, Array]) -> Table:
    return Table({"id": ids, "at": at, "arrived": at, **columns})
