"""How sure a reader may be of its answer: a logistic model of a few facts about it, and how sure is sure enough."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sixfold._core.table import Array

__all__ = ["Evidence"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """The chance that an answer is right, from facts (n, d); below `threshold` it is refused."""

    weights: Array
    mean: Array
    scale: Array
    threshold: float

    @classmethod
    def fit(cls, facts: Array, agreement: Array, answerable: Array, *, penalty: float = 3.0) -> "Evidence":
        """Learn what right answers look like, by penalised maximum likelihood; then where to refuse.

        `agreement` (n,) is the token F1 of each answer with the truth, 0 where the passages have no answer. The
        threshold is where the mean of SQuAD 2 is largest: agreement where answered, 1 where the answer was refused and
        there was none (Rajpurkar et al. 2018).
        """
        mean, scale = facts.mean(axis=0), facts.std(axis=0) + 1e-9
        x = _design(facts, mean, scale)
        weights = np.zeros(x.shape[1])
        ridge = np.full(x.shape[1], penalty)
        ridge[0] = 1e-6
        for _ in range(25):
            chance = _sigmoid(x @ weights)
            slope = x.T @ (agreement - chance) - ridge * weights
            curve = (x * (chance * (1 - chance))[:, None]).T @ x + np.diag(ridge)
            step = np.linalg.solve(curve, slope)
            weights += step
            if np.abs(step).max() < 1e-9:
                break
        chance = _sigmoid(x @ weights)
        return cls(weights, mean, scale, _best_threshold(chance, agreement, answerable))

    def of(self, facts: Array) -> Array:
        """The chance that each answer is right, (n,)."""
        return _sigmoid(_design(facts, self.mean, self.scale) @ self.weights)

    def arrays(self) -> dict[str, Array]:
        """For saving."""
        return {
            "weights": self.weights,
            "mean": self.mean,
            "scale": self.scale,
            "threshold": np.array([self.threshold]),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> "Evidence":
        """What `arrays` gave."""
        return cls(arrays["weights"], arrays["mean"], arrays["scale"], float(arrays["threshold"][0]))


def _design(facts: Array, mean: Array, scale: Array) -> Array:
    plain = np.clip((facts - mean) / scale, -4.0, 4.0)
    return np.concatenate([np.ones((len(facts), 1)), plain], axis=1)


def _sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -40, 40))))


def _best_threshold(chance: Array, agreement: Array, answerable: Array) -> float:
    """Answering the surest k questions earns their agreement, refusing the others 1 for each without an answer."""
    order = np.argsort(-chance, kind="stable")
    gained = np.concatenate([[0.0], np.cumsum(agreement[order])])
    spared = (~answerable).sum() - np.concatenate([[0.0], np.cumsum(~answerable[order])])
    k = int(np.argmax(gained + spared))
    edges = np.concatenate([[1.0], chance[order], [0.0]])
    return float((edges[k] + edges[k + 1]) / 2)
