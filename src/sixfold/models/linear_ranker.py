"""Linear models on standardised features: the baseline that whoever knows a field looks for first."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sixfold._core.errors import ModelError
from sixfold._core.table import Array, Table
from sixfold.frame import Outcome
from sixfold.models.calibration import Calibration
from sixfold.models.contract import Dataset, Progress, silent
from sixfold.models.deep_ranker import check_heads, fit_curves
from sixfold.models.encoding import Encoder
from sixfold.models.storage import read_model, write_model

__all__ = ["FittedLinearRanker", "LinearRanker", "load"]

KIND = "linear"


@dataclass(frozen=True, slots=True)
class LinearRanker:
    """Logistic regression for each binary outcome in `heads`, linear regression of the logarithm for each amount.

    Numbers are standardised, and taken no further than training saw them; a missing one is the mean, and a sign of its
    own. Every category has a weight. `l2` is the precision of the prior of all weights but the first. The optimum is
    found by L-BFGS, so there is no chance in it. Amounts are corrected to add up on the validation rows, with
    `calibrate` probabilities as well.
    """

    heads: tuple[Outcome, ...]
    categorical: tuple[str, ...] = ()
    name: str = "linear"
    calibrate: bool = False
    l2: float = 1.0
    max_steps: int = 500

    def fit(self, train: Dataset, validate: Dataset, *, seed: int, progress: Progress = silent) -> "FittedLinearRanker":
        """Learn from `train`. Raises ModelError if a head is no label, has no rows, or never varies."""
        heads = tuple(outcome.name for outcome in self.heads)
        check_heads(heads, train, validate)
        encoder = Encoder.fit(train.features, categorical=self.categorical)
        scale = _scale(encoder.numbers(train.features).astype(np.float64))
        units = {head: 0.05 * float(train.labels[head].mean()) for head in heads if head not in train.binary}
        rows, weights = _rows(encoder, scale, train.features), {}
        for i, head in enumerate(heads):
            progress(f"fitting {head}", i / len(heads))
            wanted = train.labels[head]
            target = np.log1p(wanted / units[head]) if head in units else wanted
            weights[head] = _minimum(rows, target, train.weights[head], head not in units, self)
        raw = FittedLinearRanker(encoder, scale, weights, units, Calibration({}))
        curves = fit_curves(raw.predict(validate.features), validate, binary=self.calibrate)
        return FittedLinearRanker(encoder, scale, weights, units, curves)


class FittedLinearRanker:
    """The weights of each head, with what standardises before and the calibration after them."""

    def __init__(
        self,
        encoder: Encoder,
        scale: Array,
        weights: Mapping[str, Array],
        units: Mapping[str, float],
        calibration: Calibration,
    ) -> None:
        self._encoder, self._scale, self._weights = encoder, scale, weights
        self._units, self._calibration = units, calibration

    @property
    def heads(self) -> tuple[str, ...]:
        """The labels predicted, in order."""
        return tuple(self._weights)

    def predict(self, features: Table) -> Table:
        """One float64 column per head, (n_rows,); raises InputError if a feature column is missing."""
        numbers, codes = _parts(self._encoder, self._scale, features)
        out = {}
        for head, weights in self._weights.items():
            n = numbers.shape[1]
            # Row by row in a fixed order of columns: a score does not depend on the rows beside it.
            scores = weights[0] + (numbers * weights[1 : n + 1]).sum(axis=1) + weights[n + 1 :][codes].sum(axis=1)
            if head in self._units:
                raw = self._units[head] * np.expm1(np.clip(scores, 0.0, 50.0))
            else:
                raw = 1 / (1 + np.exp(-np.clip(scores, -50.0, 50.0)))
            out[head] = self._calibration.apply(head, raw)
        return Table(out, n_rows=len(features))

    def save(self, folder: Path) -> None:
        """Write the settings, and weights, scales and curves as arrays."""
        settings = {"heads": list(self.heads), "encoder": self._encoder.spec(), "units": dict(self._units)}
        weights = {f"weights.{head}": values for head, values in self._weights.items()}
        write_model(folder, KIND, settings, {"scale": self._scale, **weights, **self._calibration.arrays()})


def load(folder: Path) -> FittedLinearRanker:
    """The model that `save` wrote into `folder`; raises ModelError if it is damaged."""
    settings, arrays = read_model(folder, KIND)
    try:
        weights = {head: arrays.pop(f"weights.{head}") for head in settings["heads"]}
        scale, encoder = arrays.pop("scale"), Encoder.from_spec(settings["encoder"])
    except KeyError as error:
        raise ModelError(f"the model in {folder} lacks {error}", hint="save the model again") from error
    return FittedLinearRanker(encoder, scale, weights, settings["units"], Calibration.from_arrays(arrays))


def _scale(numbers: Array) -> Array:
    """Least, greatest, mean and standard deviation of the finite values of each column, (4, n_numeric)."""
    out = np.zeros((4, numbers.shape[1]))
    for i, values in enumerate(numbers.T):
        known = values[np.isfinite(values)]
        if len(known):
            out[:, i] = known.min(), known.max(), known.mean(), known.std()
    return out


def _parts(encoder: Encoder, scale: Array, features: Table) -> tuple[Array, Array]:
    """Standardised numbers and what is missing, (n_rows, 2 n_numeric) float64; places of categories, int64."""
    low, high, mean, spread = scale
    numbers = encoder.numbers(features).astype(np.float64)
    missing = np.isnan(numbers)
    apart = np.divide(np.clip(numbers, low, high) - mean, spread, out=np.zeros_like(numbers), where=spread > 0)
    starts = np.cumsum([0, *encoder.sizes])[:-1]
    codes = encoder.codes(features) + starts.astype(np.int64)
    return np.concatenate([np.where(missing, 0.0, apart), missing], axis=1), codes


def _rows(encoder: Encoder, scale: Array, features: Table) -> Any:
    """All rows as a sparse matrix: 1, the numbers, what is missing, and a column for each category."""
    from scipy.sparse import csr_matrix, hstack

    numbers, codes = _parts(encoder, scale, features)
    n, width = codes.shape
    ones = np.ones(n * width)
    shape = (n, sum(encoder.sizes))
    chosen = csr_matrix((ones, codes.reshape(-1), np.arange(n + 1) * width), shape=shape)
    return hstack([csr_matrix(np.ones((n, 1))), csr_matrix(numbers), chosen], format="csr")


def _minimum(rows: Any, wanted: Array, importance: Array, logistic: bool, config: LinearRanker) -> Array:
    """The weights of the least sum of losses plus l2 / 2 times their squares; the first has no prior."""
    from scipy.optimize import minimize

    total = float(importance.sum())
    scale = np.full(rows.shape[1], config.l2 / total)
    scale[0] = 0.0
    turned = rows.T.tocsr()

    def objective(theta: Array) -> tuple[float, Array]:
        scores = rows @ theta
        if logistic:
            loss = np.logaddexp(0.0, scores) - wanted * scores
            slope = 1 / (1 + np.exp(-np.clip(scores, -50.0, 50.0))) - wanted
        else:
            loss, slope = 0.5 * (scores - wanted) ** 2, scores - wanted
        value = float((importance * loss).sum() / total + 0.5 * (scale * theta**2).sum())
        return value, turned @ (importance * slope / total) + scale * theta

    mean = float((importance * wanted).sum() / total)
    start = np.zeros(rows.shape[1])
    start[0] = np.log(mean / (1 - mean)) if logistic else mean
    steps = {"maxiter": config.max_steps, "maxcor": 20, "ftol": 1e-12, "gtol": 1e-8}
    return np.asarray(minimize(objective, start, jac=True, method="L-BFGS-B", options=steps).x)
