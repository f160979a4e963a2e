from pathlib import Path

import numpy as np
import pytest

from sixfold._core.errors import ModelError
from sixfold.models.popularity import Popularity
from sixfold.models.registry import load_ranker, load_retriever
from sixfold.models.storage import write_model
from sixfold.testing.model_kit import example_interactions


def test_says_what_is_wrong_with_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"model\.json is missing"):
        load_retriever(tmp_path)
    (tmp_path / "model.json").write_text("{")
    with pytest.raises(ModelError, match="not JSON"):
        load_retriever(tmp_path)
    (tmp_path / "model.json").write_text("{}")
    with pytest.raises(ModelError, match="names no kind"):
        load_retriever(tmp_path)


def test_a_retriever_is_no_ranker(tmp_path: Path) -> None:
    Popularity().fit(example_interactions(), seed=1).save(tmp_path)
    with pytest.raises(ModelError, match="expected a ranker"):
        load_ranker(tmp_path)


def test_damaged_arrays_are_named(tmp_path: Path) -> None:
    Popularity().fit(example_interactions(), seed=1).save(tmp_path)
    whole = (tmp_path / "arrays.npz").read_bytes()
    (tmp_path / "arrays.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match="cannot be read"):
        load_retriever(tmp_path)
    (tmp_path / "arrays.npz").unlink()
    with pytest.raises(ModelError, match="cannot be read"):
        load_retriever(tmp_path)


@pytest.mark.parametrize("kind", ["popularity", "neighbours"])
def test_missing_arrays_are_named(tmp_path: Path, kind: str) -> None:
    write_model(tmp_path, kind, {}, {"items": np.arange(3)})
    with pytest.raises(ModelError, match="lacks its array"):
        load_retriever(tmp_path)
