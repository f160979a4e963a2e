"""The pass over the spine: where each row's windows begin and end, as int64 columns in Parquet."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sixfold._core.errors import FeatureError
from sixfold._core.table import Array, Table
from sixfold.data.retraction import NEVER
from sixfold.engines.relational.encoding import Masked, Sink
from sixfold.engines.relational.events import ORIGIN, EventWriter
from sixfold.engines.relational.layout import key_column
from sixfold.features.columns import request_column
from sixfold.features.windows import Cut

__all__ = ["QuestionWriter", "step_of"]


class QuestionWriter:
    """Writes the rows of a spine, chunk after chunk, and keeps `at` and the request fields for the end.

    A row has an `id` from 0, the end of what it sees (`stop`) and its keys. For maxima over a cut `c` it has the lowest
    tile `low_c`, the offset `from_c` at which the cut begins on the clock, and the range from there to `stop` as the
    end of one block and the start of the next of 2**level_c offsets, of which `next_c` is the second.

    `asks` has a file for each pass: the `question` id * `step_of(cuts)` is about `stop`, those after it about where
    each cut begins, `place`; with the cut's `hop` and lowest tile `low`. If there are retractions, `since` is the
    instant at which a cut begins, and the end of all time for the question about `stop`.
    """

    def __init__(self, events: EventWriter, folder: Path) -> None:
        self.sink = Sink(folder / "spine.parquet")
        self.sizes: list[int] = []
        self.levels: dict[Cut, set[int]] = {cut: set() for cut in events.layout.maxima}
        self.asks = {cuts: Sink(folder / f"asks_{i}.parquet") for i, cuts in enumerate(events.layout.asks)}
        self._events, self._folder = events, folder

    def write(self, spine: Table) -> None:
        """Add a chunk; raises FeatureError if it lacks a column or a request field has another type."""
        layout = self._events.layout
        entities = layout.plan.features.entities
        needed = ["at", "offset", *(entity.name for entity in entities)]
        if lacking := [name for name in needed if name not in spine]:
            raise FeatureError(f"the spine lacks the columns {lacking}", hint="give each needed entity, `at`, `offset`")
        self._keep(spine)
        stop = spine["offset"].astype(np.int64)
        start = self.sink.rows
        out: dict[str, Array | Masked] = {"id": np.arange(start, start + len(spine)), "stop": stop}
        for entity in entities:
            out[key_column(entity)] = self._events.texts.keys(spine[entity.name], entity.key, grow=False)
        for cut, name in layout.maxima.items():
            low, begin = self._begin(cut, spine["at"], stop)
            level = _highest_bit(begin ^ stop)
            self.levels[cut].update(np.unique(level[begin < stop]).tolist())
            if self._events.retractions.rows:
                out[f"since_{name}"] = (low - ORIGIN) * np.int64(cut.hop or 0)
            out |= {f"low_{name}": low, f"from_{name}": begin, f"next_{name}": stop >> np.maximum(level, 0)}
            out[f"level_{name}"] = np.where(begin < stop, level, -1)
        if len(spine):
            self.sink.write(out)
            for cuts, entities_asked in layout.asks.items():
                keys = {name: out[name] for name in entities_asked}
                self._ask(cuts, np.arange(start, start + len(spine)), spine["at"], stop, keys)
        self.sizes.append(len(spine))

    def _begin(self, cut: Cut, at: Array, stop: Array) -> tuple[Array, Array]:
        low = cut.lowest(at)
        return low + ORIGIN, np.minimum(self._events.clock.first_offset(low, cut.hop), stop)

    def _ask(self, cuts: tuple[Cut, ...], rows: Array, at: Array, stop: Array, keys: dict[str, Array | Masked]) -> None:
        windows = [cut for cut in cuts if cut.hop is not None]
        question, common = rows * step_of(cuts), {"id": rows, "stop": stop, **keys}
        nothing = np.zeros(len(rows), np.int64)
        with_since = self._events.retractions.rows > 0
        last = {"since": np.full(len(rows), NEVER)} if with_since else {}
        self.asks[cuts].write(common | {"question": question, "place": stop, "hop": nothing, "low": nothing} | last)
        for i, cut in enumerate(windows, 1):
            low, begin = self._begin(cut, at, stop)
            hop = np.full(len(rows), cut.hop)
            since = {"since": (low - ORIGIN) * hop} if with_since else {}
            self.asks[cuts].write(common | {"question": question + i, "place": begin, "hop": hop, "low": low} | since)

    def _keep(self, spine: Table) -> None:
        columns = {
            f.name: request_column(f, spine.get(f.name), len(spine)) for f, _ in self._events.layout.plan.requests
        }
        _save(self._place(len(self.sizes)), {"at": spine["at"], **{f"request {k}": v for k, v in columns.items()}})

    def _place(self, chunk: int) -> Path:
        return self._folder / f"kept_{chunk}.parquet"

    def kept(self, chunk: int) -> tuple[Array, dict[str, Array]]:
        """`at` and the request columns of a chunk."""
        columns = _load(self._place(chunk))
        return columns.pop("at"), {name.removeprefix("request "): values for name, values in columns.items()}

    def close(self) -> None:
        """Finish the files."""
        for sink in (self.sink, *self.asks.values()):
            sink.close()


def step_of(cuts: Sequence[Cut]) -> int:
    """How many questions a pass has for each row; never 1, so that its last bit tells the first of two."""
    return max(1 + sum(cut.hop is not None for cut in cuts), 2)


def _highest_bit(values: Array) -> Array:
    """The place of the highest bit that is set, -1 for 0.

    >>> _highest_bit(np.array([0, 1, 6, 2**53 - 1, 2**62])).tolist()
    [-1, 0, 2, 52, 62]
    """
    high = values >> 32
    top = np.frexp(high.astype(np.float64))[1] - 1 + 32
    return np.where(high > 0, top, np.frexp((values & 0xFFFFFFFF).astype(np.float64))[1] - 1)


def _save(path: Path, columns: dict[str, Array]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrays = {name: pa.array(v, pa.string() if v.dtype == object else None) for name, v in columns.items()}
    pq.write_table(pa.table(arrays), path)


def _load(path: Path) -> dict[str, Array]:
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    return {name: table[name].to_numpy(zero_copy_only=False) for name in table.column_names}
