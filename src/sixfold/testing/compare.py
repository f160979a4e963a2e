"""Feature tables compared to the bit."""

import numpy as np

from sixfold._core.table import Array, Table

__all__ = ["differences"]


def differences(expected: Table, found: Table) -> list[str]:
    """Where two feature tables differ, in words: names, types, shapes and values, to the bit; NaN equals NaN."""
    if expected.names != found.names:
        return [f"expected the columns {expected.names}, found {found.names}"]
    out = []
    for name, want in expected.items():
        have = found[name]
        if want.dtype != have.dtype or want.shape != have.shape:
            out.append(f"{name}: expected {want.dtype} {want.shape}, found {have.dtype} {have.shape}")
        elif not (same := _same(want, have)).all():
            row = int(np.argwhere(~same)[0][0])
            out.append(f"{name}, row {row}: expected {want[row]!r}, found {have[row]!r}")
    return out


def _same(a: Array, b: Array) -> Array:
    """Element by element: the same bits, where all NaN are one, and 0.0 is not -0.0."""
    same = np.asarray(a == b, np.bool_)
    return (same & (np.signbit(a) == np.signbit(b))) | (np.isnan(a) & np.isnan(b)) if a.dtype == np.float64 else same
