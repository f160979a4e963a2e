"""Feature tables compared to the bit."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from sixfold._core.table import Array, Table

__all__ = ["Difference", "compare", "differences"]


@dataclass(frozen=True, slots=True)
class Difference:
    """The first row in which a column is not what it should be; `row` is -1 where the column as a whole is not."""

    column: str
    row: int
    expected: Any
    found: Any

    def __str__(self) -> str:
        where = f"{self.column}, row {self.row}" if self.row >= 0 else self.column
        return f"{where}: expected {self.expected!r}, found {self.found!r}"


def differences(expected: Table, found: Table) -> list[str]:
    """Where two feature tables differ, in words: names, types, shapes and values, to the bit; NaN equals NaN."""
    return [str(difference) for difference in compare(expected, found)]


def compare(expected: Table, found: Table) -> list[Difference]:
    """Where two feature tables differ, one entry for each column."""
    if expected.names != found.names:
        return [Difference("the columns", -1, expected.names, found.names)]
    out = []
    for name, want in expected.items():
        have = found[name]
        if want.dtype != have.dtype or want.shape != have.shape:
            out.append(Difference(name, -1, (str(want.dtype), want.shape), (str(have.dtype), have.shape)))
        elif not (same := _same(want, have)).all():
            row = int(np.argwhere(~same)[0][0])
            out.append(Difference(name, row, want[row], have[row]))
    return out


def _same(a: Array, b: Array) -> Array:
    """Element by element: the same bits, where all NaN are one, and 0.0 is not -0.0."""
    same = np.asarray(a == b, np.bool_)
    return (same & (np.signbit(a) == np.signbit(b))) | (np.isnan(a) & np.isnan(b)) if a.dtype == np.float64 else same
