"""The deep ranker's network and its training: the only file of the rankers that needs torch.

A low-rank cross network (DCN-v2: Wang et al. 2021, "DCN V2: Improved deep & cross network", sections 3.1 and 3.2)
beside a shared multi-layer perceptron; one linear head per label. Numbers enter raw: the network itself puts them in
place, so that the exported graph is complete.
"""

import io
import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from sixfold._core.table import Array
from sixfold.models.contract import Progress

__all__ = ["Batch", "Shape", "Target", "to_onnx", "train"]


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of the network."""

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


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast to learn."""

    epochs: int
    patience: int
    batch_rows: int
    learning_rate: float
    weight_decay: float


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
    """The untrained network; its forward pass gives the logits, its `outputs` what the heads predict."""
    import torch
    from torch import Tensor, nn

    class Network(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            n_numeric, n_gaps = len(place["centre"]), len(place["gaps"])
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

        def inputs(self, numbers: Tensor, codes: Tensor) -> Tensor:
            missing = torch.isnan(numbers)
            z = torch.where(missing, self.centre, torch.clamp(numbers, -1e30, 1e30))
            z = (z - self.centre) / self.spread
            parts = [torch.sign(z) * torch.log1p(torch.abs(z)), missing.to(torch.float32)[:, self.gaps]]
            if sizes:
                parts.append(self.embedding(codes + self.first_code).flatten(1))
            return torch.cat(parts, 1)

        def forward(self, numbers: Tensor, codes: Tensor) -> Tensor:
            first = crossed = self.inputs(numbers, codes)
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

    return Network()


def train(
    network: Any, rows: Batch, check: Batch, targets: tuple[Target, ...], schedule: Schedule, *, progress: Progress
) -> float:
    """Teach `network` on `rows` until `check` stops improving, four looks an epoch; the best weights stay in it.

    What is watched is the normalised entropy of all heads together: the loss over that of the base rates. The network
    that is watched, and kept, is the running mean of the one that learns (Polyak averaging). Returns the best loss.
    """
    import torch

    learning = [p for p in network.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(learning, lr=schedule.learning_rate, weight_decay=schedule.weight_decay)
    numbers, codes, wanted, weights = (torch.from_numpy(part) for part in _parts(rows))
    base = sum(target.base for target in targets)
    n, looks = len(numbers), 4
    n_steps = max(looks, math.ceil(n / schedule.batch_rows))
    averaged = torch.optim.swa_utils.AveragedModel(
        network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.5 ** (2 * looks / n_steps))
    )
    best, kept, stale = math.inf, None, 0
    for epoch in range(schedule.epochs):
        order = torch.randperm(n)
        for step in range(n_steps):
            pick = order[step * n // n_steps : (step + 1) * n // n_steps]
            network.train()
            loss = _losses(network(numbers[pick], codes[pick]), wanted[pick], weights[pick], targets).sum()
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(learning, 5.0)
            optimiser.step()
            averaged.update_parameters(network)
            if (step + 1) * looks // n_steps == step * looks // n_steps:
                continue
            found = evaluate(averaged.module, check, targets) / base
            progress("training the ranker", (epoch + (step + 1) / n_steps) / schedule.epochs)
            best, kept, stale = (found, _copy(averaged.module), 0) if found < best else (best, kept, stale + 1)
            if stale >= schedule.patience:
                break
        if stale >= schedule.patience:
            break
    if kept is not None:
        network.load_state_dict(kept)
    return best


def evaluate(network: Any, check: Batch, targets: tuple[Target, ...]) -> float:
    """The loss of all heads together over the rows of `check`."""
    import torch

    network.eval()
    with torch.no_grad():
        numbers, codes, wanted, weights = (torch.from_numpy(part) for part in _parts(check))
        return float(_losses(network(numbers, codes), wanted, weights, targets).sum())


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


def to_onnx(network: Any, n_numeric: int, n_categorical: int) -> bytes:
    """The network as an ONNX graph: inputs `numbers` (n, d) float32 and `codes` (n, k) int64, output (n, n_heads)."""
    import torch

    class Serving(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, numbers: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
            return self.network.outputs(self.network(numbers, codes))

    network.eval()
    example = (torch.zeros(2, n_numeric), torch.zeros(2, n_categorical, dtype=torch.int64))
    axes = {"numbers": {0: "rows"}, "codes": {0: "rows"}, "heads": {0: "rows"}}
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # dynamo=False needs no further package, and says it is old
        torch.onnx.export(
            Serving(), example, file, input_names=["numbers", "codes"], output_names=["heads"], dynamic_axes=axes,
            dynamo=False, opset_version=17,
        )  # fmt: skip
    return file.getvalue()
