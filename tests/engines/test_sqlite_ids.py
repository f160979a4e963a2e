"""The index of event ids against a dictionary."""

import struct

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sixfold.engines.sqlite.ids import IdIndex, Run, digests

# Few high halves, so that different hashes collide in the half that is searched; all zeros stand for a forgotten id.
hashes = st.tuples(st.integers(0, 3), st.integers(1, 5)).map(lambda pair: struct.pack("<QQ", *pair))


@given(st.lists(st.lists(hashes, unique=True, min_size=1, max_size=8), max_size=6), st.lists(hashes, max_size=10))
def test_runs_find_what_a_dictionary_finds(parts: list[list[bytes]], wanted: list[bytes]) -> None:
    known: dict[bytes, int] = {}
    runs = []
    for part in parts:
        new = [digest for digest in part if digest not in known]
        offsets = np.arange(len(known), len(known) + len(new))
        known.update(zip(new, offsets.tolist(), strict=True))
        if new:
            runs.append(Run.of(b"".join(new), offsets))
    half = len(runs) // 2
    index = IdIndex()
    sealed = [Run.merge(runs[:half])] if half else []
    index.restart(("file",), sealed, 0)
    for run in runs[half:]:
        joined = np.ascontiguousarray(run.columns[:2].T).tobytes()
        index.add(
            [joined[i : i + 16] for i in range(0, len(joined), 16)], run.columns[2].astype(np.int64), end=len(known)
        )
    assert index.find(wanted).tolist() == [known.get(digest, -1) for digest in wanted]


def test_many_events_spill_into_runs() -> None:
    index = IdIndex()
    for start in range(0, 300_000, 50_000):
        index.add(digests("s", (str(i) for i in range(start, start + 50_000))), np.arange(start, start + 50_000), end=0)
    asked = digests("s", [str(i) for i in range(299_990, 300_010)])
    assert index.find(asked).tolist() == [*range(299_990, 300_000), *[-1] * 10]


def test_streams_do_not_share_ids() -> None:
    assert digests("a", ["x"]) != digests("b", ["x"])
    assert digests("ab", ["c"]) != digests("a", ["bc"])
