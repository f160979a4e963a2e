"""A two-tower retriever: users and items as vectors in one space, learnt from what followed what."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sixfold._core.errors import DefinitionError, InputError, ModelError
from sixfold._core.hashing import derive_seed
from sixfold._core.table import Array, Table
from sixfold.models.catalogue import Catalogue, checked
from sixfold.models.contract import Interactions, Progress, silent
from sixfold.models.encoding import Encoder
from sixfold.models.index import EXACT_BELOW, Index, build_index, load_index
from sixfold.models.storage import read_model, write_model
from sixfold.models.two_tower_network import (
    Attributes,
    Examples,
    Schedule,
    Shape,
    build,
    item_table,
    to_onnx,
    train,
)

__all__ = ["FittedTwoTower", "TwoTower", "load"]


@dataclass(frozen=True, slots=True)
class TwoTower:
    """Learns from each consumption which item follows a history, against the other items of the batch.

    `history` is how many consumed items are looked at; `categorical` names the numeric attributes whose values are
    only names, such as an author's number. `logq` corrects the softmax for popular items being drawn as negatives more
    often: without it the scores lack popularity. At most the `max_events` newest consumptions take part, in `steps`
    batches but each at most `passes` times, so that training takes its time whatever the size of the log.
    """

    name: str = "two_tower"
    dim: int = 64
    hidden: int = 128
    history: int = 50
    categorical: tuple[str, ...] = ()
    steps: int = 2_900
    passes: int = 5
    batch: int = 1_024
    learning_rate: float = 0.006
    temperature: float = 0.07
    logq: bool = True
    max_events: int = 1_000_000
    exact_below: int = EXACT_BELOW

    def __post_init__(self) -> None:
        sizes = {"dim", "hidden", "history", "steps", "passes", "batch", "learning_rate", "temperature", "max_events"}
        if bad := sorted(name for name in sizes if getattr(self, name) <= 0):
            raise DefinitionError([f"{self.name!r}: {name} must be above 0" for name in bad])

    def fit(self, data: Interactions, *, seed: int, progress: Progress = silent) -> "FittedTwoTower":
        """Train in one thread of torch; the same data, config and seed give the same bytes."""
        catalogue, rows = checked(data)
        attributes = self._attributes(data.catalog)
        examples = self._examples(data, rows)
        shape = Shape(len(catalogue), self.dim, self.hidden, self.history)
        batch = min(self.batch, len(examples.items))
        steps = min(self.steps, self.passes * len(examples.items) // batch)
        schedule = Schedule(steps, batch, self.learning_rate, self.logq)
        with _one_thread():
            network = build(shape, attributes, self.temperature, seed=derive_seed(seed, "weights"))
            train(network, examples, schedule, seed=derive_seed(seed, "order"), progress=progress)
            table = item_table(network, np.bincount(examples.items, minlength=len(catalogue)) > 0)
            graph = to_onnx(network, shape)
        progress("building the index", 1.0)
        index = build_index(_unit(table), seed=derive_seed(seed, "index"), exact_below=self.exact_below)
        return FittedTwoTower(catalogue, table, graph, self.history, index)

    def _attributes(self, catalog: Table) -> Attributes:
        """The attribute columns as the item tower takes them; rare categories share the code 0 with missing ones."""
        columns = catalog.select(name for name in catalog.names if name != "item")
        encoder = Encoder.fit(columns, categorical=self.categorical, min_count=3)
        numbers = encoder.numbers(columns).astype(np.float64)
        numbers = np.sign(numbers) * np.log1p(np.abs(numbers))
        known = np.isfinite(numbers)
        n_known = np.maximum(known.sum(axis=0), 1)
        centred = np.where(known, numbers - np.where(known, numbers, 0).sum(axis=0) / n_known, 0.0)
        spread = np.sqrt((centred**2).sum(axis=0) / n_known)
        numbers = centred / np.where(spread > 1e-9, spread, 1.0)
        return Attributes(numbers.astype(np.float32), encoder.codes(columns), encoder.sizes)

    def _examples(self, data: Interactions, rows: Array) -> Examples:
        kept = np.flatnonzero((rows >= 0) & (data.events["weight"] > 0))
        newest = np.sort(np.argsort(data.events["at"][kept], kind="stable")[-self.max_events :])
        kept = kept[newest]
        weights = data.events["weight"][kept]
        return Examples(data.histories, kept, rows[kept], (weights / weights.mean()).astype(np.float32))


class FittedTwoTower:
    """Serves the towers from arrays and an ONNX graph, without torch."""

    kind = "two_tower"

    def __init__(self, catalogue: Catalogue, table: Array, graph: bytes, history: int, index: Index) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the library's errors share no narrower class
            raise ModelError(f"user.onnx is not a graph that can be served: {error}") from error
        self._catalogue, self._graph, self._history, self._index = catalogue, graph, history, index
        # The last row stands for padding and unknown items: row -1 finds it.
        self._table = np.concatenate([table, np.zeros((1, table.shape[1]), np.float32)])
        self._vectors = _unit(table)

    @property
    def items(self) -> Array:
        """The keys that can be retrieved, (n_items,)."""
        return self._catalogue.keys

    @property
    def vectors(self) -> Array:
        """The item vectors of length 1 that users are compared with, (n_items, dim) float32."""
        return self._vectors

    def scores(self, histories: Array) -> Array:
        """Scores of all items for each history (n, length) of item keys: (n, n_items) float32.

        One history at a time, as `retrieve` does it: matrix products over many would differ in the last bits.
        """
        if histories.ndim != 2:
            raise InputError(f"expected histories of shape (n, length), found {histories.shape}")
        out = np.empty((len(histories), len(self.items)), np.float32)
        for row, history in enumerate(histories):
            np.matmul(self._vectors, self.user(history), out=out[row])
        return out

    def retrieve(self, history: Array, k: int) -> tuple[Array, Array]:
        """The best k items for one history (length,): keys and float32 scores, best first, ties by catalogue order.

        From `exact_below` items on the best are found approximately, and their scores are exact.
        """
        rows, scores = self._index.search(self.user(history), k)
        return self.items[rows], scores

    def user(self, history: Array) -> Array:
        """The vector of somebody with this history (length,) of item keys: (dim,) float32."""
        rows = np.full(self._history, -1, np.int64)
        if length := min(self._history, len(history)):
            rows[-length:] = self._catalogue.rows(history[-length:])
        known = rows >= 0
        vector: Array = self._session.run(None, {"consumed": self._table[rows][None], "known": known[None]})[0][0]
        return vector

    def save(self, folder: Path) -> None:
        """Write model.json, arrays.npz, user.onnx and, where there is one, the index into an existing empty folder."""
        arrays = {"items": self.items, "table": self._table[:-1]}
        write_model(folder, self.kind, {"history": self._history}, arrays)
        (folder / "user.onnx").write_bytes(self._graph)
        self._index.save(folder)


def load(folder: Path) -> FittedTwoTower:
    """The saved model; raises ModelError if the folder holds another or a damaged one."""
    settings, arrays = read_model(folder, FittedTwoTower.kind)
    try:
        graph = (folder / "user.onnx").read_bytes()
        table = arrays["table"]
        catalogue, index = Catalogue(arrays["items"]), load_index(folder, _unit(table))
        return FittedTwoTower(catalogue, table, graph, int(settings["history"]), index)
    except (KeyError, OSError) as error:
        raise ModelError(f"the model in {folder} lacks a part: {error}") from error


def _unit(table: Array) -> Array:
    """The rows at length 1; rows of zeros stay."""
    length = np.linalg.norm(table, axis=1, keepdims=True)
    return np.asarray(table / np.where(length > 0, length, 1), np.float32)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Sums in one order, whatever the machine: torch with a single thread inside, as before outside."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
