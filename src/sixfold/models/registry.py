"""From a folder to the fitted model in it: one closed table of kinds, each loaded by the file that owns it."""

from importlib import import_module
from pathlib import Path
from typing import Any

from sixfold._core.errors import ModelError
from sixfold.models.contract import FittedRanker, FittedRetriever
from sixfold.models.reading.contract import FittedReader
from sixfold.models.storage import read_settings
from sixfold.models.text.contract import FittedMatcher

__all__ = ["load_matcher", "load_ranker", "load_reader", "load_retriever"]

_RETRIEVERS = {
    "popularity": "sixfold.models.popularity",
    "neighbours": "sixfold.models.neighbours",
    "two_tower": "sixfold.models.two_tower",
}
_READERS = {"spans": "sixfold.models.reading.span_reader"}
_MATCHERS = {"bm25": "sixfold.models.text.bm25", "dense": "sixfold.models.text.dense"}
_RANKERS = {
    "deep": "sixfold.models.deep_ranker",
    "forecaster": "sixfold.models.forecaster",
    "persistence": "sixfold.models.persistence",
    "downsampled": "sixfold.models.downsampled",
    "hashed": "sixfold.models.hashed_ranker",
    "linear": "sixfold.models.linear_ranker",
    "trees": "sixfold.models.tree_ranker",
}


def load_retriever(folder: Path) -> FittedRetriever:
    """The retriever saved in `folder`; raises ModelError if there is none or it is damaged."""
    loaded: FittedRetriever = _load(folder, _RETRIEVERS, "retriever")
    return loaded


def load_ranker(folder: Path) -> FittedRanker:
    """The ranker saved in `folder`; raises ModelError if there is none or it is damaged."""
    loaded: FittedRanker = _load(folder, _RANKERS, "ranker")
    return loaded


def load_matcher(folder: Path) -> FittedMatcher:
    """The model of text saved in `folder`; raises ModelError if there is none or it is damaged."""
    loaded: FittedMatcher = _load(folder, _MATCHERS, "model of text")
    return loaded


def load_reader(folder: Path) -> FittedReader:
    """The reader saved in `folder`; raises ModelError if there is none or it is damaged."""
    loaded: FittedReader = _load(folder, _READERS, "reader")
    return loaded


def _load(folder: Path, modules: dict[str, str], what: str) -> Any:
    kind = read_settings(folder)["kind"]
    if kind not in modules:
        raise ModelError(f"{folder} holds a model of kind {kind!r}, expected a {what}: {', '.join(modules)}")
    return import_module(modules[kind]).load(folder)
