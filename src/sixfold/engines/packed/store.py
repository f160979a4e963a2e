"""Online state as packed bytes in a place that outlives the process: what is common to files and servers."""

from collections.abc import Callable, Mapping, Sequence
from itertools import repeat
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
import numpy as np

from sixfold._core.arrays import load_arrays, save_arrays
from sixfold._core.errors import DataError, ServiceError
from sixfold._core.table import Array
from sixfold.engines.packed.bodies import Bodies
from sixfold.engines.packed.newest import PackedNewest
from sixfold.engines.packed.tiles import PackedTiles
from sixfold.features.store import Held, Shape, Tiles, Usage

__all__ = ["PackedStore"]

_OVERHEAD_BYTES = 150  # of a row in the cache, beside its bytes


class _Head(msgspec.Struct, frozen=True):
    """What is held in place of the clock: the caller's, and for each group the highest row ever written."""

    clock: dict[str, int]
    tops: dict[str, int]


class PackedStore:
    """Implements `sixfold.features.Store`, `Durable` and `Distant` over `bodies`.

    Folds change rows in memory until `commit` writes them, all or none. Rows that were read are kept, up to about
    `cache_bytes` of them; then the cache starts anew. `release` gives back what the bodies hold; calling it twice is
    fine.
    """

    def __init__(self, bodies: Bodies, *, cache_bytes: int, release: Callable[[], None]) -> None:
        self._bodies, self._cache_bytes, self._release = bodies, cache_bytes, release
        self._groups: dict[str, PackedTiles | PackedNewest] = {}
        self._known: dict[str, dict[int, bytes]] = {}
        self._changed: dict[str, set[int]] = {}
        self._tops: dict[str, int] = {}
        self._n_bytes = 0
        self._is_unsure = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the file or the connections; what was not committed is lost."""
        self._release()

    def resume(self, version: str, shapes: Mapping[str, Shape]) -> Held | None:
        """What was last committed; see the protocol."""
        self._begin(shapes)
        held = self._bodies.resume(version, tuple(shapes))
        if held is None:
            return None
        head = msgspec.json.decode(held[0], type=_Head)
        self._tops.update(head.tops)
        return Held(head.clock, held[1])

    def open(self, shapes: Mapping[str, Shape]) -> None:
        """Start empty, with these groups."""
        self._begin(shapes)
        self._bodies.clear(tuple(shapes))

    def _begin(self, shapes: Mapping[str, Shape]) -> None:
        self._groups = {n: PackedTiles(s) if isinstance(s, Tiles) else PackedNewest(s) for n, s in shapes.items()}
        self._known = {name: {0: b""} for name in shapes}
        self._changed = {name: set() for name in shapes}
        self._tops = dict.fromkeys(shapes, 0)
        self._n_bytes, self._is_unsure = 0, False

    def fold(
        self, group: str, rows: Array, *, order: Array, lanes: Array, keep_from: int, replace: bool = False
    ) -> None:
        """Merge events into their rows; see the protocol."""
        if len(rows) == 0:
            return
        owner = np.unique(rows)
        wanted = owner.tolist()
        new = (rows, order, lanes)
        try:
            bodies = self._get(group, wanted)
            folded = self._groups[group].folded(owner, bodies, new, keep_from=keep_from, replace=replace)
        except BaseException:
            self._is_unsure = self._is_unsure or any(self._changed.values())
            raise
        self._keep(group, wanted, folded)
        self._changed[group].update(wanted)
        self._tops[group] = max(self._tops[group], wanted[-1])

    def commit(self, clock: Mapping[str, int], ledger: bytes) -> None:
        """Make what was folded durable; see the protocol."""
        self._check()
        changes = {name: {row: self._known[name][row] for row in rows} for name, rows in self._changed.items() if rows}
        self._is_unsure = True
        head = msgspec.json.encode(_Head(dict(clock), self._tops)).decode()
        self._bodies.commit(changes, head, ledger)
        self._is_unsure = False
        for rows in self._changed.values():
            rows.clear()
        self._trim()

    def expect(self, wants: Mapping[str, Array]) -> None:
        """Fetch the rows of a request at once; see the protocol."""
        self._check()
        self._trim()
        missing = {}
        for name, rows in wants.items():
            if unknown := self._unknown(name, rows.tolist()):
                missing[name] = unknown
        self._fetch(missing)

    def read(self, group: str, rows: Array, lowest: Sequence[int]) -> Array:
        """The state of rows; see the protocol."""
        bodies = self._get(group, rows.tolist())
        return self._groups[group].read(bodies, lowest)

    def save(self, folder: Path) -> None:
        """Write all state into `state.npz` of an existing folder."""
        self._check()
        arrays = {}
        for group in self._groups:
            held = {row: body for row, body in self._all(group).items() if body}
            arrays[f"{group}.rows"] = np.fromiter(held, np.int64, len(held))
            arrays[f"{group}.sizes"] = np.fromiter(map(len, held.values()), np.int64, len(held))
            arrays[f"{group}.bytes"] = np.frombuffer(b"".join(held.values()), np.uint8)
        save_arrays(folder / "state.npz", arrays)

    def load(self, folder: Path) -> None:
        """Replace all state by what `save` wrote; durable with the next `commit`."""
        arrays = load_arrays(folder / "state.npz")
        self._bodies.clear(tuple(self._groups))
        for group in self._groups:
            rows, sizes, joined = (arrays[f"{group}.{part}"] for part in ("rows", "sizes", "bytes"))
            if len(rows) != len(sizes) or sizes.sum() != len(joined):
                raise DataError(f"{folder} holds {len(joined)} bytes of {group}, expected {sizes.sum()}")
            body, ends = joined.tobytes(), np.cumsum(sizes).tolist()
            bodies = [body[start:end] for start, end in zip([0, *ends], ends, strict=False)]
            self._known[group] = {0: b"", **dict(zip(rows.tolist(), bodies, strict=True))}
            self._changed[group] = set(rows.tolist())
            self._tops[group] = int(rows.max(initial=0))

    def usage(self) -> dict[str, Usage]:
        """What each group takes. Reads everything: for reports, not for the way of a request."""
        sizes = {name: [len(body) for body in self._all(name).values() if body] for name in self._groups}
        return {name: Usage(len(each), sum(each)) for name, each in sizes.items()}

    def _all(self, group: str) -> dict[int, bytes]:
        known = self._known[group]
        return dict(self._bodies.rows(group)) | {row: known[row] for row in self._changed[group]}

    def _get(self, group: str, rows: list[int]) -> list[bytes]:
        self._check()
        known = self._known[group]
        found = list(map(known.get, rows))
        if None in found:
            unknown = self._unknown(group, rows)
            if unknown:
                self._fetch({group: unknown})
            found = list(map(known.get, rows, repeat(b"")))
            if unknown:
                self._trim()
        return found  # type: ignore[return-value]

    def _unknown(self, group: str, rows: list[int]) -> list[int]:
        """Those of the rows that may be held but are not known: rows are numbered upwards, so new ones are not held."""
        known, top = self._known[group], self._tops[group]
        return [row for row in dict.fromkeys(rows) if row <= top and row not in known]

    def _fetch(self, missing: Mapping[str, list[int]]) -> None:
        if missing:
            for group, bodies in self._bodies.get(missing).items():
                self._keep(group, missing[group], [body or b"" for body in bodies])

    def _keep(self, group: str, rows: Sequence[int], bodies: Sequence[bytes]) -> None:
        self._known[group].update(zip(rows, bodies, strict=True))
        self._n_bytes += sum(map(len, bodies)) + _OVERHEAD_BYTES * len(rows)

    def _trim(self) -> None:
        if self._n_bytes <= self._cache_bytes:
            return
        self._n_bytes = 0
        for group, known in self._known.items():
            changed = [row for row in self._changed[group] if row]
            kept = [known[row] for row in changed]
            self._known[group] = {0: b""}
            self._keep(group, changed, kept)

    def _check(self) -> None:
        if self._is_unsure:
            raise ServiceError(
                "online state cannot be used further: writing it failed, so it may be ahead of what is held or behind",
                hint="open it again with OnlineFeatures(features, store); it goes on from what was written",
            )
