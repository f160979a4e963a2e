"""What decisions were made with: the logged features of what was shown, a piece of the log at a time."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from sixfold._core.table import Array, Table, column
from sixfold.data.calendar import Calendar
from sixfold.data.log import Log
from sixfold.run.home import Home, read_json
from sixfold.run.requests import request_fields
from sixfold.serve.decision import unpack
from sixfold.system import System

__all__ = ["ALL_TIME", "Served", "served"]

ALL_TIME = (-(2**63), 2**63 - 1)
_STEP = 20_000


@dataclass(frozen=True, slots=True)
class Served:
    """The shown items of some decisions, a row each.

    `points` has the keys, moments and request fields; `values` the ranker's features and the predictions; `down` marks
    rows whose features were answered for because the store was down. `decisions` were ranked; of `skipped` ones the
    release had other features.
    """

    points: Table
    values: Table
    down: Array
    decisions: int
    skipped: int


def served(
    home: Home,
    system: System,
    log: Log,
    *,
    last: int | None = None,
    release: str | None = None,
    within: tuple[int, int] = ALL_TIME,
) -> Iterator[Served]:
    """The decisions that were made in `within`, newest first, until there were `last`; of one release if it is named.

    Decisions that were not ranked are left out.
    """
    reader = _Reader(home, system)
    left = last
    end = log.end()[0]
    for stop in range(end, 0, -_STEP):
        table = log.read(max(stop - _STEP, 0), stop, ["decision"]).get("decision", Table({}))
        if table:
            keep = (table["at"] >= within[0]) & (table["at"] < within[1])
            if release is not None:
                keep &= table["release"] == release
            table = table.take(keep)
        if not table:
            continue
        found = reader.read(table.rows()[::-1], left)
        yield found
        if left is not None:
            left -= found.decisions
            if left <= 0:
                return


class _Reader:
    """Decisions as rows."""

    def __init__(self, home: Home, system: System) -> None:
        self._home, self._system = home, system
        self._fits: dict[str, bool] = {}

    def read(self, rows: list[dict[str, Any]], most: int | None) -> Served:
        """At most the first `most` of the decisions."""
        points: list[Table] = []
        values: list[Table] = []
        down: list[Array] = []
        skipped = 0
        for row in rows:
            if most is not None and len(points) == most:
                break
            record = msgspec.json.decode(row["record"])
            if "features" not in record:
                continue
            logged = unpack(record["features"])
            if not self._is_of_these_features(row["release"], logged):
                skipped += 1
                continue
            heads = unpack(record["heads"])
            points.append(self._points(row, record["ids"]))
            values.append(logged.with_columns({f"predicted {head}": heads[head] for head in heads}))
            down.append(np.full(len(logged), "no_store:hydrate" in row["rungs"].split(",")))
        flags = np.concatenate(down) if down else np.empty(0, np.bool_)
        return Served(Table.concat(points), Table.concat(values), flags, len(points), skipped)

    def _is_of_these_features(self, release: str, logged: Table) -> bool:
        """Whether the release was made for the features that the system has now."""
        if release not in self._fits:
            manifest = read_json(self._home.releases / release / "manifest.json")
            made_for: Mapping[str, Any] = manifest.get("about", {})
            here = self._system.features.fingerprint
            self._fits[release] = made_for.get("features", here) == here
        return self._fits[release] and set(logged.names) == set(self._system.features.names)

    def _points(self, row: dict[str, Any], ids: list[Any]) -> Table:
        task, n = self._system.problem.task, len(ids)
        context = msgspec.json.decode(row["request"])["context"]
        keys = {task.per.name: column([row[task.per.name]] * n, task.per.key)}
        if task.item is not None:
            keys[task.item.name] = column(ids, task.item.key)
        if isinstance(spine := self._system.spine, Calendar):
            shift = int(self._home.facts().get("utc_offset_s", 0))
            origin = spine.origin(row["at"], shift)
            steps = spine.ahead(origin, shift).take(np.array(ids, np.int64) - 1)
            return Table({**keys, "at": np.full(n, origin), "offset": np.full(n, row["as_of"]), **steps})
        fields = {name: _given(context.get(name), kind, n) for name, kind in request_fields(self._system).items()}
        return Table({**keys, "at": np.full(n, row["at"]), "offset": np.full(n, row["as_of"]), **fields})


def _given(value: Any, kind: type, n: int) -> Any:
    if kind is str or (kind is int and value is not None):
        return column([value] * n, kind)
    return np.full(n, np.nan if value is None else float(value))
