"""Labels: outcomes attributed to the impressions that led to them, usable only once they are mature."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sixfold._core.errors import DefinitionError
from sixfold._core.table import Array, Table
from sixfold._core.times import duration, format_duration
from sixfold.data.calendar import Calendar
from sixfold.data.events import Events, field_values, stream_of
from sixfold.data.expr import Expr
from sixfold.data.retraction import living

__all__ = ["Label", "label_values"]


@dataclass(frozen=True, slots=True, eq=False)
class Label:
    """An outcome of an `of` event: `expr` over a later event of the same keys that happens `within` a window.

    A boolean expression gives a binary label (did it happen), any other the sum of its values. The label of a row is
    final `matures` after the row; before that it must not be used. `weight`, if given, is an expression over the same
    stream: the weight of the row in training, from the outcome logged last that has one, and 1 where none has.

    `of` a calendar it is what came in each row's period: `within` is that period, and a row matures with its origin's
    last step.
    """

    name: str
    expr: Expr
    of: Events | Calendar
    within: str
    matures: str
    weight: Expr | None = None

    def __post_init__(self) -> None:
        problems = []
        outcome = stream_of(self.expr)
        if missing := [key.name for key in self.of.keys if key not in outcome.keys]:
            problems.append(
                f"label {self.name!r}: stream {outcome.name!r} lacks the keys {missing} of {self.of.name!r}"
            )
        if self.weight is not None and (other := stream_of(self.weight)) != outcome:
            problems.append(
                f"label {self.name!r}: the weight is over {other.name!r}, the outcome over {outcome.name!r}"
            )
        if duration(self.within) == 0:
            problems.append(
                f"label {self.name!r}: nothing can happen within {self.within}: give a window such as '30m'"
            )
        if duration(self.matures) < duration(self.within):
            problems.append(
                f"label {self.name!r} matures after {self.matures} but may still change within {self.within}: "
                f"give matures >= {self.within}"
            )
        if isinstance(self.of, Calendar) and not problems:
            problems += self._calendar_problems(self.of)
        if problems:
            raise DefinitionError(problems)

    def _calendar_problems(self, calendar: Calendar) -> Iterator[str]:
        if duration(self.within) != calendar.period or self.maturity < calendar.reach:
            period, reach = format_duration(calendar.period), format_duration(calendar.reach)
            yield (
                f"label {self.name!r}: periods of the calendar take {period}, and its origins mature after {reach}: "
                f'give within="{period}" and matures="{reach}"'
            )
        if self.weight is not None:
            yield f"label {self.name!r}: rows of a calendar have no weights of their own"

    def __repr__(self) -> str:
        return f"Label({self.name!r})"

    @property
    def outcome(self) -> Events:
        """The stream in which the outcome is seen."""
        return stream_of(self.expr)

    @property
    def binary(self) -> bool:
        """Whether the label is 0 or 1, rather than a quantity."""
        return self.expr.is_bool

    @property
    def maturity(self) -> int:
        """Microseconds from the impression until its label is final."""
        return duration(self.matures)

    def spec(self) -> Any:
        """The definition as plain values."""
        weight = self.weight.spec() if self.weight is not None else None
        window = [format_duration(duration(self.within)), format_duration(self.maturity)]
        return ["label", self.name, self.expr.spec(), self.of.name, window, weight]

    def values(self, impressions: Table, outcomes: Table) -> tuple[Array, Array]:
        """Label values and weights, both (n_impressions,) float64.

        An outcome belongs to the latest impression of the same keys at or before it, if that is within the window.
        """
        return self._summed(self._attributed(impressions, outcomes), outcomes, len(impressions))

    def _attributed(self, impressions: Table, outcomes: Table) -> Array:
        return attribute(impressions, outcomes, [key.name for key in self.of.keys], duration(self.within))

    def _summed(self, row: Array, outcomes: Table, n_rows: int) -> tuple[Array, Array]:
        """Values and weights, given the row of the impression that each outcome belongs to."""
        hit = row >= 0
        raw = field_values(self.expr, outcomes)[hit].astype(np.float64)
        raw = np.where(np.isnan(raw), 0.0, raw)
        values = np.zeros(n_rows)
        np.add.at(values, row[hit], raw)
        if self.binary:
            values = (values > 0).astype(np.float64)
        weights = np.ones(n_rows)
        if self.weight is not None:
            given = field_values(self.weight, outcomes).astype(np.float64)
            hit &= ~np.isnan(given)
            weights[row[hit]] = given[hit]
        return values, weights


def label_values(labels: Sequence[Label], impressions: Table, history: Mapping[str, Table]) -> tuple[Table, Table]:
    """Values and weights of labels of one stream, a float64 column for each; 0 and 1 where no outcome is in `history`.

    An outcome that `history` says is retracted does not count. Labels that look for the same outcomes within the same
    time share one attribution.
    """
    found: dict[tuple[str, int], Array] = {}
    values, weights = {}, {}
    for label in labels:
        outcomes = living(history, history.get(label.outcome.name, Table({})))
        if not outcomes:
            values[label.name], weights[label.name] = np.zeros(len(impressions)), np.ones(len(impressions))
            continue
        if isinstance(label.of, Calendar):
            totals = label.of.totals(impressions, outcomes, np.nan_to_num(field_values(label.expr, outcomes) * 1.0))
            values[label.name] = (totals > 0).astype(np.float64) if label.binary else totals
            weights[label.name] = np.ones(len(impressions))
            continue
        shared = (label.outcome.name, duration(label.within))
        if shared not in found:
            found[shared] = label._attributed(impressions, outcomes)
        values[label.name], weights[label.name] = label._summed(found[shared], outcomes, len(impressions))
    return Table(values, n_rows=len(impressions)), Table(weights, n_rows=len(impressions))


def attribute(impressions: Table, outcomes: Table, keys: list[str], within: int) -> Array:
    """For each outcome the row of the impression it belongs to, or -1; (n_outcomes,) int64.

    That is the latest impression with equal keys and `at` <= the outcome's, if the outcome lies less than `within`
    microseconds after it; of impressions at the same instant, the one logged last.
    """
    n, m = len(impressions), len(outcomes)
    if n == 0 or m == 0:
        return np.full(m, -1, np.int64)
    code = np.zeros(n + m, np.int64)
    for key in keys:
        _, part = np.unique(np.concatenate([impressions[key], outcomes[key]]), return_inverse=True)
        _, code = np.unique(code * (int(part.max()) + 1) + part, return_inverse=True)
    at = np.concatenate([impressions["at"], outcomes["at"]])
    is_outcome = np.repeat([0, 1], [n, m])
    order = np.lexsort((np.arange(n + m), is_outcome, at, code))
    latest = np.where(is_outcome[order] == 0, np.arange(n + m), -1)
    latest = np.maximum.accumulate(latest)
    found = order[np.maximum(latest, 0)]
    good = (latest >= 0) & (is_outcome[order] == 1)
    good &= (code[found] == code[order]) & (at[order] - at[found] < within)
    row = np.full(n + m, -1, np.int64)
    row[order[good]] = found[good]
    return row[n:]
