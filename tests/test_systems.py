"""Every system that comes with Sixfold is held to what it promises of every system."""

import ast
from pathlib import Path

import pytest

from sixfold.system import load_system, system_names
from sixfold.testing import check_system

SRC = Path(__file__).parents[1] / "src" / "sixfold"
OWN = ("systems", "datasets", "worlds", "testing")
PHASES = [path for path in sorted(SRC.rglob("*.py")) if path.relative_to(SRC).parts[0] not in OWN]


@pytest.mark.slow
@pytest.mark.parametrize("name", system_names())
def test_a_system_runs_serves_replays_and_audits_clean(name: str) -> None:
    done = check_system(load_system(name))
    assert done.decisions == 12 and done.audited > 0


@pytest.mark.parametrize("path", PHASES, ids=lambda path: path.relative_to(SRC).as_posix())
def test_no_phase_knows_a_system_by_name(path: Path) -> None:
    """Nothing is compared with, looked up by or imported from a system: what one needs is a named part of a phase."""
    names = set(system_names())
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Compare | ast.MatchValue | ast.Dict):
            known = {part.value for part in ast.walk(node) if isinstance(part, ast.Constant) and part.value in names}
            assert not known, f"line {node.lineno} decides by the name of {known}"
        if isinstance(node, ast.ImportFrom):
            assert not (node.module or "").startswith("sixfold.systems"), f"line {node.lineno} imports a system"
