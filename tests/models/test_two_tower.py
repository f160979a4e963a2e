import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sixfold._core.errors import DefinitionError, ModelError
from sixfold.models.registry import load_retriever
from sixfold.models.two_tower import FittedTwoTower, TwoTower
from sixfold.models.two_tower_network import Attributes, Shape, build, sampled_softmax
from sixfold.testing.model_kit import check_retriever, consumed_keys, example_interactions

SMALL = TwoTower(dim=16, hidden=16, history=8, passes=15, batch=128, learning_rate=0.01)


def test_keeps_the_contract() -> None:
    check_retriever(lambda: SMALL)


def gradients(scores: torch.Tensor, chance: np.ndarray, *, logq: bool, batch: int, n_batches: int) -> np.ndarray:
    """The mean gradient of the in-batch loss in the scores of the items, (n_items,), positives drawn by `chance`.

    All users are alike here: a user is the vector (1,), an item its score, so that the truth can be written down.
    """
    rng = np.random.default_rng(0)
    total = torch.zeros_like(scores)
    for _ in range(n_batches):
        rows = torch.from_numpy(rng.choice(len(chance), size=batch, p=chance))
        free = scores.clone().requires_grad_()
        log_q = torch.from_numpy(np.log(chance))[rows] if logq else None
        users = torch.ones(batch, 1, dtype=torch.float64)
        sampled_softmax(users, free[rows][:, None], rows, log_q).mean().backward()
        assert free.grad is not None
        total += free.grad
    return (total / n_batches).numpy()


def test_the_correction_gives_the_gradient_of_the_full_softmax() -> None:
    """d/ds_j of -log softmax(s)_y, over y drawn by p, is softmax(s)_j - p_j.

    A sampled gradient has a bias of the order of 1 / batch and, over 400 batches of 256, a standard error below .002.
    """
    chance = np.array([0.4, 0.25, 0.15, 0.1, 0.06, 0.04])
    scores = torch.tensor([0.3, -0.5, 0.8, 0.0, -0.2, 1.0], dtype=torch.float64)
    full = torch.softmax(scores, 0).numpy() - chance
    corrected = gradients(scores, chance, logq=True, batch=256, n_batches=400)
    assert np.abs(corrected - full).max() < 0.01
    assert np.dot(corrected, full) / (np.linalg.norm(corrected) * np.linalg.norm(full)) > 0.999
    plain = gradients(scores, chance, logq=False, batch=256, n_batches=400)
    assert np.abs(plain - full).max() > 0.1, "without the correction it is another gradient"


def test_without_the_correction_popular_items_are_pushed_down() -> None:
    """At scores = log p the full softmax is at its optimum; there the uncorrected loss still lowers what is popular.

    An item's pull upwards is p; as a negative it counts p times for being drawn and p times for its score.
    """
    chance = np.linspace(4, 1, 60) / np.linspace(4, 1, 60).sum()
    optimum = torch.from_numpy(np.log(chance))
    corrected = gradients(optimum, chance, logq=True, batch=64, n_batches=2_000)
    plain = gradients(optimum, chance, logq=False, batch=64, n_batches=2_000)
    assert plain[:20].sum() > 0.05, "descent lowers the scores of the popular third"
    assert plain[-20:].sum() < -0.05, "and raises those of the rare third"
    assert abs(corrected[:20].sum()) < 0.01
    assert abs(corrected[-20:].sum()) < 0.01


def test_copies_of_ones_own_item_are_no_negatives() -> None:
    users, items = torch.ones(3, 1), torch.tensor([[2.0], [2.0], [1.0]])
    losses = sampled_softmax(users, items, torch.tensor([5, 5, 7]), None)
    alone = float(torch.log(1 + torch.exp(torch.tensor(-1.0))))
    assert losses[:2].tolist() == pytest.approx([alone, alone])


def test_the_served_tower_is_the_trained_one() -> None:
    shape = Shape(n_items=9, dim=8, hidden=4, history=5)
    attributes = Attributes(np.zeros((9, 1), np.float32), np.zeros((9, 1), np.int64), (1,))
    network = build(shape, attributes, 0.1, seed=3)
    rows = torch.tensor([[-1, -1, 3, 4, 4], [-1, -1, -1, -1, -1], [0, 1, 2, 3, 8]])
    with torch.no_grad():
        vectors = network.items()
        trained = network.users(rows, vectors)
        served = network(vectors[rows.clamp(min=0)] * (rows >= 0)[:, :, None], rows >= 0)
    assert torch.allclose(trained, served, atol=1e-5)


def test_an_item_nobody_consumed_is_found_by_its_attributes() -> None:
    data = example_interactions(400)
    rare = data.catalog["item"][20]
    kept = data.events["item"] != rare
    without = type(data)(data.events.take(kept), data.histories[kept], data.catalog, "without")
    fitted = SMALL.fit(without, seed=1)
    vectors = dict(zip(fitted.items.tolist(), fitted.vectors, strict=True))
    topics = data.catalog["topic"]
    near = [key for key, topic in zip(data.catalog["item"].tolist(), topics, strict=True) if topic == topics[20]]
    far = [key for key in vectors if key not in near]
    alike, unlike = (np.mean([vectors[rare] @ vectors[key] for key in keys if key != rare]) for keys in (near, far))
    assert alike > unlike + 0.2


def test_a_large_catalogue_goes_through_the_inverted_index(tmp_path: Path) -> None:
    data = example_interactions(300)
    exact = SMALL.fit(data, seed=1)
    fitted = replace(SMALL, exact_below=10).fit(data, seed=1)
    fitted.save(tmp_path)
    assert (tmp_path / "index.faiss").is_file()
    (history,) = consumed_keys(data, [5])
    found, expected = (model.retrieve(history, 10)[0].tolist() for model in (load_retriever(tmp_path), exact))
    assert len(set(found) & set(expected)) >= 9


def test_serving_imports_no_torch(tmp_path: Path) -> None:
    SMALL.fit(example_interactions(50), seed=1).save(tmp_path)
    code = (
        "import sys, numpy; from pathlib import Path; from sixfold.models.registry import load_retriever;"
        f"load_retriever(Path({str(tmp_path)!r})).retrieve(numpy.array([3, 10]), 5);"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_lost_graph_is_named(tmp_path: Path) -> None:
    SMALL.fit(example_interactions(50), seed=1).save(tmp_path)
    (tmp_path / "user.onnx").write_bytes(b"not a graph")
    with pytest.raises(ModelError, match=r"user\.onnx"):
        load_retriever(tmp_path)
    (tmp_path / "user.onnx").unlink()
    with pytest.raises(ModelError, match=r"user\.onnx"):
        load_retriever(tmp_path)


def test_another_seed_is_another_model() -> None:
    data = example_interactions(50)
    one, two = (SMALL.fit(data, seed=seed) for seed in (1, 2))
    assert isinstance(one, FittedTwoTower)
    assert not np.array_equal(one.vectors, two.vectors)


def test_refuses_settings_without_a_meaning_and_unknown_attributes() -> None:
    with pytest.raises(DefinitionError) as found:
        TwoTower(dim=0, temperature=-1.0)
    assert len(found.value.problems) == 2
    with pytest.raises(ModelError, match="author"):
        TwoTower(categorical=("author",)).fit(example_interactions(50), seed=1)
