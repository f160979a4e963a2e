"""Blending and ranking against naive references, on generated proposals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold._core.errors import DefinitionError
from sixfold._core.table import Array, column
from sixfold.serve.candidates import Blend, best_first

scores = st.one_of(st.integers(-4_000, 4_000).map(lambda n: n / 4), st.just(float("nan")), st.just(float("inf")))
proposals = st.dictionaries(
    st.sampled_from(["a", "b", "c"]), st.lists(st.tuples(st.integers(0, 12), scores), max_size=12), max_size=3
)


def naive(weights: dict[str, float], given_: dict[str, list[tuple[int, float]]]) -> list[tuple[int, float]]:
    """Each item's blended score, best first, as the definition says it."""
    order: list[int] = []
    tables = {}
    for source, pairs in ((source, pairs) for source, pairs in given_.items() if pairs):
        first: dict[int, float] = {}
        for key, score in pairs:
            first.setdefault(key, score)
            if key not in order:
                order.append(key)
        tables[source] = first
    total = dict.fromkeys(order, 0.0)
    for source, known in tables.items():
        finite = [score for score in known.values() if np.isfinite(score)]
        low = min(finite, default=0.0)
        filled = np.array([known.get(key, low) if np.isfinite(known.get(key, low)) else low for key in order])
        spread = (filled - filled.mean()).std()
        for key, value in zip(order, (filled - filled.mean()) / (spread if spread > 0 else 1.0), strict=True):
            total[key] += weights.get(source, 1.0) * value
    return sorted(total.items(), key=lambda pair: -pair[1])


@given(proposals, st.booleans())
def test_a_blend_is_the_weighted_sum_of_standardised_scores(given_: dict, text: bool) -> None:
    def keys(pairs: list[tuple[int, float]]) -> Array:
        found = [key for key, _ in pairs]
        return column([f"k{key:02d}" for key in found], str) if text else np.array(found, np.int64)

    weights = {"a": 2.0, "b": 0.5}
    sources = {name: (keys(pairs), np.array([s for _, s in pairs], float)) for name, pairs in given_.items()}
    merged = Blend(weights).merge(sources)
    expected = naive(weights, given_)
    assert len(set(merged.keys.tolist())) == len(merged) == len(expected)
    by_key = {f"k{key:02d}" if text else key: value for key, value in expected}
    for key, value in zip(merged.keys.tolist(), merged.blend.tolist(), strict=True):
        assert value == pytest.approx(by_key[key], rel=1e-6, abs=1e-6)
    assert (np.diff(merged.blend) <= 0).all()
    for row, (source, pairs) in enumerate((source, pairs) for source, pairs in given_.items() if pairs):
        first = {name: rank for rank, name in reversed(list(enumerate(keys(pairs).tolist())))}
        assert merged.sources[row] == source
        assert merged.ranks[row].tolist() == [first.get(key, -1) for key in merged.keys.tolist()]


@given(st.lists(st.one_of(scores, st.just(-float("inf")), st.sampled_from([0.0, 1.0]))))
def test_ranking_is_stable_and_what_is_not_finite_sinks(values: list[float]) -> None:
    order = best_first(np.array(values, float)).tolist()
    expected = sorted(
        range(len(values)), key=lambda i: (not np.isfinite(values[i]), -values[i] if np.isfinite(values[i]) else 0)
    )
    assert order == expected


def test_a_blend_keeps_at_least_one() -> None:
    with pytest.raises(DefinitionError, match="at least 1 candidate"):
        Blend({}, keep=0)
