"""A world made from nothing but declarations: events of every stream that a system names, so that it can be tried."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sixfold._core.hashing import derive_seed
from sixfold._core.table import Array, Table, column
from sixfold._core.times import DAY, SECOND, duration, instant
from sixfold.data.contract import Contract
from sixfold.data.events import Events
from sixfold.data.labels import Label
from sixfold.data.source import by_arrival
from sixfold.frame import Entity

__all__ = ["DeclaredWorld"]

_END = instant("2026-03-02T00:00:00Z")
_PROSE = frozenset({"title", "text", "abstract", "body", "context", "description", "name"})
_WORDS = (
    *("amber", "basin", "cedar", "delta", "ember", "fjord", "grove", "harbor", "island", "juniper", "kernel", "lagoon"),
    *("meadow", "nectar", "orchard", "prairie", "quartz", "river", "summit", "timber", "umber", "valley", "willow"),
)
_SEEN = 0.9
"""The share of shown rows of which an outcome becomes known."""


@dataclass(frozen=True)
class DeclaredWorld:
    """Events of every one of `streams` over the last `days` days, deterministic in `seed`; true to their contracts.

    A stream about one entity that is no outcome of a label says something of every key, once, at the start. The `spine`
    has `rows` events at any time; of what is not its first key, some are much more frequent. Outcomes of `labels`
    follow the spine within their time where they have its keys, and happen at any time where not; they are known late
    where labels take days to mature. What they say depends on the keys, so that there is something to learn. Text
    fields called title, text and the like hold some words, others a category.
    """

    streams: tuple[Events, ...]
    labels: tuple[Label, ...]
    spine: str
    days: int
    contracts: tuple[Contract, ...] = ()
    rows: int = 3_000
    subjects: int = 60
    others: int = 240
    seed: int = 0
    name: str = "declared"

    @property
    def utc_offset_s(self) -> int:
        """The world lives in UTC."""
        return 0

    def chunks(self) -> Iterator[Mapping[str, Table]]:
        """The events in order of arrival."""
        yield from by_arrival(self._events)

    @cached_property
    def _events(self) -> dict[str, Table]:
        out: dict[str, Table] = {}
        ordered = sorted(self.streams, key=lambda stream: (not self._is_about(stream), stream.name != self.spine))
        for stream in ordered:
            rng = np.random.default_rng(derive_seed(self.seed, stream.name))
            out[stream.name] = self._true(stream, self._stream(stream, out.get(self.spine), rng))
        return out

    def _stream(self, stream: Events, spine: Table | None, rng: np.random.Generator) -> Table:
        if self._is_about(stream):
            keys = {stream.keys[0].name: self._population(stream.keys[0])}
            at = np.full(self._size(stream.keys[0]), _END - self.days * DAY)
        elif spine is not None and self._follows(stream, spine):
            rows = np.flatnonzero(rng.random(len(spine)) < _SEEN)
            keys = {key.name: spine[key.name][rows] for key in stream.keys}
            at = spine["at"][rows] + rng.integers(0, self._within(stream), len(rows))
        else:
            keys = {key.name: self._drawn(key, rng) for key in stream.keys}
            at = np.sort(rng.integers(_END - self.days * DAY, _END, self.rows))
        return self._table(stream, keys, at, rng)

    def _late(self, stream: Events) -> int:
        """How long after it happened an outcome is known: where labels take days to mature, all of that."""
        return sum(sorted(label.maturity for label in self._outcome_of(stream) if label.maturity >= DAY)[:1])

    def _table(self, stream: Events, keys: Mapping[str, Array], at: Array, rng: np.random.Generator) -> Table:
        n = len(at)
        liking = self._liking(stream, keys)
        fields = {name: _values(name, kind, liking, rng) for name, kind in stream.fields.items()}
        ids = column([f"{stream.name}-{i}" for i in range(n)], str)
        return Table({"id": ids, "at": at, "arrived": at + self._late(stream), **keys, **fields})

    def _is_about(self, stream: Events) -> bool:
        return len(stream.keys) == 1 and stream.name != self.spine and not self._outcome_of(stream)

    def _outcome_of(self, stream: Events) -> list[Label]:
        return [label for label in self.labels if label.outcome == stream]

    def _follows(self, stream: Events, spine: Table) -> bool:
        return bool(self._outcome_of(stream)) and all(key.name in spine for key in stream.keys)

    def _within(self, stream: Events) -> int:
        shortest = min(duration(label.within) for label in self._outcome_of(stream))
        return max(min(shortest, 10 * 60 * SECOND) - 1, 1)

    def _population(self, entity: Entity) -> Array:
        """Every key there is: whole numbers, or a few words that no other key has."""
        if entity.key is int:
            return np.arange(self._size(entity))
        rng = np.random.default_rng(derive_seed(self.seed, "population", entity.name))
        return column([f"{_phrase(rng, 3)} {i}" for i in range(self._size(entity))], str)

    def _size(self, entity: Entity) -> int:
        return self.subjects if entity == self._subject else self.others

    @property
    def _subject(self) -> Entity:
        """Whom the spine is about first, or whom all is about where the spine is no stream."""
        spine = next((stream for stream in self.streams if stream.name == self.spine), self.streams[0])
        return spine.keys[0]

    def _drawn(self, entity: Entity, rng: np.random.Generator) -> Array:
        size = self._size(entity)
        frequency = np.ones(size) if entity == self._subject else 1.0 / (10 + np.arange(size))
        return self._population(entity)[rng.choice(size, self.rows, p=frequency / frequency.sum())]

    def _liking(self, stream: Events, keys: Mapping[str, Array]) -> Array:
        """What the keys of a row have to do with its values, (n_rows,) in 0..1."""
        total = np.zeros(len(next(iter(keys.values()))))
        for entity in stream.keys:
            rng = np.random.default_rng(derive_seed(self.seed, "liking", entity.name))
            place = {key: i for i, key in enumerate(self._population(entity).tolist())}
            rows = np.array([place[key] for key in keys[entity.name].tolist()], np.int64)
            total += rng.normal(size=len(place))[rows]
        return np.asarray(1 / (1 + np.exp(-1.5 * total)))

    def _true(self, stream: Events, table: Table) -> Table:
        """The rows that no contract refuses."""
        good = np.ones(len(table), np.bool_)
        for contract in self.contracts:
            if contract.stream == stream:
                for broken in contract.broken(table).values():
                    good &= ~broken
        return table.take(good)


def _values(name: str, kind: type, liking: Array, rng: np.random.Generator) -> Array:
    """Values of one field, (n_rows,): missing now and then where the type can be."""
    n = len(liking)
    if kind is bool:
        return rng.random(n) < 0.1 + 0.6 * liking
    if kind is int:
        return rng.integers(0, 10, n)
    if kind is float:
        return np.where(rng.random(n) < 0.03, np.nan, np.exp(liking) - 1 + 0.2 * rng.random(n))
    if name in _PROSE:
        return column([_phrase(rng, 8) for _ in range(n)], str)
    if name == "decision":
        return column([None] * n, str)
    return column([None if u < 0.03 else _WORDS[int(8 * u)] for u in rng.random(n).tolist()], str)


def _phrase(rng: np.random.Generator, n: int) -> str:
    chosen: Sequence[int] = rng.choice(len(_WORDS), n, replace=False).tolist()
    return " ".join(_WORDS[i] for i in chosen)
