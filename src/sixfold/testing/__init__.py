"""Kits that hold an implementation of yours to what Sixfold relies on: import them from here, one call each.

A kit is loaded when it is first asked for: some need pytest or hypothesis, and none is needed to serve.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sixfold.testing.engine_kit import check_engine
    from sixfold.testing.log_kit import check_log
    from sixfold.testing.model_kit import check_ranker, check_retriever
    from sixfold.testing.stage_kit import check_stage
    from sixfold.testing.store_kit import check_store
    from sixfold.testing.system_kit import check_system

__all__ = ["check_engine", "check_log", "check_ranker", "check_retriever", "check_stage", "check_store", "check_system"]

_FILES = {
    "check_engine": "engine_kit",
    "check_log": "log_kit",
    "check_ranker": "model_kit",
    "check_retriever": "model_kit",
    "check_stage": "stage_kit",
    "check_store": "store_kit",
    "check_system": "system_kit",
}


def __getattr__(name: str) -> Any:
    if name not in _FILES:
        raise AttributeError(f"sixfold.testing has no {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(f"sixfold.testing.{_FILES[name]}"), name)
