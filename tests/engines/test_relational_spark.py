"""The relational plan on Spark is the oracle, to the bit; where Spark cannot run, it says what is lacking."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from sixfold._core.errors import FeatureError
from sixfold.engines.relational import SparkEngine, spark
from sixfold.testing.compare import differences
from sixfold.testing.histories import EVERYTHING, build, draw, draw_features
from sixfold.testing.oracle import oracle

pyspark = pytest.importorskip("pyspark", reason="pyspark is not installed: pip install 'sixfold[spark]'")
needs_java = pytest.mark.skipif(spark.java() is None, reason="Spark needs Java 17 or later, and none was found")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkEngine]:
    engine = SparkEngine(memory="1GB", threads=2, folder=tmp_path_factory.mktemp("spark"))
    yield engine
    engine.close()


@needs_java
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_drawn_histories(engine: SparkEngine, seed: int) -> None:
    rng = np.random.default_rng(seed)
    features = EVERYTHING if seed == 0 else draw_features(rng, 8)
    history, spine = build(draw(rng, 80, 6))
    assert differences(oracle(features, history, spine), engine.as_of(features, history, spine)) == []


def test_no_java_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(FeatureError, match=r"Spark runs on Java, and none was found.*JAVA_HOME"):
        SparkEngine()
