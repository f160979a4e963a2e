"""The deep ranker's graph for serving: the trained network, which works out once what all candidates share."""

import io
import operator
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from typing import Any

from sixfold.models.deep_network import placed

__all__ = ["Columns", "to_onnx"]


@dataclass(frozen=True, slots=True)
class Columns:
    """Some of the columns: places among the numbers and among the codes."""

    numbers: tuple[int, ...] = ()
    codes: tuple[int, ...] = ()


def to_onnx(network: Any, n_numeric: int, n_categorical: int, shared: Columns) -> bytes:
    """The network as an ONNX graph with output `heads` (n, n_heads).

    Inputs: `numbers` (n, d) float32 and `codes` (n, k) int64 of the columns that are a row's own, and the same of the
    `shared` ones as `shared_numbers` and `shared_codes`, (n, ...) too or (1, ...) for all rows at once: what can be
    worked out of them alone is then worked out once.
    """
    import torch

    network.eval()
    own = Columns(
        tuple(i for i in range(n_numeric) if i not in shared.numbers),
        tuple(i for i in range(n_categorical) if i not in shared.codes),
    )
    with torch.no_grad():
        serving = _halves(network, shared, own)
    inputs, examples = [], []
    for name, part in (("shared_", shared), ("", own)):
        inputs += [f"{name}numbers", f"{name}codes"]
        examples += [torch.zeros(2, len(part.numbers)), torch.zeros(2, len(part.codes), dtype=torch.int64)]
    axes = {name: {0: "rows" if not name.startswith("shared") else "once"} for name in (*inputs, "heads")}
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # dynamo=False needs no further package, and says it is old
        torch.onnx.export(
            serving, tuple(examples), file, input_names=inputs, output_names=["heads"], dynamic_axes=axes,
            dynamo=False, opset_version=17,
        )  # fmt: skip
    return file.getvalue()


def _added(parts: Iterable[Any]) -> Any:
    """The sum of tensors from left to right; `sum` would begin with a 0, which is one more node of the graph."""
    return reduce(operator.add, parts)


def _halves(network: Any, shared: Columns, own: Columns) -> Any:
    """The trained network with its first width cut in two: products with what is shared need one row only."""
    import torch
    from torch import Tensor, nn

    class Half(nn.Module):  # type: ignore[misc]
        """A member's weights that meet some of the columns."""

        def __init__(self, member: Any, part: Columns) -> None:
            super().__init__()
            gaps, n_numbers, size = member.gaps.tolist(), member.n_numbers, member.embedding.embedding_dim
            self.n_numbers, self.n_codes = len(part.numbers), len(part.codes)
            mine = [place for place, number in enumerate(gaps) if number in part.numbers]
            width = [*part.numbers, *(n_numbers + place for place in mine)]
            width += [n_numbers + len(gaps) + code * size + i for code in part.codes for i in range(size)]
            self.is_empty = not width
            self.centre, self.spread = member.centre[list(part.numbers)], member.spread[list(part.numbers)]
            self.gaps = torch.tensor([part.numbers.index(gaps[place]) for place in mine], dtype=torch.int64)
            self.embedding, self.first_code = member.embedding, member.first_code[list(part.codes)]
            self.down = [down.weight[:, width].T for down in member.down]
            self.up = [(up.weight[width].T, up.bias[width]) for up in member.up]
            full = member.deep[0].in_features if len(member.deep) else member.heads.in_features // 2
            self.deep = (member.deep[0].weight if len(member.deep) else member.heads.weight[:, full:])[:, width].T
            self.heads = member.heads.weight[:, width].T

    class Member(nn.Module):  # type: ignore[misc]
        def __init__(self, member: Any) -> None:
            super().__init__()
            self.rest, self.bias = member.deep[1:], member.heads.bias
            self.first_bias = member.deep[0].bias if len(member.deep) else 0.0
            self.top = member.heads.weight[:, member.deep[0].in_features :].T.clone() if len(member.deep) else None
            halves = [(Half(member, part), i) for i, part in enumerate((shared, own))]
            self.halves = nn.ModuleList(half for half, _ in halves if not half.is_empty)
            self.places = [2 * i for half, i in halves if not half.is_empty]
            self.n_layers = len(member.down)

        def forward(self, *given: Tensor) -> Tensor:
            halves = list(self.halves)
            first = [placed(given[i], given[i + 1], half) for i, half in zip(self.places, halves, strict=True)]
            crossed = first
            for i in range(self.n_layers):
                low = _added(c @ half.down[i] for c, half in zip(crossed, halves, strict=True))
                high = [low @ half.up[i][0] + half.up[i][1] for half in halves]
                crossed = [f * h + c for f, h, c in zip(first, high, crossed, strict=True)]
            # The bias goes to the first half: where that is shared, it is added to one row.
            deep = _added([self.first_bias, *(f @ half.deep for f, half in zip(first, halves, strict=True))])
            deep = self.rest(deep) if self.top is None else self.rest(deep) @ self.top
            return _added([self.bias, deep, *(c @ half.heads for c, half in zip(crossed, halves, strict=True))])

    class Serving(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.members = nn.ModuleList(Member(member) for member in network.members)

        def forward(self, *given: Tensor) -> Tensor:
            logits = torch.stack([member(*given) for member in self.members]).mean(0)
            return network.members[0].outputs(logits)

    return Serving()
