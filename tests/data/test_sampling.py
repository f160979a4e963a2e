import numpy as np
import pytest

from sixfold._core.errors import InputError
from sixfold.data.sampling import sample_negatives


def test_keeps_every_positive_and_a_share_of_the_rest() -> None:
    labels = (np.arange(100_000) % 10 == 0).astype(float)
    rows, weights = sample_negatives(labels, keep=0.2, seed=1)
    assert (labels[rows] > 0).sum() == 10_000
    # 90,000 coin flips: the standard error of the share kept is .0013.
    assert abs((labels[rows] == 0).sum() / 90_000 - 0.2) < 0.006
    assert set(weights[labels[rows] > 0]) == {1.0} and set(weights[labels[rows] == 0]) == {5.0}


def test_weights_restore_the_base_rate() -> None:
    labels = (np.random.default_rng(1).random(100_000) < 0.1).astype(float)
    rows, weights = sample_negatives(labels, keep=0.2, seed=2)
    assert abs(np.average(labels[rows], weights=weights) - labels.mean()) < 0.003


def test_the_seed_decides() -> None:
    labels = np.zeros(1_000)
    draws = [sample_negatives(labels, keep=0.5, seed=seed)[0].tolist() for seed in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]


@pytest.mark.parametrize("keep", [0.0, -1.0, 1.1])
def test_the_share_must_be_a_share(keep: float) -> None:
    with pytest.raises(InputError):
        sample_negatives(np.zeros(3), keep=keep, seed=1)
