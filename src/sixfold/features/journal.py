"""What a durable store is told besides events, so that a process which comes back goes on where the last one stopped.

That is the numbers of keys and values, and the rows seen by each group, both of which only grow. Each commit appends
what is new since the last: a frame of its length (4 bytes) and its content.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from sixfold._core.hashing import fingerprint
from sixfold.features.grouping import Schema
from sixfold.features.reading import Reader
from sixfold.features.store import Durable, Shape, Store

__all__ = ["Journal"]

_FORMAT = 1
_RAW = {int: np.dtype("<i8"), float: np.dtype("<f8"), bool: np.dtype(np.bool_)}

# By space the new values, by group the rows newly seen; numbers as bytes, text as it is.
_Frame = tuple[dict[str, list[str] | bytes], dict[str, bytes]]

_decoder = msgspec.msgpack.Decoder(_Frame)


class Journal:
    """Keeps a store in step with the numbers and the rows seen; does nothing if the store is not durable."""

    def __init__(self, features: str, schema: Schema, readers: Sequence[Reader], store: Store) -> None:
        self._spaces, self._readers = schema.spaces, readers
        self._shapes: Mapping[str, Shape] = schema.shapes()
        shapes = [[name, repr(shape)] for name, shape in self._shapes.items()]
        self._version = fingerprint(features, shapes, list(schema.spaces), _FORMAT)
        self._store = store if isinstance(store, Durable) else None
        self._start_anew()

    def _start_anew(self) -> None:
        self._n_values = dict.fromkeys(self._spaces, 0)
        self._n_seen = {reader.group.name: 0 for reader in self._readers}

    def resume(self) -> Mapping[str, int] | None:
        """Take over what the store holds and return its clock; None if the store has to be opened empty."""
        held = None if self._store is None else self._store.resume(self._version, self._shapes)
        if held is None:
            return None
        values: dict[str, list[Any]] = {name: [] for name in self._spaces}
        seen: dict[str, list[bytes]] = {reader.group.name: [] for reader in self._readers}
        for spaces, rows in _frames(held.ledger):
            for name, new in spaces.items():
                values[name] += (
                    np.frombuffer(new, _RAW[self._spaces[name].kind]).tolist() if isinstance(new, bytes) else new
                )
            for name, more in rows.items():
                seen[name].append(more)
        for name, space in self._spaces.items():
            space.restore(values[name])
        for reader in self._readers:
            reader.rows.seen = np.frombuffer(b"".join(seen[reader.group.name]), "<i8").astype(np.int64)
        self._note_all()
        return held.clock

    def commit(self, clock: Mapping[str, int]) -> None:
        """Make what was folded durable, up to this clock."""
        if self._store is None:
            return
        spaces: dict[str, list[str] | bytes] = {}
        for name, space in self._spaces.items():
            if len(space) - 1 > self._n_values[name]:
                new = space.values[1 + self._n_values[name] :]
                spaces[name] = new.tolist() if space.kind is str else new.astype(_RAW[space.kind]).tobytes()
        rows = {r.group.name: r.rows.seen[self._n_seen[r.group.name] :].astype("<i8").tobytes() for r in self._readers}
        rows = {name: more for name, more in rows.items() if more}
        frame = msgspec.msgpack.encode((spaces, rows)) if spaces or rows else b""
        self._store.commit(clock, len(frame).to_bytes(4, "little") + frame if frame else b"")
        self._note_all()

    def _note_all(self) -> None:
        self._n_values = {name: len(space) - 1 for name, space in self._spaces.items()}
        self._n_seen = {reader.group.name: reader.rows.n_seen for reader in self._readers}


def _frames(ledger: bytes) -> Iterator[_Frame]:
    start = 0
    while start < len(ledger):
        end = start + 4 + int.from_bytes(ledger[start : start + 4], "little")
        yield _decoder.decode(ledger[start + 4 : end])
        start = end
