"""Decisions of the search system at 100,000 documents: `python -m benchmarks.search [documents] [queries]`.

Queries are real, of the TREC Million Query track. Documents are made up: five sentences of SciFact's abstracts each,
drawn with `random` (so words are as frequent as in real abstracts, and matches as many). To encode that many would
take a quarter of an hour, so a made-up document has the mean of its sentences' vectors; queries are encoded for real.
The ranker is trained on made-up judgements: that costs a decision what a real one does. One process, one thread, one
request at a time; the time is that of `decide`, with the answer and its record as the log keeps them.
"""

import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow.parquet

from sixfold._core.table import Array, Table, column
from sixfold._core.times import DAY
from sixfold.datasets.files import find_folder
from sixfold.engines.memory.store import MemoryStore
from sixfold.features.online import OnlineFeatures
from sixfold.models.contract import Dataset, FittedRanker
from sixfold.models.text import Dense, FittedEncoder, FittedMatcher
from sixfold.run.serve import one_thread
from sixfold.serve import DecisionRequest, Match, Score
from sixfold.serve.bound import BoundPipeline, Content
from sixfold.systems.search import doc, kind, meaning, query, relevant, system, words

_SENTENCES = 5_000
_AT = 100 * DAY


@dataclass(frozen=True, slots=True)
class Composed:
    """The real encoder for queries; for documents made of known sentences, the mean of theirs."""

    known: dict[str, Array] = field(default_factory=dict)
    name: str = "composed"

    def open(self) -> "Encodes":
        """The encoder that ships, opened."""
        return Encodes(meaning.encoder.open(), self.known)

    def load(self, folder: Path) -> "Encodes":
        """Nothing here is saved."""
        raise NotImplementedError


class Encodes:
    """See `Composed`."""

    def __init__(self, real: FittedEncoder, known: dict[str, Array]) -> None:
        self._real, self._known = real, known

    def encode(self, texts: Sequence[str]) -> Array:
        """The vectors, of length 1."""
        if len(texts) == 1:
            return self._real.encode(texts)
        out = np.empty((len(texts), 384), np.float32)
        for row, text in enumerate(texts):
            mean = np.mean([self._known[sentence] for sentence in text.split("\n")], axis=0)
            out[row] = mean / np.linalg.norm(mean)
        return out

    def save(self, folder: Path) -> None:
        """Nothing here is saved."""
        raise NotImplementedError


def sentences() -> list[str]:
    """Some sentences of SciFact's abstracts."""
    table = pyarrow.parquet.read_table(find_folder("scifact") / "corpus.parquet", columns=["abstract"])
    found = sorted(
        {sentence.strip() for some in table["abstract"].to_pylist() for sentence in some if sentence.strip()}
    )
    return random.Random(0).sample([text for text in found if "\n" not in text], _SENTENCES)


def documents(n: int, parts: list[str]) -> Table:
    """The catalogue: the first sentence of each document is its title."""
    draw = random.Random(1)
    texts = [draw.choices(parts, k=5) for _ in range(n)]
    kinds = column([draw.choice(["structured", "plain", "plain"]) for _ in range(n)], str)
    titles, bodies = ([text[0] for text in texts], ["\n".join(text[1:]) for text in texts])
    return Table({"item": np.arange(n), "title": column(titles, str), "text": column(bodies, str), "kind": kinds})


def trained(matchers: dict[str, FittedMatcher], texts: list[str]) -> FittedRanker:
    """The system's ranker, on made-up judgements of what is found for some queries."""
    rng = np.random.default_rng(0)
    parts = []
    for text in texts:
        keys, _ = matchers[words.name].search(text, 30)
        said = {name: values for model in matchers.values() for name, values in model.evidence(text, keys).items()}
        history = {name: rng.integers(0, 3, len(keys)).astype(np.float64) for name in system.features.names}
        parts.append(Table({**history, **said}))
    rows = Table.concat(parts)
    n = len(rows)
    happened = rng.random(n) < np.nan_to_num(rows[f"{words.name}_share"] * rows[meaning.name])
    labels, weights = Table({relevant.name: happened.astype(np.float64)}), Table({relevant.name: np.ones(n)})
    spine = Table({query.name: column([""] * n, str), doc.name: np.zeros(n, np.int64)})
    data = Dataset(rows, labels, weights, spine, frozenset({relevant.name}), "made up")
    half = n // 2
    return system.ranker.fit(data.take(np.arange(half)), data.take(np.arange(half, n)), seed=0)


def bound(n: int, texts: list[str]) -> BoundPipeline:
    """The system's own pipeline over a state that knows the documents."""
    parts = sentences()
    known = dict(zip(parts, meaning.encoder.open().encode(parts), strict=True))
    catalog = documents(n, parts)
    dense = Dense(meaning.fields, encoder=Composed(known))
    joined = Table({**catalog, "text": column([f"\n{text}" for text in catalog["text"].tolist()], str)})
    began = time.perf_counter()
    matchers = {words.name: words.fit(catalog, seed=0), dense.name: dense.fit(_lines(joined), seed=0)}
    print(f"{n:,} documents indexed in {time.perf_counter() - began:.0f} s")
    features = OnlineFeatures(system.online_features, MemoryStore())
    stamps = {"offset": np.arange(n), "at": np.full(n, DAY), "arrived": np.full(n, DAY)}
    ids = column([f"doc-{i}" for i in range(n)], str)
    features.fold({"doc_meta": Table({"id": ids, **stamps, "doc": catalog["item"], **catalog.select(["kind"])})}, n)
    pipeline = replace(
        system.pipeline,
        sources=(Match(words, 100, where=kind), Match(dense, 100, where=kind)),
        budget_ms=60_000.0,  # nothing is left out, however busy the machine is
        score=Score(system.ranker, system.problem.objective, also=(words, dense)),
    )
    models = {**matchers, system.ranker_name: trained(matchers, texts[:100])}
    return pipeline.bind(Content("bench", models, system.features.names), features, task=system.problem.task)


def _lines(catalog: Table) -> Table:
    """Titles that end where the text goes on in a line of its own, so that sentences can be told apart."""
    texts = [f"{title}{text}" for title, text in zip(catalog["title"], catalog["text"], strict=True)]
    return Table({**catalog, "title": column([None] * len(texts), str), "text": column(texts, str)})


def main(n: int = 100_000, n_queries: int = 1_000) -> None:
    """Print the percentiles, without and with a filter that keeps a third."""
    table = pyarrow.parquet.read_table(find_folder("trec-million-query") / "queries.parquet", columns=["query"])
    texts = random.Random(2).sample(sorted(set(table["query"].to_pylist())), n_queries + 100)
    with one_thread():
        pipeline = bound(n, texts)
        contexts: list[dict[str, str]] = [{}, {"kind": "structured"}]
        for context in contexts:
            took, busy, stages = [], [], {}
            for i, text in enumerate(texts):
                request = DecisionRequest(f"b-{i}", text, 10, _AT, context)
                began = time.perf_counter_ns()
                burned = time.thread_time_ns()
                decision = pipeline.decide(request)
                decision.row(query)
                if i >= 100:
                    took.append((time.perf_counter_ns() - began) / 1e6)
                    busy.append((time.thread_time_ns() - burned) / 1e6)
                    for stage, spent in decision.took.items():
                        stages.setdefault(stage, []).append(spent / 1e6)
            p50, p95, p99 = np.percentile(took, [50, 95, 99])
            own = np.percentile(busy, [50, 99])
            print(f"{n:,} documents, {n_queries:,} queries, {context or 'no filter'}: "
                  f"p50 {p50:.1f} ms, p95 {p95:.1f} ms, p99 {p99:.1f} ms; "
                  f"of the processor p50 {own[0]:.1f} ms, p99 {own[1]:.1f} ms")  # fmt: skip
            print("  p50 by stage: " + ", ".join(f"{k} {np.median(v):.2f}" for k, v in stages.items()))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
