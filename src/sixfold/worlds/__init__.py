"""Simulated products whose truth is known, to drive the real service over its real interfaces."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sixfold.data.source import Source

__all__ = ["NAMES", "open_world"]

_MODULES = {
    "handbook": "handbook",
    "handbook-tiny": "handbook",
    "shorts": "shorts",
    "shorts-tiny": "shorts",
    "cards": "cards",
    "shop": "shop",
    "shop-tiny": "shop",
    "library": "library",
    "library-tiny": "library",
    "market": "market",
    "market-tiny": "market",
}

NAMES = tuple(_MODULES)
"""The worlds that come with Sixfold; the tiny ones are for trying everything in seconds."""


def open_world(name: str, seed: int) -> "Source":
    """The world of that name, deterministic in `seed`; KeyError if there is none."""
    world: Source = import_module(f"sixfold.worlds.{_MODULES[name]}").open_world(name, seed)
    return world
