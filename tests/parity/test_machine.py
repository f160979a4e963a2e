"""A machine that appends, folds, asks, saves and crashes in any order, against the oracle."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from sixfold.engines.memory.store import MemoryStore
from sixfold.features import OnlineFeatures
from sixfold.testing.compare import differences
from sixfold.testing.histories import EVERYTHING, Case, Fact, Moment, between, build, cases
from sixfold.testing.oracle import oracle

FACTS = cases().map(lambda case: case.facts[:4])
MOMENTS = cases().filter(lambda case: case.moments).map(lambda case: case.moments[0])


class Serving(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.facts: tuple[Fact, ...] = ()
        self.folder = tempfile.TemporaryDirectory()
        self.saved = False

    @initialize()
    def start(self) -> None:
        self.online = OnlineFeatures(EVERYTHING, MemoryStore())

    @rule(facts=FACTS)
    def append(self, facts: tuple[Fact, ...]) -> None:
        self.facts += facts

    @property
    def end(self) -> int:
        return sum(not fact.again for fact in self.facts)

    @rule(share=st.floats(0, 1))
    def fold(self, share: float) -> None:
        history, _ = build(Case(self.facts, ()))
        stop = self.online.offset + round(share * (self.end - self.online.offset))
        self.online.fold(between(history, self.online.offset, stop), stop)

    @rule(moment=MOMENTS)
    def ask(self, moment: Moment) -> None:
        asked = Moment(
            self.online.offset, moment.wait, moment.user, moment.video, moment.term, moment.tab, moment.score
        )
        history, spine = build(Case(self.facts, (asked,)))
        row: dict[str, Any] = spine.row(0)
        found = self.online.now(EVERYTHING.names, row, {"video": np.array([row["video"]])}, row["at"])
        assert differences(oracle(EVERYTHING, history, spine), found) == []

    @rule()
    def save(self) -> None:
        self.online.snapshot(Path(self.folder.name))
        self.saved = True

    @precondition(lambda self: self.saved)
    @rule()
    def crash_and_recover(self) -> None:
        self.online = OnlineFeatures(EVERYTHING, MemoryStore())
        self.online.restore(Path(self.folder.name))

    @rule()
    def crash_without_a_snapshot(self) -> None:
        self.online = OnlineFeatures(EVERYTHING, MemoryStore())

    def teardown(self) -> None:
        self.folder.cleanup()


TestServing = Serving.TestCase
TestServing.settings = settings(max_examples=25, stateful_step_count=15, deadline=None)
