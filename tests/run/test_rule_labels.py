"""Labels by rule on a whole system: a feed that nobody labels learns nearly what one with labels learns."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sixfold.data import Rule, rule_label
from sixfold.data.events import Events
from sixfold.evaluate.ranking import auc
from sixfold.frame import Objective
from sixfold.models import TreeRanker
from sixfold.run.home import open_home
from sixfold.run.ingest import ingest
from sixfold.run.prepare import prepare
from sixfold.serve import Score
from sixfold.system import load_system
from sixfold.worlds import open_world

video = load_system("video")
watch, shown, long_view = video.labels[0].outcome, video.spine, video.labels[0]
assert isinstance(shown, Events)
enjoyed = rule_label(
    "enjoyed", Rule("most", watch.share >= 0.6), Rule("liked", watch.liked), Rule("stayed", watch.watched_ms > 20_000),
    Rule("left", watch.share < 0.2, means=False), of=shown, within="30m", matures="1h",
)  # fmt: skip
objective = Objective({enjoyed: 1.0})
unlabelled = replace(
    video,
    name="unlabelled",
    labels=(*video.labels, enjoyed),
    problem=replace(video.problem, objective=objective),
    pipeline=replace(video.pipeline, score=Score(TreeRanker(heads=(enjoyed, long_view), max_trees=200), objective)),
)


@pytest.mark.slow
def test_a_ranker_taught_by_rules_is_close_to_one_that_was_told(tmp_path: Path) -> None:
    home = open_home(tmp_path, unlabelled.name, "shorts-tiny")
    ingest(home, unlabelled, open_world("shorts-tiny", 0))
    prepared = prepare(home, unlabelled)
    weights = prepared.train.weights["enjoyed"]
    assert 0 <= weights.min() < weights.max() <= 1 and set(prepared.train.labels["enjoyed"]) == {0.0, 1.0}
    fitted = unlabelled.ranker.fit(prepared.train, prepared.validate, seed=0)
    heads = fitted.predict(prepared.test.features)
    truth = prepared.test.labels["long_view"]
    by_rule, told = (float(auc(truth, heads[name])) for name in ("enjoyed", "long_view"))
    base = float(auc(truth, np.zeros(len(truth))))
    assert base == 0.5 and told > 0.65
    assert by_rule > told - 0.05
