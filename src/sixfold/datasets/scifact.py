"""SciFact: scientific claims, and the abstracts that support or contradict them; a test collection for retrieval."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from scipy import sparse

from sixfold._core.errors import DataError
from sixfold._core.hashing import derive_seed
from sixfold._core.table import Array, Table, column
from sixfold._core.times import DAY, SECOND, instant
from sixfold.data.source import by_arrival
from sixfold.datasets.files import DataFile, Publication, differences

__all__ = ["FILES", "PUBLICATION", "SciFact"]

PUBLICATION = Publication(
    name="SciFact",
    publisher="Allen Institute for AI; Wadden et al., Fact or Fiction: Verifying Scientific Claims, EMNLP 2020",
    licence="claims CC BY 4.0, abstracts (S2ORC) ODC-By 1.0",
    doi="10.18653/v1/2020.emnlp-main.609",
    download="https://github.com/allenai/scifact; the test queries and judgements: BEIR (Thakur et al., NeurIPS 2021)",
)

FILES = (
    DataFile(
        "corpus.parquet",
        ("doc_id", "title", "abstract", "structured"),
        5_183,
        "5c119570579b54f4b672b6417ff219f4228bd900970d52263d8170ea660ee9c1",
    ),
    DataFile(
        "claims_train.csv",
        ("id", "claim", "cited_doc_ids"),
        1_261,
        "e700ebf087eb3f64eca99e983ab6bc08ae66c9ae06c3073ce514ee8c08fdeab0",
    ),
    DataFile(
        "queries.beir.test.tsv", ("id", "text"), 300, "d7c7e6451a8ea46e3b02c30be57ecbf79d3e3a0bbb7fe04d0d74858a53431feb"
    ),
    DataFile(
        "qrels.beir.test.tsv",
        ("query-id", "corpus-id", "score"),
        339,
        "68c0ac63f1c24b9e8ce497649694f09b2d0850bab7ec2b103cc66996f5f8b3a3",
    ),
)

_FIRST = instant("2020-10-01T00:00:00Z")
_A_DAY = 30
"""How many claims are looked up on a day, from one in the afternoon on: training claims on 27 days, then test claims
on 10 more."""
_EVERY = 20 * 60 * SECOND

_WORD = re.compile(r"\w\w+")


@dataclass(frozen=True, slots=True)
class SciFact:
    """A folder of SciFact as the streams `doc_meta`, `shown` and `judged`: claims are searched for, and judged.

    The abstracts, the claims and which documents are relevant to which claim are the publisher's. **The times and the
    impressions are ours**, since claims have none:

    - Thirty claims are looked up on a day, twenty minutes apart: first the 805 different training claims in an order
      drawn once, then the 300 queries of BEIR's test set (which are the 300 validation claims of the publisher). Two
      training claims that stand among those word for word are left out.
    - What was `shown` for a claim is what a plain engine of words finds, the first `shown` documents by the cosine of
      word counts weighed by rarity; and all documents that were judged, also those that it does not find, since else
      nobody could have judged them. So a document in the log that words do not find is always a relevant one.
    - `judged` says a minute later which documents are relevant: the cited ones, as in BEIR. What is not judged counts
      as not relevant, as in BEIR. Judgements of a day arrive together, a minute before midnight.

    All documents are known from the start. Raises DataError if a file is missing, damaged or not complete;
    `whole=False` takes samples in the same layout.
    """

    folder: Path
    whole: bool = True
    shown: int = 30

    @property
    def name(self) -> str:
        """`scifact`."""
        return "scifact"

    @property
    def utc_offset_s(self) -> int:
        """The days are ours, in UTC."""
        return 0

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the figures should know about this copy; empty for the copy known to be good."""
        return differences(self.folder, FILES) if self.whole else ("a sample, not the whole data set",)

    def chunks(self) -> Iterator[Mapping[str, Table]]:
        """The events in order of arrival, 50,000 at a time."""
        corpus = self._read(FILES[0])
        documents = column(corpus["doc_id"].cast(pa.int64()).to_numpy(), int)
        titles = corpus["title"].to_pylist()
        bodies = [" ".join(sentence.strip() for sentence in some) for some in corpus["abstract"].to_pylist()]
        test = self._test_claims()
        held_out = {claim for claim, _ in test}
        train = [known for known in self._training_claims() if known[0] not in held_out]
        order = np.random.default_rng(derive_seed(0, "order of claims")).permutation(len(train))
        claims = [*(train[i] for i in order.tolist()), *test]
        first_test_day = -(-len(train) // _A_DAY)
        days = [*(i // _A_DAY for i in range(len(train))), *(first_test_day + i // _A_DAY for i in range(len(test)))]
        places = [*(i % _A_DAY for i in range(len(train))), *(i % _A_DAY for i in range(len(test)))]
        at = _FIRST + 13 * 3600 * SECOND + np.array(days, np.int64) * DAY + np.array(places, np.int64) * _EVERY
        found = _Words([f"{title} {body}" for title, body in zip(titles, bodies, strict=True)])
        kinds = ["structured" if flag else "plain" for flag in corpus["structured"].to_pylist()]
        meta = {"doc": documents, "title": column(titles, str), "text": column(bodies, str)}
        ids = column([f"doc-{key}" for key in documents.tolist()], str)
        start = np.full(len(documents), _FIRST)
        yield from by_arrival({
            "doc_meta": Table({"id": ids, "at": start, "arrived": start, **meta, "kind": column(kinds, str)}),
            **_searches(claims, at, documents, found, self.shown),
        })  # fmt: skip

    def _training_claims(self) -> list[tuple[str, list[int]]]:
        table = self._read(FILES[1])
        cited: dict[str, list[int]] = {}
        for claim, ids in zip(table["claim"].to_pylist(), table["cited_doc_ids"].to_pylist(), strict=True):
            cited.setdefault(claim, []).extend(int(key) for key in re.findall(r"\d+", str(ids)))
        return [(claim, sorted(set(keys))) for claim, keys in cited.items()]

    def _test_claims(self) -> list[tuple[str, list[int]]]:
        queries, judgements = self._read(FILES[2]), self._read(FILES[3])
        relevant: dict[str, list[int]] = {}
        columns = (judgements[name].to_pylist() for name in FILES[3].columns)
        for query, document, score in zip(*columns, strict=True):
            if int(score) > 0:
                relevant.setdefault(str(query), []).append(int(document))
        pairs = zip(queries["id"].to_pylist(), queries["text"].to_pylist(), strict=True)
        return [(text, sorted(relevant.get(str(query), []))) for query, text in pairs]

    def _read(self, file: DataFile) -> pa.Table:
        path = self.folder / file.name
        try:
            table = _READERS[path.suffix](path, file)
            if lost := [name for name in file.columns if name not in table.column_names]:
                raise ValueError(f"lacks the columns {', '.join(lost)}")
            if self.whole and table.num_rows != file.rows:
                raise ValueError(f"has {table.num_rows:,} rows, expected {file.rows:,}")
        except (pa.ArrowException, OSError, ValueError) as error:
            raise DataError(
                f"{path} cannot be used: {error}",
                hint=f"get {PUBLICATION.name} from {PUBLICATION.download} ({PUBLICATION.licence})",
            ) from error
        return table


def _read_tsv(path: Path, file: DataFile) -> pa.Table:
    """Tabs between fields, no quotes; with the names of the columns in the first line, or without."""
    lines = path.read_text("utf-8").splitlines()
    rows = [line.split("\t") for line in lines if line and line.split("\t") != list(file.columns)]
    if any(len(row) != len(file.columns) for row in rows):
        raise ValueError(f"lines do not have {len(file.columns)} fields")
    return pa.table({name: [row[i] for row in rows] for i, name in enumerate(file.columns)})


def _read_csv(path: Path, file: DataFile) -> pa.Table:
    options = pa.csv.ConvertOptions(column_types={name: pa.string() for name in file.columns})
    return pa.csv.read_csv(path, parse_options=pa.csv.ParseOptions(newlines_in_values=True), convert_options=options)


_READERS: Mapping[str, Any] = {
    ".parquet": lambda path, file: pa.parquet.read_table(path, columns=list(file.columns)),
    ".csv": _read_csv,
    ".tsv": _read_tsv,
}


class _Words:
    """The plain engine that the impressions come from: cosine of word counts weighed by rarity."""

    def __init__(self, texts: list[str]) -> None:
        words = [_WORD.findall(text.lower()) for text in texts]
        self._number = {word: i for i, word in enumerate(sorted(set(chain.from_iterable(words))))}
        counts = self._counts(words)
        present = np.bincount(counts.indices, minlength=len(self._number))
        self._rarity = np.log(len(texts) / np.maximum(present, 1))
        self._documents = self._unit(counts)

    def first(self, text: str, n: int) -> Array:
        """The rows of the n most similar documents, best first."""
        query = self._unit(self._counts([_WORD.findall(text.lower())]))
        scores = np.asarray((self._documents @ query.T).todense()).ravel()
        return np.argsort(-scores, kind="stable")[:n]

    def _counts(self, words: list[list[str]]) -> Any:
        known = [[self._number[word] for word in some if word in self._number] for some in words]
        ends = np.cumsum([0, *map(len, known)])
        columns = np.fromiter(chain.from_iterable(known), np.int64, ends[-1])
        out = sparse.csr_matrix((np.ones(len(columns)), columns, ends), shape=(len(words), len(self._number)))
        out.sum_duplicates()
        return out

    def _unit(self, counts: Any) -> Any:
        weighed = counts.multiply(self._rarity[None]).tocsr()
        length = np.sqrt(np.asarray(weighed.multiply(weighed).sum(axis=1)).ravel())
        return sparse.diags(1 / np.maximum(length, 1e-12)) @ weighed


def _searches(
    claims: list[tuple[str, list[int]]], at: Array, documents: Array, engine: _Words, n_shown: int
) -> dict[str, Table]:
    """What was shown for each claim, and a minute later what was judged relevant."""
    shown: list[tuple[str, int, str, int, int]] = []
    judged: list[tuple[str, int, str, int]] = []
    for i, (claim, relevant) in enumerate(claims):
        listed = documents[engine.first(claim, n_shown)].tolist()
        listed += [key for key in relevant if key not in set(listed)]
        moment = int(at[i])
        shown += [(f"{i}-{place}", moment, claim, key, place) for place, key in enumerate(listed)]
        judged += [(f"{i}-{key}", moment + 60 * SECOND - 1, claim, key) for key in relevant]
    ids, when, queries, keys, places = (list(part) for part in zip(*shown, strict=True))
    shown_at = np.array(when, np.int64)
    tables = {
        "shown": Table({
            "id": column(ids, str), "at": shown_at, "arrived": shown_at, "query": column(queries, str),
            "doc": column(keys, int), "position": column(places, int), "decision": column([None] * len(ids), str),
        })
    }  # fmt: skip
    if judged:
        ids, when, queries, keys = (list(part) for part in zip(*judged, strict=True))
        judged_at = np.array(when, np.int64)
        tables["judged"] = Table({
            "id": column(ids, str), "at": judged_at, "arrived": judged_at // DAY * DAY + DAY - 60 * SECOND,
            "query": column(queries, str), "doc": column(keys, int), "relevant": np.ones(len(ids), np.bool_),
        })  # fmt: skip
    return tables
