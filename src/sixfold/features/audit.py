"""The audit: were the values that decisions were made with the values that the log says they should have been?"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from sixfold._core.errors import FeatureError
from sixfold._core.table import Array, Table
from sixfold.features.batch import as_of
from sixfold.features.featureset import FeatureSet

__all__ = ["AuditReport", "FeatureAudit", "audit"]


@dataclass(frozen=True, slots=True)
class FeatureAudit:
    """One feature over all served rows; `missing` was not served though it has a value, `extra` the other way round.

    `mismatching` rows have two different values; `largest` is the largest absolute difference of numbers among them.
    `answered` rows are not compared: the store was down, and the feature declares what it then answers.
    """

    name: str
    compared: int
    missing: int
    extra: int
    mismatching: int
    largest: float
    answered: int = 0

    def __add__(self, other: "FeatureAudit") -> "FeatureAudit":
        """Both together."""
        counts = {n: getattr(self, n) + getattr(other, n) for n in ("compared", "missing", "extra", "mismatching")}
        largest = max(self.largest, other.largest)
        return replace(self, **counts, largest=largest, answered=self.answered + other.answered)

    @property
    def wrong(self) -> int:
        """Rows that do not agree, for any reason."""
        return self.missing + self.extra + self.mismatching


@dataclass(frozen=True, slots=True)
class AuditReport:
    """All features, in order; the bar is that nothing is wrong.

    `decisions` is how many were audited; `skipped` ones were made with other features. `rewritten` values differ, but
    saw events that were erased since: they are not compared.
    """

    features: tuple[FeatureAudit, ...]
    decisions: int = 0
    skipped: int = 0
    rewritten: int = 0

    def __add__(self, other: "AuditReport") -> "AuditReport":
        """Both together; the features must be the same."""
        if not self.features or not other.features:
            features = self.features or other.features
        else:
            features = tuple(a + b for a, b in zip(self.features, other.features, strict=True))
        counts = (getattr(self, name) + getattr(other, name) for name in ("decisions", "skipped", "rewritten"))
        return AuditReport(features, *counts)

    def counted(self, decisions: int, skipped: int) -> "AuditReport":
        """The report with more decisions on the count."""
        return replace(self, decisions=self.decisions + decisions, skipped=self.skipped + skipped)

    @property
    def compared(self) -> int:
        """Values compared."""
        return sum(feature.compared for feature in self.features)

    @property
    def answered(self) -> int:
        """Values that were not compared, because the store was down."""
        return sum(feature.answered for feature in self.features)

    @property
    def wrong(self) -> int:
        """Values that do not agree."""
        return sum(feature.wrong for feature in self.features)

    def rows(self) -> list[dict[str, object]]:
        """One plain row per feature, for reports."""
        names = ("name", "compared", "missing", "extra", "mismatching", "largest", "answered")
        return [{name: getattr(feature, name) for name in names} for feature in self.features]


def audit(
    features: FeatureSet,
    history: Mapping[str, Table],
    served: Table,
    *,
    evaluate: Callable[[FeatureSet, Mapping[str, Table], Table], Table] = as_of,
    answered: Mapping[str, Array] | None = None,
) -> AuditReport:
    """Recompute served rows in batch, as of their offsets, and compare with what was logged.

    `served` has the columns of a spine (entities, `at`, `offset`, request columns) and the logged features by name; a
    feature that was not logged counts as missing in every row that has a value. NaN equals NaN. `evaluate` is the batch
    evaluator of any engine. `answered` marks rows, by feature, that are not to be compared because the store was down.
    Raises FeatureError if `served` is no spine.
    """
    recomputed = evaluate(features, history, served)
    found = []
    for name in features.names:
        logged, expected = served.get(name), recomputed[name]
        mine = answered.get(name) if answered else None
        if mine is None or not mine.any():
            found.append(_compare(name, logged, expected))
        else:
            one = _compare(name, None if logged is None else logged[~mine], expected[~mine])
            found.append(replace(one, answered=int(mine.sum())))
    return AuditReport(tuple(found))


def _compare(name: str, logged: Array | None, expected: Array) -> FeatureAudit:
    n = len(expected)
    if logged is None:
        return FeatureAudit(name, n, int((~_is_empty(expected)).sum()), 0, 0, 0.0)
    if logged.shape != expected.shape:
        raise FeatureError(f"feature {name!r} was logged with shape {logged.shape}, but has {expected.shape}")
    if (logged.dtype == object) != (expected.dtype == object):
        raise FeatureError(f"feature {name!r} was logged as {logged.dtype}, but is {expected.dtype}")
    is_empty, should_be = _is_empty(logged), _is_empty(expected)
    same = _same(logged, expected)
    differs = ~(same if same.ndim == 1 else same.all(axis=1))
    both = differs & ~is_empty & ~should_be
    return FeatureAudit(
        name,
        n,
        int((differs & is_empty & ~should_be).sum()),
        int((differs & ~is_empty & should_be).sum()),
        int(both.sum()),
        _largest(logged[both], expected[both]),
    )


def _same(a: Array, b: Array) -> Array:
    if a.dtype == object:
        return np.asarray(a == b, np.bool_)
    return np.asarray((a == b) | (np.isnan(a) & np.isnan(b)), np.bool_)


def _is_empty(column: Array) -> Array:
    """Rows without a value: NaN, None, or a sequence of nothing but padding."""
    if column.dtype == object:
        absent = np.asarray(column == None, np.bool_)  # noqa: E711 (element by element)
    elif column.dtype == np.float64:
        absent = np.isnan(column)
    else:
        absent = column == -1 if column.ndim == 2 else np.zeros(len(column), np.bool_)
    return absent if absent.ndim == 1 else np.asarray(absent.all(axis=1))


def _largest(a: Array, b: Array) -> float:
    """The largest absolute difference of numbers; 0 for text and where there is nothing to compare."""
    if len(a) == 0 or a.dtype == object:
        return 0.0
    with np.errstate(invalid="ignore"):
        difference = np.abs(a.astype(np.float64) - b.astype(np.float64))
    return float(np.nanmax(difference, initial=0.0))
