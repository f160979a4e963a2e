"""Slices: the same metrics on named parts of the rows, so that an average cannot hide who is served badly."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice, pairwise

import numpy as np

from sixfold._core.errors import InputError
from sixfold._core.hashing import derive_seed
from sixfold._core.table import Array, Table
from sixfold.evaluate.bootstrap import Estimate, bootstrap

__all__ = ["Slice", "TableMetric", "by_category", "by_count", "measure_slices"]

TableMetric = Callable[[Table, Array], Array]
"""Maps rows and their weights (b, n_rows) to values (b,): `lambda rows, w: auc(rows["clicked"], rows["score"], w)`."""


@dataclass(frozen=True, slots=True)
class Slice:
    """One named part of the rows and what was measured on it."""

    name: str
    n_rows: int
    n_users: int
    metrics: Mapping[str, Estimate]


_FEWEST = 20
"""People who share a personal value before a report names it."""


def by_count(what: str, counts: Array, bounds: tuple[int, ...] = (5, 20)) -> dict[str, Array]:
    """Masks (n_rows,) by how much was known, such as a user's earlier events; the first slice are the cold ones.

    >>> {name: mask.tolist() for name, mask in by_count("user events", np.array([0, 7, 2]), (5,)).items()}
    {'user events < 5': [True, False, True], 'user events ≥ 5': [False, True, False]}
    """
    if list(bounds) != sorted(set(bounds)) or not bounds:
        raise InputError(f"the bounds of slices must rise; found {bounds}")
    masks = {f"{what} < {bounds[0]}": counts < bounds[0]}
    for low, high in pairwise(bounds):
        masks[f"{what} {low} to {high - 1}"] = (counts >= low) & (counts < high)
    masks[f"{what} ≥ {bounds[-1]}"] = counts >= bounds[-1]
    return masks


def by_category(what: str, values: Array, top: int = 5, *, people: Array | None = None) -> dict[str, Array]:
    """Masks (n_rows,) of the `top` most frequent values, by frequency and then by name, the others, and the missing.

    Where values are personal, `people` says whose they are, (n_rows,): what fewer than twenty share is not named.

    >>> list(by_category("tab", np.array(["a", "b", "a", None], object), top=1))
    ['tab = a', 'tab = others', 'tab missing']
    """
    values = np.asarray(values)
    is_text = values.dtype == object
    missing = np.equal(values, np.array(None, object)) if is_text else np.isnan(values.astype(np.float64))
    names, counts = np.unique(values[~missing], return_counts=True)
    order = np.lexsort((np.arange(len(names)), -counts))
    if people is not None:
        shared = (i for i in order[counts[order] >= _FEWEST] if len(np.unique(people[values == names[i]])) >= _FEWEST)
        order = np.fromiter(islice(shared, top), np.int64)
    largest = [names[i] for i in order[:top]]
    masks = {f"{what} = {name}": np.asarray(values == name) for name in largest}
    rest = ~missing & ~np.logical_or.reduce([np.zeros(len(values), np.bool_), *masks.values()])
    masks |= {f"{what} = others": rest, f"{what} missing": missing}
    return {name: mask for name, mask in masks.items() if mask.any()}


def measure_slices(
    rows: Table,
    slices: Mapping[str, Array],
    metrics: Mapping[str, TableMetric],
    *,
    users: Array,
    seed: int,
    replicates: int = 200,
) -> tuple[Slice, ...]:
    """Each metric on each slice, with its interval over the users in it; an empty slice has NaN figures.

    `slices` holds masks (n_rows,); `users` (n_rows,). All rows come first, as "all".
    """
    out = []
    for name, mask in {"all": np.ones(len(rows), np.bool_), **slices}.items():
        if mask.shape != (len(rows),):
            raise InputError(f"slice {name!r} has a mask of shape {mask.shape}; the table has {len(rows)} rows")
        part, who = rows.take(np.flatnonzero(mask)), users[mask]
        measured = {
            metric: bootstrap(_on(part, function), users=who, seed=derive_seed(seed, name), replicates=replicates)
            for metric, function in metrics.items()
        }
        out.append(Slice(name, len(part), len(np.unique(who)), measured))
    return tuple(out)


def _on(part: Table, function: TableMetric) -> Callable[[Array], Array]:
    return lambda weights: function(part, weights)
