"""Forecasting as a whole: contradictions between task, calendar and pipeline, and a run on a shop of local time."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest

from sixfold._core.errors import DefinitionError
from sixfold._core.table import Table
from sixfold._core.times import SECOND
from sixfold.frame import Forecast
from sixfold.serve import Horizon, TopK
from sixfold.system import System, load_system
from sixfold.testing import check_system
from sixfold.worlds.shop import SHOPS, Shop

DEMAND = load_system("demand")


class Abroad(Shop):
    """The tiny shop five hours behind UTC: the same days of its own clock."""

    @property
    def utc_offset_s(self) -> int:
        return -5 * 3600

    def chunks(self) -> Iterator[Mapping[str, Table]]:
        for chunk in super().chunks():
            later = {n: {c: t[c] + 5 * 3600 * SECOND for c in ("at", "arrived")} for n, t in chunk.items()}
            yield {name: table.with_columns(later[name]) for name, table in chunk.items()}


def problem_of(**changes: object) -> str:
    with pytest.raises(DefinitionError) as found:
        replace(DEMAND, **changes)
    return str(found.value)


def test_task_calendar_and_pipeline_say_the_same() -> None:
    assert isinstance(DEMAND, System)
    calendar = DEMAND.spine
    weekly = replace(DEMAND.problem, task=Forecast(per=calendar.per, steps=7))
    assert "forecast 7 steps of 1d for each product, but the calendar has 14 steps of 1d" in problem_of(problem=weekly)
    shown = problem_of(pipeline=replace(DEMAND.pipeline, select=TopK(14)))
    assert "a forecast answers with every step of its calendar: select=Horizon(calendar)" in shown
    other = problem_of(pipeline=replace(DEMAND.pipeline, select=Horizon(replace(calendar))))
    assert "select=Horizon(calendar)" in other
    assert "go together: give both or neither" in problem_of(spine=calendar.events)


def test_a_calendar_is_part_of_the_definition() -> None:
    calendar = replace(DEMAND.spine, at_least=30)
    label = replace(DEMAND.labels[0], of=calendar)
    assert DEMAND.spine.spec() != calendar.spec()
    assert "calendar" in {stream[0] for stream in [DEMAND.spine.spec()]}
    assert label.spec() == DEMAND.labels[0].spec()
    assert [stream.name for stream in DEMAND.streams] == ["sale", "product_meta"]


@pytest.mark.slow
def test_days_of_another_clock_are_served_replayed_and_audited() -> None:
    done = check_system(DEMAND, source=Abroad(SHOPS["shop-tiny"], seed=2))
    assert done.decisions == 12 and done.audited > 0
