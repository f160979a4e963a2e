"""The gradient-boosted alternative: one CatBoost model per outcome, saved in CatBoost's own format."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sixfold._core.errors import ModelError
from sixfold._core.hashing import derive_seed
from sixfold._core.table import Array, Table
from sixfold.frame import Outcome
from sixfold.models.calibration import Calibration
from sixfold.models.contract import Dataset, Progress, silent
from sixfold.models.deep_ranker import check_heads, fit_curves
from sixfold.models.encoding import Encoder
from sixfold.models.storage import read_model, write_model

__all__ = ["FittedTreeRanker", "TreeRanker", "load"]

KIND = "trees"


@dataclass(frozen=True, slots=True)
class TreeRanker:
    """Gradient-boosted oblivious trees, one model for each outcome in `heads`, or the average of several `members`.

    Members differ by chance alone, each stopped by itself; their scores are averaged before they become probabilities.
    Where positives are few that is worth more than a larger model, and costs a release only more trees.

    Categories enter as numbers, the most frequent first: with rates by category among the features, that costs nothing
    in quality, and it keeps prediction fast. Amounts are learnt as logarithms and always corrected to add up on the
    validation rows; `calibrate` does the same for probabilities, where validation has several days.

    Predictions never fall as a feature in `rising` grows. Where rows were shown because they were good, such as judged
    documents that no engine had found, this keeps a model from learning that a bad score is a good sign.
    """

    heads: tuple[Outcome, ...]
    categorical: tuple[str, ...] = ()
    name: str = "trees"
    calibrate: bool = False
    depth: int = 6
    learning_rate: float = 0.08
    max_trees: int = 1_500
    patience: int = 60
    l2: float = 5.0
    members: int = 1
    rising: tuple[str, ...] = ()

    def fit(self, train: Dataset, validate: Dataset, *, seed: int, progress: Progress = silent) -> "FittedTreeRanker":
        """Learn from `train`, stop by `validate`; the same data, config and seed give the same bytes.

        Raises ModelError if a head is no label, has no rows, or never varies, or if there is to be no member.
        """
        if self.members < 1:
            raise ModelError(f"{self.name} has {self.members} members: give at least 1")
        heads = tuple(outcome.name for outcome in self.heads)
        check_heads(heads, train, validate)
        encoder = Encoder.fit(train.features, categorical=self.categorical)
        if lost := [name for name in self.rising if name in train.features and name not in encoder.numeric]:
            raise ModelError(f"{self.name} must rise with {lost}, which are not numbers")
        signs = [int(name in self.rising) for name in encoder.columns]
        units = {head: 0.05 * float(train.labels[head].mean()) for head in heads if head not in train.binary}
        matrices = [_matrix(encoder, part.features) for part in (train, validate)]
        trees = {}
        grow = partial(self._grow, matrices=matrices, parts=(train, validate), signs=signs)
        for i, head in enumerate(heads):
            progress(f"training trees for {head}", i / len(heads))
            trees[head] = grow(units.get(head), head=head, seed=derive_seed(seed, head))
        progress("training trees", 1.0)
        raw = FittedTreeRanker(encoder, trees, units, Calibration({}))
        curves = fit_curves(raw.predict(validate.features), validate, binary=self.calibrate)
        return FittedTreeRanker(encoder, trees, units, curves)

    def _grow(
        self, unit: float | None, *, head: str, matrices: list[Array], parts: Any, signs: list[int], seed: int
    ) -> Any:
        from catboost import Pool, sum_models

        pools = [
            Pool(
                x, part.labels[head] if unit is None else np.log1p(part.labels[head] / unit), weight=part.weights[head]
            )
            for x, part in zip(matrices, parts, strict=True)
        ]
        loss = "Logloss" if unit is None else "RMSE"
        seeds = [seed, *(derive_seed(seed, i) for i in range(1, self.members))]
        grown = [self._member(loss, pools, signs, each) for each in seeds]
        return grown[0] if len(grown) == 1 else sum_models(grown, weights=[1 / len(grown)] * len(grown))

    def _member(self, loss: str, pools: list[Any], signs: list[int], seed: int) -> Any:
        from catboost import CatBoost

        settings = {
            "loss_function": loss,
            "iterations": self.max_trees,
            "learning_rate": self.learning_rate,
            "depth": self.depth,
            "l2_leaf_reg": self.l2,
            "random_seed": seed % 2**31,
            "od_type": "Iter",
            "od_wait": self.patience,
            "use_best_model": True,
            "allow_writing_files": False,
            "logging_level": "Silent",
        }
        if any(signs):
            settings["monotone_constraints"] = signs
        model = CatBoost(settings)
        model.fit(pools[0], eval_set=pools[1])
        return model


class FittedTreeRanker:
    """The trees of each head, with the encoder before and the calibration after them."""

    def __init__(
        self, encoder: Encoder, trees: Mapping[str, Any], units: Mapping[str, float], calibration: Calibration
    ) -> None:
        self._encoder, self._trees, self._units, self._calibration = encoder, trees, units, calibration

    @property
    def heads(self) -> tuple[str, ...]:
        """The labels predicted, in order."""
        return tuple(self._trees)

    def predict(self, features: Table) -> Table:
        """One float64 column per head, (n_rows,); raises InputError if a feature column is missing."""
        matrix = _matrix(self._encoder, features)
        columns = {}
        for head, model in self._trees.items():
            raw = model.predict(matrix, thread_count=1) if len(matrix) else np.zeros(0)
            if head in self._units:
                amount = self._units[head] * np.expm1(np.clip(raw, 0.0, 50.0))
                columns[head] = self._calibration.apply(head, amount)
            else:
                columns[head] = self._calibration.apply(head, 1 / (1 + np.exp(-np.clip(raw, -50.0, 50.0))))
        return Table(columns)

    def save(self, folder: Path) -> None:
        """Write the settings, the calibration curves and one HEAD.cbm for each head."""
        settings = {"heads": list(self.heads), "encoder": self._encoder.spec(), "units": dict(self._units)}
        write_model(folder, KIND, settings, self._calibration.arrays())
        for head, model in self._trees.items():
            model.save_model(str(folder / f"{head}.cbm"), format="cbm")


def load(folder: Path) -> FittedTreeRanker:
    """The model that `save` wrote into `folder`; raises ModelError if it is damaged."""
    from catboost import CatBoost, CatBoostError

    settings, arrays = read_model(folder, KIND)
    try:
        trees = {head: CatBoost().load_model(str(folder / f"{head}.cbm"), format="cbm") for head in settings["heads"]}
    except CatBoostError as error:
        raise ModelError(f"the trees of the model in {folder} cannot be read: {error}") from error
    encoder = Encoder.from_spec(settings["encoder"])
    return FittedTreeRanker(encoder, trees, settings["units"], Calibration.from_arrays(arrays))


def _matrix(encoder: Encoder, features: Table) -> Array:
    """Numbers, then codes: (n_rows, n_numeric + n_categorical) float32."""
    return np.concatenate([encoder.numbers(features), encoder.codes(features).astype(np.float32)], axis=1)
