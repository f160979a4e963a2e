"""The form of a result on a terminal: one function, to which each kind of result registers its own."""

from functools import singledispatch
from typing import Any

from rich.console import RenderableType
from rich.table import Table as Grid
from rich.text import Text

__all__ = ["grid", "render"]


def grid(*columns: str, title: str = "") -> Grid:
    """A table whose first column is text and whose others are figures."""
    table = Grid(title=title or None, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for i, name in enumerate(columns):
        table.add_column(
            name, justify="left" if i == 0 else "right", header_style="dim", overflow="fold", no_wrap=i == 0
        )
    return table


@singledispatch
def render(result: Any) -> RenderableType:
    """What to print for a result; plain text for kinds that have no form of their own."""
    return Text(str(result))
