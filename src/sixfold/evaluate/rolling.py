"""Rolling origins: forecasts that were made on several days of the test range, held against what came after each."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import numpy as np

from sixfold._core.errors import DataError, DefinitionError
from sixfold._core.table import Array, Table
from sixfold._core.times import DAY, SECOND
from sixfold.data.calendar import Calendar
from sixfold.data.events import field_values
from sixfold.data.labels import Label
from sixfold.data.retraction import living
from sixfold.evaluate.bootstrap import Estimate, Metric, bootstrap, compare
from sixfold.evaluate.forecasts import Parts, parts, ratio
from sixfold.evaluate.measures import OURS, Trial
from sixfold.evaluate.report import Comparison, Entry

__all__ = ["RollingOrigin", "StepByStep"]

_BEFORE = 56
"""The days before the test range by which the scale of each series is measured."""


@dataclass(frozen=True, slots=True)
class RollingOrigin:
    """Forecasts of an amount per series beside the plan's rivals, of which it must beat `naive`.

    `wmape`, `mape`, `mase` are of the median, `pinball` is the mean loss over `quantiles`, `coverage` and `width` are
    of the interval from `low` to `high`. `wmape_gain` and `pinball_gain` are how much less than `naive` it loses, the
    paired difference. Intervals resample series: what the days of one have in common is then respected.
    """

    label: Label
    naive: str = "seasonal naive"
    season: int = 7
    quantiles: tuple[float, ...] = (0.1, 0.5, 0.9)

    def __post_init__(self) -> None:
        if not isinstance(self.label.of, Calendar) or self.label.binary:
            raise DefinitionError([f"rolling origins need an amount of a calendar, not {self.label.name!r}"])

    @property
    def metrics(self) -> tuple[str, ...]:
        """What limits can bound."""
        return "wmape", "pinball", "coverage", "width", "mase", "mape", "wmape_gain", "pinball_gain"

    def measure(self, trial: Trial) -> tuple[Comparison, Mapping[str, Estimate | float]]:
        """Every model of the trial, and the figures of ours."""
        scale = _scales(self.label, trial, self.season)
        found = {name: _terms(self, trial, table, scale) for name, table in _models(self, trial)}
        series = np.unique(trial.people)
        interval = partial(bootstrap, users=series, seed=trial.seed)
        values = {
            name: {metric: interval(_metric(two)) for metric, two in terms.items()} for name, terms in found.items()
        }
        figures = {metric.lower(): estimate for metric, estimate in values[OURS].items()}
        notes = {}
        for name, terms in found.items():
            if name != OURS:
                gains = {}
                for metric in ("wMAPE", "pinball"):
                    pair = _metric(terms[metric]), _metric(found[OURS][metric])
                    gains[metric] = compare(*pair, users=series, seed=trial.seed)
                notes[name] = "behind by " + " and ".join(f"{gain} in {metric}" for metric, gain in gains.items())
                if name == self.naive:
                    figures |= {f"{metric.lower()}_gain": gain for metric, gain in gains.items()}
        entries = tuple(Entry(name, v, name == OURS, notes.get(name, "")) for name, v in values.items())
        first, last = (datetime.fromtimestamp(_at(trial, end) / SECOND, UTC) for end in (0, -1))
        protocol = (
            f"{len(trial.spine):,} days of {len(series):,} series, forecast from {len(np.unique(trial.spine['at']))} "
            f"origins between {first:%Y-%m-%d} and {last:%Y-%m-%d}; MAPE is over days on which something came, MASE in "
            f"errors of last week's day in the {_BEFORE} days before; 95 % intervals over series."
        )
        pictured = ("wMAPE", "pinball", "coverage", "MASE")
        return Comparison(f"Forecasts of {self.label.name}", protocol, entries, pictured), figures


@dataclass(frozen=True, slots=True)
class StepByStep:
    """The same loss by how far ahead: one column for each step in `steps`, of `metric` as RollingOrigin calls it."""

    label: Label
    steps: tuple[int, ...]
    metric: str = "wMAPE"
    quantiles: tuple[float, ...] = (0.1, 0.5, 0.9)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Nothing that limits could bound."""
        return ()

    def measure(self, trial: Trial) -> tuple[Comparison, Mapping[str, Estimate | float]]:
        """Every model of the trial."""
        entries = []
        scale = np.ones(len(trial.spine))
        for name, table in _models(self, trial):
            values = {}
            for step in self.steps:
                rows = trial.spine["step"] == step
                terms = _terms(self, trial, table, scale, rows)
                series = np.unique(trial.people[rows])
                metric = _metric(terms[self.metric])
                values[f"{self.metric}@{step}"] = bootstrap(metric, users=series, seed=trial.seed, replicates=200)
            entries.append(Entry(name, values, name == OURS))
        title = f"{self.metric} of {self.label.name} by steps ahead"
        note = "The same rows, by how many periods after its origin each lies; 95 % intervals over series."
        pictured = tuple(f"{self.metric}@{step}" for step in self.steps[:: max(1, len(self.steps) // 4)][:4])
        return Comparison(title, note, tuple(entries), pictured), {}


def _at(trial: Trial, place: int) -> int:
    return int(np.sort(trial.spine["at"])[place])


def _models(measure: RollingOrigin | StepByStep, trial: Trial) -> list[tuple[str, Table]]:
    """The models that forecast the label, ours first."""
    name = measure.label.name
    wanted = [name, f"{name} low", f"{name} high", *(_column(name, q) for q in measure.quantiles)]
    found = [(model, table) for model, table in trial.predictions.items() if all(n in table for n in wanted)]
    if not found or found[0][0] != OURS:
        raise DataError(f"the system's model gives no forecasts of {name!r}: {', '.join(wanted)} are wanted")
    return found


def _column(name: str, quantile: float) -> str:
    return f"{name} p{100 * quantile:g}"


def _terms(
    measure: RollingOrigin | StepByStep, trial: Trial, table: Table, scale: Array, rows: Array | None = None
) -> dict[str, Parts]:
    """The two sums of each metric by series, as sorted keys have them, over all rows or those of a mask."""
    chosen = np.arange(len(table)) if rows is None else np.flatnonzero(rows)
    name = measure.label.name
    given = [table[column][chosen] for column in (name, f"{name} low", f"{name} high")]
    tails = {q: table[_column(name, q)][chosen] for q in measure.quantiles}
    terms = parts(trial.labels[name][chosen], *given, quantiles=tails, scale=scale[chosen])
    _, code = np.unique(trial.people[chosen], return_inverse=True)
    return {metric: (np.bincount(code, above), np.bincount(code, below)) for metric, (above, below) in terms.items()}


def _metric(terms: Parts) -> Metric:
    return lambda weights: ratio(terms, weights)


def _scales(label: Label, trial: Trial, season: int) -> Array:
    """The mean absolute error of last season's period before the test range, of the series of each row; (n_rows,)."""
    calendar = label.of
    if not isinstance(calendar, Calendar):
        raise DataError(f"{label.name!r} is not of a calendar")
    series, code = np.unique(trial.people, return_inverse=True)
    periods = max(_BEFORE * DAY // calendar.period, season + 1)
    begins = trial.start - calendar.period * np.arange(periods, 0, -1)
    key = np.repeat(series, periods)
    rows = Table({calendar.per.name: key, "at": np.tile(begins, len(series)), "step": np.ones(len(key))})
    events = living(trial.history, trial.history[calendar.events.name])
    values = np.nan_to_num(field_values(label.expr, events) * 1.0)
    daily = calendar.totals(rows, events, values).reshape(len(series), periods)
    errors = np.abs(daily[:, season:] - daily[:, :-season])
    return np.asarray(errors.mean(axis=1)[code])
