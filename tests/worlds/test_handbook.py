"""The handbook: pages that say what their facts are, and questions whose truth is known."""

import pytest

from sixfold._core.table import Table
from sixfold._core.times import DAY
from sixfold.system import load_system
from sixfold.testing import check_system
from sixfold.worlds import open_world
from sixfold.worlds.handbook import Handbook, HandbookConfig


def read(world: Handbook) -> dict[str, Table]:
    chunks = list(world.chunks())
    return {name: Table.concat([c[name] for c in chunks if name in c]) for name in ("passage_meta", "asked", "answer")}


def test_what_is_accepted_stands_on_the_page_and_nothing_else_does() -> None:
    streams = read(Handbook(HandbookConfig(houses=3, asked=4), seed=5))
    text = dict(zip(*(streams["passage_meta"][n].tolist() for n in ("passage", "text")), strict=True))
    found = 0
    for row in streams["answer"].rows():
        assert row["found"] == (row["accepted"] is not None)
        if row["found"]:
            found += 1
            assert text[row["passage"]].count(row["accepted"]) >= 1
    assert 0.5 < found / len(streams["answer"]) < 0.8


def test_the_page_asked_about_is_among_those_shown() -> None:
    streams = read(Handbook(HandbookConfig(houses=4, asked=2), seed=1))
    shown = {(row["question"], row["passage"]) for row in streams["asked"].rows()}
    assert all((row["question"], row["passage"]) in shown for row in streams["answer"].rows())


def test_there_is_a_day_for_each_kind_and_the_same_seed_gives_the_same_town() -> None:
    one, other = read(Handbook(seed=2)), read(Handbook(seed=2))
    assert len(set((one["asked"]["at"] // DAY).tolist())) == 35
    for name, table in one.items():
        assert list(table.rows()) == list(other[name].rows())
    assert one["asked"]["at"].max() % DAY > DAY // 2


def test_visitors_ask_and_say_nothing() -> None:
    world = open_world("handbook-tiny", 3)
    visits = world.visits(5, seed=1, prefix="v")  # type: ignore[attr-defined]
    assert [visit.ask()["id"] for visit in visits] == [f"v-{i}" for i in range(5)]
    assert visits[0].react({}) == []


@pytest.mark.slow
def test_answers_run_on_the_town_with_all_six_phases() -> None:
    done = check_system(load_system("answers"), source=open_world("handbook-tiny", 0))
    assert done.decisions == 12
