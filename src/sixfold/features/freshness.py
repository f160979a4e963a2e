"""Answering for features that cannot be known, as they declare it: one rule for batch and online.

Unknown keys and streams that are too old are functions of the log's prefix and the moment, so they are computed as
features are: whether a key was ever seen is a count over all time, and how old a stream is, is its age under the global
key. Both evaluators compute these beside the features that declare an answer, and nothing where none does. A store that
cannot be read is no function of the prefix: the reader takes note of it, and a replay is told.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from sixfold._core.errors import DefinitionError, FeatureError, InputError
from sixfold._core.hashing import canonical, fingerprint
from sixfold._core.table import Array, Table
from sixfold._core.times import SECOND, duration
from sixfold.features.absence import AS_IS, REFUSE, Absence, Answer
from sixfold.features.definitions import Age, Aggregate, Feature, Request
from sixfold.features.featureset import FeatureSet

__all__ = ["Guard", "Notes", "guarded"]

Read = Callable[[tuple[str, ...]], Table]
"""Reads the named features of one request."""


@dataclass(slots=True)
class Notes:
    """What was answered by declaration while one decision was made: name -> reason -> rows of the largest read.

    `is_down(read)` says whether a replay must take the store as down for that read; `went_down(read, error)` is called
    when it is found to be. A read is counted from 0 within its stage.
    """

    is_down: Callable[[], bool] = lambda: False
    went_down: Callable[[Exception], None] = lambda error: None
    answered: dict[str, dict[str, int]] = field(default_factory=dict)

    def add(self, name: str, reason: str, n_rows: int) -> None:
        """Take note of `n_rows` rows of a feature."""
        reasons = self.answered.setdefault(name, {})
        reasons[reason] = max(reasons.get(reason, 0), n_rows)


@dataclass(frozen=True, slots=True)
class _Rule:
    """A feature's declaration, and the features that say whether it applies."""

    feature: Feature
    absence: Absence
    seen: tuple[str, ...]
    ages: tuple[str, ...]

    @property
    def stale_after_s(self) -> float:
        assert self.absence.stale is not None
        return duration(self.absence.stale[0]) / SECOND


class Guard:
    """The declarations of a feature set; `features` are its features and those that the declarations need."""

    def __init__(self, features: FeatureSet) -> None:
        self.rules: dict[str, _Rule] = {}
        self.features = features
        wanted: dict[str, Feature] = {}
        for feature in features:
            if feature.absence is not None:
                seen = list(_seen(feature)) if feature.absence.unknown is not AS_IS else []
                ages = list(_ages(feature)) if feature.absence.stale is not None else []
                wanted |= {helper.name: helper for helper in (*seen, *ages)}
                names = tuple(helper.name for helper in seen), tuple(helper.name for helper in ages)
                self.rules[feature.name] = _Rule(feature, feature.absence, *names)
        if problems := [problem for rule in self.rules.values() for problem in answer_problems(rule.feature)]:
            raise DefinitionError(problems)
        if wanted:
            self.features = FeatureSet(*features, *wanted.values())

    def past(self, names: Iterable[str], table: Table) -> Table:
        """The named columns of a batch, answered; where the answer is a refusal, no value: nothing was decided on."""
        return Table({name: self._answered(name, table, None) for name in names}, n_rows=len(table))

    def now(self, names: tuple[str, ...], read: Read, n_rows: int, notes: Notes) -> Table:
        """The named features of one request, answered, and taken note of.

        Raises FeatureError where the answer is a refusal, and what the store raised where nothing is declared for that.
        """
        rules = [self.rules[name] for name in names if name in self.rules]
        helpers = {name: None for rule in rules for name in (*rule.seen, *rule.ages)}
        if not any(rule.absence.down is not AS_IS for rule in rules):
            table = read((*names, *helpers))
        else:
            try:
                if notes.is_down():
                    return self._without_store(names, read, n_rows, notes)
                table = read((*names, *helpers))
            except (FeatureError, InputError, DefinitionError):
                raise
            except Exception as error:  # whatever a store's client raises: it is down
                notes.went_down(error)
                return self._without_store(names, read, n_rows, notes, error)
        return Table({name: self._answered(name, table, notes) for name in names}, n_rows=len(table))

    def reason(self, name: str, table: Table) -> str:
        """Why the first row of a table, made of `features` without answers, is answered for; empty if it is not."""
        rule = self.rules.get(name)
        why = [reason for reason, rows in _found(rule, table) if rows[0]] if rule is not None else []
        return why[-1] if why else ""

    def is_stale(self, name: str, read: Read) -> bool:
        """Whether the stream of a feature is too old, given what reads its age."""
        rule = self.rules[name]
        return bool(rule.ages) and any(bool(rows[0]) for _, rows in _found(replace(rule, seen=()), read(rule.ages)))

    def stale(self, name: str, values: Array, notes: Notes) -> Array:
        """What stands for the values of all known keys when the stream is too old."""
        return self._answer(name, "stale", values, np.ones(len(values), np.bool_), notes)

    def _answered(self, name: str, table: Table, notes: Notes | None) -> Array:
        column, rule = table[name], self.rules.get(name)
        if rule is not None:
            for reason, rows in _found(rule, table):
                if rows.any():
                    column = self._answer(name, reason, column, rows, notes)
        return column

    def _answer(self, name: str, reason: str, column: Array, rows: Array, notes: Notes | None) -> Array:
        absence = self.rules[name].absence
        answer, why = absence.unknown, "its key was never seen"
        if reason == "stale" and absence.stale is not None:
            answer, why = absence.stale[1], f"nothing newer than {absence.stale[0]} has come in"
        if answer is AS_IS:
            return column
        if notes is not None and answer is REFUSE:
            raise FeatureError(f"feature {name!r} refuses to answer: {why}", hint="see what it declares with absent()")
        if notes is not None:
            notes.add(name, reason, int(np.count_nonzero(rows)))
        return _put(column, rows, answer)

    def _without_store(
        self, names: tuple[str, ...], read: Read, n_rows: int, notes: Notes, error: Exception | None = None
    ) -> Table:
        stored = [name for name in names if not _of_request(self.features[name])]
        answers: dict[str, Answer] = {n: self.rules[n].absence.down if n in self.rules else AS_IS for n in stored}
        if lost := [name for name, answer in answers.items() if answer is AS_IS or answer is REFUSE]:
            what = f"the state cannot be read, and {', '.join(lost[:3])} declare no answer for that"
            raise FeatureError(what, hint="declare .absent(down=…), or mend the store") from error
        table = read(tuple(name for name in names if name not in answers))
        for name in stored:
            notes.add(name, "down", n_rows)
        made = {name: _put(blank(self.features[name], n_rows), np.ones(n_rows, bool), answers[name]) for name in stored}
        return Table({name: made.get(name, table.get(name)) for name in names}, n_rows=n_rows)


def guarded(features: FeatureSet, evaluate: Callable[[FeatureSet], Table]) -> Table:
    """What a batch evaluator gives for a feature set, answered as the features declare: for every engine's `as_of`."""
    guard = Guard(features)
    table = evaluate(guard.features)
    return guard.past(features.names, table) if guard.rules else table


def answer_problems(feature: Feature) -> Iterator[str]:
    """Why answers cannot stand in the column of a feature, in words."""
    texts = feature.absence.texts if feature.absence else ()
    column = blank(feature, 0) if texts else np.empty(0)
    if column.ndim > 1:
        yield f"{feature.name!r} is a sequence: it can answer None, for nothing in it, or REFUSE"
    elif any(is_text != (column.dtype == object) for is_text in texts):
        kind = "text" if column.dtype == object else "a number"
        yield f"{feature.name!r} is {kind}, and so must be what it answers in its place"


def blank(feature: Feature, n_rows: int) -> Array:
    """A column of the feature's type and width with no value in it."""
    from sixfold.features.batch import as_of

    features = FeatureSet(replace(feature, absence=None))
    keys: dict[str, Any] = {
        entity.name: np.empty(0, object if entity.key is str else int) for entity in features.entities
    }
    nothing = np.empty(0, np.int64)
    empty = as_of(features, {}, Table({**keys, "at": nothing, "offset": nothing}))[feature.name]
    return np.full((n_rows, *empty.shape[1:]), _missing(empty), empty.dtype)


def _missing(column: Array) -> Any:
    return None if column.dtype == object else np.nan if column.dtype == np.float64 else -1


def _put(column: Array, rows: Array, answer: Answer) -> Array:
    """The column with an answer in some rows; what all rows share stays one value."""
    value = _missing(column) if answer is None or answer is REFUSE else answer
    if len(column) > 1 and column.strides[0] == 0 and (rows == rows[0]).all():
        return np.broadcast_to(_put(column[:1], rows[:1], answer), column.shape)
    out = column.copy()
    out[rows] = value
    return out


def _found(rule: _Rule, table: Table) -> Iterator[tuple[str, Array]]:
    """Why rows must be answered for, and which; what comes later counts more."""
    if rule.seen:
        yield "unknown", np.any([table[name] == 0 for name in rule.seen], axis=0)
    if rule.ages:
        ages = [table[name] for name in rule.ages]
        yield "stale", np.any([np.isnan(age) | (age > rule.stale_after_s) for age in ages], axis=0)


def _primitives(feature: Feature) -> list[Any]:
    return [part for part in FeatureSet(feature).primitives if not isinstance(part, Request)]


def _of_request(feature: Feature) -> bool:
    return not _primitives(feature)


def _seen(feature: Feature) -> Iterator[Feature]:
    """For each key, how many events of it there ever were."""
    for part in _primitives(feature):
        helper = Aggregate("", "count", part.stream, None, part.by, None, getattr(part, "where", None))
        yield helper.named(f"~seen {fingerprint(canonical(helper.spec()))[:12]}")


def _ages(feature: Feature) -> Iterator[Feature]:
    """For each stream, how long ago its newest event happened."""
    for stream in {part.stream.name: part.stream for part in _primitives(feature)}.values():
        yield Age(f"~age {stream.name}", stream, ())
