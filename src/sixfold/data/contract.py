"""Contracts: what must hold for every event of a stream, checked when it comes in."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sixfold._core.errors import DefinitionError
from sixfold._core.table import Array, Table
from sixfold.data.events import Events, Field, field_values
from sixfold.data.expr import Expr, leaves

__all__ = ["Contract"]


@dataclass(frozen=True, slots=True)
class Contract:
    """Named boolean checks over the fields of a stream; an event that breaks one goes to quarantine under its name.

    Comparisons with a missing value are false, so a check that lets missing values pass says what must not be:
    `~(watch.share < 0)` rather than `watch.share >= 0`.

    >>> from sixfold.frame import Entity
    >>> watch = Events("watch", keys=(Entity("user"),), fields={"share": float})
    >>> contract = Contract(watch, {"share is not negative": watch.share >= 0})
    >>> contract.broken(Table({"share": np.array([0.5, -1.0, np.nan])}))
    {'share is not negative': array([False,  True,  True])}
    """

    stream: Events
    checks: Mapping[str, Expr]

    def __post_init__(self) -> None:
        problems = [] if self.checks else [f"the contract of {self.stream.name!r} checks nothing"]
        for name, check in self.checks.items():
            where = f"check {name!r} on {self.stream.name!r}"
            if not name.strip():
                problems.append(f"a check on {self.stream.name!r} has no name: the name is the reason people will read")
            if not isinstance(check, Expr) or not check.is_bool:
                problems.append(f"{where} must be true or false, such as watch.share >= 0")
                continue
            found = leaves(check)
            strangers = [leaf for leaf in found if not isinstance(leaf, Field) or leaf.events != self.stream]
            if strangers or not found:
                problems.append(f"{where} must be over fields of that stream; found {strangers or 'no field'}")
        if problems:
            raise DefinitionError(problems)

    def broken(self, table: Table) -> dict[str, Array]:
        """For each check the rows that break it, (n_rows,) bool."""
        return {name: ~np.asarray(field_values(check, table), np.bool_) for name, check in self.checks.items()}
