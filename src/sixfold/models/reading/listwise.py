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
    """The average of a few networks of two hidden layers over standardised numbers and codes.

    `codes` maps columns of small whole numbers to how many there are: each code adds a vector of its own to the first
    layer. `arrays` holds mean and scale (d,), and per member the weights and biases of three layers and those vectors.
    """

    codes: Mapping[int, int]
    arrays: Mapping[str, Array]
    members: int

    @classmethod
    def fit(
        cls, lists: Lists, codes: Mapping[int, int], *, hidden: int, epochs: int, members: int, seed: int
    ) -> "Listwise":
        """Maximise the chance of the right candidates under a softmax over each list (ListNet top-one, Cao 2007)."""
        mean = lists.features.mean(axis=0, dtype=np.float64).astype(np.float32)
        scale = (lists.features.std(axis=0, dtype=np.float64) + 1e-6).astype(np.float32)
        arrays = {"mean": mean, "scale": scale}
        codes = dict(sorted(codes.items()))
        inputs = _plain(lists.features, arrays), _coded(lists.features, codes)
        for member in range(members):
            weights = _train(inputs, codes, lists, (hidden, epochs, derive_seed(seed, "member", member) % 2**31))
            arrays |= {f"{name}_{member}": value for name, value in weights.items()}
        return cls(codes, arrays, members)

    def scores(self, features: Array) -> Array:
        """The mean score of the members, (n,) float32."""
        plain, coded = _plain(features, self.arrays), _coded(features, dict(sorted(self.codes.items())))
        total = np.zeros(len(plain), np.float32)
        for member in range(self.members):
            w = [self.arrays[f"w{layer}_{member}"] for layer in range(3)]
            b = [self.arrays[f"b{layer}_{member}"] for layer in range(3)]
            x = plain @ w[0] + b[0]
            for i in range(coded.shape[1]):
                x += self.arrays[f"c{i}_{member}"][coded[:, i]]
            x = np.maximum(np.maximum(x, 0.0) @ w[1] + b[1], 0.0)
            total += (x @ w[2] + b[2])[:, 0]
        return total / np.float32(self.members)


def _plain(features: Array, arrays: Mapping[str, Array]) -> Array:
    plain: Array = np.clip((features - arrays["mean"]) / arrays["scale"], -_BOUND, _BOUND).astype(np.float32)
    return plain


def _coded(features: Array, codes: Mapping[int, int]) -> Array:
    columns = [np.clip(features[:, column], 0, size - 1).astype(np.int64) for column, size in codes.items()]
    return np.array(columns, np.int64).reshape(len(codes), len(features)).T


def _train(
    inputs: tuple[Array, Array], codes: Mapping[int, int], lists: Lists, how: tuple[int, int, int]
) -> dict[str, Array]:
    """One member; `how` is its width, the times that all lists are gone through, and its seed."""
    import torch
    from torch import nn

    from sixfold.models.deep_network import one_thread

    hidden, epochs, seed = how
    with one_thread(seed):
        plain, coded = (torch.from_numpy(part) for part in inputs)
        marks = torch.from_numpy(lists.marks.astype(np.float32))
        layers = [nn.Linear(plain.shape[1], hidden), nn.Linear(hidden, hidden), nn.Linear(hidden, 1)]
        tables = [nn.Embedding(size, hidden) for size in codes.values()]
        for table in tables:
            nn.init.normal_(table.weight, 0.0, 0.05)
        rest = nn.Sequential(nn.ReLU(), nn.Dropout(0.2), layers[1], nn.ReLU(), nn.Dropout(0.2), layers[2])
        known = nn.ModuleList([*layers, *tables])
        batches = _batches(lists.starts, epochs, np.random.default_rng(seed))
        learner = torch.optim.AdamW(known.parameters(), lr=2e-3, weight_decay=1e-2)
        pace = torch.optim.lr_scheduler.OneCycleLR(learner, 4e-3, total_steps=max(len(batches), 2))
        for lists_of_batch in batches:
            rows = np.concatenate([np.arange(*lists.starts[i : i + 2]) for i in lists_of_batch])
            owner = torch.from_numpy(np.repeat(np.arange(len(lists_of_batch)), np.diff(lists.starts)[lists_of_batch]))
            first = layers[0](plain[rows])
            for i, table in enumerate(tables):
                first = first + table(coded[rows, i])
            scores = rest(first).squeeze(1)
            right = torch.where(marks[rows] > 0, scores, torch.full_like(scores, -1e9))
            n = len(lists_of_batch)
            loss = (_log_sum(scores, owner, n) - _log_sum(right, owner, n)).mean()
            learner.zero_grad()
            loss.backward()
            learner.step()
            pace.step()
        out = {f"w{i}": layer.weight.detach().numpy().T.copy() for i, layer in enumerate(layers)}
        out |= {f"b{i}": layer.bias.detach().numpy().copy() for i, layer in enumerate(layers)}
        return out | {f"c{i}": table.weight.detach().numpy().copy() for i, table in enumerate(tables)}


def _batches(starts: Array, epochs: int, order: np.random.Generator, size: int = 32) -> Sequence[Array]:
    n = len(starts) - 1
    epochs = max(epochs, -(-_LEAST_STEPS * size // n))
    shuffled = [order.permutation(n) for _ in range(epochs)]
    return [many[i : i + size] for many in shuffled for i in range(0, n, size)]


def _log_sum(scores: Any, owner: Any, n: int) -> Any:
    import torch

    top = torch.full((n,), -1e9).scatter_reduce(0, owner, scores.detach(), "amax")
    return torch.log(torch.zeros(n).index_add(0, owner, torch.exp(scores - top[owner]))) + top
