"""The two-tower network and its training: the only file of the retrievers that needs torch.

Items are vectors: one of their own plus what their attributes add. A user is what the consumed items make of him:
their vectors, weighted by attention over item and place, through a small network. The score is the cosine of the two
over a learnt temperature. Both towers share the item vectors.
"""

import io
import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from sixfold._core.table import Array
from sixfold.models.contract import Progress

__all__ = ["Attributes", "Examples", "Schedule", "Shape", "build", "item_table", "sampled_softmax", "to_onnx", "train"]


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of the network."""

    n_items: int
    dim: int
    hidden: int
    history: int


@dataclass(frozen=True, slots=True)
class Attributes:
    """What is known of the items: numbers (n_items, a) float32; codes (n_items, b) int64 below `sizes`."""

    numbers: Array
    codes: Array
    sizes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Examples:
    """Consumptions: the item row and the weight of each, (n,); example i's history is line `lines[i]` of `histories`.

    `histories` (n_lines, length) are item rows, newest last, -1 for none; not copied, as they are most of the data.
    """

    histories: Array
    lines: Array
    items: Array
    weights: Array

    def consumed(self, pick: Array, length: int) -> Array:
        """The last `length` of the histories of some examples, (n_picked, length) int64, -1 on the left for none."""
        out = np.full((len(pick), length), -1, np.int64)
        taken = self.histories[self.lines[pick], -length:]
        out[:, length - taken.shape[1] :] = taken
        return out


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast to learn, with a `batch` of at most all examples in each step.

    `logq` says whether the softmax is corrected for how negatives are drawn.
    """

    steps: int
    batch: int
    learning_rate: float
    logq: bool


def build(shape: Shape, attributes: Attributes, temperature: float, *, seed: int) -> Any:
    """The untrained network, its weights drawn from `seed` alone."""
    import torch
    from torch import Tensor, nn
    from torch.nn.functional import embedding_bag, normalize

    source = torch.Generator().manual_seed(seed % 2**63)

    def drawn(*size: int, scale: float) -> Any:
        return nn.Parameter(torch.randn(*size, generator=source) * scale)

    class Network(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            dim, hidden = shape.dim, shape.hidden
            self.own = drawn(shape.n_items, dim, scale=0.1)
            self.by_code = drawn(sum(attributes.sizes), dim, scale=0.02)
            self.by_number = nn.Parameter(torch.zeros(attributes.numbers.shape[1], dim))
            self.query = drawn(dim, scale=0.1)
            self.place = nn.Parameter(torch.zeros(shape.history))
            self.up, self.up_bias = drawn(dim, hidden, scale=dim**-0.5), nn.Parameter(torch.zeros(hidden))
            self.down = nn.Parameter(torch.zeros(hidden, dim))
            self.log_scale = nn.Parameter(torch.tensor(-math.log(temperature)))
            first = np.concatenate([[0], np.cumsum(attributes.sizes)[:-1]]) if attributes.sizes else np.zeros(0)
            self.register_buffer("codes", torch.from_numpy(attributes.codes + first.astype(np.int64)))
            self.register_buffer("numbers", torch.from_numpy(attributes.numbers))

        def items(self) -> Tensor:
            """The vectors of all items, (n_items, dim), of any length."""
            vectors = self.own + self.numbers @ self.by_number
            for column in range(self.codes.shape[1]):
                vectors = vectors + self.by_code[self.codes[:, column]]
            return vectors

        def attention(self, interest: Tensor, known: Tensor) -> Tensor:
            """How much each place of the history counts, (n, history); adds up to 1 unless nothing is known."""
            logits = torch.where(known, interest + self.place, -1e9)
            return torch.softmax(logits, 1) * known

        def interest(self, vectors: Tensor) -> Tensor:
            return torch.tanh(vectors) @ self.query

        def user(self, pooled: Tensor) -> Tensor:
            """The user's vector, as long as the inverse of the temperature."""
            mixed = pooled + torch.relu(pooled @ self.up + self.up_bias) @ self.down
            return normalize(mixed, dim=1) * self.log_scale.exp()

        def users(self, rows: Tensor, vectors: Tensor) -> Tensor:
            """The users (n, dim) of histories (n, history) of item rows, without spreading their vectors out."""
            known = rows >= 0
            rows = rows.clamp(min=0)
            return self.user(
                embedding_bag(
                    rows,
                    vectors,
                    per_sample_weights=self.attention(self.interest(vectors)[rows], known),
                    mode="sum",
                )
            )

        def forward(self, consumed: Tensor, known: Tensor) -> Tensor:
            """The users (n, dim) of the vectors that they consumed, (n, history, dim): what is served."""
            weight = self.attention(self.interest(consumed), known)
            return self.user((weight[:, :, None] * consumed).sum(1))

    return Network()


def sampled_softmax(users: Any, items: Any, rows: Any, log_q: Any | None) -> Any:
    """The loss of each of n users against the items of all n, their shared negatives: (n,).

    Row i of `users` and `items` (n, dim) belong together; `rows` (n,) says which item each is. With `log_q` (n,), the
    log of each item's chance of being drawn, another's item j stands for 1 / ((n - 1) q_j) items like it, and one's
    own for itself alone, so that the sum below the fraction estimates, without bias, the sum over all items: the
    sampling-bias correction of Yi et al., "Sampling-bias-corrected neural modeling for large corpus item
    recommendations", RecSys 2019, equations 4 and 5, with the positive outside the sample, as it is there for certain.
    Without `log_q` all items of the batch count alike. Another's copy of one's own item is no negative.
    """
    import torch
    from torch.nn.functional import cross_entropy

    n = len(rows)
    logits = users @ items.T
    own = torch.eye(n, dtype=torch.bool)
    if log_q is not None:
        logits = logits - torch.where(own, 0.0, log_q + math.log(max(n - 1, 1)))
    copies = (rows[None, :] == rows[:, None]) & ~own
    return cross_entropy(logits.masked_fill(copies, -1e9), torch.arange(n), reduction="none")


def train(network: Any, examples: Examples, schedule: Schedule, *, seed: int, progress: Progress) -> None:
    """Teach the network in one thread: Adam, a short warm-up, then a rate that falls to a twentieth."""
    import torch
    from torch.nn.functional import normalize

    rng = np.random.default_rng(seed)
    n = len(examples.items)
    counts = np.bincount(examples.items, minlength=len(network.own))
    log_q = torch.from_numpy(np.log(np.maximum(counts, 1) / n).astype(np.float32))
    optimiser = torch.optim.Adam(network.parameters(), lr=schedule.learning_rate, betas=(0.9, 0.99))
    order = np.empty(0, np.int64)
    for step in range(schedule.steps):
        if len(order) < schedule.batch:
            order = rng.permutation(n)
        pick, order = order[: schedule.batch], order[schedule.batch :]
        pace = min(1.0, (step + 1) / 50) * (1 - 0.95 * step / schedule.steps)
        optimiser.param_groups[0]["lr"] = schedule.learning_rate * pace
        rows = torch.from_numpy(examples.items[pick])
        vectors = network.items()
        users = network.users(torch.from_numpy(examples.consumed(pick, len(network.place))), vectors)
        losses = sampled_softmax(users, normalize(vectors[rows], dim=1), rows, log_q[rows] if schedule.logq else None)
        loss = (losses * torch.from_numpy(examples.weights[pick])).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step % 20 == 0:
            progress("learning from histories", step / schedule.steps)


def item_table(network: Any, trained: Array) -> Array:
    """The item vectors (n_items, dim) float32; of items not `trained` (n_items,) only what their attributes say."""
    import torch

    with torch.no_grad():
        vectors = network.items() - network.own * torch.from_numpy(~trained)[:, None]
    return np.ascontiguousarray(vectors.numpy())


def to_onnx(network: Any, shape: Shape) -> bytes:
    """The user tower as an ONNX graph: `consumed` (n, history, dim) float32 and `known` (n, history) bool to `user`."""
    import torch

    network.eval()
    example = (torch.zeros(2, shape.history, shape.dim), torch.zeros(2, shape.history, dtype=torch.bool))
    axes = {"consumed": {0: "n"}, "known": {0: "n"}, "user": {0: "n"}}
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # dynamo=False needs no further package, and says it is old
        torch.onnx.export(
            network, example, file, input_names=["consumed", "known"], output_names=["user"], dynamic_axes=axes,
            dynamo=False, opset_version=17,
        )  # fmt: skip
    return file.getvalue()
