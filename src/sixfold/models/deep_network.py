"""The deep ranker's network and its training: the only file of the rankers that needs torch.

A low-rank cross network (DCN-v2: Wang et al. 2021, "DCN V2: Improved deep & cross network", sections 3.1 and 3.2)
beside a shared multi-layer perceptron; one linear head per label. Numbers enter raw: the network itself puts them in
place, so that the exported graph is complete.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from sixfold._core.table import Array
from sixfold.models.contract import Progress

__all__ = ["Batch", "Shape", "Target", "build", "one_thread", "placed", "placement", "train"]

LOOKS = 4
"""How many times an epoch the watched rows are looked at."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of the network; its `members` differ by their first weights alone, and their logits are averaged."""

    members: int
    embedding: int
    cross_layers: int
    cross_rank: int
    hidden: tuple[int, ...]
    dropout: float


@dataclass(frozen=True, slots=True)
class Target:
    """A head: a probability, or an amount learnt as the standardised log of 1 + amount / unit."""

    name: str
    binary: bool
    base: float
    unit: float = 1.0
    centre: float = 0.0
    spread: float = 1.0

    @classmethod
    def of(cls, name: str, values: Array, weights: Array, *, binary: bool) -> "Target":
        """The head of a label with these training values and weights, both (n_rows,)."""
        mean = float(np.average(values, weights=weights))
        if binary:
            return cls(name, True, -(mean * math.log(mean) + (1 - mean) * math.log1p(-mean)))
        unit = 0.05 * mean
        logs = np.log1p(values / unit)
        return cls(name, False, 1.0, unit, float(logs.mean()), float(logs.std()) or 1.0)

    def encode(self, values: Array) -> Array:
        """What the network learns, (n_rows,) float64."""
        return values if self.binary else (np.log1p(values / self.unit) - self.centre) / self.spread


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows as the network sees them: numbers (n, d) float32, codes (n, k) int64, targets and weights (n, n_heads)."""

    numbers: Array
    codes: Array
    targets: Array
    weights: Array

    def __add__(self, other: "Batch") -> "Batch":
        """The rows of both."""
        names = ("numbers", "codes", "targets", "weights")
        return Batch(*(np.concatenate([getattr(self, name), getattr(other, name)]) for name in names))


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast to learn."""

    epochs: int
    patience: int
    batch_rows: int
    learning_rate: float
    weight_decay: float
    embedding_decay: float


@contextmanager
def one_thread(seed: int) -> Iterator[None]:
    """Torch on one thread and seeded, so that equal inputs give equal bytes whatever else the process does.

    Nothing is lost: at these sizes two threads on a busy machine are several times slower than one.
    """
    import torch

    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(n_threads)


def placement(numbers: Array) -> dict[str, Array]:
    """Robust centre and spread of each column, and which columns have gaps, each (n_numeric,)."""
    place = np.zeros((3, numbers.shape[1]), np.float64)
    for i, column in enumerate(numbers.T):
        known = column[np.isfinite(column)].astype(np.float64)
        place[2, i] = len(known) < len(column)
        if len(known):
            low, place[0, i], high = np.quantile(known, (0.1, 0.5, 0.9))
            place[1, i] = (high - low) / 2.56 or float(known.std())
    place[1][place[1] == 0] = 1.0
    return {"centre": place[0], "spread": place[1], "gaps": np.flatnonzero(place[2])}


def build(shape: Shape, sizes: tuple[int, ...], place: Mapping[str, Array], targets: tuple[Target, ...]) -> Any:
    """The untrained network; forward gives each member's logits, a member's `outputs` what the heads predict."""
    import torch
    from torch import Tensor, nn

    class Network(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            n_numeric, n_gaps = len(place["centre"]), len(place["gaps"])
            self.n_numbers, self.n_codes = n_numeric, len(sizes)
            self.register_buffer("centre", torch.tensor(place["centre"], dtype=torch.float32))
            self.register_buffer("spread", torch.tensor(place["spread"], dtype=torch.float32))
            self.register_buffer("gaps", torch.tensor(place["gaps"]))
            self.register_buffer("first_code", torch.tensor(np.concatenate([[0], np.cumsum(sizes)[:-1]])[: len(sizes)]))
            self.embedding = nn.Embedding(max(1, sum(sizes)), shape.embedding)
            nn.init.normal_(self.embedding.weight, std=0.05)
            width = n_numeric + n_gaps + len(sizes) * shape.embedding
            self.down = nn.ModuleList(nn.Linear(width, shape.cross_rank, bias=False) for _ in range(shape.cross_layers))
            self.up = nn.ModuleList(nn.Linear(shape.cross_rank, width) for _ in range(shape.cross_layers))
            widths = (width, *shape.hidden)
            layers: list[nn.Module] = []
            for a, b in pairwise(widths):
                layers += [nn.Linear(a, b), nn.ReLU(), nn.Dropout(shape.dropout)]
            self.deep = nn.Sequential(*layers)
            self.heads = nn.Linear(width + widths[-1], len(targets))

        def forward(self, numbers: Tensor, codes: Tensor) -> Tensor:
            first = crossed = placed(numbers, codes, self)
            for down, up in zip(self.down, self.up, strict=True):
                crossed = first * up(down(crossed)) + crossed
            return self.heads(torch.cat([crossed, self.deep(first)], 1))

        def outputs(self, logits: Tensor) -> Tensor:
            columns = [
                torch.sigmoid(logits[:, i])
                if target.binary
                else target.unit * torch.clamp(torch.exp(target.centre + target.spread * logits[:, i]) - 1, min=0.0)
                for i, target in enumerate(targets)
            ]
            return torch.stack(columns, 1)

    class Ensemble(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.members = nn.ModuleList(Network() for _ in range(shape.members))

        def forward(self, numbers: Tensor, codes: Tensor) -> Tensor:
            return torch.stack([member(numbers, codes) for member in self.members])

    return Ensemble()


def placed(numbers: Any, codes: Any, part: Any) -> Any:
    """Rows as the layers see them: numbers in place, which are missing, and the categories' vectors; (n, width)."""
    import torch

    parts = []
    if part.n_numbers:
        missing = torch.isnan(numbers)
        z = torch.where(missing, part.centre, torch.clamp(numbers, -1e30, 1e30))
        z = (z - part.centre) / part.spread
        parts += [torch.sign(z) * torch.log1p(torch.abs(z)), missing.to(torch.float32)[:, part.gaps]]
    if part.n_codes:
        parts.append(part.embedding(codes + part.first_code).flatten(1))
    return torch.cat(parts, 1)


def train(
    network: Any,
    rows: Batch,
    targets: tuple[Target, ...],
    schedule: Schedule,
    *,
    until: Batch | int,
    progress: Progress,
) -> int:
    """Teach `network` on `rows` and return how many looks (quarters of an epoch) its weights have learnt for.

    `until` is either the rows to watch, and the weights of the best look stay, or the number of looks to take. What is
    watched is the normalised entropy of all heads together: the loss over that of the base rates. The weights that are
    watched, and stay, are a running mean of those that learn (Polyak averaging), with a half-life of half an epoch.
    """
    import torch

    learning = list(network.parameters())
    embeddings = [p for name, p in network.named_parameters() if "embedding" in name]
    others = [p for name, p in network.named_parameters() if "embedding" not in name]
    groups = [{"params": embeddings, "weight_decay": schedule.embedding_decay}, {"params": others}]
    optimiser = torch.optim.AdamW(groups, lr=schedule.learning_rate, weight_decay=schedule.weight_decay)
    numbers, codes, wanted, weights = (torch.from_numpy(part) for part in _parts(rows))
    n_steps = max(1, math.ceil(len(numbers) / (LOOKS * schedule.batch_rows)))
    mean_of = torch.optim.swa_utils.get_ema_multi_avg_fn(0.5 ** (2 / (LOOKS * n_steps)))
    averaged = torch.optim.swa_utils.AveragedModel(network, multi_avg_fn=mean_of)
    best, kept, best_look = math.inf, None, 0
    n_looks = until if isinstance(until, int) else schedule.epochs * LOOKS
    order = torch.randperm(len(numbers))
    for look in range(n_looks):
        if look % LOOKS == 0:
            order = torch.randperm(len(numbers))
        part = order[look % LOOKS :: LOOKS]
        for pick in torch.tensor_split(part, n_steps):
            network.train()
            members = network(numbers[pick], codes[pick])
            loss = sum(_losses(logits, wanted[pick], weights[pick], targets).sum() for logits in members)
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(learning, 5.0 * len(members) ** 0.5)
            optimiser.step()
            averaged.update_parameters(network)
        progress("training the ranker", (look + 1) / n_looks)
        found = -look if isinstance(until, int) else evaluate(averaged.module, until, targets)
        if found < best:
            best, kept, best_look = found, _copy(averaged.module), look + 1
        elif look + 1 - best_look >= schedule.patience:
            break
    if kept is not None:
        network.load_state_dict(kept)
    return best_look


def evaluate(network: Any, check: Batch, targets: tuple[Target, ...]) -> float:
    """The loss of all heads together over the rows of `check`."""
    import torch

    network.eval()
    with torch.no_grad():
        numbers, codes, wanted, weights = (torch.from_numpy(part) for part in _parts(check))
        return float(_losses(network(numbers, codes).mean(0), wanted, weights, targets).sum())


def _parts(batch: Batch) -> tuple[Array, ...]:
    return batch.numbers, batch.codes, batch.targets.astype(np.float32), batch.weights.astype(np.float32)


def _losses(logits: Any, wanted: Any, weights: Any, targets: tuple[Target, ...]) -> Any:
    """The mean loss of each head, (n_heads,): log loss of a probability, half the squared error of an amount."""
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits as log_loss

    losses = [
        log_loss(logits[:, i], wanted[:, i], reduction="none")
        if target.binary
        else 0.5 * torch.square(logits[:, i] - wanted[:, i])
        for i, target in enumerate(targets)
    ]
    return (torch.stack(losses, 1) * weights).mean(0)


def _copy(network: Any) -> dict[str, Any]:
    return {name: value.clone() for name, value in network.state_dict().items()}
