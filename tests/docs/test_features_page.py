"""What the page on features says of the code is what the code says."""

import runpy
from pathlib import Path

from sixfold.features.kinds import KINDS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "features.md").read_text("utf-8")


def row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(f"`{cell}`" if "**" in cell else cell for cell in cells) + " |"


def test_the_table_of_kinds_is_that_of_the_code() -> None:
    """On a mismatch, copy the expected lines into the page."""
    expected = [
        row((f"`{name}`", kind.algebra, "yes" if kind.inverse else "no", kind.column, kind.empty, kind.error))
        for name, kind in KINDS.items()
    ]
    lines = PAGE.splitlines()
    first = lines.index("| kind | how it merges | takes an event out | column | over no events | error |") + 2
    assert lines[first : lines.index("", first)] == expected


def test_the_picture_shows_the_example_of_the_page() -> None:
    script = runpy.run_path(str(ROOT / "docs" / "features_picture.py"), run_name="picture")
    for offset, (name, (at, arrived)) in enumerate(script["EVENTS"].items()):
        assert f"| {name} | {offset} | {at} | {arrived} |" in PAGE
    assert f"At {script['ASKED']} an hour back is" in PAGE
    assert "(features.svg)" in PAGE
    assert f"known at {script['ASKED']}" in (ROOT / "docs" / "features.svg").read_text("utf-8")
