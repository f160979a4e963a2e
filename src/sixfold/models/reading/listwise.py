"""A small network that gives one of many candidates the mark: learnt by torch, applied by numpy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sixfold._core.hashing import derive_seed
from sixfold._core.table import Array

__all__ = ["Lists", "Listwise"]

_LEAST_STEPS = 300  # a few questions are gone through more often
_BOUND = 4.0  # standardised features are clipped: no single look decides


@dataclass(frozen=True, slots=True)
class Lists:
    """Candidates of many questions: features (n, d), marks (n,) 1 for right ones, and where each list starts (m + 1,).

    Every list has at least one right candidate.
    """

    features: Array
    marks: Array
    starts: Array


@dataclass(frozen=True, slots=True)
class Listwise:
    """The average of a few two-layer networks over standardised numbers and one-hot codes.

    `arrays` holds mean and scale (d,), and per member the weights and biases of three layers.
    """

    codes: Mapping[int, int]
    arrays: Mapping[str, Array]
    members: int

    @classmethod
    def fit(
        cls, lists: Lists, codes: Mapping[int, int], *, hidden: int, epochs: int, members: int, seed: int
    ) -> "Listwise":
        """Maximise the chance of the right candidates under a softmax over each list (ListNet top-one, Cao 2007).

        `codes` maps a column of small whole numbers to how many there are.
        """
        mean = lists.features.mean(axis=0, dtype=np.float64).astype(np.float32)
        scale = (lists.features.std(axis=0, dtype=np.float64) + 1e-6).astype(np.float32)
        arrays = {"mean": mean, "scale": scale}
        inputs = _inputs(lists.features, arrays, codes)
        for member in range(members):
            weights = _train(inputs, lists, hidden, epochs, derive_seed(seed, "member", member) % 2**31)
            arrays |= {f"{name}_{member}": value for name, value in weights.items()}
        return cls(dict(codes), arrays, members)

    def scores(self, features: Array) -> Array:
        """The mean score of the members, (n,) float32."""
        inputs = _inputs(features, self.arrays, self.codes)
        total = np.zeros(len(inputs), np.float32)
        for member in range(self.members):
            w = [self.arrays[f"w{layer}_{member}"] for layer in range(3)]
            b = [self.arrays[f"b{layer}_{member}"] for layer in range(3)]
            x = np.maximum(inputs @ w[0] + b[0], 0.0)
            x = np.maximum(x @ w[1] + b[1], 0.0)
            total += (x @ w[2] + b[2])[:, 0]
        return total / np.float32(self.members)


def _inputs(features: Array, arrays: Mapping[str, Array], codes: Mapping[int, int]) -> Array:
    plain = np.clip((features - arrays["mean"]) / arrays["scale"], -_BOUND, _BOUND)
    hot = [
        np.eye(size, dtype=np.float32)[np.clip(features[:, column], 0, size - 1).astype(np.int64)]
        for column, size in sorted(codes.items())
    ]
    return np.concatenate([plain, *hot], axis=1).astype(np.float32)


def _train(inputs: Array, lists: Lists, hidden: int, epochs: int, seed: int) -> dict[str, Array]:
    import torch
    from torch import nn

    from sixfold.models.deep_network import one_thread

    with one_thread(seed):
        order = np.random.default_rng(seed)
        x, marks = torch.from_numpy(inputs), torch.from_numpy(lists.marks.astype(np.float32))
        layers = [nn.Linear(inputs.shape[1], hidden), nn.Linear(hidden, hidden), nn.Linear(hidden, 1)]
        net = nn.Sequential(layers[0], nn.ReLU(), nn.Dropout(0.2), layers[1], nn.ReLU(), nn.Dropout(0.2), layers[2])
        batches = _batches(lists.starts, epochs, order)
        learner = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=1e-2)
        pace = torch.optim.lr_scheduler.OneCycleLR(learner, 4e-3, total_steps=max(len(batches), 2))
        for lists_of_batch in batches:
            rows = np.concatenate([np.arange(*lists.starts[i : i + 2]) for i in lists_of_batch])
            owner = torch.from_numpy(np.repeat(np.arange(len(lists_of_batch)), np.diff(lists.starts)[lists_of_batch]))
            scores = net(x[rows]).squeeze(1)
            right = torch.where(marks[rows] > 0, scores, torch.full_like(scores, -1e9))
            n = len(lists_of_batch)
            loss = (_log_sum(scores, owner, n) - _log_sum(right, owner, n)).mean()
            learner.zero_grad()
            loss.backward()
            learner.step()
            pace.step()
        return {
            f"{kind}{i}": value.detach().numpy().T.copy()
            for i, layer in enumerate(layers)
            for kind, value in (("w", layer.weight), ("b", layer.bias))
        }


def _batches(starts: Array, epochs: int, order: np.random.Generator, size: int = 32) -> Sequence[Array]:
    n = len(starts) - 1
    epochs = max(epochs, -(-_LEAST_STEPS * size // n))
    shuffled = [order.permutation(n) for _ in range(epochs)]
    return [many[i : i + size] for many in shuffled for i in range(0, n, size)]


def _log_sum(scores: Any, owner: Any, n: int) -> Any:
    import torch

    top = torch.full((n,), -1e9).scatter_reduce(0, owner, scores.detach(), "amax")
    return torch.log(torch.zeros(n).index_add(0, owner, torch.exp(scores - top[owner]))) + top
