"""Labels by rule: where nobody says what was good, several fallible rules do, weighed by how far they agree.

The label model is a latent class model (Dawid and Skene 1979): each row has a truth that nobody sees, and each rule
fires with one chance where it is true and another where it is not, independently given the truth. Expectation
maximisation finds the chances from how often the rules fire together. Rules that fire together by construction, such as
"watched half" and "watched all", count as one witness twice: make them exclude each other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sixfold._core.errors import DataError, DefinitionError
from sixfold._core.table import Array, Table
from sixfold._core.times import duration
from sixfold.data.events import Events, field_values, stream_of
from sixfold.data.expr import Expr
from sixfold.data.labels import Label
from sixfold.data.retraction import living

__all__ = ["Rule", "RuleLabel", "RuleModel", "fit_rules", "rule_label", "weighed"]

_ROUNDS = 2_000
_STILL = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """A fallible sign: where `fires` is true of an outcome, the label is likely true, or likely false (`means`)."""

    name: str
    fires: Expr
    means: bool = True

    def spec(self) -> Any:
        """The definition as plain values."""
        return [self.name, self.fires.spec(), self.means]


@dataclass(frozen=True, slots=True)
class RuleModel:
    """The chance that a row is true (`prior`), and that each rule fires where it is true and where it is not."""

    prior: float
    if_true: tuple[float, ...]
    if_false: tuple[float, ...]

    def probability(self, fired: Array) -> Array:
        """The chance that each row is true, (n_rows,), given which rules fired, (n_rows, n_rules) bool."""
        a, b = np.array(self.if_true), np.array(self.if_false)
        says = np.where(fired, np.log(a / b), np.log((1 - a) / (1 - b)))
        odds = np.log(self.prior / (1 - self.prior)) + says.sum(axis=1)
        return np.asarray(1 / (1 + np.exp(-odds)))


@dataclass(frozen=True, slots=True, eq=False)
class RuleLabel(Label):
    """A binary label that rules vote on; each row weighs what the label model is sure of, |2p - 1|.

    `expr`, which features and retrievers use, is what the rules say by themselves: one for it, and none against. Until
    it is `weighed`, that is also the label. Make one with `rule_label`.
    """

    rules: tuple[Rule, ...] = ()
    model: RuleModel | None = None

    def spec(self) -> Any:
        """The definition as plain values."""
        return [*Label.spec(self), [rule.spec() for rule in self.rules]]

    def fired(self, impressions: Table, outcomes: Table) -> Array:
        """Which rules fired for some outcome of each impression, (n_rows, n_rules) bool."""
        return self._fired(self._attributed(impressions, outcomes), outcomes, len(impressions))

    def _fired(self, row: Array, outcomes: Table, n_rows: int) -> Array:
        hit = row >= 0
        out = np.zeros((n_rows, len(self.rules)), np.bool_)
        for i, rule in enumerate(self.rules):
            fires = field_values(rule.fires, outcomes).astype(np.bool_) & hit
            out[row[fires], i] = True
        return out

    def _summed(self, row: Array, outcomes: Table, n_rows: int) -> tuple[Array, Array]:
        if self.model is None:
            return Label._summed(self, row, outcomes, n_rows)
        p = self.model.probability(self._fired(row, outcomes, n_rows))
        return (p >= 0.5).astype(np.float64), np.abs(2 * p - 1)


def rule_label(name: str, *rules: Rule, of: Events, within: str, matures: str) -> RuleLabel:
    """A label that at least three rules over one stream vote on, some for it; raises DefinitionError.

    >>> from sixfold.frame import Entity
    >>> user, video = Entity("user"), Entity("video")
    >>> shown = Events("shown", keys=(user, video))
    >>> watch = Events("watch", keys=(user, video), fields={"share": float, "liked": bool})
    >>> good = rule_label(
    ...     "good", Rule("finished", watch.share >= 0.9), Rule("liked", watch.liked),
    ...     Rule("left", watch.share < 0.1, means=False), of=shown, within="1h", matures="1h",
    ... )
    >>> good.binary, [rule.name for rule in good.rules]
    (True, ['finished', 'liked', 'left'])
    """
    problems = [
        f"label {name!r}: rule {rule.name!r} must be true or false, such as watch.share >= 0.9"
        for rule in rules
        if not rule.fires.is_bool
    ]
    names = [rule.name for rule in rules]
    problems += [f"label {name!r}: two rules are called {n!r}" for n in sorted(set(names)) if names.count(n) > 1]
    positive = [rule.fires for rule in rules if rule.means]
    negative = [rule.fires for rule in rules if not rule.means]
    if len(rules) < 3 or not positive:
        problems.append(f"label {name!r}: who is right cannot be told from fewer than three rules, one of them for it")
    if len({stream_of(rule.fires).name for rule in rules}) > 1:
        problems.append(f"label {name!r}: all rules must be over fields of one stream")
    if problems:
        raise DefinitionError(problems)
    said = positive[0]
    for other in positive[1:]:
        said = said | other
    for other in negative:
        said = said & ~other
    return RuleLabel(name, said, of, within, matures, rules=rules)


def fit_rules(fired: Array, means: Sequence[bool]) -> RuleModel:
    """The label model of rules that fired so, (n_rows, n_rules) bool; deterministic. Raises DataError without rows.

    It starts from a count of the votes, and of the two mirrored answers takes that in which rules mean what they say.
    """
    if not len(fired):
        raise DataError("there are no rows to weigh the rules by", hint="ingest more history")
    patterns, counts = np.unique(fired, axis=0, return_counts=True)
    sign = np.where(np.asarray(means), 1, -1)
    votes = patterns.astype(np.float64)
    p = (1 + (votes * (sign > 0)).sum(axis=1)) / (2 + votes.sum(axis=1))
    model = RuleModel(0.5, (0.5,) * len(sign), (0.5,) * len(sign))
    for _ in range(_ROUNDS):
        before, model = model, _maximised(votes, counts, p)
        p = model.probability(patterns)
        if np.allclose(_numbers(model), _numbers(before), rtol=0, atol=_STILL):
            break
    if (sign * (np.array(model.if_true) - np.array(model.if_false))).sum() < 0:
        model = RuleModel(1 - model.prior, model.if_false, model.if_true)
    return model


def _maximised(votes: Array, counts: Array, p: Array) -> RuleModel:
    """The chances that fit best if patterns are true with the chances `p`; one row more of each kind keeps off 0."""
    true, false = counts * p, counts * (1 - p)
    shares = [(weight @ votes + 1) / (weight.sum() + 2) for weight in (true, false)]
    return RuleModel(float((true.sum() + 1) / (counts.sum() + 2)), *(tuple(share.tolist()) for share in shares))


def _numbers(model: RuleModel) -> Array:
    return np.array([model.prior, *model.if_true, *model.if_false])


def weighed(label: Label, impressions: Table, history: Mapping[str, Table]) -> Label:
    """The label with its rules weighed by these impressions; any other label as it is.

    Weigh by what training may see, and use the same label for every range: so no test row decides what is true.
    """
    if not isinstance(label, RuleLabel):
        return label
    outcomes = living(history, history.get(label.outcome.name, Table({})))
    at = impressions["at"]
    known = outcomes.take(outcomes["at"] < int(at.max()) + duration(label.within)) if len(at) and outcomes else outcomes
    fired = label.fired(impressions, known) if known else np.zeros((0, len(label.rules)), np.bool_)
    return replace(label, model=fit_rules(fired, [rule.means for rule in label.rules]))
