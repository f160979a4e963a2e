"""Logistic regression on hashed features: the baseline of click prediction, and no worse than it has to be."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np

from sixfold._core.errors import ModelError
from sixfold._core.table import Array, Table
from sixfold.frame import Outcome
from sixfold.models.calibration import Calibration
from sixfold.models.contract import Dataset, Progress, silent
from sixfold.models.deep_ranker import check_heads, fit_curves
from sixfold.models.storage import read_model, write_model

__all__ = ["FittedHashedRanker", "HashedRanker", "load"]

KIND = "hashed"


@dataclass(frozen=True, slots=True)
class HashedRanker:
    """A weight for every value of every feature (Weinberger et al. 2009), one linear model for each of `heads`.

    Numbers are cut at quantiles of the training rows into at most `buckets` values; text, and the numeric columns named
    in `categorical`, are values as they are; missing is a value too. "column=value" is hashed into 2**`bits` weights.
    Binary outcomes are learnt by logistic loss; amounts as logarithms by squared loss, corrected to add up on the
    validation rows. `l2` is the precision of the weights' prior: a value seen less often than about l2 / p(1 - p) times
    says little. The optimum is found by L-BFGS, so it does not depend on an order of the rows or on a rate of learning.
    """

    heads: tuple[Outcome, ...]
    categorical: tuple[str, ...] = ()
    name: str = "hashed"
    calibrate: bool = False
    bits: int = 17
    buckets: int = 20
    l2: float = 3.0
    max_steps: int = 200

    def fit(self, train: Dataset, validate: Dataset, *, seed: int, progress: Progress = silent) -> "FittedHashedRanker":
        """Learn from `train`; there is no chance in it. Raises ModelError if a head is no label or never varies."""
        heads = tuple(outcome.name for outcome in self.heads)
        check_heads(heads, train, validate)
        if not 1 <= self.bits <= 24:
            raise ModelError(f"a table of 2**{self.bits} weights is out of range: give bits from 1 to 24")
        columns = _Columns.fit(train.features, self.categorical, self.buckets)
        places = columns.places(train.features, self.bits)
        weights = np.zeros((len(heads), 1 + 2**self.bits))
        units = {head: 0.05 * float(train.labels[head].mean()) for head in heads if head not in train.binary}
        for i, head in enumerate(heads):
            progress(f"fitting {head}", i / len(heads))
            wanted = train.labels[head]
            target = np.log1p(wanted / units[head]) if head in units else wanted
            loss = _squared if head in units else _logistic
            weights[i] = _minimum(places, target, train.weights[head], loss, self)
        raw = FittedHashedRanker(heads, columns, weights, units, Calibration({}))
        curves = fit_curves(raw.predict(validate.features), validate, binary=self.calibrate)
        return FittedHashedRanker(heads, columns, weights, units, curves)


@dataclass(frozen=True, slots=True)
class _Columns:
    """Which columns are values, and at which edges the others are cut into values."""

    categorical: tuple[str, ...]
    edges: Mapping[str, Array]

    @classmethod
    def fit(cls, table: Table, categorical: tuple[str, ...], buckets: int) -> "_Columns":
        flat = {name: values for name, values in table.items() if values.ndim == 1}
        if lost := [name for name in categorical if name not in flat]:
            raise ModelError(f"categorical features {lost} are not single columns; there are {', '.join(flat)}")
        chosen = tuple(name for name, values in flat.items() if values.dtype == object or name in categorical)
        share = np.arange(1, buckets) / buckets
        edges = {}
        for name in (name for name in flat if name not in chosen):
            known = flat[name][np.isfinite(flat[name])].astype(np.float64)
            edges[name] = np.unique(np.quantile(known, share, method="inverted_cdf")) if len(known) else np.zeros(0)
        return cls(chosen, edges)

    def places(self, table: Table, bits: int) -> Array:
        """Which weight each value has: (n_rows, n_columns) int64, from 1 on; 0 is the weight that all rows share."""
        out = np.empty((len(table), len(self.categorical) + len(self.edges)), np.int64)
        mask = 2**bits - 1
        for i, name in enumerate((*self.categorical, *self.edges)):
            values = table[name]
            once = values[:1] if values.strides == (0,) else values
            out[:, i] = self._numbered(name, once, mask) if name in self.edges else _hashed(name, once, mask)
        return out

    def _numbered(self, name: str, values: Array, mask: int) -> Array:
        edges = self.edges[name]
        bucket = np.where(np.isnan(values), len(edges) + 1, np.searchsorted(edges, values))
        return np.array([_place(name, str(i), mask) for i in range(len(edges) + 2)], np.int64)[bucket]


def _hashed(name: str, values: Array, mask: int) -> Array:
    if values.dtype != object:
        found, row = np.unique(values, return_inverse=True)
        return np.array([_place(name, f"={value}", mask) for value in found.tolist()], np.int64)[row]
    known: dict[str | None, int] = {None: _place(name, "", mask)}
    for value in values.tolist():
        if value not in known:
            known[value] = _place(name, f"={value}", mask)
    return np.array(list(map(known.__getitem__, values.tolist())), np.int64)


def _place(name: str, value: str, mask: int) -> int:
    """CRC-32 is the same everywhere, fast, and spreads short texts well enough."""
    return 1 + (crc32(f"{name}|{value}".encode()) & mask)


_Loss = Callable[[Array, Array], tuple[Array, Array]]


def _logistic(scores: Array, wanted: Array) -> tuple[Array, Array]:
    """Loss and its derivative, row by row."""
    return np.logaddexp(0.0, scores) - wanted * scores, _sigmoid(scores) - wanted


def _squared(scores: Array, wanted: Array) -> tuple[Array, Array]:
    return 0.5 * (scores - wanted) ** 2, scores - wanted


def _sigmoid(scores: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-np.clip(scores, -50.0, 50.0))))


def _minimum(places: Array, wanted: Array, importance: Array, loss: _Loss, config: HashedRanker) -> Array:
    """The weights of the least sum of losses plus l2 / 2 times their squares; the shared weight has no prior."""
    from scipy.optimize import minimize
    from scipy.sparse import csr_matrix

    used, column = np.unique(places, return_inverse=True)
    n_rows, width = places.shape
    ends = np.arange(n_rows + 1) * width
    rows = csr_matrix((np.ones(n_rows * width), column.reshape(-1), ends), shape=(n_rows, len(used)))
    turned = rows.T.tocsr()
    total = float(importance.sum())
    scale = config.l2 / total

    def objective(theta: Array) -> tuple[float, Array]:
        value, slope = loss(theta[0] + rows @ theta[1:], wanted)
        slope = importance * slope / total
        gradient = np.concatenate([[slope.sum()], turned @ slope + scale * theta[1:]])
        return float((importance * value).sum() / total + 0.5 * scale * (theta[1:] ** 2).sum()), gradient

    mean = float((importance * wanted).sum() / total)
    start = np.zeros(len(used) + 1)
    start[0] = np.log(mean / (1 - mean)) if loss is _logistic else mean
    steps = {"maxiter": config.max_steps, "maxcor": 20, "ftol": 1e-10, "gtol": 1e-7}
    found = minimize(objective, start, jac=True, method="L-BFGS-B", options=steps).x
    out = np.zeros(1 + 2**config.bits)
    out[0], out[used] = found[0], found[1:]
    return out


class FittedHashedRanker:
    """The weights of each head, with the columns before and the calibration after them."""

    def __init__(
        self,
        heads: tuple[str, ...],
        columns: _Columns,
        weights: Array,
        units: Mapping[str, float],
        calibration: Calibration,
    ) -> None:
        self._heads, self._columns, self._weights = heads, columns, weights
        self._units, self._calibration = units, calibration
        self._bits = int(np.log2(weights.shape[1] - 1))

    @property
    def heads(self) -> tuple[str, ...]:
        """The labels predicted, in order."""
        return self._heads

    def predict(self, features: Table) -> Table:
        """One float64 column per head, (n_rows,); raises InputError if a feature column is missing."""
        places = self._columns.places(features, self._bits)
        out = {}
        for head, weights in zip(self._heads, self._weights, strict=True):
            scores = weights[0] + weights[places].sum(axis=1)
            if head in self._units:
                raw = self._units[head] * np.expm1(np.clip(scores, 0.0, 50.0))
            else:
                raw = _sigmoid(scores)
            out[head] = self._calibration.apply(head, raw)
        return Table(out, n_rows=len(features))

    def save(self, folder: Path) -> None:
        """Write the settings, and the weights that are not 0, the edges and the curves as arrays."""
        settings = {
            "heads": list(self._heads),
            "bits": self._bits,
            "categorical": list(self._columns.categorical),
            "numeric": list(self._columns.edges),
            "units": dict(self._units),
        }
        used = np.flatnonzero(self._weights.any(axis=0))
        arrays = {f"edges.{name}": edges for name, edges in self._columns.edges.items()}
        arrays |= {"used": used, "weights": self._weights[:, used], **self._calibration.arrays()}
        write_model(folder, KIND, settings, arrays)


def load(folder: Path) -> FittedHashedRanker:
    """The model that `save` wrote into `folder`; raises ModelError if it is damaged."""
    settings, arrays = read_model(folder, KIND)
    try:
        edges = {name: arrays.pop(f"edges.{name}") for name in settings["numeric"]}
        weights = np.zeros((len(settings["heads"]), 1 + 2 ** settings["bits"]))
        weights[:, arrays.pop("used")] = arrays.pop("weights")
    except (KeyError, ValueError, IndexError) as error:
        raise ModelError(f"the weights of the model in {folder} cannot be read: {error}") from error
    columns = _Columns(tuple(settings["categorical"]), edges)
    return FittedHashedRanker(
        tuple(settings["heads"]), columns, weights, settings["units"], Calibration.from_arrays(arrays)
    )
