"""Learning from every positive and a share of the negatives, with probabilities that are right all the same."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sixfold._core.errors import ModelError
from sixfold._core.hashing import derive_seed
from sixfold._core.table import Table
from sixfold.data.sampling import sample_negatives
from sixfold.frame import Outcome
from sixfold.models.calibration import undo_downsampling
from sixfold.models.contract import Dataset, FittedRanker, Progress, Ranker, silent
from sixfold.models.storage import read_model, write_model

__all__ = ["Downsampled", "FittedDownsampled", "load"]

KIND = "downsampled"


@dataclass(frozen=True, slots=True)
class Downsampled:
    """`ranker`, taught on all positives of its first head and a share `keep` of the negatives, then put right.

    That head is taught on the sampled rows as they are, which is most of what downsampling saves and all that it costs
    (He et al. 2014, 6.3); its probabilities are then corrected. Other heads weigh the negatives that were kept by
    1 / keep and need no correction. The validation rows are sampled in the same way, so that what the ranker calibrates
    and stops by is what it learns. `correct=False` shows what leaving out the correction does; it is good for nothing
    else.
    """

    ranker: Any
    keep: float
    correct: bool = True

    @property
    def name(self) -> str:
        """The ranker's."""
        return str(self.ranker.name)

    @property
    def heads(self) -> tuple[Outcome, ...]:
        """The ranker's."""
        heads: tuple[Outcome, ...] = self.ranker.heads
        return heads

    def fit(self, train: Dataset, validate: Dataset, *, seed: int, progress: Progress = silent) -> "FittedDownsampled":
        """Learn from the sampled rows. Raises ModelError if the first head is not binary, or as the ranker does."""
        if not self.heads:
            raise ModelError("the ranker has no heads", hint="give it the labels to predict: heads=(clicked, ...)")
        head = self.heads[0].name
        if head in train.labels and head not in train.binary:
            raise ModelError(f"negatives of {head!r} cannot be sampled: it is an amount; put a binary head first")
        config: Ranker = self.ranker
        parts = [
            self._sampled(part, head, derive_seed(seed, "negatives", i)) for i, part in enumerate((train, validate))
        ]
        fitted = config.fit(*parts, seed=seed, progress=progress)
        return FittedDownsampled(fitted, head, self.keep if self.correct else 1.0)

    def _sampled(self, part: Dataset, head: str, seed: int) -> Dataset:
        if head not in part.labels or not len(part):
            return part
        rows, weights = sample_negatives(part.labels[head], keep=self.keep, seed=seed)
        kept = part.take(rows)
        heavier = {name: kept.weights[name] * (1.0 if name == head else weights) for name in kept.weights}
        return replace(kept, weights=Table(heavier))


class FittedDownsampled:
    """A ranker whose first head is put right after it has predicted."""

    def __init__(self, ranker: FittedRanker, head: str, keep: float) -> None:
        self._ranker, self._head, self._keep = ranker, head, keep

    @property
    def heads(self) -> tuple[str, ...]:
        """The labels predicted, in order."""
        return self._ranker.heads

    def predict(self, features: Table) -> Table:
        """One float64 column per head, (n_rows,); raises InputError if a feature column is missing."""
        predicted = self._ranker.predict(features)
        return predicted.with_columns({self._head: undo_downsampling(predicted[self._head], self._keep)})

    def save(self, folder: Path) -> None:
        """Write what was sampled, and the ranker into a folder within."""
        write_model(folder, KIND, {"head": self._head, "keep": self._keep}, {"keep": np.array(self._keep)})
        (folder / "ranker").mkdir()
        self._ranker.save(folder / "ranker")


def load(folder: Path) -> FittedDownsampled:
    """The model that `save` wrote into `folder`; raises ModelError if it is damaged."""
    from sixfold.models.registry import load_ranker

    settings, _ = read_model(folder, KIND)
    return FittedDownsampled(load_ranker(folder / "ranker"), str(settings["head"]), float(settings["keep"]))
