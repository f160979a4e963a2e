"""How true predicted probabilities are: log loss beside honest baselines, and calibration by slice."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from sixfold._core.hashing import derive_seed
from sixfold._core.table import Array
from sixfold.data.events import Field
from sixfold.data.labels import Label
from sixfold.evaluate.bootstrap import Estimate, bootstrap
from sixfold.evaluate.calibration import expected_calibration_error
from sixfold.evaluate.measures import OURS, Trial
from sixfold.evaluate.ranking import log_loss, mean_ratio, normalised_entropy
from sixfold.evaluate.report import Comparison, Entry
from sixfold.evaluate.slices import by_category

__all__ = ["Probabilities", "calibration_noise"]

_DRAWS = 20


@dataclass(frozen=True, slots=True)
class Probabilities:
    """The predictions of a binary label: how far from what happened, and whether they mean what they say.

    Each model of the trial stands beside the base rate of the test rows themselves, which no model can know (normalised
    entropy 1). The `top` most frequent values of each field of `slices` follow as parts of our own predictions. The
    calibration error that a perfectly calibrated model would show on as few rows is measured too, by drawing outcomes
    from the predictions: `ece_beyond_noise` is what is left of ours after it.
    """

    label: Label
    slices: tuple[Field, ...] = ()
    top: int = 3
    replicates: int = 100

    @property
    def metrics(self) -> tuple[str, ...]:
        """Of our own predictions: log loss in nats, and the calibration error beyond what chance explains."""
        return ("log_loss", "ece_beyond_noise")

    def measure(self, trial: Trial) -> tuple[Comparison, Mapping[str, Estimate | float]]:
        """The table of models and slices, and the figures."""
        name = self.label.name
        truth = trial.labels[name]
        said = {model: heads[name] for model, heads in trial.predictions.items() if name in heads}
        ours = said.pop(OURS)
        who = trial.people
        estimate = partial(self._estimated, truth, who=who, seed=trial.seed)
        entries = [Entry("base rate", estimate(np.full(len(truth), truth.mean())), note="of these very rows")]
        entries += [Entry(model, estimate(p)) for model, p in reversed(said.items())]
        mine = estimate(ours)
        entries.append(Entry(OURS, mine, ours=True))
        for slice_name, mask in self._masks(trial).items():
            rows = np.flatnonzero(mask)
            part = self._estimated(truth[rows], ours[rows], who=who[rows], seed=derive_seed(trial.seed, slice_name))
            entries.append(Entry(f"ours where {slice_name}", part, note=f"{len(rows):,} rows"))
        noise = calibration_noise(ours, seed=trial.seed)
        note = (
            f"{len(truth):,} test rows, {truth.mean():.4f} of them positive; a perfectly calibrated model would show "
            f"an ece of {noise:.4f} on them by chance"
        )
        ece = mine["ece"]
        value, low, high = (max(part - noise, 0.0) for part in (ece.value, ece.low, ece.high))
        beyond = Estimate(value, low, high, ece.n_users)
        figures = {"log_loss": mine["log loss"], "ece_beyond_noise": beyond}
        return Comparison(f"Probabilities of {name}", note, tuple(entries), ("ne", "mean ratio")), figures

    def _masks(self, trial: Trial) -> dict[str, Array]:
        masks: dict[str, Array] = {}
        for field in self.slices:
            if field.name in trial.spine:
                masks |= by_category(field.name, trial.spine[field.name], top=self.top)
        return {name: mask for name, mask in masks.items() if not name.endswith(" missing") or not mask.all()}

    def _estimated(self, truth: Array, said: Array, *, who: Array, seed: int) -> dict[str, Estimate]:
        found: dict[str, Callable[..., Array]] = {
            "log loss": log_loss,
            "ne": normalised_entropy,
            "ece": expected_calibration_error,
            "mean ratio": mean_ratio,
        }
        return {
            name: bootstrap(partial(metric, truth, said), users=who, seed=seed, replicates=self.replicates)
            for name, metric in found.items()
        }


def calibration_noise(probabilities: Array, *, seed: int) -> float:
    """The expected calibration error of predictions that are exactly right, on as many rows: what chance alone gives.

    >>> calibration_noise(np.full(10_000, 0.5), seed=1) < 0.01 < calibration_noise(np.full(100, 0.5), seed=1)
    True
    """
    rng = np.random.default_rng(derive_seed(seed, "noise"))
    errors = [
        expected_calibration_error((rng.random(len(probabilities)) < probabilities).astype(np.float64), probabilities)
        for _ in range(_DRAWS)
    ]
    return float(np.mean(errors))
