"""Which event ids the log holds: 128-bit hashes in sorted runs, in memory for live events, in mapped files for sealed.

A B-tree over the same hashes fell from 277,000 to 90,000 appended events a second within the first 500,000 events,
since each batch of random keys rewrites as many pages; runs are written once and merged with runs of their own size.
"""

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sixfold._core.errors import LogError
from sixfold._core.hashing import file_digest
from sixfold._core.table import Array

__all__ = ["IdIndex", "Run", "digests", "load_run", "save_run"]

_RECENT = 65_536


def digests(stream: str, ids: Iterable[str]) -> list[bytes]:
    """A 16-byte name for each event id of a stream."""
    prefix = stream.encode() + b"\0"
    blake2b = hashlib.blake2b
    return [blake2b(prefix + event_id.encode(errors="surrogatepass"), digest_size=16).digest() for event_id in ids]


@dataclass(frozen=True, slots=True)
class Run:
    """Hashes in order with the offsets of their events: `columns` is (3, n_ids) uint64: high half, low half, offset."""

    columns: Array

    @classmethod
    def of(cls, joined: bytes, offsets: Array) -> "Run":
        """A run from 16-byte hashes, one after the other, in any order; zeros stand for an id that was erased."""
        high, low = np.frombuffer(joined, "<u8").reshape(-1, 2).T
        columns = np.stack([high, low, offsets.astype("<u8")])
        return cls(columns[:, (high | low) != 0]).in_order()

    @classmethod
    def merge(cls, runs: Sequence["Run"]) -> "Run":
        """One run with the hashes of all."""
        return cls(np.concatenate([run.columns for run in runs], axis=1)).in_order()

    def in_order(self) -> "Run":
        """The run sorted by its first column."""
        return Run(np.ascontiguousarray(self.columns[:, np.argsort(self.columns[0], kind="stable")]))

    def __len__(self) -> int:
        return int(self.columns.shape[1])

    def find(self, high: Array, low: Array, out: Array) -> None:
        """Write the offsets of those hashes that are here into `out`, (n,) int64."""
        at = np.searchsorted(self.columns[0], high)
        rows = np.arange(len(high))
        while len(rows):
            inside = at[rows] < len(self)
            rows = rows[inside]
            rows = rows[self.columns[0][at[rows]] == high[rows]]
            same = self.columns[1][at[rows]] == low[rows]
            out[rows[same]] = self.columns[2][at[rows[same]]].astype(np.int64)
            rows = rows[~same]
            at[rows] += 1


class IdIndex:
    """Look-up of event hashes: sealed runs (mapped files), live runs, and a dictionary of the newest."""

    def __init__(self) -> None:
        self.end = 0
        self.files: tuple[str, ...] = ()
        self._sealed: list[Run] = []
        self._live: list[Run] = []
        self._recent: dict[bytes, int] = {}

    def restart(self, files: tuple[str, ...], sealed: list[Run], end: int) -> None:
        """Forget live events; the sealed ones, all below offset `end`, are in `sealed`."""
        self.files, self._sealed, self.end = files, sealed, end
        self._live, self._recent = [], {}

    def add(self, hashes: Sequence[bytes], offsets: Array, *, end: int) -> None:
        """Take in events that the log now holds; `end` is the log's end with them."""
        self._recent.update(zip(hashes, offsets.tolist(), strict=True))
        self.end = end
        if len(self._recent) >= _RECENT:
            run = Run.of(b"".join(self._recent), np.fromiter(self._recent.values(), np.int64, len(self._recent)))
            self._recent = {}
            while self._live and len(self._live[-1]) < 2 * len(run):
                run = Run.merge([self._live.pop(), run])
            self._live.append(run)

    def offsets(self) -> Array:
        """The offsets of all events whose ids are known, in no order; (n_ids,) int64."""
        recent = [offset for digest, offset in self._recent.items() if any(digest)]
        runs = [run.columns[2].astype(np.int64) for run in self._sealed + self._live]
        return np.concatenate([np.array(recent, np.int64), *runs])

    def find(self, hashes: Sequence[bytes]) -> Array:
        """The offset of each event, or -1, (n,) int64."""
        recent = self._recent
        out = np.fromiter((recent.get(digest, -1) for digest in hashes), np.int64, len(hashes))
        if runs := self._sealed + self._live:
            high, low = np.frombuffer(b"".join(hashes), "<u8").reshape(-1, 2).T
            order = np.argsort(high)  # neighbours share pages of the mapped file
            found = out[order]
            for run in runs:
                run.find(high[order], low[order], found)
            out[order] = found
        return out


def save_run(path: Path, run: Run) -> None:
    """Write a run so that it survives a power cut once its folder is synced."""
    with path.open("xb") as file:
        np.save(file, run.columns)
        file.flush()
        os.fsync(file.fileno())


def load_run(path: Path, sha256: str) -> Run:
    """Map a run's file; raises LogError if it is missing or damaged."""
    if not path.is_file():
        raise LogError(f"the id file {path} is missing", hint="restore it from a copy of the log")
    if file_digest(path) != sha256:
        raise LogError(f"the id file {path} is damaged: its checksum differs", hint="restore it from a copy of the log")
    return Run(np.load(path, mmap_mode="r"))
